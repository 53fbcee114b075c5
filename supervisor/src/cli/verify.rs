//! `croupier verify-fairness`: checks a transcript; with `--replay` plays it again with the binary that it names.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use croupier::solo::{Replay, Solo};
use croupier_fair::keys::ServerPublic;
use croupier_fair::replay::Steps;
use croupier_fair::report::{CheckVerdict, Part, Report};
use croupier_fair::seal::AuditorSecret;
use croupier_fair::verify::{Verified, VerifyOptions, verify};
use croupier_manifest::Digest;

use super::fail::{Failure, Stop};
use super::out::{Form, Out};

/// Arguments of `verify-fairness`.
#[derive(Debug, Args)]
pub(crate) struct VerifyFairness {
    /// The transcript, STATE_DIR/transcripts/SESSION.jsonl
    transcript: PathBuf,
    /// The server's public key, 64 hexadecimal digits, from somewhere else than the transcript
    #[arg(long, value_name = "HEX")]
    server_key: Option<String>,
    /// The commitment as it was published when the session opened, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    commit: Option<String>,
    /// A file with the auditor's secret, to open a sealed seed
    #[arg(long, value_name = "FILE")]
    auditor_key: Option<PathBuf>,
    /// Play the transcript again, and compare every answer
    #[arg(long)]
    replay: bool,
    /// The binary to replay with; by default the one that the transcript names, from the state directory beside the transcript
    #[arg(long, value_name = "FILE", requires = "replay")]
    plugin: Option<PathBuf>,
    /// The `croupier-worker` binary; beside this one when not said
    #[arg(long, value_name = "PATH", requires = "replay")]
    worker: Option<PathBuf>,
}

impl VerifyFairness {
    pub(crate) fn run(&self, out: &mut Out) -> Result<(), Stop> {
        let options = self.options()?;
        match verify(self.open()?, &options) {
            Ok(verified) => {
                let mut report = verified.report.clone();
                if self.replay {
                    self.play_again(&verified, &options, &mut report);
                }
                let sound = report.nothing_failed() && (!self.replay || replayed(&report));
                show(out, &report)?;
                if sound { Ok(()) } else { Err(broken("the transcript does not hold", &report).into()) }
            }
            Err(error) => {
                if out.form() == Form::Human {
                    show(out, &error.report)?;
                }
                Err(broken(&error.to_string(), &error.report).into())
            }
        }
    }

    fn options(&self) -> Result<VerifyOptions, Stop> {
        let wrong = |what: &str, why: String| Stop::from(Failure::new("usage", format!("{what}: {why}"), ""));
        let server_key: Option<ServerPublic> = self
            .server_key
            .as_deref()
            .map(|text| text.parse().map_err(|error| wrong("--server-key", format!("{error}"))))
            .transpose()?;
        let commit = self
            .commit
            .as_deref()
            .map(|text| {
                hex::decode(text)
                    .ok()
                    .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                    .ok_or_else(|| wrong("--commit", "64 hexadecimal digits are wanted".to_owned()))
            })
            .transpose()?;
        let auditor_secret = self
            .auditor_key
            .as_deref()
            .map(|path| {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    wrong("--auditor-key", format!("cannot read {}: {error}", path.display()))
                })?;
                AuditorSecret::from_hex(text.trim())
                    .map_err(|error| wrong("--auditor-key", error.to_string()))
            })
            .transpose()?;
        Ok(VerifyOptions {
            auditor_secret,
            expected_server_key: server_key,
            expected_commit: commit,
            ..VerifyOptions::default()
        })
    }

    fn open(&self) -> Result<BufReader<File>, Stop> {
        let file = File::open(&self.transcript).map_err(|error| {
            let text = format!("cannot read {}: {error}", self.transcript.display());
            Failure::new("no-transcript", text, "name a file of STATE_DIR/transcripts")
        })?;
        Ok(BufReader::new(file))
    }

    fn play_again(&self, verified: &Verified, options: &VerifyOptions, report: &mut Report) {
        match self.replay(verified, options) {
            Ok(turns) => {
                report.set(Part::Replay, CheckVerdict::Ok, format!("{turns} turns answer the same again"));
            }
            Err((verdict, why)) => report.set(Part::Replay, verdict, why),
        }
    }

    /// How many turns answered the same; or what is wrong, and whether that speaks against the transcript.
    fn replay(&self, verified: &Verified, options: &VerifyOptions) -> Result<u64, (CheckVerdict, String)> {
        let not_made = |why: String| (CheckVerdict::NotChecked, why);
        let input = self.open().map_err(|_| not_made("the transcript went away".to_owned()))?;
        let Some(steps) = Steps::new(input, verified, options) else {
            return Err(not_made(
                "the seed is not known: it is sealed or withheld (--auditor-key opens a sealed one)"
                    .to_owned(),
            ));
        };
        let header = &verified.header;
        let binary = self.plugin.clone().unwrap_or_else(|| kept_binary(&self.transcript, &header.digest));
        let solo = Solo::open(&binary, self.worker.clone())
            .map_err(|error| not_made(format!("{error}; name the binary with --plugin")))?;
        if solo.plugin().digest().0 != header.digest {
            let (named, given) = (hex::encode(header.digest), solo.plugin().digest_hex());
            return Err(not_made(format!(
                "the transcript names the binary {named}, but {} is {given}",
                binary.display()
            )));
        }
        let mut replay = Replay::new(&solo, header.session).map_err(|error| not_made(error.to_string()))?;
        for step in steps.map_err(|error| not_made(error.to_string()))? {
            let step = step.map_err(|error| not_made(error.to_string()))?;
            replay
                .play(&step)
                .map_err(|error| (CheckVerdict::Failed, format!("line {}: {error}", step.line)))?;
        }
        Ok(replay.turns())
    }
}

/// Where the supervisor keeps the binary of this digest, beside its transcripts.
fn kept_binary(transcript: &Path, digest: &[u8; 32]) -> PathBuf {
    let state_dir = transcript.parent().and_then(Path::parent).unwrap_or(Path::new(".."));
    croupier::registry::objects::path_in(state_dir, Digest(*digest))
}

fn replayed(report: &Report) -> bool {
    report.check(Part::Replay).verdict == CheckVerdict::Ok
}

fn show(out: &mut Out, report: &Report) -> Result<(), Stop> {
    match out.form() {
        Form::Json => out.json(report),
        Form::Human => report.to_string().lines().try_for_each(|line| out.line(line)),
    }
}

fn broken(text: &str, report: &Report) -> Failure {
    let problems = report
        .checks
        .iter()
        .filter(|check| check.verdict == CheckVerdict::Failed)
        .map(|check| check.detail.clone())
        .collect();
    let hint = "docs/FAIRNESS.md says what each check proves";
    Failure { problems, ..Failure::new("not-fair", text, hint) }
}
