//! The API server alone: `serve DATA-DIR ADDRESS:PORT`, for trying it with kubectl and recorded questions.

use std::net::TcpListener;
use std::sync::Arc;

use apiserver::{Config, Server, write_admin_kubeconfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments
        .next()
        .ok_or("usage: serve DATA-DIR ADDRESS:PORT [SERVICE-CIDR...]")?;
    let listen = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:6443".to_owned());
    let mut config = Config::new(&data_dir);
    let ranges = arguments
        .map(|range| range.parse())
        .collect::<Result<Vec<_>, _>>()?;
    if !ranges.is_empty() {
        config.service_cidrs = ranges;
    }
    std::fs::create_dir_all(&data_dir)?;
    let store = Arc::new(store::Embedded::open(config.data_dir.join("store.redb"))?);
    let listener = TcpListener::bind(listen)?;
    let server = Server::start(config.clone(), store.clone(), vec![listener]).await?;
    let path = config.data_dir.join("kubeconfig");
    write_admin_kubeconfig(server.authority(), &path, server.addresses()[0])?;
    println!("{}", path.display());
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    store.close().await;
    Ok(())
}
