//! `croupier serve`: becomes a supervisor.

use std::path::PathBuf;

use clap::Args;
use croupier::supervisor::config::IsolationOff;

use super::fail::{Failure, Stop};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The config, TOML (docs/OPERATING.md); without one everything is as usual
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write live traffic to this file, as a script for `croupier play`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Obey isolation = "off" in the config: such plugins can do all that the supervisor can. For debugging alone
    #[arg(long)]
    allow_isolation_off: bool,
}

impl Serve {
    pub(crate) fn run(self, socket: Option<PathBuf>) -> Result<(), Stop> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("croupier")
            .build()
            .map_err(|error| Failure::new("internal", format!("cannot start the runtime: {error}"), ""))?;
        let isolation_off =
            if self.allow_isolation_off { IsolationOff::Allowed } else { IsolationOff::Refused };
        let options =
            croupier::serve::Options { config: self.config, socket, record: self.record, isolation_off };
        runtime.block_on(croupier::serve::run(options)).map_err(|error| {
            Failure::new("not-started", error.to_string(), "nothing was started; mend it and start again")
        })?;
        Ok(())
    }
}
