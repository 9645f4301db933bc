//! `fairway logs`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use futures::AsyncReadExt as _;
use http::Request;

use super::connect::client;
use crate::arguments::{ClusterFlags, NamespaceFlags};

/// Whose log.
#[derive(Args, Debug)]
pub(crate) struct LogsFlags {
    /// The pod
    pod: String,
    /// Its container, where there are several
    #[arg(short, long)]
    container: Option<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Of the container before its last restart
    #[arg(short, long)]
    previous: bool,
    /// At most so many lines of what is there
    #[arg(long)]
    tail: Option<u64>,
    #[command(flatten)]
    namespace: NamespaceFlags,
}

/// Prints a container's log.
pub(crate) async fn run(at: ClusterFlags, flags: LogsFlags) -> Result<ExitCode> {
    let client = client(&at).await?;
    let namespace = flags.namespace.name();
    let mut path = format!("/api/v1/namespaces/{namespace}/pods/{}/log?", flags.pod);
    for (name, value) in [
        ("container", flags.container),
        ("follow", flags.follow.then(|| "true".to_owned())),
        ("previous", flags.previous.then(|| "true".to_owned())),
        ("tailLines", flags.tail.map(|n| n.to_string())),
    ] {
        if let Some(value) = value {
            path = format!("{path}{name}={value}&");
        }
    }
    let request = Request::get(path.trim_end_matches(['?', '&'])).body(Vec::new())?;
    let mut stream = std::pin::pin!(client.request_stream(request).await?);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        std::io::stdout().write_all(&buffer[..read])?;
        std::io::stdout().flush()?;
    }
}
