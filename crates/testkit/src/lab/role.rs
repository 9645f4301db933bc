//! Processes of the project as threads inside a namespace: a role that is killed leaves everything in the
//! kernel as it is, as SIGKILL does.

use std::future::Future;
use std::thread::JoinHandle;
use std::time::Duration;

use kernel::NetNs;
use tokio::sync::oneshot;

/// How long the blocking threads of a killed role may take to end what they do.
const PATIENCE: Duration = Duration::from_secs(10);

/// A role that runs, until it is killed or dropped.
pub struct Role {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Role {
    /// Starts `work` inside a namespace, on a runtime of its own; its blocking threads are inside, too.
    pub fn start<F>(namespace: &NetNs, work: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future,
    {
        let (stop, stopped) = oneshot::channel();
        let namespace = namespace.clone();
        let thread = std::thread::spawn(move || {
            namespace
                .run(|| run(work, stopped))
                .expect("a namespace of the lab can be entered");
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Ends it at whatever it is doing.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Both are gone when the role has been killed, or has ended by itself.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.end();
    }
}

fn run<F: Future>(work: impl FnOnce() -> F, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_all()
        .build()
        .expect("a runtime can be had");
    runtime.block_on(async {
        tokio::select! {
            _ = work() => (),
            _ = stopped => (),
        }
    });
    // Killed processes leave no thread behind; a thread that waits for a program or the kernel can only be awaited.
    runtime.shutdown_timeout(PATIENCE);
}
