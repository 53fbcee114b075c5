//! The command line: what can be asked, and who answers it.
//!
//! Every verb speaks with a running supervisor over its control socket. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
//! With `--json` every verb writes one JSON object to standard output (`events` one per line), and so does every failure.

mod audit;
mod call;
mod check;
mod crash_text;
mod crashes;
mod doctor;
mod events;
mod fail;
mod journal;
mod operate;
mod out;
mod panic;
mod play;
mod serve;
mod show;
mod trust;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use croupier_client::blocking::Client;
use croupier_client::{ConnectOptions, Reconnect, default_control_socket};

use fail::{Stop, failed};
use out::{Form, Out};

/// Runs native game plugins, each in a process of its own, and loses no turn when one dies.
#[derive(Debug, Parser)]
#[command(
    name = "croupier",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Common {
    /// The supervisor's control socket [default: croupier/control.sock in the runtime directory].
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Write JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Be a supervisor: load plugins, open the sockets, serve until told to stop
    Serve(serve::Serve),
    /// Load a plugin file
    Load(operate::Load),
    /// Unload a plugin
    Unload(operate::Unload),
    /// Suspend a plugin: its turns wait
    Suspend(operate::Named),
    /// Resume a suspended plugin
    Resume(operate::Named),
    /// Replace a plugin's workers by fresh ones; sessions go on
    Restart(operate::Named),
    /// Change how many workers serve a plugin, until it is loaded anew; sessions are moved while they are played
    Scale(operate::Scale),
    /// Let a plugin that is down or resting try again: its deaths are forgiven; sessions go on
    Release(operate::Named),
    /// List plugins
    Plugins(operate::Plugins),
    /// List sessions, live and held
    Sessions(operate::Sessions),
    /// Show one session; export or drop it
    Session(operate::Session),
    /// Show the supervisor at a glance
    Status,
    /// List worker processes
    Workers,
    /// Open a session, or play one turn of one
    Call(call::Call),
    /// Show what happens
    Events(events::Events),
    /// Play a script of traffic, check its expectations, and measure (docs/PLAY.md)
    Play(play::Play),
    /// Read a plugin's file without running it; check that it is deterministic
    Check(check::Check),
    /// Look into the audit log, verify it, show its head
    Audit(audit::Audit),
    /// Look into the durable journal while no supervisor runs: verify, export, stats
    Journal(journal::Journal),
    /// Show what a plugin asks for and what it has
    Grants(operate::Named),
    /// Take a permission away from a plugin that runs, from its next use on
    Revoke(operate::Revoke),
    /// Give a permission back that was revoked
    Grant(operate::Revoke),
    /// List reports of workers' deaths
    Crashes(crashes::Crashes),
    /// Show a report; run into the crash again
    Crash(crashes::Crash),
    /// Make a key for signing plugins
    Keygen(trust::Keygen),
    /// Sign a plugin, or vouch for an author's key
    Sign(trust::Sign),
    /// Verify a plugin's signature
    Verify(trust::Verify),
    /// Add, list and revoke trusted keys
    Trust(trust::Trust),
    /// Say what this machine can do for us
    Doctor(doctor::Doctor),
    /// Verify a session's transcript
    VerifyFairness(verify::VerifyFairness),
    /// Write shell completions
    Completions(Completions),
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

/// Parses the command line, carries it out, and gives the exit code.
pub(crate) fn run() -> ExitCode {
    panic::install_hook();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe on the way is nobody's concern.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = Out::new(if cli.common.json { Form::Json } else { Form::Human });
    match carry_out(cli, &mut out).and_then(|code| out.flush().map(|()| code)) {
        Ok(code) => code,
        // Who reads has had enough: that is how pipes end.
        Err(Stop::PipeClosed) => ExitCode::SUCCESS,
        Err(Stop::Failed(failure)) => {
            failure.print(&mut out);
            failed()
        }
    }
}

fn carry_out(cli: Cli, out: &mut Out) -> Result<ExitCode, Stop> {
    let Cli { common, verb } = cli;
    match verb {
        Verb::Serve(serve) => serve.run(common.socket)?,
        Verb::Completions(Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "croupier", &mut script);
            out.bytes(&script)?;
        }
        Verb::Play(play) => return play.run(common.socket(), out),
        Verb::Check(check) => check.run(out)?,
        Verb::Doctor(doctor) => doctor::run(&doctor, out)?,
        Verb::VerifyFairness(verify) => verify.run(out)?,
        Verb::Crashes(crashes) => crashes.run(&common, out)?,
        Verb::Crash(crash) => return crash.run(&common, out),
        Verb::Keygen(keygen) => keygen.run(out)?,
        Verb::Sign(sign) => sign.run(out)?,
        Verb::Verify(verify) => verify.run(&common, out)?,
        Verb::Trust(trust) => trust.run(&common, out)?,
        Verb::Audit(audit) => audit.run(&common, out)?,
        Verb::Journal(journal) => journal.run(&common, out)?,
        Verb::Grants(named) => named.grants(&common.connect()?, out)?,
        Verb::Revoke(revoke) => revoke.revoke(&common.connect()?, out)?,
        Verb::Grant(grant) => grant.grant(&common.connect()?, out)?,
        Verb::Load(load) => load.run(&common.connect()?, out)?,
        Verb::Unload(unload) => unload.run(&common.connect()?, out)?,
        Verb::Suspend(named) => named.suspend(&common.connect()?, out)?,
        Verb::Resume(named) => named.resume(&common.connect()?, out)?,
        Verb::Restart(named) => named.restart(&common.connect()?, out)?,
        Verb::Scale(scale) => scale.run(&common.connect()?, out)?,
        Verb::Release(named) => named.release(&common.connect()?, out)?,
        Verb::Plugins(plugins) => plugins.run(&common.connect()?, out)?,
        Verb::Sessions(sessions) => sessions.run(&common.connect()?, out)?,
        Verb::Session(session) => session.run(&common.connect()?, out)?,
        Verb::Status => operate::status(&common.connect()?, out)?,
        Verb::Workers => operate::workers(&common.connect()?, out)?,
        Verb::Call(call) => call.run(&common.connect()?, out)?,
        Verb::Events(events) => events.run(&common.connect()?, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Common {
    fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_control_socket)
    }

    /// A person waits at the prompt: a broken connection is made again for about a second, not longer.
    fn connect(&self) -> Result<Client, Stop> {
        let options = ConnectOptions {
            program: program(),
            reconnect: Reconnect { attempts: 6, ..Reconnect::default() },
            // As long as the supervisor is configured to send: exports of large sessions.
            frame_bytes_max: croupier_wire::frame::FRAME_BYTES_CEILING,
            ..ConnectOptions::default()
        };
        Ok(Client::connect_with(self.socket(), options)?)
    }
}

/// How the command line introduces itself to the supervisor.
fn program() -> String {
    concat!("croupier/", env!("CARGO_PKG_VERSION")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parses(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn socket_and_json_go_with_every_verb_on_either_side() {
        for line in ["croupier --json --socket /s plugins", "croupier plugins --socket /s --json"] {
            let cli = parses(line).expect("parses");
            assert!(cli.common.json);
            assert_eq!(cli.common.socket(), PathBuf::from("/s"));
        }
    }

    #[test]
    fn a_call_does_exactly_one_thing() {
        for good in [
            "croupier call 3 --player 1 {}",
            "croupier call 3 --player 0 {}",
            "croupier call --open craps",
            "croupier call --open craps --config {}",
            "croupier call 3 --join 1 --profile {} --seed 00ff",
            "croupier call 3 --leave 1",
            "croupier call 3 --close",
        ] {
            assert!(parses(good).is_ok(), "{good}: {}", parses(good).expect_err("an error"));
        }
        for bad in [
            "croupier call 3",
            "croupier call --player 1 {}",
            "croupier call 3 --player 1",
            "croupier call 3 --open craps",
            "croupier call 3 --close --leave 1",
            "croupier call 3 --close {}",
            "croupier call 3 --leave 1 --profile {}",
            "croupier call --open craps --seed 00",
            "croupier call x --close",
        ] {
            let error = parses(bad).err().unwrap_or_else(|| panic!("{bad} parses"));
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
    }
}
