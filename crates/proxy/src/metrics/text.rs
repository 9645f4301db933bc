//! The text format that kube-proxy answers in, which every reader of metrics knows (Prometheus' 0.0.4). The
//! encoder writes OpenMetrics; the two differ in how a counter is declared and in the last line.

/// As the content type says it.
pub(super) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics in the older format: a counter is declared by its full name, and nothing marks the end.
pub(super) fn plain(open_metrics: &str) -> String {
    let mut counters = std::collections::HashSet::new();
    for line in open_metrics.lines() {
        if let Some(name) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.strip_suffix(" counter"))
        {
            counters.insert(name);
        }
    }
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let declared = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                format!("# {what} {name}_total {rest}")
            }
            _ => line.to_owned(),
        };
        text.push_str(&declared);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn counters_are_declared_by_their_full_name() {
        let open = "# HELP a_b Times.\n# TYPE a_b counter\na_b_total{c=\"200\"} 3\n# TYPE g gauge\ng 1\n# EOF\n";
        let plain = "# HELP a_b_total Times.\n# TYPE a_b_total counter\na_b_total{c=\"200\"} 3\n# TYPE g gauge\ng 1\n";
        assert_eq!(super::plain(open), plain);
    }
}
