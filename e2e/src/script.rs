//! Commands and what they must print, as text: a terminal session that is played again.
//!
//! ```text
//! # A comment.
//! file web.yaml
//!   apiVersion: v1
//!
//! $ kubectl apply -f web.yaml
//! service/web created
//! ```
//!
//! A command begins with `$ `. `until` after it plays the command again until all holds, `fails` says that
//! its exit status is not 0, `background` starts it and goes on (its output is in the file `background`).
//! Below a command are its lines: as they are (blanks at the end aside), `~ ` and a regular expression for
//! the whole line, or `...` for any number of lines. Without any, only the exit status counts. Blank lines
//! at the end, of an output and before the next step, count for nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::Signal;
use regex::Regex;

use crate::product::{Said, said, wait_for};

/// How many seconds a command in the background may run.
const LONGEST: u32 = 60;

/// One step of a script.
#[derive(Debug)]
pub enum Step {
    /// A file to be written.
    File {
        /// Its name in the script's folder.
        name: String,
        /// What is in it.
        text: String,
    },
    /// A command to be run.
    Command(Call),
}

/// A command and its expectation.
#[derive(Debug, Default)]
pub struct Call {
    /// Where it is in the script.
    pub line: usize,
    /// For the shell.
    pub text: String,
    until: bool,
    fails: bool,
    background: bool,
    expected: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Text(String),
    Pattern(Regex),
    Any,
}

/// Reads a script.
///
/// # Errors
/// The number of a line that is none of the forms, or whose pattern is none.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    // Whether the line before was blank: then a `#` begins a comment, and is no output.
    let mut after_blank = true;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let comment = line.starts_with('#') && after_blank;
        after_blank = line.trim().is_empty();
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step::Command(call(number, command)));
        } else if let Some(name) = line.strip_prefix("file ") {
            let (name, text) = (name.to_owned(), String::new());
            steps.push(Step::File { name, text });
        } else if !comment {
            match steps.last_mut() {
                Some(Step::File { text, .. }) => {
                    let _ = writeln!(text, "{}", line.strip_prefix("  ").unwrap_or(line));
                }
                Some(Step::Command(call)) => {
                    let expected = expectation(line);
                    call.expected
                        .push(expected.map_err(|error| format!("line {number}: {error}"))?);
                }
                None if after_blank => {}
                None => return Err(format!("line {number} belongs to no command: {line}")),
            }
        }
    }
    steps.iter_mut().for_each(trim);
    Ok(steps)
}

/// Blank lines before the next step belong to nothing.
fn trim(step: &mut Step) {
    if let Step::Command(call) = step {
        let blank = |line: &Line| matches!(line, Line::Text(text) if text.is_empty());
        while call.expected.last().is_some_and(blank) {
            call.expected.pop();
        }
    }
}

fn call(line: usize, text: &str) -> Call {
    let mut call = Call {
        line,
        text: text.to_owned(),
        ..Call::default()
    };
    loop {
        let (word, rest) = call.text.split_once(' ').unwrap_or((&call.text, ""));
        match word {
            "until" => call.until = true,
            "fails" => call.fails = true,
            "background" => call.background = true,
            _ => return call,
        }
        call.text = rest.to_owned();
    }
}

fn expectation(line: &str) -> Result<Line, regex::Error> {
    Ok(match line.strip_prefix("~ ") {
        Some(pattern) => Line::Pattern(Regex::new(&format!("^(?:{pattern})$"))?),
        None if line == "..." => Line::Any,
        None => Line::Text(line.trim_end().to_owned()),
    })
}

/// Plays a script in `folder`; `shell` makes a command of a line. Returns what went wrong, step by step.
///
/// # Panics
/// When the script cannot be read.
pub fn play(script: &str, folder: &Path, shell: impl Fn(&str) -> Command) -> Vec<String> {
    let steps = parse(script).unwrap_or_else(|error| panic!("{error}"));
    let mut background = Background(Vec::new());
    let mut wrong = Vec::new();
    for step in steps {
        match step {
            Step::File { name, text } => {
                std::fs::write(folder.join(name), text).expect("the script's folder is there");
            }
            Step::Command(call) if call.background => {
                let text = format!("exec timeout {LONGEST} {} >background 2>&1", call.text);
                let started = shell(&text).current_dir(folder).spawn();
                background.0.push(started.expect("a shell can be started"));
            }
            Step::Command(call) => wrong.extend(perform(&call, folder, &shell)),
        }
    }
    wrong
}

