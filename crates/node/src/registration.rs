//! The node's own objects: the Node with its status, and its Lease.

mod object;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, PostParams};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::context::Context;
use crate::error::{ApiContext, Error};

/// Where nodes' Leases are.
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// After a refusal of the API server, or while it is away.
const RETRY: Duration = Duration::from_millis(200);

/// A status without news is written so often, as kubelet does.
const STATUS_REFRESH: Duration = Duration::from_secs(300);

/// How often the status is looked at.
const STATUS_PERIOD: Duration = Duration::from_secs(10);

/// Creates the Node object, or corrects one that is there; tries until it is done.
pub(crate) async fn register(context: &Context) -> Node {
    loop {
        match try_register(context).await {
            Ok(node) => return node,
            Err(error) => {
                tracing::warn!(%error, "the node is not registered yet");
                sleep(RETRY).await;
            }
        }
    }
}

async fn try_register(context: &Context) -> Result<Node, Error> {
    let api: Api<Node> = Api::all(context.config.client.clone());
    let name = &context.config.node_name;
    match api
        .get_opt(name)
        .await
        .asking("the question for the Node")?
    {
        None => {
            let node = object::node(context, Timestamp::now());
            api.create(&PostParams::default(), &node)
                .await
                .asking("the Node")
        }
        Some(mut node) => {
            if object::add_labels(&mut node, &context.config) {
                node = api
                    .replace(name, &PostParams::default(), &node)
                    .await
                    .asking("the Node's labels")?;
            }
            write_status(context, &node).await
        }
    }
}

/// Writes the status that follows from the newest Node object.
pub(crate) async fn write_status(context: &Context, node: &Node) -> Result<Node, Error> {
    let api: Api<Node> = Api::all(context.config.client.clone());
    let name = &context.config.node_name;
    let mut node = node.clone();
    loop {
        node.status = Some(object::status(context, &node, Timestamp::now()));
        match api
            .replace_status(name, &PostParams::default(), &node)
            .await
        {
            Err(kube::Error::Api(answer)) if answer.code == 409 => {
                node = api.get(name).await.asking("the question for the Node")?;
            }
            other => return other.asking("the Node's status"),
        }
    }
}

/// Keeps the status true for ever: at once when the Node's ranges change, else now and then.
pub(crate) async fn keep_status(
    context: Arc<Context>,
    mut nodes: tokio::sync::watch::Receiver<Option<Arc<Node>>>,
) {
    let mut ticks = interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = nodes.changed() => if changed.is_err() { return },
        }
        let Some(node) = nodes.borrow_and_update().clone() else {
            continue;
        };
        announce_if_ready(&context, &node);
        let due = written_at.elapsed() >= STATUS_REFRESH;
        if !due && !object::has_news(&context, &node, Timestamp::now()) {
            continue;
        }
        match write_status(&context, &node).await {
            Ok(node) => {
                written_at = tokio::time::Instant::now();
                announce_if_ready(&context, &node);
            }
            Err(error) => tracing::warn!(%error, "the node's status was not written"),
        }
    }
}

fn announce_if_ready(context: &Context, node: &Node) {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        |condition: &NodeCondition| condition.type_ == "Ready" && condition.status == "True";
    if conditions.into_iter().any(is_ready) {
        context.config.ready.announce();
    }
}

/// Renews the node's Lease for ever: as long as it does, the node counts as alive.
pub(crate) async fn keep_lease(context: Arc<Context>, owner: Node) {
    let config = &context.config;
    let api: Api<Lease> = Api::namespaced(config.client.clone(), LEASE_NAMESPACE);
    let mut lease: Option<Lease> = None;
    loop {
        let pause = match renew(&api, &context, &owner, lease.take()).await {
            Ok(renewed) => {
                lease = Some(renewed);
                config.lease_renew
            }
            Err(error) => {
                tracing::warn!(%error, "the node's lease was not renewed");
                RETRY.min(config.lease_renew)
            }
        };
        sleep(pause).await;
    }
}

async fn renew(
    api: &Api<Lease>,
    context: &Context,
    owner: &Node,
    known: Option<Lease>,
) -> Result<Lease, Error> {
    let name = &context.config.node_name;
    let known = match known {
        Some(lease) => Some(lease),
        None => api
            .get_opt(name)
            .await
            .asking("the question for the node's lease")?,
    };
    let post = PostParams::default();
    let mut lease = match known {
        Some(lease) => lease,
        None => {
            let lease = new_lease(context, owner);
            return api.create(&post, &lease).await.asking("the node's lease");
        }
    };
    lease.spec = Some(lease_spec(context));
    api.replace(name, &post, &lease)
        .await
        .asking("the node's lease")
}

fn new_lease(context: &Context, owner: &Node) -> Lease {
    let name = context.config.node_name.clone();
    Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(LEASE_NAMESPACE.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name,
                uid: owner.metadata.uid.clone().unwrap_or_default(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(lease_spec(context)),
    }
}

fn lease_spec(context: &Context) -> LeaseSpec {
    let seconds = context.config.lease_duration.as_secs().max(1);
    LeaseSpec {
        holder_identity: Some(context.config.node_name.clone()),
        lease_duration_seconds: Some(seconds.try_into().unwrap_or(i32::MAX)),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    }
}
