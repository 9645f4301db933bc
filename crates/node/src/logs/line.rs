//! Lines of a log file: `TIME STREAM TAG TEXT` (Kubernetes' container runtime interface).

use jiff::Timestamp;

/// A line, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Line<'a> {
    time: &'a str,
    /// The text ends here; otherwise the next line goes on with it.
    is_full: bool,
    text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line apart, without its line end.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let _stream = parts.next()?;
        let tag = parts.next()?;
        Some(Self {
            time,
            is_full: tag == b"F",
            text: parts.next()?,
        })
    }

    /// Whether it was written before a time.
    pub(crate) fn is_before(&self, since: Timestamp) -> bool {
        self.time
            .parse::<Timestamp>()
            .is_ok_and(|time| time < since)
    }
}

/// Turns lines of a file into what a reader sees.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    pub(crate) timestamps: bool,
    pub(crate) since: Option<Timestamp>,
    /// The last line was a part.
    pub(crate) in_line: bool,
}

impl Printer {
    /// Appends a line as it is to be read.
    pub(crate) fn print(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        if self.since.is_some_and(|since| line.is_before(since)) {
            return;
        }
        if self.timestamps && !self.in_line {
            out.extend_from_slice(line.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        if line.is_full {
            out.push(b'\n');
        }
        self.in_line = !line.is_full;
    }
}

/// Where the last `count` lines of a file begin.
pub(crate) fn tail_start(file: &[u8], count: usize) -> usize {
    let without_end = file.strip_suffix(b"\n").unwrap_or(file);
    if count == 0 {
        return file.len();
    }
    let ends = without_end
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1).nth(count - 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(printer: &mut Printer, lines: &[&str]) -> String {
        let mut out = Vec::new();
        for line in lines {
            printer.print(&Line::parse(line.as_bytes()).unwrap(), &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    const LINES: &[&str] = &[
        "2026-01-01T00:00:00.000000000Z stdout F one",
        "2026-01-01T00:00:01.000000000Z stderr P tw",
        "2026-01-01T00:00:02.000000000Z stderr F o",
        "2026-01-01T00:00:03.000000000Z stdout F ",
    ];

    #[test]
    fn parts_are_joined_and_times_shown_once_a_line() {
        assert_eq!(print(&mut Printer::default(), LINES), "one\ntwo\n\n");
        let mut printer = Printer {
            timestamps: true,
            ..Printer::default()
        };
        let expected = "2026-01-01T00:00:00.000000000Z one\n2026-01-01T00:00:01.000000000Z two\n2026-01-01T00:00:03.000000000Z \n";
        assert_eq!(print(&mut printer, LINES), expected);
        let since = Some("2026-01-01T00:00:03Z".parse().unwrap());
        assert_eq!(
            print(
                &mut Printer {
                    since,
                    ..Printer::default()
                },
                LINES
            ),
            "\n"
        );
    }

    #[test]
    fn the_tail_is_counted_from_the_end() {
        let file = b"a\nb\nc\n";
        let starts: Vec<usize> = (0..5).map(|count| tail_start(file, count)).collect();
        assert_eq!(starts, [6, 4, 2, 0, 0]);
        assert_eq!(tail_start(b"", 3), 0);
    }
}
