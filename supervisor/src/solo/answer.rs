//! What a solo worker says, owned: frames are read into a buffer that the next one overwrites.

use croupier_fair::entry::Verdict;
use croupier_wire::link::{FromWorker, LINK_VERSION, Limits};

use super::{Played, SoloError};
use crate::game::fault_text;
use crate::worker::convert::{check_call, check_done, check_snapshot, effect_to_core};

/// One message of a worker.
#[derive(Debug)]
pub(super) enum Said {
    Welcome,
    Ok,
    Failed { status: i32, text: String },
    Done(Played),
    Snapshot(Vec<u8>),
    HostCall { index: u32, name: String, args: Vec<u8> },
    Log { level: u8, text: String },
    Refused { permission: String, count: u32 },
    Fault(String),
}

/// Checks a message against the limits and keeps it.
pub(super) fn own(message: &FromWorker<'_>, limits: &Limits) -> Result<Said, SoloError> {
    let over = |error: crate::worker::convert::OverLimit| SoloError::Protocol(error.to_string());
    Ok(match message {
        FromWorker::Welcome { version, .. } if *version == LINK_VERSION => Said::Welcome,
        FromWorker::Welcome { version, .. } => {
            return Err(SoloError::Protocol(format!("it speaks link version {version}, not {LINK_VERSION}")));
        }
        FromWorker::Ok => Said::Ok,
        FromWorker::Failed { status, text } => Said::Failed { status: *status, text: (*text).to_owned() },
        FromWorker::Done(done) => {
            check_done(done, limits).map_err(over)?;
            let verdict = if done.status < 0 {
                Verdict::Failed { status: done.status, text: done.error.to_owned() }
            } else {
                let effects = done.effects.iter().map(effect_to_core).collect();
                Verdict::Done { reply: done.reply.into(), effects }
            };
            Said::Done(Played { verdict, snapshot: done.snapshot.map(<[u8]>::to_vec) })
        }
        FromWorker::Snapshot { snapshot } => {
            check_snapshot(snapshot, limits).map_err(over)?;
            Said::Snapshot(snapshot.to_vec())
        }
        FromWorker::HostCall { index, name, args } => {
            check_call(*index, name, args, limits).map_err(over)?;
            Said::HostCall { index: *index, name: (*name).to_owned(), args: args.to_vec() }
        }
        FromWorker::Log { level, text } => Said::Log { level: *level, text: (*text).to_owned() },
        FromWorker::Refused { permission, count } => {
            Said::Refused { permission: (*permission).to_owned(), count: *count }
        }
        FromWorker::Fault { code, text } => Said::Fault(fault_text(*code, text)),
    })
}
