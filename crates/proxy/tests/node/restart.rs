//! A proxy that dies takes nothing with it, and the next one goes on where it was.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::place::{Place, until};

#[test]
fn clients_do_not_notice_that_a_proxy_is_killed_and_started_again() {
    let mut place = Place::new(1);
    let from = place.lab.start_pod(1, 9);
    let pods = [place.lab.start_pod(1, 5), place.lab.start_pod(1, 6)];
    place.serve(
        &[&pods[0], &pods[1]],
        &json!({"sessionAffinity": "ClientIP"}),
    );
    let ways = place.ways(&from);
    for (dialler, to) in &ways {
        dialler
            .until("the first answer", "TCP", *to, Result::is_ok)
            .unwrap();
    }
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for (dialler, to) in &ways {
            let (done, asked) = (&done, &asked);
            scope.spawn(move || {
                let mut talk = dialler.connect(*to).unwrap();
                let pod = talk.ask().unwrap().pod;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(talk.ask().unwrap().pod, pod, "a connection");
                    assert_eq!(
                        dialler.ask_tcp(*to).unwrap().pod,
                        pod,
                        "a new one of the same client"
                    );
                    assert_eq!(dialler.ask_udp(*to).unwrap().client.is_ipv4(), to.is_ipv4());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..4 {
            place.kill_proxy(1);
            std::thread::sleep(Duration::from_millis(50));
            place.start_proxy(1);
            std::thread::sleep(Duration::from_millis(200));
            place.api.interrupt();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 8, "{asked:?} rounds");
    // What happened while nobody was there is made up for.
    place.kill_proxy(1);
    place.set_pods(&[&pods[1]]);
    place.start_proxy(1);
    for (dialler, to) in &ways {
        until("the next proxy has caught up", || {
            (0..12).all(|_| dialler.ask_tcp(*to).unwrap().pod == pods[1].name)
        });
    }
}

#[test]
fn cleaning_up_leaves_no_rule() {
    let mut place = Place::new(1);
    let from = place.lab.start_pod(1, 9);
    let pod = place.lab.start_pod(1, 5);
    place.serve(&[&pod], &json!({}));
    let ways = place.ways(&from);
    for (dialler, to) in &ways {
        dialler
            .until("the first answer", "TCP", *to, Result::is_ok)
            .unwrap();
    }
    place.kill_proxy(1);
    place
        .lab
        .namespace("node-1")
        .run(|| proxy::clean_up().unwrap())
        .unwrap();
    for (dialler, to) in &ways {
        assert!(dialler.impatient().ask_tcp(*to).is_err());
    }
    let tables = || {
        kernel::nft::Elements::open(kernel::nft::INET, "fairway")
            .unwrap()
            .table_exists()
            .unwrap()
    };
    assert!(!place.lab.namespace("node-1").run(tables).unwrap());
}
