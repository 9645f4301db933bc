//! What must be told to a data plane so that it goes from one table to another.

use crate::model::{Family, Frontend};
use crate::table::{ForwardingTable, NodeRules, Route};
use std::net::IpAddr;
use std::sync::Arc;

/// One step from table to table. Steps are carried out in order, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A frontend came, went, or is treated differently. It carries both states, so that a data
    /// plane needs no memory of its own to know what to take away.
    Frontend {
        /// The address and port.
        frontend: Frontend,
        /// What was done there, if it was one.
        before: Option<Arc<Route>>,
        /// What is done there from now on; `None` when it is no frontend any more.
        after: Option<Arc<Route>>,
    },
    /// A cluster IP came or went.
    ClusterIp {
        /// The address.
        address: IpAddr,
        /// Whether it is one now.
        present: bool,
    },
    /// What holds for the node as a whole is now this.
    Node(NodeRules),
}

impl Change {
    /// Whether packets of this family are treated differently.
    pub fn touches(&self, family: Family) -> bool {
        match self {
            Change::Frontend { frontend, .. } => Family::of(frontend.address) == family,
            Change::ClusterIp { address, .. } => Family::of(*address) == family,
            Change::Node(_) => true,
        }
    }
}

/// The steps from `old` to `new`; none when they are equal.
pub fn diff(old: &ForwardingTable, new: &ForwardingTable) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.node != new.node {
        changes.push(Change::Node(new.node.clone()));
    }
    frontends(old, new, &mut changes);
    let address = |address: &IpAddr, present| Change::ClusterIp {
        address: *address,
        present,
    };
    changes.extend(
        new.cluster_ips
            .difference(&old.cluster_ips)
            .map(|a| address(a, true)),
    );
    changes.extend(
        old.cluster_ips
            .difference(&new.cluster_ips)
            .map(|a| address(a, false)),
    );
    changes
}

fn frontends(old: &ForwardingTable, new: &ForwardingTable, changes: &mut Vec<Change>) {
    for (frontend, before) in &old.frontends {
        let after = new.frontends.get(frontend);
        if after.is_some_and(|after| Arc::ptr_eq(before, after) || before == after) {
            continue;
        }
        let (before, after) = (Some(Arc::clone(before)), after.cloned());
        changes.push(Change::Frontend {
            frontend: *frontend,
            before,
            after,
        });
    }
    for (frontend, after) in &new.frontends {
        if !old.frontends.contains_key(frontend) {
            let after = Some(Arc::clone(after));
            changes.push(Change::Frontend {
                frontend: *frontend,
                before: None,
                after,
            });
        }
    }
}
