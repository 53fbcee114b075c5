//! System calls that plugins tried and were refused: what is reported about each, and to whom.

/// What became of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It failed with this error number.
    Refused(i32),
    /// It was one too many: the worker is ended.
    Fatal,
}

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The worker.
    pub worker: u64,
    /// Session and turn that the worker played, as far as known.
    pub playing: Option<(u64, u64)>,
    /// The call's name, or its number.
    pub call: String,
    /// The architecture's name.
    pub arch: &'static str,
    /// Its arguments as numbers. What they point to is not looked at.
    pub args: [u64; 6],
    /// Module and offset of the caller, where it can be had: `libc.so.6+0x…`, then the plugin's own frame if one is found.
    pub at: Vec<String>,
    /// The how-many-th refused call of this worker it is, from 1.
    pub count: u64,
    /// What became of it.
    pub consequence: Consequence,
}

/// Takes refused calls. Called on the worker's warden thread, while the caller waits: be quick.
pub trait Denials: Send + Sync {
    /// One more.
    fn denied(&self, denial: &Denial);
}

/// Says them in the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceDenials;

impl Denials for TraceDenials {
    fn denied(&self, denial: &Denial) {
        let Denial { plugin, version, worker, call, arch, count, .. } = denial;
        let args: Vec<String> = denial.args.iter().map(|arg| format!("{arg:#x}")).collect();
        let (args, at) = (args.join(" "), denial.at.join(" "));
        let (session, turn) = denial.playing.unzip();
        tracing::warn!(
            target: "denied",
            plugin, version, worker, session, turn, call, arch, args, at, count,
            consequence = ?denial.consequence,
            "a system call was refused"
        );
    }
}
