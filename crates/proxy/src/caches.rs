//! What the API has said so far, reduced to plain values, and which Services it touches.

use crate::objects;
use crate::snapshot::{self, Slice};
use forwarding::{Family, Service, ServiceName};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::SystemTime;

/// One thing that was heard.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A Service.
    Service(Heard<objects::Service>),
    /// An EndpointSlice.
    Slice(Heard<objects::EndpointSlice>),
    /// The Node that this is.
    Node(Heard<objects::Node>),
    /// A ServiceCIDR.
    ServiceCidr(Heard<objects::ServiceCidr>),
}

/// What was heard of one kind.
#[derive(Debug)]
pub(crate) enum Heard<K> {
    /// A full list begins.
    ListBegins,
    /// This is how the object is now; in a list or after one.
    Is(Box<K>),
    /// The object is gone.
    Gone(Box<K>),
    /// The list is complete: what it did not hold is gone.
    ListEnds,
}

/// The state of the world, as far as it is known.
#[derive(Default)]
pub(crate) struct Caches {
    services: HashMap<ServiceName, Known>,
    /// Slices by Service and name.
    slices: HashMap<ServiceName, BTreeMap<String, Slice>>,
    /// Which Service each slice (namespace, name) was last seen with.
    homes: HashMap<(String, String), ServiceName>,
    service_cidrs: BTreeMap<String, Vec<IpNet>>,
    /// The Node that this is, as last seen.
    pub(crate) node: Option<objects::Node>,
    /// Whether it is there now. One that was deleted still says where node ports are open: packets
    /// are not the API's to stop.
    pub(crate) node_is_there: bool,
    relisted: Relisted,
    dirty: Dirty,
}

/// A Service that is proxied.
struct Known {
    service: Service,
    health_check_port: Option<u16>,
}

/// What a list has held so far, while it is being read.
#[derive(Default)]
struct Relisted {
    services: Option<HashSet<ServiceName>>,
    slices: Option<HashSet<(String, String)>>,
    service_cidrs: Option<HashSet<String>>,
    node: Option<bool>,
    done: BTreeSet<&'static str>,
}

/// What is new since it was last taken.
#[derive(Default)]
pub(crate) struct Dirty {
    /// Services to compute again.
    pub(crate) services: BTreeSet<ServiceName>,
    /// The Node or a ServiceCIDR.
    pub(crate) node: bool,
    /// Objects seen, by kind, for the metrics.
    pub(crate) service_changes: u64,
    /// As above.
    pub(crate) endpoint_changes: u64,
    /// When the endpoints that are now programmed last changed, as their controller says.
    pub(crate) triggers: Vec<(Family, SystemTime)>,
}

impl Caches {
    /// Whether every kind has been listed once.
    pub(crate) fn complete(&self) -> bool {
        self.relisted.done.len() == 4
    }

