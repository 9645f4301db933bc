#!/usr/bin/env bash
# Shows the whole path of a Service with real packets, in a network namespace with no way out.
#
#   scripts/demo.sh PROGRAM       PROGRAM is the fairway binary; needs root
#
# Ends by itself; the exit status is 0 only if everything it shows held.
set -uo pipefail
fairway=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
place=fairway-demo-$$
data=$(mktemp -d /tmp/fairway-demo.XXXXXX)
proved=0 broken=0

# nsenter, because "ip netns exec" would mount a /sys of its own and hide the cgroups.
inside() { nsenter --net="/run/netns/$place" "$@"; }
fw() { inside "$fairway" --data-dir "$data" "$@"; }
title() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }
prove() { # what, command...: shows the answer, counts whether the command held
  local what=$1 answer; shift
  if answer=$("$@" 2>&1); then proved=$((proved + 1)); echo "  ok    $what"; else broken=$((broken + 1)); echo "  FAIL  $what"; fi
  [ -z "$answer" ] || sed 's/^/          /' <<<"$answer"
}
clean_up() {
  fw down >/dev/null 2>&1
  ip netns delete "$place" 2>/dev/null
  rm -rf "$data"
}
trap clean_up EXIT

# An address and what must answer there: "pod NAME on NODE, client ADDRESS".
http() { fw exec --client -- curl -sS --max-time 5 "http://$1/" | grep -E '.'; }
from_node() { local node=$1; shift; fw exec --node "$node" -- curl -sS --max-time 5 "http://$1/" | grep -E '.'; }
hops() { # the kernel's own record of the translation in that place
  local where=$1; shift
  case $where in
    balancer) fw exec --balancer -- conntrack -L "$@" 2>/dev/null ;;
    *) fw exec --node "$where" -- conntrack -L "$@" 2>/dev/null ;;
  esac | grep -m1 -E 'src=' | sed -E 's/.*(src=.*)/\1/; s/ (mark|use|\[).*//'
}
refused() { # curl says so, and fails; anything else is not a refusal
  local said
  said=$(fw exec --client -- curl -sS --max-time 5 -o /dev/null "http://$1/" 2>&1) && return 1
  echo "$said"
  grep -qE "refused|Couldn't connect" <<<"$said"
}
table_matches() {
  fw get all -n litellm > "$data/table" && cat "$data/table"
  for wanted in \
    'service/litellm-cu-deployment-opsagent   LoadBalancer   11.254.169.175   172.24.131.55   5000:36181/TCP   ' \
    'service/litellm-cu-service               NodePort       11.254.91.143    <none>          80:46194/TCP     ' \
    'deployment.apps/litellm-cu-deployment   1/1     1            1           '
  do grep -qF "$wanted" "$data/table" || { echo "missing: $wanted"; return 1; }; done
  grep -q service/kubernetes "$data/table" && { echo "not of this namespace"; return 1; }
  grep -qE '^pod/litellm-cu-deployment-[a-z0-9]+-[a-z0-9]{5}   1/1     Running   0          [0-9]+s$' "$data/table"
}

ip netns add "$place" && inside ip link set lo up || { echo "cannot make a network namespace; this needs root"; exit 1; }

title "A cluster: API server, controllers, three nodes, one external load balancer"
begun=$(date +%s%N)
prove "fairway up" fw up --detach --nodes 3 --service-cidr 11.254.0.0/16 \
  --load-balancer-pool 172.24.131.0/24 --node-port-range 30000-50000
printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: litellm}\n' > "$data/namespace.yaml"
prove "a namespace" fw apply -f "$data/namespace.yaml"
prove "fairway apply -n litellm -f examples/litellm.yaml" fw apply -n litellm -f "$root/examples/litellm.yaml"
for _ in $(seq 300); do http 172.24.131.55:5000 >/dev/null 2>&1 && break; sleep 0.1; done
echo "        the first answer over the load balancer's address came $(( ($(date +%s%N) - begun) / 1000000 )) ms after the start"

title "What kubectl get all shows"
prove "the table, to the column" table_matches

title "Path 1: client -> EXTERNAL-IP:5000 -> balancer -> any NodeIP:36181 -> PodIP:4000"
prove "client dials 172.24.131.55:5000" http 172.24.131.55:5000
prove "at the balancer the kernel translated the address to a node's" hops balancer -p tcp --orig-dst 172.24.131.55 --orig-port-dst 5000
for node in node-1 node-2 node-3; do
  address=$(fw get node "$node" -o json | sed -nE 's/.*"address": "([0-9.]+)".*/\1/p' | head -1)
  prove "client dials $node directly, $address:36181" http "$address:36181"
  prove "$node translated that to the pod's address" hops "$node" -p tcp --orig-dst "$address" --orig-port-dst 36181
done

title "Path 2: client -> any NodeIP:46194 -> PodIP:4000"
for node in node-1 node-2 node-3; do
  address=$(fw get node "$node" -o json | sed -nE 's/.*"address": "([0-9.]+)".*/\1/p' | head -1)
  prove "client dials $address:46194" http "$address:46194"
done

title "Inside the cluster: ClusterIP:80 -> the same pod"
prove "node-2 dials 11.254.91.143:80" from_node node-2 11.254.91.143:80
prove "a port the Service does not have is refused" refused 172.24.131.55:5001

title "Why it works, in words"
prove "fairway explain litellm-cu-deployment-opsagent" fw explain -n litellm litellm-cu-deployment-opsagent

title "The end leaves nothing behind"
prove "fairway down" fw down
prove "no link of it is left" bash -c "! nsenter --net=/run/netns/$place ip -o link | grep -v ' lo:'"

title "$proved held, $broken did not"
[ "$broken" -eq 0 ]
