//! What plugins say: lines of their standard output and error, and `host->log`, as log lines of the supervisor.
//!
//! Pipes are always drained, so that a chatty plugin never blocks on a full one; what is over the limit is counted and thrown away. What a
//! plugin says is one line of bounded length, whatever is in it: it cannot write lines that look like ours.
//!
//! ```text
//!  bytes ─▶ LineSplitter ─▶ Limiter ─▶ tracing (target "plugin")
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// Longest line that is shown, in bytes; the rest of it is left out.
pub const LINE_BYTES_MAX: usize = 4096;
/// Room beyond that for the word that something was left out.
const NOTE_BYTES_MAX: usize = 64;
/// Bytes read from a pipe at a time.
const READ_BYTES: usize = 16 << 10;
/// The window of the limit.
const WINDOW_NS: u64 = 1_000_000_000;
/// How often a silent limiter is asked whether it suppressed something.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Whether a line may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Show it.
    Show,
    /// Show it, after saying that so many were suppressed.
    ShowAfter(u64),
    /// Count it and throw it away.
    Suppress,
}

/// At most so many lines in any window of one second.
#[derive(Debug)]
pub struct Limiter {
    lines_per_s: u32,
    window_start_ns: u64,
    shown: u32,
    suppressed: u64,
}

impl Limiter {
    /// A limiter that lets `lines_per_s` lines through.
    pub fn new(lines_per_s: u32) -> Limiter {
        Limiter { lines_per_s, window_start_ns: 0, shown: 0, suppressed: 0 }
    }

    /// A line comes.
    pub fn line(&mut self, mono_ns: u64) -> Verdict {
        if mono_ns.saturating_sub(self.window_start_ns) >= WINDOW_NS {
            self.window_start_ns = mono_ns;
            self.shown = 0;
        }
        if self.shown >= self.lines_per_s {
            self.suppressed += 1;
            return Verdict::Suppress;
        }
        self.shown += 1;
        match std::mem::take(&mut self.suppressed) {
            0 => Verdict::Show,
            lines => Verdict::ShowAfter(lines),
        }
    }

    /// Lines suppressed and not yet reported; reports them.
    pub fn take_suppressed(&mut self) -> u64 {
        std::mem::take(&mut self.suppressed)
    }
}

/// Cuts a stream of bytes into lines, and lines to [`LINE_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct LineSplitter {
    line: Vec<u8>,
    cut: usize,
}

impl LineSplitter {
    /// Bytes come; `line` is called with each whole line.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = LINE_BYTES_MAX - self.line.len();
            let taken = text.len().min(room);
            self.line.extend_from_slice(&text[..taken]);
            self.cut += text.len() - taken;
            if ends {
                self.flush(&mut line);
            }
        }
    }

    /// The stream ends; a line without an end is one all the same.
    pub fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.flush(&mut line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\r');
        match self.cut {
            0 => line(text),
            cut => line(&format!("{text} … ({cut} bytes more)")),
        }
        self.line.clear();
        self.cut = 0;
    }
}

