//! What a series of checks says about a node, without any clock or socket.
//!
//! A node that fails gets no new connections, and keeps those it has: its proxy may be about to start again,
//! and its kernel forwards without it. Only a node that says nothing at all, not even that nobody listens,
//! and does so for long, is taken for dead; then its connections are better ended than left to wait.

/// So many failures in a row, and a node that has passed fails.
const FAILURES: u32 = 2;
/// So many silent checks in a row, some seconds, and a node is dead.
const SILENCES: u32 = 6;

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The node takes connections.
    Good,
    /// The node answered, but not that.
    Bad,
    /// Nothing came back.
    Silence,
}

/// What the checks say about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes connections.
    Passing,
    /// It takes no new ones.
    Failing,
    /// As [`Standing::Failing`], and nobody answers there.
    Silent,
    /// Nobody has answered there for long.
    Dead,
}

/// The checks so far.
#[derive(Debug, Default)]
pub(super) struct Series {
    standing: Option<Standing>,
    failures: u32,
    silences: u32,
}

impl Series {
    /// Adds one and gives the new standing, if it has changed.
    pub(super) fn add(&mut self, finding: Finding) -> Option<Standing> {
        match finding {
            Finding::Good => (self.failures, self.silences) = (0, 0),
            Finding::Bad => (self.failures, self.silences) = (self.failures + 1, 0),
            Finding::Silence => {
                (self.failures, self.silences) = (self.failures + 1, self.silences + 1);
            }
        }
        let standing = self.now();
        let changed = self.standing != Some(standing);
        self.standing = Some(standing);
        changed.then_some(standing)
    }

    fn now(&self) -> Standing {
        let doubted = self.failures < FAILURES;
        match self.standing {
            _ if self.failures == 0 => Standing::Passing,
            Some(Standing::Passing) if doubted => Standing::Passing,
            _ if self.silences >= SILENCES => Standing::Dead,
            _ if self.silences >= FAILURES => Standing::Silent,
            _ => Standing::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` passes, `x` refuses, `_` says nothing; the standings that are told, by the number of the check.
    fn told(checks: &str) -> Vec<(usize, Standing)> {
        let mut series = Series::default();
        let finding = |letter| match letter {
            '.' => Finding::Good,
            'x' => Finding::Bad,
            _ => Finding::Silence,
        };
        let standings = checks.chars().map(|letter| series.add(finding(letter)));
        (1..)
            .zip(standings)
            .filter_map(|(n, s)| Some((n, s?)))
            .collect()
    }

    #[test]
    fn standings_follow_the_checks() {
        use Standing::{Dead, Failing, Passing, Silent};
        assert_eq!(told("..x.."), [(1, Passing)], "one failure is none");
        assert_eq!(told(".xx."), [(1, Passing), (3, Failing), (4, Passing)]);
        assert_eq!(
            told("x."),
            [(1, Failing), (2, Passing)],
            "the first one counts at once"
        );
        assert_eq!(told(".__."), [(1, Passing), (3, Silent), (4, Passing)]);
        assert_eq!(told("._______"), [(1, Passing), (3, Silent), (7, Dead)]);
        assert_eq!(
            told(".__xx__"),
            [(1, Passing), (3, Silent), (4, Failing), (7, Silent)]
        );
        assert_eq!(
            told(".______x"),
            [(1, Passing), (3, Silent), (7, Dead), (8, Failing)]
        );
    }
}
