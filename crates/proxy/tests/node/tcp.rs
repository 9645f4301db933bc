//! Connections that are just being opened when their endpoint's node dies.

use kernel::conntrack::Conntrack;
use serde_json::json;

use crate::place::{Place, until};

const TCP: u8 = 6;

#[test]
fn who_is_still_connecting_to_an_endpoint_that_goes_finds_another() {
    let mut place = Place::new(2);
    let from = place.lab.start_pod(1, 9);
    let (near, far) = (place.lab.start_pod(1, 5), place.lab.start_pod(2, 5));
    place.serve(&[&far], &json!({}));
    let ways = place.ways(&from);
    let mut connected = Vec::new();
    for (dialler, to) in &ways {
        dialler
            .until("the first answer", "TCP", *to, Result::is_ok)
            .unwrap();
        connected.push(dialler.connect(*to).unwrap());
    }
    place.lab.set_cable("node-2", false);
    let unanswered = || {
        let listed = || Conntrack::open().unwrap().connections(TCP).unwrap();
        let connections = place.lab.namespace("node-1").run(listed).unwrap();
        let far = |c: &&kernel::conntrack::Connection| {
            !c.answered && far.addresses.contains(&c.reply.source.ip())
        };
        connections.iter().filter(far).count()
    };
    std::thread::scope(|scope| {
        let dialling: Vec<_> = ways
            .iter()
            .map(|(dialler, to)| scope.spawn(move || dialler.ask_tcp(*to)))
            .collect();
        until("everybody is connecting", || unanswered() == ways.len());
        place.set_pods(&[&near]);
        for (asked, (_, to)) in dialling.into_iter().zip(&ways) {
            let said = asked.join().unwrap();
            let said = said.unwrap_or_else(|error| panic!("{to}: {error}"));
            assert_eq!(said.pod, near.name, "{to}");
        }
    });
    // Who was connected stays so, in case the node comes back.
    place.lab.set_cable("node-2", true);
    for mut talk in connected {
        talk.until("the connection goes on", |said| said.pod == far.name);
    }
}
