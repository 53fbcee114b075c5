//! `serve --record FILE`: live traffic as a play script, so that a table that went wrong can be played again.
//!
//! Every input of a session becomes a line as it is put on record: open, join, act, leave, close; a turn that the plugin refused is
//! written with the error that it is expected to get. Ticks are the supervisor's own and are not written. A plugin that deals from the
//! session's seed plays other cards the next time: then only the inputs are the same.
//!
//! The format is described in docs/PLAY.md. A slow disk holds up nobody: lines that find no room are counted, and the log says so at the end.
//! The file is for its owner alone: it holds profiles and what players did.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use croupier_core::action::EndReason;
use croupier_core::ids::{SessionId, kind};
use croupier_fair::entry::{Entry, Verdict};
use croupier_fair::seed::ServerSeed;
use serde_json::json;

use crate::game::transcripts::{Opening, TranscriptSink};

/// Lines that wait for the disk.
const WAITING_MAX: usize = 65_536;

/// Writes what is played to a file.
#[derive(Debug)]
pub struct Recorder {
    lines: Option<SyncSender<String>>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    plugins: Mutex<HashMap<SessionId, String>>,
}

impl Recorder {
    /// Starts to write to `path`, which is made anew.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn start(path: &Path) -> io::Result<Recorder> {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let (lines, inbox) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("record".to_owned()).spawn(move || {
            if let Err(error) = write(file, &inbox) {
                tracing::error!(%error, "cannot write the recording: it ends here");
            }
        })?;
        Ok(Recorder { lines: Some(lines), dropped, thread: Some(thread), plugins: Mutex::default() })
    }

    fn give(&self, line: String) {
        if let Some(lines) = &self.lines
            && lines.try_send(line).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recorder {
    /// Writes out what waits, and says what is missing.
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "lines are missing in the recording: the disk was too slow or full, or a script cannot say them"
            );
        }
    }
}

impl TranscriptSink for Recorder {
    fn open(&self, opening: &Opening<'_>) {
        crate::lock(&self.plugins).insert(opening.session, opening.player.plugin.clone());
    }

    fn record(&self, session: SessionId, entry: &Entry) {
        let plugin = match entry.kind {
            kind::OPEN => crate::lock(&self.plugins).get(&session).cloned(),
            _ => None,
        };
        match line(session, plugin.as_deref(), entry) {
            Some(line) => self.give(line),
            None if matches!(entry.kind, kind::TICK) => {}
            None => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn close(&self, session: SessionId, _: &ServerSeed, _: EndReason, _: u64) {
        crate::lock(&self.plugins).remove(&session);
    }
}

/// The script's line for a turn; `None` for what a script cannot say (ticks, payloads that are no JSON, open kinds).
fn line(session: SessionId, plugin: Option<&str>, entry: &Entry) -> Option<String> {
    let name = format!("s{session}");
    let payload = || -> Option<serde_json::Value> {
        if entry.payload.is_empty() { Some(json!({})) } else { serde_json::from_slice(&entry.payload).ok() }
    };
    let mut line = match entry.kind {
        kind::OPEN => json!({"open": name, "plugin": plugin?, "config": payload()?}),
        kind::JOIN => {
            let mut line = json!({"join": name, "player": entry.player, "profile": payload()?});
            if !entry.client_seed.is_empty() {
                line["seed"] = json!(hex::encode(&entry.client_seed));
            }
            line
        }
        kind::LEAVE => json!({"leave": name, "player": entry.player}),
        kind::ACTION => json!({"act": name, "player": entry.player, "action": payload()?}),
        kind::CLOSE => json!({"close": name}),
        _ => return None,
    };
    match &entry.verdict {
        Verdict::Done { .. } => {}
        Verdict::Failed { text, .. } => line["error"] = json!(text),
        Verdict::Poison => line["error"] = json!("poison"),
        Verdict::Skipped { .. } => return None,
    }
    Some(line.to_string())
}

/// Writes lines until nobody gives any more; flushed whenever there is nothing to write.
fn write(file: File, inbox: &Receiver<String>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    while let Ok(first) = inbox.recv() {
        writeln!(out, "{first}")?;
        while let Ok(line) = inbox.try_recv() {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u16, payload: &str, verdict: Verdict) -> Entry {
        Entry {
            seq: 2,
            kind,
            player: 3,
            now_ns: 0,
            payload: payload.as_bytes().into(),
            client_seed: [0xab].into(),
            calls: Vec::new(),
            verdict,
        }
    }

    #[test]
    fn turns_become_the_lines_that_play_takes() {
        let done = || Verdict::Done { reply: [].into(), effects: Vec::new() };
        let of = |kind, payload, verdict| line(SessionId(7), Some("dice"), &entry(kind, payload, verdict));
        assert_eq!(
            of(kind::OPEN, r#"{"a":1.50}"#, done()).unwrap(),
            r#"{"open":"s7","plugin":"dice","config":{"a":1.50}}"#
        );
        assert_eq!(
            of(kind::JOIN, "", done()).unwrap(),
            r#"{"join":"s7","player":3,"profile":{},"seed":"ab"}"#
        );
        let failed = Verdict::Failed { status: -1, text: "not your turn".into() };
        assert_eq!(
            of(kind::ACTION, r#""p3 f""#, failed).unwrap(),
            r#"{"act":"s7","player":3,"action":"p3 f","error":"not your turn"}"#
        );
        assert_eq!(of(kind::CLOSE, "", done()).unwrap(), r#"{"close":"s7"}"#);
        assert_eq!(of(kind::TICK, "", done()), None);
        assert_eq!(of(kind::ACTION, "raw", done()), None);
    }
}
