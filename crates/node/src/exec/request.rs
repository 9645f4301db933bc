//! What is asked: the command, its streams, and the subprotocol that carries them.

use percent_encoding::percent_decode_str;

/// The parameters of a command, by kubelet's names for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Options {
    /// Reads the query; the error is for the client.
    pub(super) fn read(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_set = matches!(value, "1" | "true");
            match key {
                "command" => options.command.push(decode(value)?),
                "input" => options.stdin = is_set,
                "output" => options.stdout = is_set,
                "error" => options.stderr = is_set,
                "tty" => options.tty = is_set,
                _ => {}
            }
        }
        if options.command.is_empty() {
            return Err("you must specify at least one command".to_owned());
        }
        if !(options.stdin || options.stdout || options.stderr) {
            return Err(
                "you must specify at least 1 of stdin, stdout, stderr for the command".to_owned(),
            );
        }
        // A terminal has one output.
        options.stderr &= !options.tty;
        Ok(options)
    }
}

/// Takes percent signs and plus signs away.
fn decode(value: &str) -> Result<String, String> {
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| format!("{value:?} in the query is not UTF-8"))?;
    Ok(decoded.into_owned())
}

/// A subprotocol of WebSocket: how streams share the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Channels, the exit code as a Status object.
    V4,
    /// The same, and a stream can be closed by itself.
    V5,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// The newest of those that the client offers, in header fields of one or more names.
    pub(super) fn choose<'a>(offered: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let names: Vec<&str> = offered
            .flat_map(|field| field.split(',').map(str::trim))
            .collect();
        let known = [Self::V5, Self::V4];
        let chosen = known
            .into_iter()
            .find(|protocol| names.contains(&protocol.name()));
        chosen.ok_or_else(|| {
            let known = known.map(Self::name).join(" and ");
            format!("none of the subprotocols {names:?} is served; {known} are")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_word_by_word() {
        let read =
            Options::read("command=sh&command=-c&command=echo+a%2Bb%20%C3%A9&output=1&error=1&x=y");
        let expected = Options {
            command: vec!["sh".into(), "-c".into(), "echo a+b é".into()],
            stdout: true,
            stderr: true,
            ..Options::default()
        };
        assert_eq!(read, Ok(expected));
        let terminal = Options::read("command=sh&input=1&output=1&error=1&tty=1").unwrap();
        assert!(terminal.tty && !terminal.stderr);
        for wrong in ["output=1", "command=a", "command=%ff&output=1"] {
            assert!(Options::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_newest_subprotocol_that_both_know_is_chosen() {
        let both = ["v4.channel.k8s.io, v5.channel.k8s.io"];
        assert_eq!(Protocol::choose(both.into_iter()), Ok(Protocol::V5));
        let old = ["channel.k8s.io", "v4.channel.k8s.io"];
        assert_eq!(Protocol::choose(old.into_iter()), Ok(Protocol::V4));
        assert!(Protocol::choose(["channel.k8s.io"].into_iter()).is_err());
    }
}
