//! Health-check node ports: one listener per Service with `externalTrafficPolicy: Local`, on each
//! of the node's addresses for node ports.

use super::*;
use std::collections::HashSet;

/// The listeners that are open.
pub(crate) struct ServicePorts {
    health: Arc<Health>,
    open: BTreeMap<SocketAddr, AbortHandle>,
    /// Those that could not be opened, which has been told.
    refused: HashSet<SocketAddr>,
}

/// A health-check node port that cannot be served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Whose it is.
    pub(crate) service: ServiceName,
    /// Where it should be.
    pub(crate) socket: SocketAddr,
    /// Why it is not.
    pub(crate) reason: String,
}

impl ServicePorts {
    pub(crate) fn new(health: Arc<Health>) -> Self {
        Self {
            health,
            open: BTreeMap::new(),
            refused: HashSet::new(),
        }
    }

    /// Opens and closes listeners so that exactly these are open, as far as they can be. Says
    /// whether all are, and which could not be opened and have not been told yet.
    pub(crate) fn set(
        &mut self,
        addresses: &[IpAddr],
        services: HashMap<u16, (ServiceName, LocalEndpoints)>,
    ) -> (bool, Vec<Refused>) {
        let wanted: HashSet<SocketAddr> = services
            .keys()
            .flat_map(|port| {
                addresses
                    .iter()
                    .map(|address| SocketAddr::new(*address, *port))
            })
            .collect();
        self.open.retain(|socket, task| {
            let stays = wanted.contains(socket);
            if !stays {
                task.abort();
            }
            stays
        });
        self.refused.retain(|socket| wanted.contains(socket));
        let mut refused = Vec::new();
        for socket in &wanted {
            if self.open.contains_key(socket) {
                continue;
            }
            let service = &services[&socket.port()].0;
            if let Err(error) = self.open(*socket)
                && self.refused.insert(*socket)
            {
                tracing::warn!(%socket, %service, %error, "cannot serve the health-check node port");
                refused.push(Refused {
                    service: service.clone(),
                    socket: *socket,
                    reason: error.to_string(),
                });
            }
        }
        self.health.set_services(services);
        (self.open.len() == wanted.len(), refused)
    }

    fn open(&mut self, socket: SocketAddr) -> std::io::Result<()> {
        let listener = http::listen(socket)?;
        let health = Arc::clone(&self.health);
        let task = tokio::spawn(http::serve(listener, move |_| answer(&health, socket)));
        self.open.insert(socket, task.abort_handle());
        self.refused.remove(&socket);
        Ok(())
    }
}

impl Drop for ServicePorts {
    fn drop(&mut self) {
        self.open.values().for_each(AbortHandle::abort);
    }
}

/// Any path and any method; the body is kube-proxy's, to the tab.
fn answer(health: &Health, asked: SocketAddr) -> Answer {
    let state = health.lock();
    let Some((service, local)) = state.services.get(&asked.port()) else {
        return http::answer(
            503,
            http::PLAIN,
            "no Service has this health-check node port\n",
        );
    };
    let local = local.0[usize::from(asked.is_ipv6())];
    let healthy = state.is_healthy();
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": {local},\n\t\"serviceProxyHealthy\": {healthy}\n}}",
        service.namespace, service.name
    );
    let status = if local > 0 && healthy { 200 } else { 503 };
    let mut answer = http::answer(status, http::JSON, body);
    answer
        .headers_mut()
        .insert("x-load-balancing-endpoint-weight", local.into());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_node_without_local_endpoints_asks_for_no_traffic() {
        let health = Health::default();
        health.done();
        let name = ServiceName::new("ns", "svc");
        let asked: SocketAddr = "192.0.2.1:32000".parse().unwrap();
        let count = |name: &ServiceName, count| {
            HashMap::from([(32000, (name.clone(), LocalEndpoints([count, 0])))])
        };
        health.set_services(count(&name, 2));
        let good = answer(&health, asked);
        assert_eq!(good.status(), 200);
        assert_eq!(good.headers()["x-load-balancing-endpoint-weight"], "2");
        let body = good.into_body().collect().await.unwrap().to_bytes();
        let expected = "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"svc\"\n\t},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}";
        assert_eq!(body, expected);
        let other_family = "[2001:db8::1]:32000".parse().unwrap();
        assert_eq!(answer(&health, other_family).status(), 503);
        health.set_services(count(&name, 0));
        assert_eq!(answer(&health, asked).status(), 503);
    }
}
