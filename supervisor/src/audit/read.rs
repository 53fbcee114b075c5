//! The log for those who look into it: filters, and CSV.

use super::chain::Line;

/// Which records are wanted; all of it must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only about this plugin.
    pub plugin: Option<String>,
    /// Only from this time on, as in [`Line::at`].
    pub since: Option<String>,
    /// Which kinds.
    pub kinds: Kinds,
}

/// Which kinds of records are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kinds {
    /// All.
    #[default]
    All,
    /// Only where somebody was refused something.
    Denials,
}

impl Filter {
    /// Whether a record is wanted. One of a kind that this Croupier does not know is looked at as far as that goes.
    pub fn wants(&self, line: &Line) -> bool {
        if self.since.as_ref().is_some_and(|since| line.at < *since) {
            return false;
        }
        let happened = line.happened();
        let of_plugin = |wanted: &String| plugin_of(line).is_some_and(|plugin| plugin == *wanted);
        self.plugin.as_ref().is_none_or(of_plugin)
            && (self.kinds == Kinds::All || happened.is_some_and(|happened| happened.is_denial()))
    }
}

fn members(line: &Line) -> Option<&serde_json::Map<String, serde_json::Value>> {
    line.what.values().next()?.as_object()
}

/// The plugin that a record is about.
pub fn plugin_of(line: &Line) -> Option<&str> {
    members(line)?.get("plugin")?.as_str().filter(|name| !name.is_empty())
}

/// A record's members but the plugin, as `name=value` for a person.
pub fn details(line: &Line) -> String {
    let Some(members) = members(line) else { return String::new() };
    let shown = members.iter().filter(|(name, value)| *name != "plugin" && !is_empty(value));
    shown.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn plain(value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(text) if !text.contains(' ') => text.to_owned(),
        _ => value.to_string(),
    }
}

/// The columns of [`csv`].
pub const CSV_HEAD: &str = "seq,at,kind,plugin,details\r\n";

/// A record as a line of CSV (RFC 4180). `details` is the JSON of its members. A cell that a spreadsheet would run as a formula gets an apostrophe.
pub fn csv(line: &Line) -> String {
    let details = members(line).map_or_else(String::new, |members| {
        serde_json::to_string(members).expect("no map with keys other than strings is in it")
    });
    let cells = [line.at.as_str(), line.kind(), plugin_of(line).unwrap_or_default(), &details];
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
    format!("{},{}\r\n", line.seq, cells.join(","))
}

fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{Hash, read, write};
    use super::super::record::Happened;
    use super::*;

    fn line(what: &Happened) -> Line {
        read(&write(1, "2026-05-01T00:00:00.000000000Z", Hash::genesis(), what).0).unwrap().0
    }

    #[test]
    fn filters_and_csv() {
        let refused = line(&Happened::PluginRefused {
            plugin: "=cmd".into(),
            path: "/a, \"b\"".into(),
            reason: "no signature".into(),
        });
        let stopped = line(&Happened::Stopped { given_up: 0 });
        let denials = Filter { kinds: Kinds::Denials, ..Filter::default() };
        assert!(denials.wants(&refused) && !denials.wants(&stopped));
        let plugin = |name: &str| Filter { plugin: Some(name.into()), ..Filter::default() };
        assert!(
            plugin("=cmd").wants(&refused) && !plugin("x").wants(&refused) && !plugin("x").wants(&stopped)
        );
        let since = |at: &str| Filter { since: Some(at.into()), ..Filter::default() };
        assert!(since("2026-05-01T").wants(&stopped) && !since("2026-05-02").wants(&stopped));
        assert_eq!(
            csv(&refused),
            "1,2026-05-01T00:00:00.000000000Z,plugin-refused,'=cmd,\"{\"\"plugin\"\":\"\"=cmd\"\",\"\"path\"\":\"\"/a, \\\"\"b\\\"\"\"\",\"\"reason\"\":\"\"no signature\"\"}\"\r\n"
        );
        assert_eq!(details(&refused), r#"path="/a, \"b\"" reason="no signature""#);
    }
}