    /// What is new since the last call.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        std::mem::take(&mut self.dirty)
    }

    /// The ranges of cluster IPs.
    pub(crate) fn service_cidrs(&self) -> Vec<IpNet> {
        self.service_cidrs.values().flatten().copied().collect()
    }

    /// A Service with its endpoints; `None` when there is none that is proxied.
    pub(crate) fn joined(&self, name: &ServiceName) -> Option<Service> {
        let mut service = self.services.get(name)?.service.clone();
        let slices = self.slices.get(name);
        snapshot::join(&mut service, &slices.into_iter().flat_map(BTreeMap::values));
        Some(service)
    }

    /// The health-check node port of a Service.
    pub(crate) fn health_check_port(&self, name: &ServiceName) -> Option<u16> {
        self.services.get(name)?.health_check_port
    }

    /// Takes in what was heard.
    pub(crate) fn hear(&mut self, seen: Seen) {
        match seen {
            Seen::Service(heard) => self.hear_service(heard),
            Seen::Slice(heard) => self.hear_slice(heard),
            Seen::Node(heard) => self.hear_node(heard),
            Seen::ServiceCidr(heard) => self.hear_service_cidr(heard),
        }
    }

    fn hear_service(&mut self, heard: Heard<objects::Service>) {
        match heard {
            Heard::ListBegins => self.relisted.services = Some(HashSet::new()),
            Heard::Is(object) => {
                let name = snapshot::service_name(&object);
                if let Some(listed) = &mut self.relisted.services {
                    listed.insert(name.clone());
                }
                self.set_service(name, Some(&object));
            }
            Heard::Gone(object) => self.set_service(snapshot::service_name(&object), None),
            Heard::ListEnds => {
                let listed = self.relisted.services.take().unwrap_or_default();
                let gone = self.services.keys().filter(|name| !listed.contains(name));
                for name in gone.cloned().collect::<Vec<_>>() {
                    self.set_service(name, None);
                }
                self.relisted.done.insert("services");
            }
        }
    }

    fn set_service(&mut self, name: ServiceName, object: Option<&objects::Service>) {
        let known = object.and_then(|object| {
            let health_check_port = snapshot::health_check_port(object);
            Some(Known {
                service: snapshot::service(object)?,
                health_check_port,
            })
        });
        match known {
            Some(known) => self.services.insert(name.clone(), known),
            None => self.services.remove(&name),
        };
        self.dirty.service_changes += 1;
        self.dirty.services.insert(name);
    }

    fn hear_slice(&mut self, heard: Heard<objects::EndpointSlice>) {
        let key = |object: &objects::EndpointSlice| {
            let meta = &object.metadata;
            (
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            )
        };
        match heard {
            Heard::ListBegins => self.relisted.slices = Some(HashSet::new()),
            Heard::Is(object) => {
                let key = key(&object);
                if let Some(listed) = &mut self.relisted.slices {
                    listed.insert(key.clone());
                }
                self.dirty.triggers.extend(trigger_time(&object));
                self.set_slice(key, Some(&object));
            }
            Heard::Gone(object) => self.set_slice(key(&object), None),
            Heard::ListEnds => {
                let listed = self.relisted.slices.take().unwrap_or_default();
                let gone = self.homes.keys().filter(|key| !listed.contains(key));
                for key in gone.cloned().collect::<Vec<_>>() {
                    self.set_slice(key, None);
                }
                self.relisted.done.insert("endpointslices");
            }
        }
    }

    fn set_slice(&mut self, key: (String, String), object: Option<&objects::EndpointSlice>) {
        self.dirty.endpoint_changes += 1;
        let home = object.and_then(snapshot::service_of_slice);
        let former = match &home {
            Some(home) => self.homes.insert(key.clone(), home.clone()),
            None => self.homes.remove(&key),
        };
        if let Some(former) = former.filter(|former| Some(former) != home.as_ref()) {
            if let Some(slices) = self.slices.get_mut(&former) {
                slices.remove(&key.1);
                if slices.is_empty() {
                    self.slices.remove(&former);
                }
            }
            self.dirty.services.insert(former);
        }
        if let (Some(home), Some(object)) = (home, object) {
            let slices = self.slices.entry(home.clone()).or_default();
            slices.insert(key.1, snapshot::slice(object));
            self.dirty.services.insert(home);
        }
    }

    fn hear_node(&mut self, heard: Heard<objects::Node>) {
        match heard {
            Heard::ListBegins => self.relisted.node = Some(false),
            Heard::Is(object) => {
                self.relisted.node = self.relisted.node.map(|_| true);
                self.node = Some(*object);
                self.node_is_there = true;
            }
            Heard::Gone(_) => self.node_is_there = false,
            Heard::ListEnds => {
                if self.relisted.node.take() == Some(false) {
                    self.node_is_there = false;
                }
                self.relisted.done.insert("nodes");
            }
        }
        self.dirty.node = true;
    }

    fn hear_service_cidr(&mut self, heard: Heard<objects::ServiceCidr>) {
        let name = |object: &objects::ServiceCidr| object.metadata.name.clone().unwrap_or_default();
        match heard {
            Heard::ListBegins => self.relisted.service_cidrs = Some(HashSet::new()),
            Heard::Is(object) => {
                if let Some(listed) = &mut self.relisted.service_cidrs {
                    listed.insert(name(&object));
                }
                self.service_cidrs
                    .insert(name(&object), snapshot::ranges(&object.spec.cidrs));
            }
            Heard::Gone(object) => {
                self.service_cidrs.remove(&name(&object));
            }
            Heard::ListEnds => {
                let listed = self.relisted.service_cidrs.take().unwrap_or_default();
                self.service_cidrs.retain(|name, _| listed.contains(name));
                self.relisted.done.insert("servicecidrs");
            }
        }
        self.dirty.node = true;
    }
}

/// When the pods changed that made the slice change, as the slice's controller noted it.
fn trigger_time(object: &objects::EndpointSlice) -> Option<(Family, SystemTime)> {
    let annotations = object.metadata.annotations.as_ref()?;
    let time = annotations.get("endpoints.kubernetes.io/last-change-trigger-time")?;
    let time = time.parse::<jiff::Timestamp>().ok().map(SystemTime::from)?;
    let family = match object.address_type.as_str() {
        "IPv6" => Family::V6,
        _ => Family::V4,
    };
    Some((family, time))
}
