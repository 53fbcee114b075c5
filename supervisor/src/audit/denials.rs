//! Refused system calls as records of the audit log, beside the line in the supervisor's own log.

use super::Audit;
use super::record::{DeniedSyscall, Happened};
use crate::jail::denial::{Consequence, Denial, Denials, TraceDenials};

/// Writes refused calls down.
#[derive(Debug, Clone)]
pub struct AuditDenials(pub Audit);

impl Denials for AuditDenials {
    fn denied(&self, denial: &Denial) {
        TraceDenials.denied(denial);
        self.0.tell(Happened::DeniedSyscall(record(denial)));
    }
}

fn record(denial: &Denial) -> DeniedSyscall {
    let (session, seq) = denial.playing.unwrap_or_default();
    // The last frame that was found is the plugin's own, when one was.
    let (module, offset) = denial.at.last().map(|at| place(at)).unwrap_or_default();
    DeniedSyscall {
        plugin: denial.plugin.clone(),
        version: denial.version.clone(),
        worker: denial.worker,
        session,
        seq,
        syscall: denial.call.clone(),
        args: denial.args.to_vec(),
        module,
        offset,
        count: 1,
        verdict: match denial.consequence {
            Consequence::Refused(_) => "refused".to_owned(),
            Consequence::Fatal => "killed".to_owned(),
        },
    }
}

/// `module+0xoffset` taken apart; the whole text as the module when it is something else.
fn place(at: &str) -> (String, u64) {
    at.rsplit_once("+0x")
        .and_then(|(module, offset)| Some((module.to_owned(), u64::from_str_radix(offset, 16).ok()?)))
        .unwrap_or_else(|| (at.to_owned(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_is_told_with_its_turn_and_the_plugins_own_place() {
        let denial = Denial {
            plugin: "dice".into(),
            version: "1.0.0".into(),
            worker: 3,
            playing: Some((7, 9)),
            call: "openat".into(),
            arch: "x86_64",
            args: [1, 2, 3, 4, 5, 6],
            at: vec!["libc.so.6+0x10".into(), "plugin+0x1f2a".into()],
            count: 2,
            consequence: Consequence::Refused(2),
        };
        let told = record(&denial);
        assert_eq!((told.session, told.seq, told.offset), (7, 9, 0x1f2a));
        assert_eq!((told.module.as_str(), told.verdict.as_str()), ("plugin", "refused"));
        assert_eq!(place("somewhere"), ("somewhere".to_owned(), 0));
    }
}
