//! Verifies a transcript: reads it once, in order, and says of every check whether it holds, fails, or was not made, and why.
//!
//! What is proven by it, and what is not, is in docs/FAIRNESS.md. To play the transcript again afterwards: [`crate::replay`].

use std::io::BufRead;

use thiserror::Error;

use crate::chain::Header;
use crate::keys::ServerPublic;
use crate::problem::Problem;
use crate::reader::LINE_BYTES_DEFAULT;
use crate::report::{CheckVerdict, Part, Report, Session};
use crate::seal::AuditorSecret;
use crate::seed::{ServerSeed, turn_seed};
use crate::transcript::{Close, Reveal};
use crate::walk::{At, Item, Walk};

/// What the caller knows beside the transcript. What is not given is not checked, and the report says so.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Opens a sealed seed.
    pub auditor_secret: Option<AuditorSecret>,
    /// The server's public key, from somewhere else than the transcript.
    pub expected_server_key: Option<ServerPublic>,
    /// The commitment as it was published when the session opened.
    pub expected_commit: Option<[u8; 32]>,
    /// Longest line that is read, in bytes.
    pub line_bytes_max: u64,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions {
            auditor_secret: None,
            expected_server_key: None,
            expected_commit: None,
            line_bytes_max: LINE_BYTES_DEFAULT,
        }
    }
}

/// A transcript in which nothing is wrong as far as could be checked.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Every check.
    pub report: Report,
    /// The header.
    pub header: Header,
    /// The server seed, if it is public or the auditor's secret opened it.
    pub seed: Option<ServerSeed>,
    /// The chain's last hash.
    pub final_hash: [u8; 32],
}

/// A transcript in which something is wrong.
#[derive(Debug, Error)]
#[error("line {line}: {problem}")]
pub struct VerifyError {
    /// From 1.
    pub line: u64,
    /// What is wrong there.
    #[source]
    pub problem: Problem,
    /// Every check, as far as the verification came.
    pub report: Box<Report>,
}

impl VerifyError {
    pub(crate) fn new(at: At, mut report: Report) -> VerifyError {
        let At { line, problem } = at;
        report.set(problem.part(), CheckVerdict::Failed, format!("line {line}: {problem}"));
        VerifyError { line, problem, report: Box::new(report) }
    }
}

/// Verifies a transcript, of any length, in the memory of one line.
pub fn verify<R: BufRead>(input: R, options: &VerifyOptions) -> Result<Verified, VerifyError> {
    let mut report = Report::new();
    let mut walk = match Walk::begin(input, options.line_bytes_max) {
        Ok(walk) => walk,
        Err(at) => return Err(VerifyError::new(at, report)),
    };
    report.session = Some(Session::from(walk.header()));
    match run(&mut walk, options, &mut report) {
        Ok(seed) => Ok(Verified { header: walk.header().clone(), final_hash: walk.hash(), seed, report }),
        Err(at) => {
            report.counts = walk.counts();
            Err(VerifyError::new(at, report))
        }
    }
}

