//! Judges by the oracle: what `forwarding::decide` says about the table of the case's objects.

use super::file::{Case, Delivered, Expected};
use forwarding::{Verdict, build, decide};

/// Everything in which the oracle disagrees with a case.
pub(crate) fn judge(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    for step in &case.steps {
        let table = build(&step.snapshot);
        for line in &step.packets {
            let verdict = decide(&table, &line.packet);
            if !agrees(&verdict, &line.expected, line.packet.source) {
                wrong.push(format!(
                    "{}: {}\n    the oracle says {verdict:?}",
                    case.path.display(),
                    line.text
                ));
            }
        }
    }
    wrong
}

fn agrees(verdict: &Verdict, expected: &Expected, source: std::net::IpAddr) -> bool {
    match (verdict, expected) {
        (Verdict::Drop, Expected::Drop)
        | (Verdict::Reject, Expected::Reject)
        | (Verdict::Pass, Expected::Pass) => true,
        (
            Verdict::Deliver {
                candidates,
                masquerade,
                affinity,
            },
            Expected::To(delivered),
        ) => {
            let Delivered {
                masqueraded,
                hairpin,
                sticky,
                ..
            } = delivered;
            let mut sockets: Vec<_> = candidates.iter().map(|c| c.target.socket()).collect();
            sockets.sort();
            let itself = candidates
                .iter()
                .any(|c| c.hairpin && c.target.address == source);
            sockets == delivered.candidates
                && masquerade == masqueraded
                && affinity == sticky
                && (itself && !masquerade) == *hairpin
        }
        _ => false,
    }
}
