//! Health-check node ports: one listener per Service with `externalTrafficPolicy: Local`, on each
//! of the node's addresses for node ports.

use super::*;

/// The listeners that are open.
pub(crate) struct ServicePorts {
    health: Arc<Health>,
    open: BTreeMap<SocketAddr, AbortHandle>,
}

impl ServicePorts {
    pub(crate) fn new(health: Arc<Health>) -> Self {
        Self {
            health,
            open: BTreeMap::new(),
        }
    }

    /// Opens and closes listeners so that exactly these are open, as far as they can be.
    pub(crate) fn set(
        &mut self,
        addresses: &[IpAddr],
        services: HashMap<u16, (ServiceName, usize)>,
    ) {
        let wanted: Vec<SocketAddr> = services
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
        for socket in wanted {
            if !self.open.contains_key(&socket) {
                self.open(socket, &services[&socket.port()].0);
            }
        }
        self.health.set_services(services);
    }

    fn open(&mut self, socket: SocketAddr, service: &ServiceName) {
        let listener = match http::listen(socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%socket, %service, %error, "cannot serve the health-check node port");
                return;
            }
        };
        let health = Arc::clone(&self.health);
        let task = tokio::spawn(http::serve(listener, move |_| {
            answer(&health, socket.port())
        }));
        self.open.insert(socket, task.abort_handle());
    }
}

impl Drop for ServicePorts {
    fn drop(&mut self) {
        self.open.values().for_each(AbortHandle::abort);
    }
}

/// Any path and any method; the body is kube-proxy's, to the tab.
fn answer(health: &Health, port: u16) -> Answer {
    let state = health.lock();
    let Some((service, local)) = state.services.get(&port) else {
        return http::answer(
            503,
            "text/plain",
            "no Service has this health-check node port\n",
        );
    };
    let healthy = state.is_healthy();
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": {local},\n\t\"serviceProxyHealthy\": {healthy}\n}}",
        service.namespace, service.name
    );
    let status = if *local > 0 && healthy { 200 } else { 503 };
    let mut answer = http::answer(status, "application/json", body);
    let weight = (*local).into();
    answer
        .headers_mut()
        .insert("x-load-balancing-endpoint-weight", weight);
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
        health.set_services(HashMap::from([(32000, (name.clone(), 2))]));
        let good = answer(&health, 32000);
        assert_eq!(good.status(), 200);
        assert_eq!(good.headers()["x-load-balancing-endpoint-weight"], "2");
        let body = good.into_body().collect().await.unwrap().to_bytes();
        let expected = "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"svc\"\n\t},\n\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}";
        assert_eq!(body, expected);
        health.set_services(HashMap::from([(32000, (name, 0))]));
        assert_eq!(answer(&health, 32000).status(), 503);
    }
}
