//! The end of a log, as text: a container's last words when it left no others.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::line::{Line, Printer, tail_start};

/// What is read of the file for it; a line of a log is longer than its text by some forty bytes.
const READ: u64 = 64 * 1024;

/// The last lines of a log, no more bytes than these.
pub(crate) fn last_lines(log: &Path, lines: usize, bytes: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(READ);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(READ).read_to_end(&mut text)?;
    if start > 0 {
        // The first one is probably cut.
        let end = text.iter().position(|&byte| byte == b'\n');
        text.drain(..end.map_or(text.len(), |end| end + 1));
    }
    let mut out = Vec::new();
    let mut printer = Printer::default();
    for line in text[tail_start(&text, lines)..].split(|&byte| byte == b'\n') {
        if let Some(line) = Line::parse(line) {
            printer.print(&line, &mut out);
        }
    }
    out.drain(..out.len().saturating_sub(bytes));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_end_of_a_log_is_cut_by_lines_and_bytes() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        for number in 0..3000 {
            writeln!(log, "2026-01-01T00:00:00.000000000Z stdout F line {number}").unwrap();
        }
        let last = |lines, bytes| {
            let text = last_lines(log.path(), lines, bytes).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(last(2, 100), "line 2998\nline 2999\n");
        assert_eq!(last(80, 11), "\nline 2999\n");
        assert_eq!(last(80, 2048).lines().count(), 80);
        assert!(last_lines(Path::new("/nowhere"), 1, 1).is_err());
    }
}
