//! What a verification found: the session's facts, and a list of checks of which none is left out, not even those that were not made.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::chain::Header;
use crate::keys::ServerPublic;

/// One thing that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Every line is written as a transcript writes it.
    Form,
    /// Every hash follows from the line before.
    Chain,
    /// Turns are numbered without a gap, from open to close.
    Order,
    /// Time never runs backwards.
    Time,
    /// Contributions come with joins only.
    ClientSeeds,
    /// The closing line counts and hashes what is there.
    Close,
    /// The closing line is signed by the header's key.
    Signature,
    /// That key is the server's.
    ServerKey,
    /// The commitment is the one published at the opening.
    PublishedCommit,
    /// The seed is the one committed to.
    RevealedSeed,
    /// The named binary, given these turns and seeds, answers the same.
    Replay,
}

impl Part {
    const ALL: [Part; 11] = [
        Part::Form,
        Part::Chain,
        Part::Order,
        Part::Time,
        Part::ClientSeeds,
        Part::Close,
        Part::Signature,
        Part::ServerKey,
        Part::PublishedCommit,
        Part::RevealedSeed,
        Part::Replay,
    ];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Form => "form",
            Part::Chain => "chain",
            Part::Order => "order",
            Part::Time => "time",
            Part::ClientSeeds => "client-seeds",
            Part::Close => "close",
            Part::Signature => "signature",
            Part::ServerKey => "server-key",
            Part::PublishedCommit => "published-commit",
            Part::RevealedSeed => "revealed-seed",
            Part::Replay => "replay",
        })
    }
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CheckVerdict {
    /// It holds.
    #[serde(rename = "ok")]
    Ok,
    /// It does not.
    #[serde(rename = "failed")]
    Failed,
    /// Nobody looked; `detail` says why.
    #[serde(rename = "not checked")]
    NotChecked,
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            CheckVerdict::Ok => "ok",
            CheckVerdict::Failed => "FAILED",
            CheckVerdict::NotChecked => "not checked",
        })
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: Part,
    /// How it went.
    pub verdict: CheckVerdict,
    /// For a person.
    pub detail: String,
}

/// A session's facts as its transcript tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Id.
    pub session: u64,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// The plugin's digest.
    #[serde(serialize_with = "as_hex")]
    pub digest: [u8; 32],
    /// The commitment.
    #[serde(serialize_with = "as_hex")]
    pub commit: [u8; 32],
    /// The server's public key.
    #[serde(serialize_with = "key_as_hex")]
    pub server_key: ServerPublic,
    /// Nanoseconds since the Unix epoch.
    pub opened_ns: u64,
    /// The game hides information from its players.
    pub hidden_information: bool,
}

impl From<&Header> for Session {
    fn from(header: &Header) -> Session {
        Session {
            session: header.session,
            plugin: header.plugin.clone(),
            plugin_version: header.plugin_version.clone(),
            digest: header.digest,
            commit: header.commit,
            server_key: ServerPublic(header.server_key),
            opened_ns: header.opened_ns,
            hidden_information: header.hidden_information,
        }
    }
}

fn as_hex<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex::encode(bytes))
}

fn key_as_hex<S: Serializer>(key: &ServerPublic, to: S) -> Result<S::Ok, S::Error> {
    as_hex(&key.0, to)
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Turns, each tick counted.
    pub turns: u64,
    /// Records: lines between the header and the closing line.
    pub records: u64,
    /// Turns that the plugin refused.
    pub failed: u64,
    /// Turns skipped as poison.
    pub poison: u64,
    /// Ticks that were left out.
    pub skipped_ticks: u64,
    /// Contributions to chance.
    pub client_seeds: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// As the header has it; `None` when there is no header that can be read.
    pub session: Option<Session>,
    /// As far as the verification came.
    pub counts: Counts,
    /// Why the session ended.
    pub reason: Option<String>,
    /// `public`, `sealed` or `withheld`.
    pub reveal: Option<&'static str>,
    /// The chain's last hash, hexadecimal.
    pub final_hash: Option<String>,
    /// The last turn's seed, hexadecimal; only when the server seed is public.
    pub last_turn_seed: Option<String>,
    /// Every check there is.
    pub checks: Vec<Check>,
}

impl Report {
    pub(crate) fn new() -> Report {
        let checks = Part::ALL
            .into_iter()
            .map(|name| Check {
                name,
                verdict: CheckVerdict::NotChecked,
                detail: "the verification did not come this far".to_owned(),
            })
            .collect();
        Report {
            session: None,
            counts: Counts::default(),
            reason: None,
            reveal: None,
            final_hash: None,
            last_turn_seed: None,
            checks,
        }
    }

    /// The check of this name.
    pub fn check(&self, part: Part) -> &Check {
        self.checks.iter().find(|check| check.name == part).expect("a report has every check")
    }

    /// Records the outcome of a check that is made elsewhere: the replay.
    pub fn set(&mut self, part: Part, verdict: CheckVerdict, detail: impl Into<String>) {
        let check =
            self.checks.iter_mut().find(|check| check.name == part).expect("a report has every check");
        check.verdict = verdict;
        check.detail = detail.into();
    }

    /// No check failed. Says nothing of those that were not made.
    pub fn nothing_failed(&self) -> bool {
        self.checks.iter().all(|check| check.verdict != CheckVerdict::Failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(session) = &self.session {
            writeln!(
                f,
                "session {} of {} {}, {} turns in {} records",
                session.session,
                session.plugin,
                session.plugin_version,
                self.counts.turns,
                self.counts.records
            )?;
            writeln!(f, "binary {}", hex::encode(session.digest))?;
            writeln!(f, "server key {} (id {})", session.server_key, session.server_key.id())?;
        }
        for check in &self.checks {
            writeln!(f, "{:<12} {:<17} {}", check.verdict, check.name, check.detail)?;
        }
        Ok(())
    }
}
