//! What objects use of a ResourceQuota, and whether a write fits into it
//! (`apiserver/pkg/admission/plugin/resourcequota`, `pkg/quota/v1`).
//!
//! The API server asks [`charge`] before a write; a controller asks [`used`] when objects go.

mod amounts;
mod pod;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use amounts::Amounts;

use crate::resource::Part;
use crate::schema::quantity::Quantity;
use crate::validation::json::{boolean, integer, list, text, texts};

/// A kind by group and plural name.
pub type Kind<'a> = (&'a str, &'a str);

/// A write that a quota may refuse.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The kind of the object.
    pub kind: Kind<'a>,
    /// The object itself or a subresource.
    pub part: Part,
    /// What is stored; `None` for a new object.
    pub old: Option<&'a Value>,
    /// What shall be stored.
    pub new: &'a Value,
    /// The time of the request.
    pub now: Timestamp,
}

/// What the quotas' `status.used` are to be after a write, by position; quotas that stay as they are do not occur.
///
/// # Errors
/// Why the write does not fit, in Kubernetes' words.
pub fn charge(quotas: &[Value], request: &Request<'_>) -> Result<Vec<(usize, Value)>, String> {
    if !is_charged(request) {
        return Ok(Vec::new());
    }
    let mut concerned = Vec::new();
    for (index, quota) in quotas.iter().enumerate() {
        if !matches(quota, request.kind, request.new) {
            continue;
        }
        let hard = Amounts::of(&quota["status"]["hard"]);
        let restricted: Vec<&str> = hard
            .names()
            .filter(|name| tracks(request.kind, name))
            .collect();
        let name = text(quota, "/metadata/name");
        if request.kind == POD {
            pod::constraints(request.new, &restricted)
                .map_err(|why| format!("failed quota: {name}: {why}"))?;
        }
        let counted = Amounts::of(&quota["status"]["used"]);
        if restricted.iter().any(|name| counted.get(name).is_none()) {
            let names = restricted.join(",");
            return Err(format!(
                "status unknown for quota: {name}, resources: {names}"
            ));
        }
        concerned.push(index);
    }
    let usage = usage(request.kind, request.new, request.now);
    let negative = usage.negative();
    if !negative.is_empty() {
        let names = negative.join(",");
        return Err(format!("quota usage is negative for resource(s): {names}"));
    }
    let mut changed = Vec::new();
    for index in concerned {
        let used = charge_one(&quotas[index], request, &usage)?;
        changed.extend(used.map(|used| (index, used)));
    }
    Ok(changed)
}

fn charge_one(
    quota: &Value,
    request: &Request<'_>,
    usage: &Amounts,
) -> Result<Option<Value>, String> {
    let before = request.old.filter(|old| matches(quota, request.kind, old));
    let delta = match before {
        Some(old) => usage.less(&self::usage(request.kind, old, request.now)),
        None => usage.clone(),
    };
    let hard = Amounts::of(&quota["status"]["hard"]);
    let requested = delta.nonzero().masked(&hard);
    if requested.is_empty() {
        return Ok(None);
    }
    let used = Amounts::of(&quota["status"]["used"]);
    let sum = used.plus(&requested);
    let exceeded = sum.masked(&requested).exceeding(&hard);
    if request.part != Part::Sub("status") && !exceeded.is_empty() {
        return Err(format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            text(quota, "/metadata/name"),
            requested.masked(&exceeded),
            used.masked(&exceeded),
            hard.masked(&exceeded)
        ));
    }
    Ok((sum != used).then(|| sum.to_json()))
}

const POD: Kind<'_> = ("", "pods");
const SERVICE: Kind<'_> = ("", "services");
const CLAIM: Kind<'_> = ("", "persistentvolumeclaims");

/// Whether a write can change what is used.
fn is_charged(request: &Request<'_>) -> bool {
    if matches!(request.kind, ("" | "events.k8s.io", "events")) {
        return false;
    }
    match (request.kind, request.part, request.old) {
        (_, Part::Main, None) => true,
        (POD, Part::Main, Some(old)) => pod::has_deadline(old) != pod::has_deadline(request.new),
        (POD, Part::Sub("resize"), _) | (SERVICE | CLAIM, Part::Main, _) => true,
        _ => false,
    }
}

