//! Up, down, and what happens in between.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::{Error, Place, Progress, RoleState};
use kernel::{Cgroup, NetNs, Netlink, cgroup, mount, socket};

use crate::lab::{Lab, assert_nothing_left, kill, pids, until};

/// Whether a TCP connection from inside one namespace reaches a listener in another.
fn reaches(from: &Path, to: &Path, address: SocketAddr) -> bool {
    let _listener = socket::listen_tcp_in(&NetNs::open(to).unwrap(), address).unwrap();
    let from = NetNs::open(from).unwrap();
    socket::connect_tcp_in(&from, address, Duration::from_secs(2)).is_ok()
}

#[test]
fn up_lays_out_the_lan_and_down_leaves_nothing() {
    Lab::run(|lab| async move {
        // A host that forwards nothing, as one with Docker or a firewall, is no obstacle.
        let drops = "add table inet h; add chain inet h f { type filter hook forward priority 0; policy drop; }";
        assert!(Command::new("nft").arg(drops).status().unwrap().success());
        let began = Instant::now();
        let running = lab.up("data").await;
        println!("up took {:?}", began.elapsed());
        let place = running.place().clone();
        for member in &running.layout().members {
            for address in &member.addresses {
                let here = Path::new("/proc/thread-self/ns/net");
                let lan = running.layout().lan.namespace.as_path();
                let client = place.namespace("client");
                // A port each: the connection before may still be on its way out.
                for (port, from) in (7000..).zip([lan, client.as_path(), here]) {
                    let address = SocketAddr::from((address.addr(), port));
                    assert!(
                        reaches(from, &member.namespace, address),
                        "{from:?} to {address}"
                    );
                }
            }
        }
        let status = cluster::status(&place).unwrap();
        assert!(
            status
                .roles
                .iter()
                .all(|role| role.state == RoleState::Ready),
            "{status:?}"
        );
        assert_eq!(cluster::find(Some(place.data_dir())).unwrap(), place);
        let began = Instant::now();
        running.end(false).await.unwrap();
        println!("down took {:?}", began.elapsed());
        assert_nothing_left(&place).await;
        assert!(!place.data_dir().exists());
    });
}

#[test]
fn the_host_and_the_members_find_the_pool_on_the_lan_and_nothing_else_has_a_way() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        // An address of the pool, held by the balancer as it will be.
        let balancer = Netlink::in_namespace(&NetNs::open(&place.namespace("balancer")).unwrap());
        let balancer = balancer.unwrap();
        let link = balancer.link("eth0").await.unwrap().index;
        balancer
            .set_address(link, "198.18.1.9/32".parse().unwrap())
            .await
            .unwrap();
        let address = "198.18.1.9:80".parse().unwrap();
        for from in [
            Path::new("/proc/thread-self/ns/net"),
            &place.namespace("node-2"),
        ] {
            assert!(
                reaches(from, &place.namespace("balancer"), address),
                "{from:?}"
            );
        }
        let client = NetNs::open(&place.namespace("client")).unwrap();
        let began = Instant::now();
        let nowhere = "203.0.113.1:80".parse().unwrap();
        let error = socket::connect_tcp_in(&client, nowhere, Duration::from_secs(5)).unwrap_err();
        assert!(error.to_string().contains("route to host"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(2));
        running.end(false).await.unwrap();
    });
}

#[test]
fn a_killed_launchers_roles_go_on_and_the_next_one_adopts_them() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        let before = pids(&place);
        drop(running);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(pids(&place), before);

        let adopted = Arc::new(Mutex::new(0));
        let count = adopted.clone();
        let running = cluster::up(lab.options("data"), move |progress| {
            if matches!(progress, Progress::Adopted { .. }) {
                *count.lock().unwrap() += 1;
            }
        });
        let running = running.await.unwrap();
        assert_eq!(pids(&place), before);
        assert_eq!(*adopted.lock().unwrap(), before.len());
        // What was adopted is looked after.
        kill(before[1].unwrap());
        until("the adopted role runs again", || {
            pids(&place)[1].is_some_and(|pid| Some(pid) != before[1])
        })
        .await;
        running.end(false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}

#[test]
fn a_role_that_dies_is_started_again() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        for round in 1..=3 {
            let before = pids(&place)[0].unwrap();
            kill(before);
            until("the role runs again", || {
                pids(&place)[0].is_some_and(|pid| pid != before)
            })
            .await;
            assert_eq!(cluster::status(&place).unwrap().roles[0].restarts, round);
        }
        running.end(false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}

#[test]
fn a_role_that_cannot_start_is_told_with_the_end_of_its_log() {
    Lab::run(|lab| async move {
        std::fs::write(lab.program(), "#!/bin/sh\necho no such store >&2\nexit 3\n").unwrap();
        let Err(error) = cluster::up(lab.options("data"), |_| {}).await else {
            panic!("it started");
        };
        let text = error.to_string();
        assert!(text.contains("server does not start"), "{text}");
        assert!(text.contains("no such store"), "{text}");
        let place = lab.places.lock().unwrap()[0].clone();
        cluster::down(&place, false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}

#[test]
fn down_works_after_everything_was_killed() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        for pid in pids(&place).into_iter().flatten() {
            kill(pid);
        }
        // On a hybrid machine a container runtime leaves groups of version 1 too.
        for mount in cgroup::all_mounts() {
            Cgroup::at(&mount.join(place.cgroup_name()).join("node-1/pods/x"))
                .create()
                .unwrap();
        }
        drop(running);
        cluster::down(&place, false).await.unwrap();
        assert_nothing_left(&place).await;
        assert!(!place.data_dir().exists());
        // Once more is no error either.
        cluster::down(&place, false).await.unwrap();
    });
}

