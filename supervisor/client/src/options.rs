//! How to connect, and how to play a turn.

use std::path::PathBuf;
use std::time::Duration;

use croupier_wire::door::WhenFull;
use croupier_wire::frame::FRAME_BYTES_DEFAULT;

use crate::ClientId;

/// How a connection is made and kept.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who the client is. Give an earlier one to go on with its keys; a random one otherwise.
    pub client_id: ClientId,
    /// Name and version of the program, for the supervisor's log.
    pub program: String,
    /// How long the supervisor may take to say hello.
    pub hello_timeout: Duration,
    /// What happens when the connection breaks.
    pub reconnect: Reconnect,
    /// Longest frame that is accepted from the supervisor, in bytes.
    pub frame_bytes_max: u32,
    /// Most pushes that wait to be taken, per follower.
    pub pushes_max: usize,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        ConnectOptions {
            client_id: ClientId::random(),
            program: concat!("croupier-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            hello_timeout: Duration::from_secs(5),
            reconnect: Reconnect::default(),
            frame_bytes_max: FRAME_BYTES_DEFAULT,
            pushes_max: 1024,
        }
    }
}

/// How a broken connection is made again. The unanswered requests are then sent once more, with the same keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// Attempts since the last answer before everything outstanding fails with [`ClientError::Lost`](crate::ClientError::Lost); 0 for never.
    pub attempts: u32,
    /// Pause before the second attempt (the first one is made at once); doubled each time.
    pub delay: Duration,
    /// Longest pause between attempts.
    pub delay_max: Duration,
}

impl Default for Reconnect {
    /// Some eight seconds in all: longer than a supervisor's restart, shorter than a person's patience.
    fn default() -> Reconnect {
        Reconnect { attempts: 20, delay: Duration::from_millis(10), delay_max: Duration::from_millis(500) }
    }
}

impl Reconnect {
    /// A broken connection stays broken.
    pub const NEVER: Reconnect = Reconnect { attempts: 0, delay: Duration::ZERO, delay_max: Duration::ZERO };

    /// The pause before attempt `n`, from 0.
    pub(crate) fn pause(&self, n: u32) -> Duration {
        match n.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.delay.saturating_mul(1 << doublings.min(20)).min(self.delay_max),
        }
    }
}

/// How a session's turns are submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnOptions {
    /// What happens when the session's queue is full.
    pub when_full: WhenFull,
    /// The supervisor gives up waiting after this many milliseconds; 0 for never. A turn that has begun is finished all the same.
    pub deadline_ms: u32,
}

/// Where the control socket is when nobody says: `/run/croupier/control.sock` for root, else `$XDG_RUNTIME_DIR/croupier/control.sock`, and
/// without that variable `/tmp/croupier-UID/control.sock` (the supervisor makes that directory for its user alone).
pub fn default_control_socket() -> PathBuf {
    let uid = own_uid();
    let directory = match (uid, std::env::var_os("XDG_RUNTIME_DIR")) {
        (0, _) => PathBuf::from("/run/croupier"),
        (_, Some(runtime)) if !runtime.is_empty() => PathBuf::from(runtime).join("croupier"),
        (uid, _) => PathBuf::from(format!("/tmp/croupier-{uid}")),
    };
    directory.join("control.sock")
}

/// The owner of `/proc/self` is the effective user of this process: no unsafe call is needed to learn it.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(u32::MAX, |data| data.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let reconnect =
            Reconnect { attempts: 9, delay: Duration::from_millis(10), delay_max: Duration::from_millis(35) };
        let pauses: Vec<u128> = (0..5).map(|n| reconnect.pause(n).as_millis()).collect();
        assert_eq!(pauses, [0, 10, 20, 35, 35]);
        assert_eq!(reconnect.pause(u32::MAX).as_millis(), 35);
    }
}
