use super::*;
use crate::options::Options;

fn plan(change: impl FnOnce(&mut Options)) -> Layout {
    let data_dir = Path::new("/var/lib/fairway-test");
    let mut options = Options::new("/usr/bin/fairway".into(), data_dir.into());
    change(&mut options);
    let settings = Settings::complete(&options).unwrap();
    Layout::plan(
        &Place::of(data_dir).unwrap(),
        &settings,
        Path::new("/sys/fs/cgroup"),
    )
}

fn texts(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn command_line(layout: &Layout, role: &str) -> String {
    let role = layout
        .roles
        .iter()
        .find(|other| other.name == role)
        .unwrap();
    let words: Vec<_> = role
        .arguments
        .iter()
        .map(|word| word.to_str().unwrap())
        .collect();
    words.join(" ")
}

#[test]
fn everyone_on_the_lan_has_its_own_addresses_in_both_families() {
    let layout = plan(|_| {});
    let addresses: Vec<_> = layout
        .members
        .iter()
        .map(|member| (member.name.as_str(), texts(&member.addresses)))
        .collect();
    let expected = [
        ("balancer", ["198.18.0.3/24", "fd46:6177::3/64"]),
        ("client", ["198.18.0.4/24", "fd46:6177::4/64"]),
        ("node-1", ["198.18.0.11/24", "fd46:6177::b/64"]),
        ("node-2", ["198.18.0.12/24", "fd46:6177::c/64"]),
        ("node-3", ["198.18.0.13/24", "fd46:6177::d/64"]),
    ];
    for ((name, addresses), (expected_name, expected)) in addresses.iter().zip(expected) {
        assert_eq!(
            (*name, addresses.as_slice()),
            (expected_name, &expected.map(String::from)[..])
        );
    }
    assert_eq!(layout.members.len(), expected.len());
    assert_eq!(
        texts(&layout.lan.addresses),
        ["198.18.0.1/24", "fd46:6177::1/64"]
    );
    assert_eq!(
        texts(&layout.host.addresses),
        ["198.18.0.2/24", "fd46:6177::2/64"]
    );
}

#[test]
fn the_pools_are_on_the_link_for_members_and_host() {
    let layout =
        plan(|options| options.load_balancer_pools = vec!["172.24.131.0/24".parse().unwrap()]);
    assert_eq!(texts(&layout.host.on_link), ["172.24.131.0/24"]);
    for member in &layout.members {
        assert_eq!(texts(&member.on_link), ["172.24.131.0/24"]);
        assert_eq!(texts(&member.routers), ["198.18.0.1", "fd46:6177::1"]);
    }
}

#[test]
fn names_of_links_fit_the_kernels_fifteen_bytes() {
    let layout = plan(|options| {
        options.lan = vec!["10.9.0.0/16".parse().unwrap()];
        options.nodes = 1000;
    });
    assert!(layout.host.link.len() <= 15);
    assert!(layout.members.iter().all(|member| member.port.len() <= 15));
}

#[test]
fn hardware_addresses_are_unique_and_locally_administered() {
    let layout = plan(|options| {
        options.lan = vec!["10.9.0.0/16".parse().unwrap()];
        options.nodes = 300;
    });
    let mut macs: Vec<_> = layout.members.iter().map(|member| member.mac).collect();
    macs.push(layout.host.mac);
    let count = macs.len();
    macs.sort_unstable();
    macs.dedup();
    assert_eq!(macs.len(), count);
    assert!(macs.iter().all(|mac| mac[0] & 3 == 2));
}

#[test]
fn only_nodes_reserve_the_node_ports_and_the_client_forwards_nothing() {
    let layout = plan(|options| options.node_ports = (30_000, 50_000));
    let setting = |member: &Member, name: &str| {
        member
            .sysctls
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    for member in &layout.members {
        let node = member.name.starts_with("node-");
        let reserved = setting(member, "net/ipv4/ip_local_reserved_ports");
        assert_eq!(reserved.as_deref(), node.then_some("30000-50000"));
        let forwards = if member.name == CLIENT { "0" } else { "1" };
        assert_eq!(
            setting(member, "net/ipv4/ip_forward").as_deref(),
            Some(forwards)
        );
        assert_eq!(
            setting(member, "net/ipv4/conf/all/rp_filter").as_deref(),
            Some("0")
        );
    }
}

#[test]
fn the_command_lines_are_those_of_the_contract() {
    let layout = plan(|options| {
        options.service_cidrs = vec![
            "10.96.0.0/16".parse().unwrap(),
            "fd00:10:96::/112".parse().unwrap(),
        ];
    });
    let id = Place::of(Path::new("/var/lib/fairway-test"))
        .unwrap()
        .id()
        .to_owned();
    let expect = |role: &str, expected: &str| {
        let expected = expected
            .replace("ID", &id)
            .replace("D/", "/var/lib/fairway-test/");
        assert_eq!(command_line(&layout, role), expected);
    };
    expect(
        "server",
        "server --data-dir /var/lib/fairway-test --listen 127.0.0.1:6443 \
         --cluster-namespace /run/fairway/ID/netns/lan \
         --cluster-listen 198.18.0.1:6443,[fd46:6177::1]:6443 \
         --cluster-kubeconfig D/pki/cluster.kubeconfig \
         --service-cidr 10.96.0.0/16,fd00:10:96::/112 --node-port-range 30000-32767 \
         --cluster-cidr 10.244.0.0/16,fd46:6177:0:f400::/56 \
         --load-balancer-pool 198.18.1.0/24,fd46:6177:0:1::/112 \
         --node-monitor-period 500ms --node-monitor-grace-period 4s \
         --ready-file /run/fairway/ID/ready/server",
    );
    expect(
        "node-2",
        "node --network-namespace /run/fairway/ID/netns/node-2 \
         --kubeconfig D/pki/cluster.kubeconfig --name node-2 \
         --address 198.18.0.12,fd46:6177::c --state-dir D/nodes/node-2 \
         --run-dir /run/fairway/ID/node-2 --images-dir D/images \
         --cgroup /sys/fs/cgroup/fairway-ID/node-2 \
         --cluster-cidr 10.244.0.0/16,fd46:6177:0:f400::/56 --lease-renew-interval 1s \
         --data-plane auto --ready-file /run/fairway/ID/ready/node-2",
    );
    expect(
        "balancer",
        "balancer --network-namespace /run/fairway/ID/netns/balancer \
         --kubeconfig D/pki/cluster.kubeconfig --interface eth0 \
         --address 198.18.0.3,fd46:6177::3 --ready-file /run/fairway/ID/ready/balancer",
    );
    assert!(layout.roles.iter().all(|role| role.name != CLIENT));
}
