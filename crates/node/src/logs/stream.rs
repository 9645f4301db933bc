//! A log file on its way to a reader: from where was asked, on as it grows, across its rotation.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::channel::Sender;
use hyper::body::Bytes;
use pod::protocol::Phase;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

use super::line::{Line, Printer, tail_start};
use super::query::Options;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a container's attempt has on disk.
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) log: PathBuf,
    /// The pod's run directory, whose records tell when the attempt has ended.
    pub(crate) run_directory: PathBuf,
    pub(crate) container: String,
}

impl Attempt {
    /// Whether nothing more will be written.
    fn has_ended(&self) -> bool {
        let states = pod::record::read_all(&self.run_directory);
        let own = |state: &&pod::protocol::ContainerState| {
            state.name == self.container && state.attempt == self.number
        };
        let running =
            |state: &pod::protocol::ContainerState| matches!(state.phase, Phase::Running { .. });
        !states.iter().find(own).is_some_and(running)
    }
}

/// Sends a log until it ends, the reader hangs up, or the limit is reached.
pub(crate) async fn send(attempt: Attempt, options: Options, mut body: Sender<Bytes>) {
    if let Err(error) = copy(&attempt, &options, &mut body).await {
        tracing::debug!(%error, log = %attempt.log.display(), "a log's reader was lost");
    }
}

async fn copy(attempt: &Attempt, options: &Options, body: &mut Sender<Bytes>) -> io::Result<()> {
    let mut reader = Reader::open(&attempt.log).await?;
    let mut copy = Copy {
        printer: Printer {
            timestamps: options.timestamps,
            since: options.since,
            ..Printer::default()
        },
        left: options.limit.unwrap_or(u64::MAX),
    };
    reader.read_more().await?;
    if let Some(count) = options.tail {
        reader.pending.drain(..tail_start(&reader.pending, count));
    }
    loop {
        // Asked before reading: what is written before the end is read after it.
        let ended = !options.follow || attempt.has_ended();
        copy.send(&mut reader.pending, body).await?;
        if copy.left == 0 {
            return Ok(());
        }
        if reader.read_more().await? {
            continue;
        }
        if reader.reopen_if_rotated(&attempt.log).await? {
            continue;
        }
        if ended {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

struct Copy {
    printer: Printer,
    left: u64,
}

impl Copy {
    /// Sends the whole lines of what was read.
    async fn send(&mut self, pending: &mut Vec<u8>, body: &mut Sender<Bytes>) -> io::Result<()> {
        let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(());
        };
        let mut out = Vec::new();
        for line in pending[..end].split(|&byte| byte == b'\n') {
            if let Some(line) = Line::parse(line) {
                self.printer.print(&line, &mut out);
            }
        }
        pending.drain(..=end);
        out.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= out.len() as u64;
        if out.is_empty() {
            return Ok(());
        }
        let sent = body.send_data(out.into()).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Reader {
    file: File,
    pending: Vec<u8>,
}

impl Reader {
    async fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path).await?,
            pending: Vec::new(),
        })
    }

    /// Reads what is there now; says whether there was anything.
    async fn read_more(&mut self) -> io::Result<bool> {
        Ok(self.file.read_to_end(&mut self.pending).await? > 0)
    }

    /// After the supervisor has begun a new file: from its beginning.
    async fn reopen_if_rotated(&mut self, path: &Path) -> io::Result<bool> {
        let (Ok(named), open) = (fs::metadata(path).await, self.file.metadata().await?) else {
            return Ok(false);
        };
        if named.ino() == open.ino() {
            return Ok(false);
        }
        // Something may have been written between the last read and the rename.
        self.read_more().await?;
        self.file = File::open(path).await?;
        Ok(true)
    }
}
