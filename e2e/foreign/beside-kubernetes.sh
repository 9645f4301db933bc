#!/usr/bin/env bash
# Fairway's balancer (and proxy, with PROXY=fairway) in an unmodified Kubernetes: see README.md here.
set -uo pipefail
fairway=$(realpath "$1") binaries=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
proxy=${PROXY:-kube-proxy}
run=$(mktemp -d /tmp/fairway-foreign.XXXXXX)
tag=fw$$
nodes="1 2 3"
held=0 broken=0

say() { printf '\n%s\n' "$*"; }
check() { # what, command...: counts whether the command held; shows what it said if not
  local what=$1 said; shift
  if said=$("$@" 2>&1); then held=$((held + 1)); echo "  ok    $what${said:+: $(tail -1 <<<"$said")}"
  else broken=$((broken + 1)); echo "  FAIL  $what"; sed 's/^/          /' <<<"$said" | tail -12; fi
}
# nsenter, because "ip netns exec" would mount a /sys of its own and hide the cgroups.
inside() { local where=$1; shift; nsenter --net="/run/netns/$tag-$where" "$@"; }
start() { # where, name, command...: in the background, with its output in a log
  local where=$1 name=$2; shift 2
  # exec, so that the number is the program's own and not a shell's around it.
  (exec nsenter --net="/run/netns/$tag-$where" "$@") >"$run/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}
stop() { # name: it has no time to take anything with it
  local pid; pid=$(cat "$run/$1.pid" 2>/dev/null) || return 0
  rm "$run/$1.pid"; kill -KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null
}
is_gone() { ! pgrep -f "$run/kubeconfig $1" >/dev/null; } # no such process is left
clean_up() {
  for file in "$run"/*.pid; do [ -e "$file" ] && stop "$(basename "$file" .pid)"; done
  for name in $(ip netns list | awk '{print $1}' | grep "^$tag-"); do ip netns delete "$name"; done
  [ -n "${KEEP:-}" ] && echo "logs are in $run" || rm -rf "$run"
}
trap clean_up EXIT

settings() { # a namespace's, whole
  inside "$1" sh -c 'cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding
    for s in all default; do for k in rp_filter send_redirects; do echo 0 >ipv4/conf/$s/$k; done
    for k in accept_ra accept_dad dad_transmits; do echo 0 >ipv6/conf/$s/$k; done; done'
  inside "$1" ip link set lo up
}
member() { # name, number on the LAN
  ip netns add "$tag-$1"; settings "$1"
  inside lan ip link add "$1" type veth peer name eth0 netns "$tag-$1"
  inside lan ip link set "$1" master lan0 up
  inside "$1" ip link set eth0 up
  inside "$1" ip address add "198.18.0.$2/24" dev eth0
  inside "$1" ip address add "fd46::$2/64" dev eth0 nodad
  inside "$1" ip route add 198.18.1.0/24 dev eth0
  inside "$1" ip -6 route add fd46:1::/64 dev eth0
}
pod() { # node
  ip netns add "$tag-pod$1"; settings "pod$1"
  inside "node$1" ip link add pod type veth peer name eth0 netns "$tag-pod$1"
  inside "node$1" ip link set pod up; inside "pod$1" ip link set eth0 up
  inside "node$1" ip address add 169.254.1.1/32 dev pod; inside "node$1" ip address add "fe80::1/128" dev pod nodad
  inside "pod$1" ip address add "10.244.$1.5/32" dev eth0; inside "pod$1" ip address add "fd00:10:0:$1::5/128" dev eth0 nodad
  inside "pod$1" ip route add 169.254.1.1 dev eth0; inside "pod$1" ip route add default via 169.254.1.1
  inside "pod$1" ip -6 route add default via fe80::1 dev eth0
  inside "node$1" ip route add "10.244.$1.5" dev pod; inside "node$1" ip -6 route add "fd00:10:0:$1::5" dev pod
  NODE=node-$1 start "pod$1" "pod$1" python3 "$here/pod.py"
}
kube() { inside lan "$binaries/kubectl" --kubeconfig "$run/kubeconfig" "$@"; }

control_plane() {
  openssl genrsa -out "$run/sa.key" 2048 2>/dev/null
  echo "admin,admin,admin,system:masters" >"$run/tokens.csv"
  start lan etcd "$binaries/etcd" --name one --data-dir "$run/etcd" --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
    --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster one=http://127.0.0.1:2380 --log-level warn
  start lan apiserver "$binaries/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --bind-address 198.18.0.1 \
    --advertise-address 198.18.0.1 --cert-dir "$run/pki" --token-auth-file "$run/tokens.csv" --authorization-mode RBAC \
    --service-cluster-ip-range 10.96.0.0/16,fd00:96::/112 --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$run/sa.key" --service-account-signing-key-file "$run/sa.key" --endpoint-reconciler-type none
  cat >"$run/kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://198.18.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: admin}}]
contexts: [{name: c, context: {cluster: c, user: admin}}]
current-context: c
K
  for _ in $(seq 240); do kube get --raw /readyz >/dev/null 2>&1 && return; sleep 0.5; done
  tail -5 "$run/apiserver.log"; return 1
}
node_object() {
  kube create -f - <<K >/dev/null
{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-$1"}}
K
  kube patch node "node-$1" --subresource=status -p "{\"status\": {\"addresses\": [{\"type\": \"InternalIP\", \"address\": \"198.18.0.1$1\"}, {\"type\": \"InternalIP\", \"address\": \"fd46::1$1\"}]}}" >/dev/null
}
start_proxy() {
  case $proxy in
    fairway) start "node$1" "proxy$1" "$fairway" --kubeconfig "$run/kubeconfig" proxy --node-name "node-$1" --cluster-cidr 10.244.0.0/16,fd00:10::/48 ;;
    *) start "node$1" "proxy$1" "$binaries/kube-proxy" --kubeconfig "$run/kubeconfig" --hostname-override "node-$1" --proxy-mode nftables \
         --cluster-cidr 10.244.0.0/16,fd00:10::/48 --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 ;;
  esac
}
service() { # name, more of the spec
  kube apply -f - <<K >/dev/null
apiVersion: v1
kind: Service
metadata: {name: $1}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  ports: [{name: tcp, port: 80, targetPort: 8080, protocol: TCP}, {name: udp, port: 80, targetPort: 8080, protocol: UDP}]
$(printf '%s\n' "${@:2}" | sed 's/^/  /')
K
}
slices() { # service, nodes with pods
  local name=$1 endpoints4="" endpoints6=""; shift
  for n in "$@"; do
    endpoints4+="{addresses: [10.244.$n.5], nodeName: node-$n, conditions: {ready: true}}, "
    endpoints6+="{addresses: ['fd00:10:0:$n::5'], nodeName: node-$n, conditions: {ready: true}}, "
  done
  for family in 4 6; do local list=endpoints$family; kube apply -f - <<K >/dev/null
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $name-$family, labels: {kubernetes.io/service-name: $name}}
addressType: IPv$family
ports: [{name: tcp, port: 8080, protocol: TCP}, {name: udp, port: 8080, protocol: UDP}]
endpoints: [${!list}]
K
  done
}
addresses() { kube get service "$1" -o 'jsonpath={.status.loadBalancer.ingress[*].ip}'; }
dial() { inside client python3 "$here/dial.py" "$@"; }
until_answers() { # protocol, address
  for _ in $(seq 100); do dial "$1" "$2" 80 >/dev/null && return; sleep 0.1; done; dial "$1" "$2" 80
}
met() { grep -o 'node=[^ ]*' | sort | uniq -c | awk '{printf "%s %s  ", $1, $2} END {print ""}'; }
shows_client() { # protocol, address: 40 answers, each with the client's own address
  local own=198.18.0.4 out; [[ $2 == *:* ]] && own=fd46::4
  out=$(dial "$1" "$2" 80 40) || { echo "$out" | sort | uniq -c; return 1; }
  [ "$(grep -c "client=$own " <<<"$out")" -eq 40 ] || { grep -v "client=$own " <<<"$out" | head -3; return 1; }
  met <<<"$out"
}
only_on() { # nodes as an alternation, protocol, address
  local out; out=$(dial "$2" "$3" 80 40) || { echo "$out" | sort | uniq -c; return 1; }
  ! grep -vE "node=node-($1) " <<<"$out" && met <<<"$out"
}
one_pod() { # protocol, address: a client stays on one pod
  local out; out=$(dial "$1" "$2" 80 30) || { echo "$out"; return 1; }
  met <<<"$out"; [ "$(grep -o 'node=[^ ]*' <<<"$out" | sort -u | wc -l)" -eq 1 ]
}
refused() { local out; out=$(dial tcp "$1" 81) && return 1; grep -q refused <<<"$out" || { echo "$out"; return 1; }; }

say "A network, Kubernetes $("$binaries/kubectl" version --client 2>/dev/null | sed -n 's/Client Version: //p'), three nodes with $proxy, one balancer"
ip netns add "$tag-lan"; settings lan
inside lan ip link add lan0 type bridge mcast_snooping 0; inside lan ip link set lan0 up
inside lan ip address add 198.18.0.1/24 dev lan0; inside lan ip address add fd46::1/64 dev lan0 nodad
member balancer 3; member client 4
for n in $nodes; do
  member "node$n" "1$n"
  for other in $nodes; do [ "$other" = "$n" ] || {
    inside "node$n" ip route add "10.244.$other.0/24" via "198.18.0.1$other"
    inside "node$n" ip -6 route add "fd00:10:0:$other::/64" via "fd46::1$other"; }; done
  pod "$n"
done
check "the control plane is ready" control_plane || exit 1
for n in $nodes; do node_object "$n"; start_proxy "$n"; done
start balancer balancer "$fairway" --kubeconfig "$run/kubeconfig" balancer --load-balancer-pool 198.18.1.0/24,fd46:1::/64

say "Addresses"
service plain; slices plain 1 2 3
service local "externalTrafficPolicy: Local"; slices local 1 2
service sticky "sessionAffinity: ClientIP"; slices sticky 1 2 3
service portless "allocateLoadBalancerNodePorts: false"; slices portless 1 2 3
has_two() { for _ in $(seq 100); do [ "$(addresses "$1" | wc -w)" -eq 2 ] && break; sleep 0.1; done; addresses "$1"; [ "$(addresses "$1" | wc -w)" -eq 2 ]; }
for name in plain local sticky portless; do check "service $name was given one of each family" has_two "$name"; done

for name in plain local sticky portless; do
  say "Service $name"
  for address in $(addresses "$name"); do for protocol in tcp udp; do
    check "$protocol $address answers" until_answers "$protocol" "$address"
    case $name in
      plain) check "$protocol $address: all pods" only_on '1|2|3' "$protocol" "$address" ;;
      local) check "$protocol $address: the pods see the client" shows_client "$protocol" "$address"
             check "$protocol $address: only nodes with pods" only_on '1|2' "$protocol" "$address" ;;
      sticky) check "$protocol $address: the client stays on one pod" one_pod "$protocol" "$address" ;;
      portless) check "$protocol $address: all pods" only_on '1|2|3' "$protocol" "$address" ;;
    esac
  done; check "$address:81 is refused" refused "$address"; done
done

say "A pod moves"
slices local 3
follows() { for _ in $(seq 100); do only_on 3 "$1" "$2" >/dev/null && break; sleep 0.1; done; only_on 3 "$1" "$2"; }
for address in $(addresses local); do for protocol in tcp udp; do check "$protocol $address: traffic follows to node-3" follows "$protocol" "$address"; done; done
slices local 1 2

say "Processes are killed under connections that go on"
hold() { # connections to every service, until the file is there
  for name in plain local sticky portless; do for address in $(addresses "$name"); do
    start client "hold-$address" python3 "$here/hold.py" "$address" 80 "$run/enough"
  done; done; sleep 0.5
}
went_on() { # address
  wait "$(cat "$run/hold-$1.pid")"; local status=$?; rm "$run/hold-$1.pid"; cat "$run/hold-$1.log"; return $status
}
hold
stop balancer
check "no balancer process is left" is_gone balancer
for address in $(addresses plain) $(addresses sticky); do check "tcp $address without any balancer process" dial tcp "$address" 80 20; done
start balancer balancer "$fairway" --kubeconfig "$run/kubeconfig" balancer --load-balancer-pool 198.18.1.0/24,fd46:1::/64
for address in $(addresses plain) $(addresses local) $(addresses sticky); do check "tcp $address while it starts" dial tcp "$address" 80 40; done
for n in $nodes; do stop "proxy$n"; done
check "no proxy process is left" is_gone "$([ "$proxy" = fairway ] && echo proxy || echo --hostname-override)"
sleep 2
for address in $(addresses plain) $(addresses sticky); do check "tcp $address without any proxy process" dial tcp "$address" 80 20; done
for n in $nodes; do start_proxy "$n"; done
sleep 3
touch "$run/enough"
for name in plain local sticky portless; do for address in $(addresses "$name"); do
  check "$address ($name): one connection through all of it" went_on "$address"
done; done

say "A node dies"
inside lan ip link set node3 down
for name in plain sticky portless; do slices "$name" 1 2; done
recovers() { for _ in $(seq 60); do dial "$1" "$2" 80 10 >/dev/null && break; sleep 0.1; done; dial "$1" "$2" 80 40 | met; }
for name in plain local sticky portless; do for address in $(addresses "$name"); do for protocol in tcp udp; do
  check "$protocol $address ($name) avoids the dead node" recovers "$protocol" "$address"
done; done; done

say "$held held, $broken did not"
[ "$broken" -eq 0 ]
