//! Network namespaces: made, opened, entered.
//!
//! A namespace belongs to a thread, not to a process, so code that enters one does it in a fresh
//! thread that ends afterwards ([`NetNs::run`]), never in a pool's, which would stay there and
//! surprise its next user. A whole process enters one before it has threads
//! ([`NetNs::enter_current_process`]).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

use crate::mount;

/// A network namespace, held open: it lasts at least as long as this value.
#[derive(Clone, Debug)]
pub struct NetNs {
    file: Arc<File>,
    path: PathBuf,
}

/// Why a namespace could not be made, opened or entered.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The namespace could not be created.
    #[error(
        "cannot create network namespace {path}: {source} (it needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    )]
    Create {
        /// Where it was to be mounted.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no such namespace, or it may not be opened.
    #[error("cannot open network namespace {path}: {source}")]
    Open {
        /// The file that stands for it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The namespace is open but the kernel does not let us in.
    #[error(
        "cannot enter network namespace {path}: {source} (it needs root, or CAP_SYS_ADMIN; is the path a network namespace?)"
    )]
    Enter {
        /// The file that stands for it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Only a process with one thread can move as a whole.
    #[error(
        "the process has {threads} threads, so it cannot enter network namespace {path} as a whole: enter before the runtime starts"
    )]
    Threads {
        /// The file that stands for it.
        path: PathBuf,
        /// How many there are.
        threads: usize,
    },
    /// The namespace's mount could not be taken away.
    #[error("cannot remove network namespace {path}: {source}")]
    Delete {
        /// The file that stands for it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl NetNs {
    /// Makes a namespace and mounts it at `path` (the folder must exist). It lasts until
    /// [`NetNs::delete`], whatever happens to this process.
    ///
    /// # Errors
    /// [`NamespaceError::Create`], also when `path` exists already.
    pub fn create(path: &Path) -> Result<Self, NamespaceError> {
        let failed = |source| NamespaceError::Create {
            path: path.to_owned(),
            source,
        };
        File::create_new(path).map_err(failed)?;
        let mounted = in_fresh_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            mount::bind(Path::new("/proc/thread-self/ns/net"), path)
        });
        if let Err(source) = mounted {
            // The file is ours (create_new), and useless without its mount.
            std::fs::remove_file(path).ok();
            return Err(failed(source));
        }
        Self::open(path)
    }

    /// Opens the namespace mounted at `path`, or any other `…/ns/net` file.
    ///
    /// # Errors
    /// [`NamespaceError::Open`]
    pub fn open(path: &Path) -> Result<Self, NamespaceError> {
        let file = File::open(path).map_err(|source| NamespaceError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
        })
    }

    /// Opens the namespace that process `pid` is in (its first thread's).
    ///
    /// # Errors
    /// [`NamespaceError::Open`], when there is no such process any more.
    pub fn of_process(pid: u32) -> Result<Self, NamespaceError> {
        Self::open(&PathBuf::from(format!("/proc/{pid}/ns/net")))
    }

    /// Opens the namespace of the calling thread.
    ///
    /// # Errors
    /// [`NamespaceError::Open`], when `/proc` is not mounted.
    pub fn current() -> Result<Self, NamespaceError> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// The file it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's number for it: equal numbers, same namespace.
    ///
    /// # Errors
    /// What `fstat` says.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Runs `work` inside, in a thread made for it, and waits for it. `work` should be brief: open
    /// a socket, write a setting. Sockets stay in the namespace where they were opened, so they can
    /// be handed back and used anywhere.
    ///
    /// # Errors
    /// [`NamespaceError::Enter`]
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        in_fresh_thread(|| {
            self.enter_this_thread()?;
            Ok(work())
        })
    }

    /// Moves the whole process inside: for `main`, before any thread exists.
    ///
    /// # Errors
    /// [`NamespaceError::Threads`] when it is too late, [`NamespaceError::Enter`].
    pub fn enter_current_process(&self) -> Result<(), NamespaceError> {
        let threads = crate::process::thread_count();
        if threads != 1 {
            return Err(NamespaceError::Threads {
                path: self.path.clone(),
                threads,
            });
        }
        self.enter_this_thread()
    }

    /// Takes away the mount that [`NetNs::create`] made. The kernel ends the namespace, and every
    /// link in it, when no process, socket or descriptor uses it any more. Says whether there
    /// was one.
    ///
    /// # Errors
    /// [`NamespaceError::Delete`]
    pub fn delete(path: &Path) -> Result<bool, NamespaceError> {
        let failed = |source| NamespaceError::Delete {
            path: path.to_owned(),
            source,
        };
        mount::unmount(path).map_err(failed)?;
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn enter_this_thread(&self) -> Result<(), NamespaceError> {
        setns(&*self.file, CloneFlags::CLONE_NEWNET).map_err(|error| NamespaceError::Enter {
            path: self.path.clone(),
            source: error.into(),
        })
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Runs `work` in a thread of its own and hands its panic on.
fn in_fresh_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
