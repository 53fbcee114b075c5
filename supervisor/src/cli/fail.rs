//! What went wrong, for a person (standard error) or for a program (`{"error": {…}}` on standard output).

use std::process::ExitCode;

use croupier_client::{ClientError, Code};
use serde::Serialize;

use super::out::{Form, Out, printable};

/// Why a verb ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed.
    Failed(Box<Failure>),
    /// Nobody reads standard output any more.
    PipeClosed,
}

/// A failure: what happened, to what, and what to do next.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// A stable word for programs.
    pub(crate) code: String,
    /// What happened, a sentence.
    pub(crate) text: String,
    /// What to do next; may be empty.
    pub(crate) hint: String,
    /// The plugin concerned; empty when none is.
    pub(crate) plugin: String,
    /// The session concerned; 0 when none is.
    pub(crate) session: u64,
    /// The turn concerned; 0 when none is.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) seq: u64,
    /// Further sentences, one per problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

impl Failure {
    pub(crate) fn new(code: &str, text: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), text: text.into(), hint: hint.into(), ..Failure::default() }
    }

    /// Prints it. What cannot be printed any more is lost, but the exit code tells.
    pub(crate) fn print(&self, out: &mut Out) {
        let _ = match out.form() {
            Form::Json => out.json(&serde_json::json!({ "error": self })).and_then(|()| out.flush()),
            Form::Human => {
                use std::io::Write;
                let _ = out.flush();
                let _ = std::io::stderr().write_all(self.human().as_bytes());
                Ok(())
            }
        };
    }

    fn human(&self) -> String {
        let mut text = format!("error: {}\n", printable(&self.text));
        for problem in &self.problems {
            text.push_str(&format!("  {}\n", printable(problem)));
        }
        let mut about = Vec::new();
        if !self.plugin.is_empty() {
            about.push(format!("plugin {}", printable(&self.plugin)));
        }
        if self.session != 0 {
            about.push(format!("session {}", self.session));
        }
        if self.seq != 0 {
            about.push(format!("turn {}", self.seq));
        }
        about.push(format!("code {}", self.code));
        text.push_str(&format!("  ({})\n", about.join(", ")));
        if !self.hint.is_empty() {
            text.push_str(&format!("  next: {}\n", printable(&self.hint)));
        }
        text
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(Box::new(failure))
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Stop {
        Failure::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let code = match &error {
            ClientError::Refused(refusal) => {
                return Failure {
                    code: code_text(refusal.code),
                    text: refusal.text.clone(),
                    hint: refusal.hint.clone(),
                    plugin: refusal.plugin.clone(),
                    session: refusal.session,
                    seq: refusal.seq,
                    problems: Vec::new(),
                };
            }
            ClientError::Connect { path, source } => {
                return Failure::new(
                    "connect",
                    format!("cannot connect to {}: {source}", path.display()),
                    "start the supervisor (`croupier serve --config FILE`), or name its control socket with --socket",
                );
            }
            ClientError::Lost { .. } => "lost",
            ClientError::Uncertain { .. } => "uncertain",
            ClientError::Protocol { .. } | ClientError::WrongReply { .. } => "protocol",
            ClientError::TooBig { .. } => "too-big",
            ClientError::Timeout { .. } => "timeout",
            _ => "gone",
        };
        Failure::new(code, error.to_string(), "")
    }
}

/// A refusal's code as it stands in JSON: `unknown-plugin`.
pub(crate) fn code_text(code: Code) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(text)) => text,
        _ => format!("{code:?}"),
    }
}

/// The exit code for "refused or failed".
pub(crate) fn failed() -> ExitCode {
    ExitCode::from(1)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use croupier_client::Refusal;

    use super::*;

    fn refusal() -> Failure {
        Failure::from(ClientError::Refused(Refusal {
            code: Code::PluginRefused,
            plugin: "holdem".into(),
            session: 7,
            seq: 12,
            status: -3,
            text: "it is not player 3's turn\u{1b}[2J".into(),
            hint: "player 4 is to act".into(),
        }))
    }

    #[test]
    fn a_person_reads_what_happened_to_what_and_what_to_do_and_no_escape_sequence() {
        assert_eq!(
            refusal().human(),
            "error: it is not player 3's turn\\u{1b}[2J\n  (plugin holdem, session 7, turn 12, code plugin-refused)\n  next: player 4 is to act\n"
        );
    }

    #[test]
    fn a_program_reads_the_same() {
        let json = serde_json::to_value(refusal()).expect("serializes");
        assert_eq!(json["code"], "plugin-refused");
        assert_eq!(json["plugin"], "holdem");
        assert_eq!(json["session"], serde_json::json!(7));
        assert_eq!(json["hint"], "player 4 is to act");
    }
}
