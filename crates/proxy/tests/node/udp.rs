//! Datagrams from one port are one connection for the kernel, for as long as they come. When the endpoint
//! behind it goes, it must be forgotten (service-semantics 4.11).

use std::time::Duration;

use serde_json::json;
use testkit::lab::{Conversation, Pod};

use crate::place::{Place, until};

const GONE: &str = "nobody is asked again";

/// Talks from fixed ports over every way, each with its first answer had.
fn talks(place: &Place, from: &Pod) -> Vec<Conversation> {
    let begin = |(dialler, to): (testkit::lab::Dialler, _)| {
        dialler
            .until("the first answer", "UDP", to, Result::is_ok)
            .unwrap();
        let mut talk = dialler.datagrams(to).unwrap();
        talk.set_patience(Duration::from_millis(300));
        talk.until("an answer", |_| true);
        talk
    };
    place.ways(from).into_iter().map(begin).collect()
}

#[test]
fn datagrams_leave_an_endpoint_that_is_gone_and_connections_do_not() {
    let mut place = Place::new(2);
    let from = place.lab.start_pod(1, 9);
    let (first, second) = (place.lab.start_pod(1, 5), place.lab.start_pod(2, 5));
    place.serve(&[&first], &json!({}));
    let mut datagrams = talks(&place, &from);
    let mut connections: Vec<_> = place
        .ways(&from)
        .iter()
        .map(|(dialler, to)| dialler.connect(*to).unwrap())
        .collect();
    connections
        .iter_mut()
        .for_each(|talk| assert_eq!(talk.ask().unwrap().pod, first.name));

    // Another endpoint beside it moves nothing.
    place.set_pods(&[&first, &second]);
    let (inside, to) = &place.ways(&from)[0];
    until("the second endpoint is known", || {
        inside.ask_tcp(*to).unwrap().pod == second.name
    });
    for talk in &mut datagrams {
        assert_eq!(talk.ask().unwrap().pod, first.name);
    }
    // It goes, though it would still answer.
    place.set_pods(&[&second]);
    for talk in &mut datagrams {
        talk.until("datagrams find the second pod", |said| {
            said.pod == second.name
        });
    }
    for talk in &mut connections {
        assert_eq!(talk.ask().unwrap().pod, first.name, "TCP is left alone");
    }
}

#[test]
fn without_any_serving_endpoint_datagrams_are_left_alone_until_one_comes() {
    let mut place = Place::new(2);
    let from = place.lab.start_pod(1, 9);
    let (first, second) = (place.lab.start_pod(1, 5), place.lab.start_pod(2, 5));
    place.serve(&[&first], &json!({}));
    let mut datagrams = talks(&place, &from);
    // One family after the other: the endpoints of the one are none of the other's.
    place.set_pods(&[]);
    for (dialler, to) in place.ways(&from) {
        let answer = dialler.until(GONE, "UDP", to, Result::is_err);
        assert!(answer.is_err());
    }
    for talk in &mut datagrams {
        assert_eq!(talk.ask().unwrap().pod, first.name);
    }
    place.set_pods(&[&second]);
    for talk in &mut datagrams {
        talk.until("datagrams find the second pod", |said| {
            said.pod == second.name
        });
    }
}

#[test]
fn an_endpoint_that_serves_on_keeps_its_datagrams_whatever_the_policies_say() {
    let mut place = Place::new(2);
    let from = place.lab.start_pod(1, 9);
    let (first, second) = (place.lab.start_pod(1, 5), place.lab.start_pod(2, 5));
    place.serve(&[&first], &json!({}));
    let mut datagrams = talks(&place, &from);
    place.set_pods(&[&first, &second]);
    let terminating = json!({"ready": false, "serving": true, "terminating": true});
    place.set_conditions(&first, &terminating);
    let (inside, to) = &place.ways(&from)[0];
    until("new datagrams avoid what terminates", || {
        (0..12).all(|_| inside.ask_udp(*to).unwrap().pod == second.name)
    });
    for talk in &mut datagrams {
        assert_eq!(talk.ask().unwrap().pod, first.name);
    }
    let ended = json!({"ready": false, "serving": false, "terminating": true});
    place.set_conditions(&first, &ended);
    for talk in &mut datagrams {
        talk.until("datagrams find the second pod", |said| {
            said.pod == second.name
        });
    }
    // The Service's end forgets nothing.
    place.api.delete("Service", "web");
    let (inside, to) = &place.ways(&from)[0];
    assert!(inside.until(GONE, "UDP", *to, Result::is_err).is_err());
    for talk in &mut datagrams {
        assert_eq!(talk.ask().unwrap().pod, second.name);
    }
}