/// A stranger's text as one line: control characters are escaped, and what is over [`LINE_BYTES_MAX`] is left out.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let end = text.floor_char_boundary(LINE_BYTES_MAX + NOTE_BYTES_MAX);
    let (shown, rest) = (&text[..end], text.len() - end);
    // The tabulator does no harm.
    let is_bad = |c: char| c.is_control() && c != '\t';
    if rest == 0 && !shown.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(shown.len());
    for c in shown.chars() {
        if is_bad(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if rest > 0 {
        // Writing to a string does not fail.
        let _ = write!(line, " … ({rest} bytes more)");
    }
    Cow::Owned(line)
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// `host->log` with this `CROUPIER_LOG_*` level.
    Log(u8),
}

/// One worker's voice in the supervisor's log.
#[derive(Debug)]
pub struct PluginLog {
    plugin: String,
    worker: u64,
    clock: crate::clock::Clock,
    limiter: Mutex<Limiter>,
}

impl PluginLog {
    /// For one worker of one plugin.
    pub fn new(plugin: &str, worker: u64, lines_per_s: u32, clock: crate::clock::Clock) -> PluginLog {
        let limiter = Mutex::new(Limiter::new(lines_per_s));
        PluginLog { plugin: plugin.to_owned(), worker, clock, limiter }
    }

    /// Says a line, if it may.
    pub fn line(&self, source: Source, text: &str) {
        let verdict = crate::lock(&self.limiter).line(self.clock.mono_ns());
        match verdict {
            Verdict::Suppress => return,
            Verdict::ShowAfter(lines) => self.suppressed(lines),
            Verdict::Show => {}
        }
        let (plugin, worker) = (self.plugin.as_str(), self.worker);
        let text = one_line(text);
        match source {
            Source::Log(1) => tracing::error!(target: "plugin", plugin, worker, "{text}"),
            Source::Log(2) => tracing::warn!(target: "plugin", plugin, worker, "{text}"),
            Source::Log(3) => tracing::info!(target: "plugin", plugin, worker, "{text}"),
            Source::Log(_) => tracing::debug!(target: "plugin", plugin, worker, "{text}"),
            Source::Stdout => tracing::info!(target: "plugin", plugin, worker, stream = "stdout", "{text}"),
            Source::Stderr => tracing::warn!(target: "plugin", plugin, worker, stream = "stderr", "{text}"),
        }
    }

    /// Reports what was suppressed since, if anything.
    pub fn report(&self) {
        match crate::lock(&self.limiter).take_suppressed() {
            0 => {}
            lines => self.suppressed(lines),
        }
    }

    fn suppressed(&self, lines: u64) {
        let (plugin, worker) = (self.plugin.as_str(), self.worker);
        tracing::warn!(target: "plugin", plugin, worker, lines, "log lines suppressed: over the plugin's limit");
    }
}

/// Drains both pipes until they end, or until `dead` fires and what is in them has been read.
pub async fn drain(
    log: &PluginLog,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    mut dead: oneshot::Receiver<()>,
) {
    let mut streams = [Some((stdout, Source::Stdout)), Some((stderr, Source::Stderr))];
    let mut splitters = [LineSplitter::default(), LineSplitter::default()];
    let mut tick = tokio::time::interval(REPORT_EVERY);
    while streams.iter().any(Option::is_some) {
        let [out, err] = &streams;
        let which = tokio::select! {
            () = readable(out) => 0,
            () = readable(err) => 1,
            _ = tick.tick() => { log.report(); continue }
            _ = &mut dead => break,
        };
        match read_some(log, &mut streams[which], &mut splitters[which]) {
            Reading::Ended => streams[which] = None,
            // A flood must not keep other tasks from running.
            Reading::More => tokio::task::yield_now().await,
            Reading::Nothing => {}
        }
    }
    for (stream, splitter) in streams.iter_mut().zip(&mut splitters) {
        // Bounded: something may have been left behind that writes for ever.
        for _ in 0..64 {
            if read_some(log, stream, splitter) != Reading::More {
                break;
            }
        }
        let source = stream.as_ref().map_or(Source::Stdout, |(_, source)| *source);
        splitter.finish(|line| log.line(source, line));
    }
    log.report();
}

#[derive(PartialEq, Eq)]
enum Reading {
    More,
    Nothing,
    Ended,
}

async fn readable(stream: &Option<(pipe::Receiver, Source)>) {
    match stream {
        Some((pipe, _)) => drop(pipe.ready(Interest::READABLE).await),
        None => std::future::pending().await,
    }
}

fn read_some(
    log: &PluginLog,
    stream: &mut Option<(pipe::Receiver, Source)>,
    splitter: &mut LineSplitter,
) -> Reading {
    let Some((pipe, source)) = stream else { return Reading::Ended };
    let mut bytes = [0; READ_BYTES];
    match pipe.try_read(&mut bytes) {
        Ok(0) => Reading::Ended,
        Ok(read) => {
            splitter.push(&bytes[..read], |line| log.line(*source, line));
            Reading::More
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Reading::Nothing,
        Err(_) => Reading::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_counted_and_reported_with_the_next_line_shown() {
        let mut limiter = Limiter::new(3);
        let second = WINDOW_NS;
        let verdicts: Vec<Verdict> = (0..5).map(|n| limiter.line(10 * second + n)).collect();
        assert_eq!(
            verdicts,
            [Verdict::Show, Verdict::Show, Verdict::Show, Verdict::Suppress, Verdict::Suppress]
        );
        assert_eq!(limiter.line(11 * second), Verdict::ShowAfter(2));
        assert_eq!(limiter.line(11 * second), Verdict::Show);
        assert_eq!(limiter.take_suppressed(), 0);
    }

    #[test]
    fn a_limit_of_zero_shows_nothing() {
        let mut limiter = Limiter::new(0);
        assert_eq!(limiter.line(5 * WINDOW_NS), Verdict::Suppress);
        assert_eq!(limiter.take_suppressed(), 1);
    }

    #[test]
    fn a_strangers_text_is_one_bounded_line() {
        assert_eq!(one_line("all\tin order: äß"), "all\tin order: äß");
        assert_eq!(one_line("a\n2026 INFO ready\x1b[2J\r"), "a\\n2026 INFO ready\\u{1b}[2J\\r");
        let long = "ä".repeat(LINE_BYTES_MAX);
        assert_eq!(one_line(&long).len(), LINE_BYTES_MAX + NOTE_BYTES_MAX + " … (4032 bytes more)".len());
    }

    #[test]
    fn lines_are_split_cut_and_finished() {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        splitter.push(b"one\r\ntw", |line| lines.push(line.to_owned()));
        splitter.push(b"o\n\nthree", |line| lines.push(line.to_owned()));
        splitter.push(&vec![b'x'; LINE_BYTES_MAX], |line| lines.push(line.to_owned()));
        splitter.finish(|line| lines.push(line.to_owned()));
        assert_eq!(lines[..3], ["one", "two", ""]);
        assert!(lines[3].starts_with("threexxx"));
        assert!(lines[3].ends_with("(5 bytes more)"), "{}", &lines[3][LINE_BYTES_MAX..]);
    }
}
