//! How many times as long others take for what a turn takes: goals that need the lines of two programs of one run.

use serde_json::Value;

use crate::line::{self, Lines};
use crate::verdict::{GoalKind, Row};

/// Whose round trips of these bytes, one in flight and with the peer on another core, are held against whose.
const OURS: &str = "croupier, ring";
const THEIRS: &str = "go-plugin";
const BYTES: f64 = 64.0;
/// How many times as long theirs should take at least.
const GOAL: f64 = 100.0;

/// The row, when both were measured. Of several ways of theirs it takes the fastest.
pub fn rows(lines: &Lines) -> Vec<Row> {
    let trips =
        || lines.of("rtt").filter(|line| line["core"] == "other" && line::number(line, "size") == BYTES);
    let theirs = trips().filter(|line| line::text(line, "who").starts_with(THEIRS));
    let fastest = theirs.min_by(|a, b| line::number(a, "p50_ns").total_cmp(&line::number(b, "p50_ns")));
    let ours = trips().find(|line| line["who"] == OURS);
    let (Some(ours), Some(theirs)) = (ours, fastest) else { return Vec::new() };
    let (our_ns, their_ns) = (line::number(ours, "p50_ns"), line::number(theirs, "p50_ns"));
    if our_ns <= 0.0 {
        return Vec::new();
    }
    let ([our_low, our_high], [their_low, their_high]) = (quartiles(ours), quartiles(theirs));
    vec![Row {
        name: format!("round trip of {BYTES} B with {THEIRS}, beside {OURS}"),
        goal: GOAL,
        figure: Some(their_ns / our_ns),
        unit: "× as long".to_owned(),
        kind: GoalKind::AtLeast,
        spread: Some([their_low / our_high, their_high / our_low]),
        command: "scripts/bench".to_owned(),
        note: format!("{}, the fastest of its ways{}", line::text(theirs, "who"), versions(lines)),
    }]
}

/// Which ones were measured: they get faster, too.
fn versions(lines: &Lines) -> String {
    let of = |who: &str| {
        let line = lines.of("version").find(|line| line["who"] == who)?;
        Some(format!("; {who} {}", line::text(line, "version")))
    };
    [THEIRS, "go"].into_iter().filter_map(of).collect()
}

fn quartiles(trip: &Value) -> [f64; 2] {
    let p50 = line::number(trip, "p50_ns");
    line::spread(trip, "spread").filter(|[low, _]| *low > 0.0).unwrap_or([p50, p50])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn trip(who: &str, core: &str, size: u32, ns: u32, spread: &str) -> String {
        format!(
            r#"{{"bench":"rtt","who":"{who}","core":"{core}","size":{size},"p50_ns":{ns},"p99_ns":1,"p999_ns":1{spread}}}"#
        )
    }

    fn rows_of(trips: &[String]) -> Vec<Row> {
        rows(&Lines::read(&[("a".to_owned(), trips.join("\n"))]).unwrap())
    }

    #[test]
    fn the_fastest_of_theirs_is_held_against_ours() {
        let ours = trip("croupier, ring", "other", 64, 2000, r#","spread":[1600,2500]"#);
        let rows = rows_of(&[
            trip("go-plugin, gRPC", "other", 64, 120_000, ""),
            trip("go-plugin, net/rpc", "other", 64, 80_000, r#","spread":[75000,88000]"#),
            trip("go-plugin, net/rpc", "other", 1024, 7, ""),
            trip("go-plugin, net/rpc", "same", 64, 7, ""),
            trip("croupier, ring", "same", 64, 7, ""),
            trip("croupier, ring, no journal", "other", 64, 7, ""),
            r#"{"bench":"version","who":"go-plugin","version":"1.0.1"}"#.to_owned(),
            r#"{"bench":"version","who":"go","version":"1.19"}"#.to_owned(),
            ours,
        ]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].figure, rows[0].spread), (Some(40.0), Some([30.0, 55.0])));
        assert_eq!(rows[0].verdict(), Verdict::Missed);
        assert_eq!(rows[0].note, "go-plugin, net/rpc, the fastest of its ways; go-plugin 1.0.1; go 1.19");
    }

    #[test]
    fn the_row_needs_both() {
        let ours = trip("croupier, ring", "other", 64, 2000, "");
        let theirs = trip("go-plugin, gRPC", "other", 64, 200_000, "");
        assert!(rows_of(&[]).is_empty());
        assert!(rows_of(std::slice::from_ref(&ours)).is_empty());
        assert!(rows_of(std::slice::from_ref(&theirs)).is_empty());
        let rows = rows_of(&[ours, theirs]);
        assert_eq!((rows[0].figure, rows[0].verdict()), (Some(100.0), Verdict::Met));
    }
}