fn run<R: BufRead>(
    walk: &mut Walk<R>,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Option<ServerSeed>, At> {
    expectations(walk.header(), options, report).map_err(|problem| At { line: 1, problem })?;
    let (close, signature) = loop {
        if let Item::Close { close, signature } = walk.next()? {
            break (close, signature);
        }
    };
    walked(walk, &close, report);
    let line = walk.line();
    signed(walk.header(), &close, &signature, report).map_err(|problem| At { line, problem })?;
    let seed = revealed(walk.header(), &close, options, report).map_err(|problem| At { line, problem })?;
    if let (Some(seed), Reveal::Public(_)) = (&seed, &close.reveal) {
        let last = turn_seed(seed, walk.header().session, &walk.mix(), walk.counts().turns);
        report.last_turn_seed = Some(hex::encode(last));
    }
    let why = match seed {
        Some(_) => {
            "every turn's seed can be derived now; whether the game used them shows only a replay with the named binary"
        }
        None => "without the seed no turn can be played again",
    };
    report.set(Part::Replay, CheckVerdict::NotChecked, why);
    Ok(seed)
}

/// What the caller knew beforehand.
fn expectations(header: &Header, options: &VerifyOptions, report: &mut Report) -> Result<(), Problem> {
    let found = ServerPublic(header.server_key);
    match options.expected_server_key {
        Some(expected) if expected != found => return Err(Problem::UnexpectedServerKey { found, expected }),
        Some(_) => report.set(Part::ServerKey, CheckVerdict::Ok, "the header names the expected key"),
        None => report.set(
            Part::ServerKey,
            CheckVerdict::NotChecked,
            "no expected key was given: anybody can sign with a key of their own",
        ),
    }
    match options.expected_commit {
        Some(expected) if expected != header.commit => {
            let (found, expected) = (hex::encode(header.commit), hex::encode(expected));
            return Err(Problem::UnexpectedCommit { found, expected });
        }
        Some(_) => report.set(Part::PublishedCommit, CheckVerdict::Ok, "the header has the published commitment"),
        None => report.set(
            Part::PublishedCommit,
            CheckVerdict::NotChecked,
            "no published commitment was given: the transcript alone cannot show that it was fixed before the players' contributions",
        ),
    }
    Ok(())
}

/// Every line was walked.
fn walked<R: BufRead>(walk: &Walk<R>, close: &Close, report: &mut Report) {
    let counts = walk.counts();
    report.counts = counts;
    report.reason = Some(close.reason.clone());
    report.final_hash = Some(hex::encode(walk.hash()));
    report.reveal = Some(match close.reveal {
        Reveal::Public(_) => "public",
        Reveal::Sealed { .. } => "sealed",
        Reveal::Withheld => "withheld",
    });
    report.set(Part::Form, CheckVerdict::Ok, format!("{} lines", walk.line()));
    report.set(Part::Chain, CheckVerdict::Ok, format!("ends in {}", hex::encode(walk.hash())));
    report.set(Part::Order, CheckVerdict::Ok, format!("turns 1 to {} without a gap", counts.turns));
    report.set(
        Part::Time,
        CheckVerdict::Ok,
        "never runs backwards (the times themselves are the server's word)",
    );
    report.set(
        Part::ClientSeeds,
        CheckVerdict::Ok,
        format!("{} contributions, mixed to {}", counts.client_seeds, hex::encode(walk.mix().0)),
    );
    report.set(Part::Close, CheckVerdict::Ok, format!("ended: {}", close.reason));
}

fn signed(header: &Header, close: &Close, signature: &[u8; 64], report: &mut Report) -> Result<(), Problem> {
    let key = ServerPublic(header.server_key);
    if close.server_key != key {
        return Err(Problem::OtherKey { found: close.server_key, header: key });
    }
    if !key.verify(&close.message(), signature) {
        return Err(Problem::Signature);
    }
    report.set(Part::Signature, CheckVerdict::Ok, format!("by the key {}", key.id()));
    Ok(())
}

/// The seed, if it can be known, and whether it is the one committed to.
fn revealed(
    header: &Header,
    close: &Close,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Option<ServerSeed>, Problem> {
    let seed = match (&close.reveal, &options.auditor_secret) {
        (Reveal::Public(seed), _) => seed.clone(),
        (Reveal::Sealed { sealed, auditor }, Some(secret)) => {
            let given = secret.public();
            if given != *auditor {
                return Err(Problem::OtherAuditor { sealed_to: *auditor, given });
            }
            secret.open(sealed)?
        }
        (Reveal::Sealed { auditor, .. }, None) => {
            let why =
                format!("the seed is sealed to the auditor {auditor}: only that auditor's secret opens it");
            report.set(Part::RevealedSeed, CheckVerdict::NotChecked, why);
            return Ok(None);
        }
        (Reveal::Withheld, _) => {
            let why = "the seed was withheld: the game hides information and the server had no auditor's key";
            report.set(Part::RevealedSeed, CheckVerdict::NotChecked, why);
            return Ok(None);
        }
    };
    let found = seed.commit(header.session);
    if found != header.commit {
        return Err(Problem::Commit { found: hex::encode(found), commit: hex::encode(header.commit) });
    }
    report.set(
        Part::RevealedSeed,
        CheckVerdict::Ok,
        format!("it is the one committed to: {}", hex::encode(found)),
    );
    Ok(Some(seed))
}
