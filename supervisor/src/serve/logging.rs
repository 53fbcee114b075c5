//! The supervisor's log: standard error, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::ServeError;
use crate::config::{Log, LogFormat};

/// Starts to log as the config says; the environment variable `CROUPIER_LOG` goes first.
///
/// # Errors
/// When the filter is wrong.
pub(super) fn start(log: &Log) -> Result<(), ServeError> {
    let filter = std::env::var("CROUPIER_LOG").unwrap_or_else(|_| log.filter.clone());
    let parsed = EnvFilter::try_new(&filter)
        .map_err(|error| ServeError::LogFilter { filter: filter.clone(), why: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let set = match log.format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().with_ansi(false).try_init(),
    };
    // Somebody who embeds this may log already: theirs goes on.
    set.or(Ok(()))
}