/// The status of a quota, given the objects of its namespace by kind.
pub fn status(quota: &Value, objects: &[(Kind<'_>, &[Value])], now: Timestamp) -> Value {
    let hard = Amounts::of(&quota["spec"]["hard"]);
    let mut used = Amounts::default();
    for (kind, all) in objects {
        for name in hard.names().filter(|name| tracks(*kind, name)) {
            used.add(name, Quantity::whole(0));
        }
        for object in all.iter().filter(|object| in_scope(quota, *kind, object)) {
            used = used.plus(&usage(*kind, object, now).masked(&hard));
        }
    }
    json!({"hard": hard.to_json(), "used": used.to_json()})
}

/// Whether a quota restricts objects like this one.
fn matches(quota: &Value, kind: Kind<'_>, object: &Value) -> bool {
    let hard = Amounts::of(&quota["status"]["hard"]);
    hard.names().any(|name| tracks(kind, name)) && in_scope(quota, kind, object)
}

/// Whether an object is within all scopes of a quota. Only pods are within any.
fn in_scope(quota: &Value, kind: Kind<'_>, object: &Value) -> bool {
    let scopes = texts(quota, "/spec/scopes");
    let named = scopes
        .into_iter()
        .map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
    let selected = list(quota, "/spec/scopeSelector/matchExpressions");
    let mut all = named.chain(selected.iter().cloned());
    all.all(|scope| kind == POD && pod::is_in_scope(object, &scope))
}

/// Whether a name in a quota is about this kind.
pub fn tracks(kind: Kind<'_>, name: &str) -> bool {
    if name == count_name(kind) {
        return true;
    }
    match kind {
        POD => pod::tracks(name),
        SERVICE => matches!(
            name,
            "services" | "services.nodeports" | "services.loadbalancers"
        ),
        CLAIM => {
            let resource = name
                .rsplit_once(STORAGE_CLASS)
                .map_or(name, |(_, last)| last);
            matches!(resource, "persistentvolumeclaims" | "requests.storage")
        }
        ("", "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets") => {
            name == kind.1
        }
        _ => false,
    }
}

/// `count/services`, `count/deployments.apps`.
fn count_name((group, plural): Kind<'_>) -> String {
    if group.is_empty() {
        format!("count/{plural}")
    } else {
        format!("count/{plural}.{group}")
    }
}

/// What one object uses.
fn usage(kind: Kind<'_>, object: &Value, now: Timestamp) -> Amounts {
    let mut amounts = Amounts::default();
    amounts.add(&count_name(kind), Quantity::whole(1));
    match kind {
        POD => pod::usage(object, now, &mut amounts),
        SERVICE => service(object, &mut amounts),
        CLAIM => claim(object, &mut amounts),
        ("", "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets") => {
            amounts.add(kind.1, Quantity::whole(1));
        }
        _ => {}
    }
    amounts
}

fn service(object: &Value, amounts: &mut Amounts) {
    let ports = list(object, "/spec/ports");
    let own = |port: &&Value| integer(port, "/nodePort") != 0;
    let chosen = ports.iter().filter(own).count();
    let node_ports = match text(object, "/spec/type") {
        "NodePort" => ports.len(),
        "LoadBalancer" => match boolean(object, "/spec/allocateLoadBalancerNodePorts") {
            Some(false) => chosen,
            _ => ports.len(),
        },
        _ => 0,
    };
    let balanced = text(object, "/spec/type") == "LoadBalancer";
    let number = |count: usize| Quantity::whole(i64::try_from(count).unwrap_or(i64::MAX));
    amounts.add("services", Quantity::whole(1));
    amounts.add("services.nodeports", number(node_ports));
    amounts.add("services.loadbalancers", number(usize::from(balanced)));
}

/// Between a storage class and what is counted of it.
const STORAGE_CLASS: &str = ".storageclass.storage.k8s.io/";

fn claim(object: &Value, amounts: &mut Amounts) {
    let class = object
        .pointer("/metadata/annotations/volume.beta.kubernetes.io~1storage-class")
        .or_else(|| object.pointer("/spec/storageClassName"));
    let class = class.and_then(Value::as_str).unwrap_or_default();
    let mut add = |name: &str, amount: Quantity| {
        amounts.add(name, amount);
        if !class.is_empty() {
            amounts.add(&format!("{class}{STORAGE_CLASS}{name}"), amount);
        }
    };
    add("persistentvolumeclaims", Quantity::whole(1));
    let storage = text(object, "/spec/resources/requests/storage");
    if let Ok(storage) = Quantity::parse(storage) {
        add("requests.storage", storage.rounded_up());
    }
}
