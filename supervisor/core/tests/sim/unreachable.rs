//! What is expected of each cell of the coverage tables: most must be reached by a whole run, or it fails. What never can be reached must not be, or it fails as
//! well: then this list is wrong, or the core is.

/// What is expected of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is reached.
    Often,
    /// It may be reached or not.
    Seldom(&'static str),
    /// It is not reached.
    Never(&'static str),
}

use Expected::{Never, Often, Seldom};

/// Rows (`*` at the end stands for the rest), columns (none stands for all), and what is expected.
type Rule = (&'static str, &'static [&'static str], Expected);

const ALL: &[&str] = &[];
const SAYS: &[&str] = &["loaded", "ok", "failed", "done", "snapshot", "host-call", "refused"];

/// The first one that fits counts; a cell without one is reached.
const RULES: &[Rule] = &[
    ("plugin initialized", ALL, Never("a plugin runs in the same step in which its `init` is answered")),
    ("plugin unloaded", &["adopt"], Often),
    ("plugin down", &["park"], Seldom(SHORT)),
    ("plugin *", &["adopt"], Never("sessions are taken up before the game starts")),
    // Few of them fall into the moment in which a plugin is loaded and not yet initialised.
    ("plugin loaded", &["park", "durable"], Seldom(SHORT)),
    ("plugin starting", &["park", "durable"], Seldom(SHORT)),
    ("plugin running", &["room"], Often),
    ("plugin *", &["room"], Seldom("a disk does not fill up often")),
    // Workers that do not serve yet.
    (
        "worker starting -",
        &["ok", "failed", "done", "snapshot", "host-call", "refused"],
        Never("nobody listens before its hello"),
    ),
    ("worker starting -", &["asked"], Never(RETIRES)),
    ("worker starting -", ALL, Often),
    ("worker starting init", &["ok", "failed", "crash", "killed"], Often),
    ("worker starting init", &["asked"], Never(RETIRES)),
    (
        "worker starting init",
        &["no-start"],
        Never("it is loaded; one that refuses its `init` is ended, and retires"),
    ),
    ("worker starting init", ALL, Seldom(LIE)),
    ("worker starting *", ALL, Never("before it serves it is asked to initialise and nothing else")),
    // Workers that serve.
    ("worker serving init", ALL, Never("it was initialised before it came to serve")),
    ("worker serving shutdown", ALL, Never("a worker that is told to shut down retires")),
    ("worker serving *", &["asked", "no-start"], Never(RETIRES)),
    ("worker serving -", ALL, Often),
    ("worker serving turn", ALL, Often),
    ("worker serving replay", &["done", "crash", "killed"], Often),
    ("worker serving restore", &["ok", "failed", "crash", "killed"], Often),
    ("worker serving try", &["ok", "failed", "crash"], Often),
    ("worker serving suspend", &["ok", "failed"], Often),
    ("worker serving resume", &["ok"], Often),
    ("worker serving drop", &["ok"], Often),
    ("worker serving ping", &["ok", "crash", "killed"], Often),
    ("worker serving *", &["crash", "killed"], Seldom(SHORT)),
    ("worker serving *", SAYS, Seldom(LIE)),
    // Standbys.
    ("worker standby -", &["asked", "no-start"], Never(RETIRES)),
    ("worker standby -", ALL, Often),
    ("worker standby ping", &["ok", "crash", "killed"], Often),
    ("worker standby ping", &["asked", "no-start"], Never(RETIRES)),
    ("worker standby ping", ALL, Seldom(LIE)),
    (
        "worker standby *",
        ALL,
        Never("a standby plays nothing and is told nothing before it takes a dead worker's place"),
    ),
    // Spare workers.
    ("worker probing init", ALL, Never("it was initialised before it came to serve")),
    ("worker probing shutdown", ALL, Never("a worker that is told to shut down retires")),
    ("worker probing *", &["asked", "no-start"], Never(RETIRES)),
    ("worker probing -", ALL, Seldom("a spare worker is given something at once, or sent home")),
    ("worker probing ping", ALL, Seldom("a spare worker has something to do all the time")),
    ("worker probing suspend", ALL, Seldom(IDLE)),
    ("worker probing resume", ALL, Seldom(IDLE)),
    ("worker probing try", ALL, Seldom("what is tried again brings no snapshot")),
    ("worker probing turn", &["done", "host-call", "crash", "killed"], Often),
    ("worker probing replay", &["done", "crash", "killed"], Often),
    ("worker probing restore", &["ok", "failed"], Often),
    ("worker probing drop", &["ok"], Often),
    ("worker probing *", &["crash", "killed"], Seldom(SHORT)),
    ("worker probing *", SAYS, Seldom(LIE)),
    // Workers on their way out.
    ("worker retiring -", &["asked"], Often),
    ("worker retiring init", &["no-start"], Often),
    ("worker retiring turn", &["done", "host-call", "crash", "killed", "asked"], Often),
    ("worker retiring replay", &["done", "crash", "killed"], Often),
    ("worker retiring drop", &["ok"], Often),
    ("worker retiring shutdown", &["ok", "asked", "killed"], Often),
    ("worker retiring *", ALL, Seldom("what is said by a worker that is being ended is not waited for")),
    // Sessions.
    ("session opening", &["replayed"], Never("nothing of it is on record")),
    ("session opening", &["restored"], Seldom(LIE)),
    ("session opening", &["cancel", "drop"], Seldom(SHORT)),
    ("session live", &["replayed", "restored"], Seldom(LIE)),
    ("session restoring", &["played", "asks"], Seldom("a worker that lost it was at it when it was asked")),
    ("session closing", &["replayed", "restored", "drop"], Seldom(SHORT)),
    ("session none", &["turn", "drop"], Often),
    ("session held", &["turn", "cancel", "drop"], Often),
    ("session over", &["turn", "cancel", "drop"], Often),
    ("session none", ALL, Seldom(GONE)),
    ("session held", ALL, Seldom(GONE)),
    ("session over", ALL, Seldom(GONE)),
];

const RETIRES: &str = "a worker that is asked to end is retiring from then on";
const LIE: &str = "a lie at this moment";
const SHORT: &str = "it is over in a moment";
const IDLE: &str = "a spare worker has an outcast or is sent home, and while there is an outcast nobody is told of a suspension";
const GONE: &str = "a worker or the platform was still at it when it went";

/// What is expected of this cell.
pub(crate) fn expected(row: &str, column: &str) -> Expected {
    let fits = |rule: &&Rule| {
        let (rows, columns, _) = rule;
        let is_row = rows.strip_suffix('*').map_or(row == *rows, |start| row.starts_with(start));
        is_row && (columns.is_empty() || columns.contains(&column))
    };
    RULES.iter().find(fits).map_or(Often, |(.., expected)| *expected)
}
