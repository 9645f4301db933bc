//! `fairway`: the whole path of a Kubernetes Service in one program.
//!
//! A thin, multi-call command line: it turns flags into a part's `Config`, runs the part, and says how it
//! ended. `up` launches the roles (`server`, `node`, `balancer`) as children of this same program.

mod arguments;
mod client;
mod cluster_commands;
mod failure;
mod invoker;
mod roles;
mod values;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("error: {}", failure::told(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    // The supervisor of a pod has one thread for all its life, so it starts before there is any runtime.
    if let Command::Pod(flags) = arguments.command {
        return roles::pod::run(&flags);
    }
    // Inside one process there is one network: a role enters its namespace before any thread exists.
    if let Some(path) = &arguments.network_namespace {
        kernel::NetNs::open(path)?.enter_current_process()?;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    log_to_stderr(&arguments.command);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let ended = runtime.block_on(dispatch(arguments));
    // A blocked helper thread must not hold up the end of the process.
    runtime.shutdown_background();
    ended
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    let at = arguments.cluster;
    match arguments.command {
        Command::Up(flags) => cluster_commands::up::run(at, flags).await,
        Command::Down(flags) => cluster_commands::down::run(at, flags).await,
        Command::Status => cluster_commands::status::run(at).await,
        Command::Image(flags) => cluster_commands::image::run(&at, &flags),
        Command::Exec(flags) => cluster_commands::exec::run(&at, &flags),
        Command::Get(flags) => client::get::run(at, flags).await,
        Command::Apply(flags) => client::apply::run(at, flags).await,
        Command::Delete(flags) => client::delete::run(at, flags).await,
        Command::Logs(flags) => client::logs::run(at, flags).await,
        Command::Explain(flags) => client::explain::run(at, flags).await,
        Command::Server(flags) => roles::server::run(at, *flags).await,
        Command::Node(flags) => roles::node::run(at, *flags).await,
        Command::Proxy(flags) => roles::proxy::run(at, *flags).await,
        Command::Balancer(flags) => roles::balancer::run(at, *flags).await,
        Command::Pod(_) => unreachable!("handled before the runtime"),
        Command::Version => {
            anstream::println!("fairway {} (Kubernetes 1.36)", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Roles tell what they do; commands only what went wrong. `FAIRWAY_LOG` says otherwise.
fn log_to_stderr(command: &Command) {
    let role = matches!(
        command,
        Command::Server(_) | Command::Node(_) | Command::Proxy(_) | Command::Balancer(_)
    );
    // What the client library has to say about a failed request is in the command's own error.
    let default = if role { "info" } else { "warn,kube_client=off" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FAIRWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
