//! `croupier journal`: looks into the durable journal. Reads the file itself, so it works without a supervisor, and only without one.

use clap::{Args, Subcommand};
use croupier::journal::fold::{Folded, fold};
use croupier::journal::offline::{Look, LookError, look};
use croupier::journal::show;
use croupier_core::ids::SessionId;
use serde_json::{Value, json};

use super::Common;
use super::audit::StateDir;
use super::fail::{Failure, Stop};
use super::out::{Align, Form, Out, Table};

/// Arguments of `journal`.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check format, checksums and order, and that every session can be brought back
    Verify {
        #[command(flatten)]
        place: StateDir,
    },
    /// Write all entries as JSON lines; seeds are left out
    Export {
        /// Only of this session
        #[arg(long, value_name = "N")]
        session: Option<u64>,
        #[command(flatten)]
        place: StateDir,
    },
    /// Show what is there: sessions, entries, bytes
    Stats {
        #[command(flatten)]
        place: StateDir,
    },
}

impl Journal {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        let (What::Verify { place } | What::Export { place, .. } | What::Stats { place }) = &self.what;
        let look = look(&place.find(common)).map_err(refused)?;
        match &self.what {
            What::Verify { .. } => verify(&look, out),
            What::Export { session, .. } => export(&look, session.map(SessionId), out),
            What::Stats { .. } => stats(&look, out),
        }
    }
}

fn refused(error: LookError) -> Failure {
    let (code, hint) = match &error {
        LookError::None { .. } => ("no-journal", "name the supervisor's state directory with --state-dir"),
        LookError::Lock(_) => {
            ("in-use", "stop the supervisor first; `croupier status` shows its journal while it runs")
        }
        LookError::Store(_) => {
            ("journal-broken", "move the file away to begin anew: its sessions are then lost")
        }
    };
    Failure::new(code, error.to_string(), hint)
}

/// Each session, and what comes of folding it.
fn sessions(look: &Look) -> impl Iterator<Item = (&str, SessionId, Result<Folded, String>)> {
    look.contents.games.iter().flat_map(|(name, game)| {
        game.sessions
            .iter()
            .map(move |(id, session)| (name.as_str(), *id, fold(session).map_err(|error| error.to_string())))
    })
}

fn verify(look: &Look, out: &mut Out) -> Result<(), Stop> {
    let mut problems: Vec<String> = look.contents.flaws.iter().map(ToString::to_string).collect();
    let (found, counted) = (look.contents.found, look.contents.counted);
    if found != counted {
        problems.push(format!("there are {found} entries, and {counted} were counted: sessions that seem whole may lack their last turns"));
    }
    let mut whole = 0_u64;
    for (game, session, folded) in sessions(look) {
        match folded {
            Ok(_) => whole += 1,
            Err(why) => problems.push(format!("game {game}, session {session}: {why}")),
        }
    }
    for (name, game) in &look.contents.games {
        let newest = game.sessions.values().filter_map(|session| Some(session.changes.last()?.0)).max();
        if newest.is_some_and(|newest| newest > game.at) {
            problems.push(format!("game {name}: there is an entry behind {}, which was its last", game.at));
        }
    }
    if !problems.is_empty() {
        let hint = "keep a copy of the file; the sessions that are not named can be played on";
        let text = format!("{} does not hold: {whole} sessions are whole", look.path.display());
        return Err(Failure { problems, ..Failure::new("journal-broken", text, hint) }.into());
    }
    match out.form() {
        Form::Json => out.json(&json!({ "ok": true, "sessions": whole, "entries": look.totals.entries })),
        Form::Human => {
            out.line(&format!("the journal holds: {whole} sessions, {} entries", look.totals.entries))
        }
    }
}

fn export(look: &Look, only: Option<SessionId>, out: &mut Out) -> Result<(), Stop> {
    let mut found = false;
    for (name, game) in &look.contents.games {
        for (id, session) in game.sessions.iter().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
            found = true;
            for (at, change) in &session.changes {
                out.json(&show::entry(name, *id, *at, change))?;
            }
        }
    }
    if let (Some(only), false) = (only, found) {
        let text = format!("session {only} is not in the journal");
        return Err(
            Failure::new("unknown-session", text, "`croupier journal stats` lists those that are").into()
        );
    }
    if !look.contents.flaws.is_empty() {
        let problems = look.contents.flaws.iter().map(ToString::to_string).collect();
        let text = "some entries cannot be read and are missing above";
        return Err(Failure { problems, ..Failure::new("journal-broken", text, "") }.into());
    }
    Ok(())
}

/// One row of `stats`.
struct Row {
    game: String,
    session: u64,
    state: &'static str,
    last_seq: u64,
    entries: u64,
    snapshots: u64,
    bytes: u64,
}

fn rows(look: &Look) -> Vec<Row> {
    let bytes = |game: &str, session| look.contents.games[game].sessions[&session].bytes;
    let entries = |game: &str, session| {
        let session = &look.contents.games[game].sessions[&session];
        session.changes.len() as u64 + session.unreadable
    };
    sessions(look)
        .map(|(game, session, folded)| Row {
            game: game.to_owned(),
            session: session.0,
            state: folded.as_ref().map_or("damaged", |folded| folded.state.word()),
            last_seq: folded.as_ref().map_or(0, |folded| folded.last_seq),
            snapshots: folded.as_ref().map_or(0, |folded| folded.snapshots),
            entries: entries(game, session),
            bytes: bytes(game, session),
        })
        .collect()
}

fn stats(look: &Look, out: &mut Out) -> Result<(), Stop> {
    let rows = rows(look);
    if out.form() == Form::Json {
        let games: Vec<Value> = look
            .contents
            .games
            .iter()
            .map(|(name, game)| {
                json!({ "game": name, "version": game.version, "digest": hex::encode(game.digest), "at": game.at })
            })
            .collect();
        let sessions: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({ "game": row.game, "session": row.session, "state": row.state, "last_seq": row.last_seq,
                    "entries": row.entries, "snapshots": row.snapshots, "bytes": row.bytes })
            })
            .collect();
        return out.json(&json!({
            "file": look.path, "disk_bytes": look.disk_bytes, "entries": look.totals.entries,
            "bytes": look.totals.bytes, "games": games, "sessions": sessions,
        }));
    }
    out.line(&format!(
        "{}: {} sessions, {} entries of {} bytes, {} bytes of the disk",
        look.path.display(),
        rows.len(),
        look.totals.entries,
        look.totals.bytes,
        look.disk_bytes
    ))?;
    let number = Align::Right;
    let mut table = Table::new(&[
        ("SESSION", number),
        ("GAME", Align::Left),
        ("STATE", Align::Left),
        ("TURN", number),
        ("ENTRIES", number),
        ("SNAPSHOTS", number),
        ("BYTES", number),
    ]);
    for row in rows {
        table.row([
            row.session.to_string(),
            row.game,
            row.state.to_owned(),
            row.last_seq.to_string(),
            row.entries.to_string(),
            row.snapshots.to_string(),
            row.bytes.to_string(),
        ]);
    }
    table.lines().iter().try_for_each(|line| out.line(line))
}