#[test]
fn down_and_up_work_after_the_run_directory_was_lost() {
    Lab::run(|lab| async move {
        for again in [false, true] {
            let running = lab.up("data").await;
            let place = running.place().clone();
            let before = pids(&place);
            drop(running);
            for point in mount::below(&place.run_dir()).unwrap() {
                mount::unmount(&point).unwrap();
            }
            std::fs::remove_dir_all(place.run_dir()).unwrap();
            if again {
                let running = lab.up("data").await;
                let gone = |pid: u32| kernel::process::start_time(pid).is_none();
                assert!(before.into_iter().flatten().all(gone));
                running.end(false).await.unwrap();
            } else {
                cluster::down(&place, false).await.unwrap();
            }
            assert_nothing_left(&place).await;
        }
    });
}

#[test]
fn data_and_foreign_files_survive_when_they_should() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        running.end(true).await.unwrap();
        assert_nothing_left(&place).await;
        assert!(place.cluster_kubeconfig().exists());
        let mine = place.data_dir().join("notes");
        std::fs::write(&mine, "mine").unwrap();
        cluster::down(&place, false).await.unwrap();
        assert!(mine.exists() && !place.logs().exists() && !place.cluster_kubeconfig().exists());
    });
}

#[test]
fn two_clusters_live_side_by_side_and_a_third_in_the_same_ranges_is_refused() {
    Lab::run(|lab| async move {
        let one = lab.up("one").await;
        let Err(error) = cluster::up(lab.options("two"), |_| {}).await else {
            panic!("two clusters have the same ranges");
        };
        let text = error.to_string();
        assert!(
            text.contains("198.18.0.0/24 is in use") && text.contains("--lan"),
            "{text}"
        );
        assert!(text.contains("198.18.1.0/24 is in use") && text.contains("--load-balancer-pool"));

        let mut options = lab.options("two");
        options.lan = vec![
            "198.18.8.0/24".parse().unwrap(),
            "fd46:6177:8::/64".parse().unwrap(),
        ];
        options.load_balancer_pools = vec!["198.18.9.0/24".parse().unwrap()];
        let two = cluster::up(options, |_| {}).await.unwrap();
        let (first, second) = (one.place().clone(), two.place().clone());
        one.end(false).await.unwrap();
        assert_nothing_left(&first).await;
        assert!(
            cluster::status(&second)
                .unwrap()
                .roles
                .iter()
                .all(|role| role.pid.is_some())
        );
        two.end(false).await.unwrap();
        assert_nothing_left(&second).await;
    });
}

#[test]
fn a_second_launcher_and_other_options_are_refused() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        let second = cluster::up(lab.options("data"), |_| {}).await;
        assert!(matches!(second.err().unwrap(), Error::Running(_)));
        drop(running);
        let mut options = lab.options("data");
        options.nodes = 3;
        let error = cluster::up(options, |_| {}).await.err().unwrap();
        assert!(error.to_string().contains("--nodes"), "{error}");
        cluster::down(&place, false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}

#[test]
fn a_taken_port_is_told_before_anything_is_made() {
    Lab::run(|lab| async move {
        Netlink::here().unwrap().set_up(1, true).await.unwrap();
        let _other = socket::listen_tcp("127.0.0.1:6443".parse().unwrap()).unwrap();
        let error = cluster::up(lab.options("data"), |_| {})
            .await
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("127.0.0.1:6443 is taken"),
            "{error}"
        );
        let place = lab.places.lock().unwrap()[0].clone();
        assert!(!place.run_dir().exists());
    });
}

#[test]
fn a_stopped_node_stays_away_with_its_network_and_comes_back_when_told() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        let address: SocketAddr = "198.18.0.12:7000".parse().unwrap();
        cluster::stop_role(&place, "node-2").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let state = |place: &Place| {
            let roles = cluster::status(place).unwrap().roles;
            roles
                .into_iter()
                .find(|role| role.name == "node-2")
                .unwrap()
                .state
        };
        assert_eq!(state(&place), RoleState::Stopped);
        assert!(!place.namespace("node-2").exists());
        cluster::start_role(&place, "node-2").unwrap();
        until("the node is back", || state(&place) == RoleState::Ready).await;
        assert!(reaches(
            &place.namespace("client"),
            &place.namespace("node-2"),
            address
        ));
        let unknown = cluster::stop_role(&place, "node-9").await.unwrap_err();
        assert!(
            unknown
                .to_string()
                .contains("it has server, balancer, node-1, node-2"),
            "{unknown}"
        );
        running.end(false).await.unwrap();
        assert_nothing_left(&place).await;
    });
}

#[test]
fn a_command_runs_in_a_members_network_and_ends_with_the_cluster() {
    Lab::run(|lab| async move {
        let running = lab.up("data").await;
        let place = running.place().clone();
        let words = |line: &str| line.split(' ').map(Into::into).collect::<Vec<_>>();
        let inode = |member: &str| {
            let output = place.command_in(member, &words("readlink /proc/self/ns/net"));
            let output = output.unwrap().output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let node = NetNs::open(&place.namespace("node-1"))
            .unwrap()
            .inode()
            .unwrap();
        assert_eq!(inode("node-1"), format!("net:[{node}]"));
        assert_ne!(inode("client"), inode("node-1"));
        assert!(place.command_in("node-7", &words("true")).is_err());
        let mut left = place
            .command_in("client", &words("sleep 1000"))
            .unwrap()
            .spawn()
            .unwrap();
        running.end(false).await.unwrap();
        assert!(!left.wait().unwrap().success());
        assert_nothing_left(&place).await;
    });
}
