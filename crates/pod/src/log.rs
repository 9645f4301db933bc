//! A container's log file in the format of Kubernetes' container runtime interface.
//!
//! One line is `TIME STREAM TAG TEXT`: time in RFC 3339 with nine decimals, `stdout` or `stderr`, `F` for the
//! end of a line and `P` for a part of one (kubelet, `pkg/kubelet/kuberuntime/logs`). What one read from a
//! container brings becomes one write, so a crash between two writes neither loses nor doubles a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A log file is renamed away when it is longer than this.
const ROTATE_AT: u64 = 10 * 1024 * 1024;

/// So many files are kept, the current one included.
const KEPT_FILES: u32 = 5;

/// Which of a container's outputs a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A container's open log.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Log {
    /// Opens or continues the file; its directory is made where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = append_to(path)?;
        Ok(Self {
            path: path.to_owned(),
            length: file.metadata()?.len(),
            file,
        })
    }

    /// Writes what one read brought.
    pub(crate) fn write(&mut self, stream: Stream, text: &[u8], now: Timestamp) -> io::Result<()> {
        let lines = format_lines(stream, text, now);
        self.file.write_all(&lines)?;
        self.length += lines.len() as u64;
        if self.length > ROTATE_AT && text.ends_with(b"\n") {
            self.rotate()?;
        }
        Ok(())
    }

    /// Moves `0.log` to `0.log.1`, `0.log.1` to `0.log.2` and so on, and begins a new file.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT_FILES - 1).rev() {
            let _ = std::fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = append_to(&self.path)?;
        self.length = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The log lines of one read; the last one is a part unless the text ends a line.
fn format_lines(stream: Stream, text: &[u8], now: Timestamp) -> Vec<u8> {
    let time = format!("{now:.9}");
    let mut out = Vec::with_capacity(text.len() + 64);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let (content, tag) = match line.strip_suffix(b"\n") {
            Some(content) => (content, "F"),
            None => (line, "P"),
        };
        out.extend_from_slice(format!("{time} {} {tag} ", stream.name()).as_bytes());
        out.extend_from_slice(content);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> String {
        let now = "2026-01-02T03:04:05.5Z".parse().unwrap();
        String::from_utf8(format_lines(Stream::Stdout, text.as_bytes(), now)).unwrap()
    }

    #[test]
    fn lines_carry_time_stream_and_tag() {
        let head = "2026-01-02T03:04:05.500000000Z stdout";
        let cases = [
            ("", String::new()),
            ("a\n", format!("{head} F a\n")),
            ("a\nb", format!("{head} F a\n{head} P b\n")),
            ("\n\n", format!("{head} F \n{head} F \n")),
        ];
        for (text, expected) in cases {
            assert_eq!(lines(text), expected, "{text:?}");
        }
    }

    #[test]
    fn rotation_keeps_five_files_and_splits_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c/0.log");
        let mut log = Log::open(&path).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        for round in 0..7 {
            log.length = ROTATE_AT;
            log.write(Stream::Stderr, b"half", now).unwrap();
            log.write(Stream::Stderr, format!(" {round}\n").as_bytes(), now)
                .unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["0.log", "0.log.1", "0.log.2", "0.log.3", "0.log.4"]);
        let newest = std::fs::read_to_string(directory.path().join("c/0.log.1")).unwrap();
        assert!(newest.ends_with("stderr P half\n1970-01-01T00:00:00.000000000Z stderr F  6\n"));
    }
}