/// Commands that run beside the script; they end with it.
struct Background(Vec<Child>);

impl Drop for Background {
    fn drop(&mut self) {
        for child in &mut self.0 {
            if let Ok(process) = kernel::Pidfd::open(child.id()) {
                process.signal(Signal::SIGTERM).ok();
            }
            child.wait().ok();
        }
    }
}

fn perform(call: &Call, folder: &Path, shell: &impl Fn(&str) -> Command) -> Option<String> {
    let once = || {
        let said = said(shell(&format!("exec 2>&1; {}", call.text)).current_dir(folder));
        call.verdict(&said)
    };
    if !call.until {
        return once();
    }
    let mut last = None;
    let seen = wait_for(|| {
        last = once();
        last.is_none().then_some(())
    });
    if seen.is_some() { None } else { last }
}

impl Call {
    /// What is wrong with what a command said.
    #[must_use]
    pub fn verdict(&self, said: &Said) -> Option<String> {
        let lines: Vec<&str> = said.out.trim_end().lines().collect();
        let status = said.ok() != self.fails;
        if status && (self.expected.is_empty() || matches(&self.expected, &lines)) {
            return None;
        }
        let mut text = format!("line {}: $ {}\n", self.line, self.text);
        let _ = writeln!(text, "exit status {:?}; it said:\n{}", said.code, said.out);
        let _ = writeln!(text, "expected:");
        for line in &self.expected {
            let _ = match line {
                Line::Text(line) => writeln!(text, "{line}"),
                Line::Pattern(pattern) => writeln!(text, "~ {pattern}"),
                Line::Any => writeln!(text, "..."),
            };
        }
        Some(text)
    }
}

fn matches(expected: &[Line], lines: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return lines.is_empty();
    };
    match first {
        Line::Any => (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..])),
        Line::Text(text) => {
            let same = lines.first().is_some_and(|line| line.trim_end() == text);
            same && matches(rest, &lines[1..])
        }
        Line::Pattern(pattern) => {
            let fits = lines
                .first()
                .is_some_and(|line| pattern.is_match(line.trim_end()));
            fits && matches(rest, &lines[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(script: &str, out: &str, code: i32) -> Option<String> {
        let steps = parse(script).unwrap();
        let [Step::Command(call)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        let said = Said {
            out: out.to_owned(),
            err: String::new(),
            code: Some(code),
        };
        call.verdict(&said)
    }

    #[test]
    fn lines_are_literal_patterns_or_any_number() {
        let script = "$ kubectl get x\nNAME   AGE\n~ web +[0-9]+s\n...\nend\n";
        assert_eq!(
            verdict(script, "NAME   AGE  \nweb    3s\nmore\nmore\nend\n", 0),
            None
        );
        assert!(verdict(script, "NAME   AGE\nweb    3s\nmore\n", 0).is_some());
        assert!(verdict(script, "NAME   AGE\nweb    3s5\nend\n", 0).is_some());
    }

    #[test]
    fn blank_lines_within_count_and_at_the_end_do_not() {
        assert_eq!(verdict("$ two\na\n\nb\n\n", "a\n\nb\n", 0), None);
        assert_eq!(verdict("$ two\na\n\nb\n", "a\n\nb\n\n\n", 0), None);
        assert!(verdict("$ two\na\n\nb\n", "a\nb\n", 0).is_some());
    }

    #[test]
    fn the_exit_status_counts_without_any_line() {
        assert_eq!(verdict("$ true", "anything\n", 0), None);
        assert!(verdict("$ true", "anything\n", 1).is_some());
        assert_eq!(verdict("$ fails false", "no\n", 1), None);
        assert!(verdict("$ until fails false", "", 0).is_some());
    }

    #[test]
    fn a_file_keeps_its_own_indentation_and_comments() {
        let steps =
            parse("file a.yaml\n  one:\n    two: 3\n  # four\n\n# a comment\n$ true\n").unwrap();
        let [Step::File { name, text }, Step::Command(_)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert_eq!(
            (name.as_str(), text.as_str()),
            ("a.yaml", "one:\n  two: 3\n# four\n\n")
        );
        assert!(parse("lost\n").unwrap_err().contains("line 1"));
    }
}
