//! What one write of a Service takes and gives back, as conditions and operations of its transaction.

use std::net::IpAddr;
use std::sync::Arc;

use api::ip_address::IpAddress;
use api::resource::Strategy;
use api::service::allocation::{AddressRefused, Pools};
use api::service::families::Family;
use api::status::Status;
use api::validation::ip;
use jiff::Timestamp;
use serde_json::Value;
use store::{Compare, KeyValue, Operation, Revision};

use super::books::{Books, View};
use super::{addresses, kind, ports};
use crate::codec;
use crate::keys;
use crate::reserve::{Hold, Lost, Reservation};

/// The pools of a write that will be stored.
pub(super) struct Claims {
    books: Arc<Books>,
    view: View,
    taken: Taken,
    released_addresses: Vec<IpAddr>,
    released_ports: Vec<u16>,
}

/// Marked in the books until the write is decided; dropping it unmarks what is not committed.
struct Taken {
    books: Arc<Books>,
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
}

impl Claims {
    pub(super) fn new(books: Arc<Books>, view: View) -> Self {
        let taken = Taken {
            books: books.clone(),
            addresses: Vec::new(),
            ports: Vec::new(),
        };
        Self {
            books,
            view,
            taken,
            released_addresses: Vec::new(),
            released_ports: Vec::new(),
        }
    }

    /// The conditions and operations that make the claims of this Service true.
    pub(super) fn into_reservation(self, service: &Value) -> Reservation {
        let now = Timestamp::now();
        let owner = owner(service);
        let mut reservation = Reservation::default();
        for address in &self.taken.addresses {
            let object = addresses::object(*address, service, now);
            let value = codec::encode(&object);
            claim(&mut reservation, address_key(*address), value);
        }
        for port in &self.taken.ports {
            claim(&mut reservation, ports::key(*port), owner.clone().into());
        }
        for address in &self.released_addresses {
            let key = address_key(*address);
            reservation.after.push(Operation::Delete { key });
        }
        for port in &self.released_ports {
            let key = ports::key(*port);
            reservation.after.push(Operation::Delete { key });
        }
        reservation.hold = Some(Box::new(Held {
            taken: self.taken,
            released_ports: self.released_ports,
        }));
        reservation
    }

    /// The object must be one that a client could have made: a Service without a name books nothing.
    fn book(&mut self, address: IpAddr, service: &Value) -> Result<(), AddressRefused> {
        self.taken.addresses.push(address);
        let name = address.to_string();
        let object = api::ip_address::of_service(&name, service);
        let problems = IpAddress.validate_create(&object);
        if problems.is_empty() {
            return Ok(());
        }
        let status = Status::invalid("networking.k8s.io", "IPAddress", &name, &problems);
        Err(AddressRefused::Because(status.message))
    }
}

fn claim(reservation: &mut Reservation, key: bytes::Bytes, value: bytes::Bytes) {
    reservation.compares.push(Compare {
        key: key.clone(),
        mod_revision: Revision::default(),
    });
    reservation.before.push(Operation::Put { key, value });
}

/// The key of an address' object.
pub(super) fn address_key(address: IpAddr) -> bytes::Bytes {
    let addresses = kind("networking.k8s.io", "ipaddresses");
    keys::object(addresses, "", &address.to_string())
}

/// `namespace/name` of a Service: what is written into the key of its port.
pub(super) fn owner(service: &Value) -> String {
    let metadata = |member: &str| service["metadata"][member].as_str().unwrap_or_default();
    format!("{}/{}", metadata("namespace"), metadata("name"))
}

impl Pools for Claims {
    fn families(&self) -> &[Family] {
        &self.view.families
    }

    fn take_address(&mut self, service: &Value, address: &str) -> Result<(), AddressRefused> {
        let because = |text: &str| Err(AddressRefused::Because(text.to_owned()));
        let Some(address) = ip::parse_sloppy(address) else {
            return because("failed to parse service IP");
        };
        if !self.view.ranges.give(address) {
            return because("the provided network does not match the current range");
        }
        if !self.books.mark_address(address) {
            return because("provided IP is already allocated");
        }
        self.book(address, service)
    }

    fn pick_address(&mut self, service: &Value, family: Family) -> Result<String, AddressRefused> {
        let chance = rand::random();
        let books = &self.books;
        let picked = self
            .view
            .ranges
            .ready(family)
            .find_map(|range| books.pick_address(range, chance));
        let address = picked.ok_or(AddressRefused::Full)?;
        self.book(address, service)?;
        Ok(address.to_string())
    }

    fn release_address(&mut self, address: &str) {
        let address = ip::parse_sloppy(address);
        let new = address.filter(|address| !self.released_addresses.contains(address));
        self.released_addresses.extend(new);
    }

    fn take_port(&mut self, port: i64) -> Result<(), String> {
        let range = self.books.ports().range();
        let Some(number) = range.port(port) else {
            let words = "provided port is not in the valid range. The range of valid ports is";
            return Err(format!("{words} {range}"));
        };
        if self.view.taken_ports.contains(&port) || !self.books.ports().mark(number) {
            return Err("provided port is already allocated".to_owned());
        }
        self.taken.ports.push(number);
        Ok(())
    }

    fn pick_port(&mut self) -> Result<i64, String> {
        let picked = self.books.ports().pick(rand::random());
        let port = picked.ok_or("range is full")?;
        self.taken.ports.push(port);
        Ok(port.into())
    }

    fn release_port(&mut self, port: i64) {
        let port = u16::try_from(port).ok();
        let new = port.filter(|port| !self.released_ports.contains(port));
        self.released_ports.extend(new);
    }
}

struct Held {
    taken: Taken,
    released_ports: Vec<u16>,
}

impl Hold for Held {
    fn commit(mut self: Box<Self>) {
        for port in std::mem::take(&mut self.taken.ports) {
            self.taken.books.ports().hold(port);
        }
        for port in &self.released_ports {
            self.taken.books.ports().free(*port);
        }
    }

    /// The next round asks again: it picks another one, or tells the user that what was named is taken.
    fn lost(&self, _compare: usize, actual: Option<&KeyValue>) -> Lost {
        let port = actual.and_then(|found| ports::port_of(&found.key));
        if let Some(port) = port {
            self.taken.books.ports().hold(port);
        }
        Lost::Retry
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for address in &self.addresses {
            self.books.unmark_address(*address);
        }
        for port in &self.ports {
            self.books.ports().unmark(*port);
        }
    }
}
