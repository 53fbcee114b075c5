//! What is called, the same for all: an echo that adds one to the number at the request's beginning, whose replies are checked.
//!
//! A caller's bytes come from a buffer of its own and replies go into one; whoever needs to copy in between pays for it.

use std::time::{Duration, Instant};

use crate::Fault;
use crate::machine;

/// Sizes of requests and replies, in bytes.
pub(crate) const SIZES: [usize; 3] = [64, 1024, 65_536];
pub(crate) const CALL_BYTES_MAX: usize = 65_536;

/// Most bytes in flight when throughput is measured.
pub(crate) const FLIGHT_BYTES_MAX: usize = 4 << 20;

/// A way to call an echo.
pub(crate) trait Way {
    /// One call: writes the reply, returns its length.
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault>;

    /// Calls one after the other for about `budget`, replies checked: the nanoseconds of each `batch` of them, divided by its calls. A way
    /// whose caller is no Rust program does this over there.
    fn trips(&mut self, size: usize, batch: usize, budget: Duration) -> Result<Vec<f64>, Fault> {
        let mut requests = Requests::new(size);
        let mut reply = vec![0; CALL_BYTES_MAX];
        let mut times = Vec::with_capacity(1 << 16);
        let first = Instant::now();
        let mut last = first;
        while last - first < budget {
            for _ in 0..batch {
                let len = self.call(requests.next(), &mut reply)?;
                requests.check(&reply[..len])?;
            }
            let now = Instant::now();
            times.push((now - last).as_nanos() as f64 / batch as f64);
            last = now;
        }
        Ok(times)
    }

    /// `calls` calls, up to `window` in flight, replies checked. For ways whose candidates have windows; with the others a call has
    /// returned before the next can be made.
    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let what = format!("{calls} calls of {size} bytes with {window} in flight: not this way");
        Err(Fault::plain(what))
    }

    /// A call that nothing came before; its reply checked.
    fn first(&mut self, size: usize) -> Result<(), Fault> {
        let (mut requests, mut reply) = (Requests::new(size), vec![0; CALL_BYTES_MAX]);
        let len = self.call(requests.next(), &mut reply)?;
        requests.check(&reply[..len])
    }

    /// The other processes; the one that serves last.
    fn peers(&self) -> Vec<u32> {
        Vec::new()
    }
}

/// CPU time of all processes that take part, so far.
fn cpu(way: &dyn Way) -> Duration {
    machine::own_cpu() + way.peers().into_iter().map(machine::cpu_of).sum::<Duration>()
}

/// Makes requests, and knows their replies.
pub(crate) struct Requests {
    bytes: Vec<u8>,
    number: u64,
}

/// Numbers go up in such steps, so that neither a reply of before nor a guess is taken for a good one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Requests {
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: vec![7; size.max(16)], number: 0 }
    }

    /// The next request; its number stands at both ends.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.number = self.number.wrapping_add(STEP);
        let end = self.bytes.len() - 8;
        self.bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        self.bytes[end..].copy_from_slice(&self.number.to_le_bytes());
        &self.bytes
    }

    /// Whether this is the reply to the request that was made last.
    pub(crate) fn check(&self, reply: &[u8]) -> Result<(), Fault> {
        Replies { size: self.bytes.len(), number: self.number.wrapping_sub(STEP) }.check(reply)
    }
}

/// Replies that come in the order of their requests.
pub(crate) struct Replies {
    size: usize,
    number: u64,
}

impl Replies {
    pub(crate) fn new(size: usize) -> Self {
        Self { size: size.max(16), number: 0 }
    }

    pub(crate) fn check(&mut self, reply: &[u8]) -> Result<(), Fault> {
        self.number = self.number.wrapping_add(STEP);
        let word =
            |at: usize| reply.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
        let good = reply.len() == self.size
            && word(0) == Some(self.number.wrapping_add(1))
            && word(self.size - 8) == Some(self.number);
        if good { Ok(()) } else { Err(Fault::plain("a reply is not the one to its request")) }
    }
}

/// The server's side of the echo, for those that are written in Rust.
pub(crate) fn answer(payload: &mut [u8]) {
    if let Some(number) = payload.first_chunk_mut::<8>() {
        *number = (u64::from_le_bytes(*number).wrapping_add(1)).to_le_bytes();
    }
}

/// What one round of one-in-flight calls gave.
pub(crate) struct Round {
    /// Nanoseconds of each call, or of each batch divided by its calls; sorted.
    pub(crate) times: Vec<f64>,
    /// CPU time of both processes per call, in nanoseconds.
    pub(crate) cpu_ns: f64,
}

/// Which part of the budget goes, besides, to calls that are not counted.
const WARM: u32 = 10;

/// Calls for about `budget` and times each `batch` of them. A batch of more than one is for calls that are not much longer than a look at the
/// clock (some 25 ns).
pub(crate) fn one_in_flight(
    way: &mut dyn Way,
    size: usize,
    batch: usize,
    budget: Duration,
) -> Result<Round, Fault> {
    way.trips(size, batch, budget / WARM)?;
    let before = cpu(way);
    let mut times = way.trips(size, batch, budget)?;
    let used = cpu(way).saturating_sub(before);
    let cpu_ns = used.as_nanos() as f64 / (times.len() * batch) as f64;
    times.sort_by(f64::total_cmp);
    Ok(Round { times, cpu_ns })
}

/// Calls a second with up to `window` in flight, and CPU time of both processes per call in nanoseconds.
pub(crate) fn throughput(
    way: &mut dyn Way,
    size: usize,
    window: usize,
    budget: Duration,
) -> Result<(f64, f64), Fault> {
    // First as few as show how fast it is, then as many as fill the time.
    let mut calls = 4 * window as u64;
    loop {
        let (before, from) = (cpu(way), Instant::now());
        way.pipeline(size, calls, window)?;
        let took = from.elapsed();
        if took >= budget / 2 {
            let used = cpu(way).saturating_sub(before);
            let rate = calls as f64 / took.as_secs_f64();
            return Ok((rate, used.as_nanos() as f64 / calls as f64));
        }
        let more = budget.as_secs_f64() / took.as_secs_f64().max(1e-6);
        calls = (calls as f64 * more.clamp(1.5, 50.0)).ceil() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_the_request_is_good() {
        let mut requests = Requests::new(64);
        let mut reply = requests.next().to_vec();
        assert!(requests.check(&reply).is_err());
        answer(&mut reply);
        assert!(requests.check(&reply).is_ok());
        assert!(requests.check(&reply[..63]).is_err());
        requests.next();
        assert!(requests.check(&reply).is_err());
    }

    #[test]
    fn replies_come_in_order() {
        let (mut requests, mut replies) = (Requests::new(16), Replies::new(16));
        let made: Vec<Vec<u8>> = (0..3)
            .map(|_| {
                let mut bytes = requests.next().to_vec();
                answer(&mut bytes[..8]);
                bytes
            })
            .collect();
        assert!(replies.check(&made[0]).is_ok() && replies.check(&made[1]).is_ok());
        assert!(replies.check(&made[1]).is_err());
    }
}
