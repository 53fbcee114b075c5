//! Many sessions' ticks in one frame: a clock that strikes strikes for all of them at once.

use croupier_wire::codec::EncodeError;
use croupier_wire::frame::HEADER_BYTES;
use croupier_wire::link::{TICK_BYTES_MAX, Tick, ToWorker};

/// Most ticks of one frame. Nothing is gained by more, and what waits for the frame's end waits for all of them.
const TICKS_PER_FRAME: usize = 4096;
/// What the list takes beside the ticks, at most: its message's number and its length.
const LIST_BYTES_MAX: usize = 16;

/// Ticks that are to go out, and whose calls follow each other.
#[derive(Debug)]
pub(super) struct Ticks {
    frame_bytes: u32,
    first: u64,
    ticks: Vec<Tick>,
}

impl Ticks {
    /// For frames of up to so many bytes.
    pub(super) fn new(frame_bytes: u32) -> Ticks {
        Ticks { frame_bytes, first: 0, ticks: Vec::new() }
    }

    /// One more. A frame that it does not go into is appended to `out` before.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, tick: Tick, call: u64) -> Result<(), EncodeError> {
        let bytes = HEADER_BYTES + LIST_BYTES_MAX + (self.ticks.len() + 1) * TICK_BYTES_MAX;
        let is_next = call == self.first + self.ticks.len() as u64;
        if self.ticks.is_empty()
            || !is_next
            || bytes > self.frame_bytes as usize
            || self.ticks.len() == TICKS_PER_FRAME
        {
            self.close(out)?;
            self.first = call;
        }
        self.ticks.push(tick);
        Ok(())
    }

    /// Appends what there is to `out`, as one frame.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.ticks.is_empty() {
            return Ok(());
        }
        let ticks = std::mem::take(&mut self.ticks);
        let message = ToWorker::Ticks { ticks };
        let put = message.put(out, 0, self.first, self.frame_bytes);
        // Its memory is used again.
        if let ToWorker::Ticks { mut ticks } = message {
            ticks.clear();
            self.ticks = ticks;
        }
        put
    }
}

#[cfg(test)]
mod tests {
    use croupier_wire::frame::FrameReader;
    use croupier_wire::link::{LINK_VERSION, decode_to_worker};

    use super::*;

    fn tick(session: u64) -> Tick {
        Tick { session, seq: u64::MAX, now_ns: u64::MAX, seed: [255; 32] }
    }

    /// The frames in `out`: the first call of each, and whose ticks it holds.
    fn frames(mut out: &[u8]) -> Vec<(u64, Vec<u64>)> {
        let mut reader = FrameReader::new(LINK_VERSION, 1 << 24);
        let mut frames = Vec::new();
        while !out.is_empty() {
            let space = reader.space();
            let fits = out.len().min(space.len());
            space[..fits].copy_from_slice(&out[..fits]);
            reader.filled(fits);
            out = &out[fits..];
            while let Some((header, body)) = reader.next().expect("frames") {
                let Ok(ToWorker::Ticks { ticks }) = decode_to_worker(&header, body) else { panic!("ticks") };
                frames.push((header.call_id, ticks.iter().map(|tick| tick.session).collect()));
            }
        }
        frames
    }

    #[test]
    fn calls_that_follow_each_other_share_a_frame() {
        let (mut ticks, mut out) = (Ticks::new(1 << 20), Vec::new());
        for call in [7, 8, 9, 11, 12] {
            ticks.put(&mut out, tick(call * 10), call).expect("fits");
        }
        assert_eq!(frames(&out), [(7, vec![70, 80, 90])], "call 10 was something else");
        ticks.close(&mut out).expect("fits");
        ticks.close(&mut out).expect("nothing to do");
        assert_eq!(frames(&out), [(7, vec![70, 80, 90]), (11, vec![110, 120])]);
    }

    #[test]
    fn a_frame_holds_what_it_may_and_not_more() {
        for bytes in [100, 200, 1000, 1 << 20] {
            let (mut ticks, mut out) = (Ticks::new(bytes), Vec::new());
            for call in 1..=5000 {
                ticks.put(&mut out, tick(u64::MAX), call).expect("fits");
            }
            ticks.close(&mut out).expect("fits");
            let frames = frames(&out);
            assert_eq!(frames.iter().map(|(_, ticks)| ticks.len()).sum::<usize>(), 5000);
            assert!(frames.iter().all(|(_, ticks)| !ticks.is_empty() && ticks.len() <= TICKS_PER_FRAME));
            assert!(
                frames.windows(2).all(|two| two[0].0 + two[0].1.len() as u64 == two[1].0),
                "no call is left out"
            );
        }
    }
}
