//! hashicorp/go-plugin: host and plugin are both in Go (`goplugin/`), as its users have them. The host measures itself, and says what it found.
//!
//! ```text
//!  this program ──"trips NS"──▶ goplugin host ──net/rpc or gRPC, Unix socket──▶ goplugin plugin
//!     caller's core             caller's core                                   peer's core
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::Fault;
use crate::call::Way;

/// Over net/rpc, with gob: what go-plugin began with.
pub(crate) const NET_RPC: &str = "go-plugin, net/rpc";
/// Over gRPC.
pub(crate) const GRPC: &str = "go-plugin, gRPC";

pub(crate) struct Caller {
    host: std::process::Child,
    /// `None`: it was closed, which ends the host.
    asks: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
    plugin_pid: u32,
}

fn fault(what: &str) -> impl Fn(std::io::Error) -> Fault {
    let what = format!("go-plugin's host {what}");
    move |error| Fault::new(&what, error)
}

impl Caller {
    /// Starts the host, which starts the plugin on `core`.
    pub(crate) fn start(folder: &Path, who: &str, core: usize, size: usize) -> Result<Self, Fault> {
        let protocol = if who == GRPC { "gRPC" } else { "net/rpc" };
        let mut command = Command::new(folder.join("goplugin"));
        command.args(["host", protocol, &core.to_string(), &size.to_string()]);
        let mut host = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(fault("cannot be started"))?;
        let (asks, says) = (host.stdin.take(), host.stdout.take());
        let says = BufReader::new(says.ok_or_else(|| Fault::plain("a host without output"))?);
        // From here on the host is ended whatever happens.
        let mut caller = Self { host, asks, says, plugin_pid: 0 };
        caller.plugin_pid = caller.word_after("ready")?;
        Ok(caller)
    }

    fn ask(&mut self, what: &str) -> Result<(), Fault> {
        let asks = self.asks.as_mut().ok_or_else(|| Fault::plain("a host without input"))?;
        asks.write_all(what.as_bytes()).and_then(|()| asks.write_all(b"\n")).map_err(fault("takes no orders"))
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        self.says.read_line(&mut line).map_err(fault("says nothing"))?;
        if line.is_empty() {
            return Err(Fault::plain("go-plugin's host ended; see above"));
        }
        Ok(line)
    }

    /// The number in the line that begins with this word.
    fn word_after<N: std::str::FromStr>(&mut self, word: &str) -> Result<N, Fault> {
        let line = self.line()?;
        let number = line.strip_prefix(word).and_then(|rest| rest.trim().parse().ok());
        number
            .ok_or_else(|| Fault::plain(format!("go-plugin's host says {line:?}, where {word} is expected")))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // It ends its plugin and then itself; the plugin dies with it in any case.
        self.asks = None;
        // Fails only when it is gone already.
        let _ = self.host.wait();
    }
}

impl Way for Caller {
    fn call(&mut self, _: &[u8], _: &mut [u8]) -> Result<usize, Fault> {
        Err(Fault::plain("go-plugin's host makes its calls itself"))
    }

    fn trips(&mut self, _: usize, _: usize, budget: Duration) -> Result<Vec<f64>, Fault> {
        self.ask(&format!("trips {}", budget.as_nanos()))?;
        let count: usize = self.word_after("trips")?;
        let mut bytes = vec![0; count * 8];
        self.says.read_exact(&mut bytes).map_err(fault("does not say all"))?;
        let (times, _) = bytes.as_chunks::<8>();
        Ok(times.iter().map(|&time| u64::from_le_bytes(time) as f64).collect())
    }

    fn pipeline(&mut self, _: usize, calls: u64, window: usize) -> Result<(), Fault> {
        self.ask(&format!("pipeline {calls} {window}"))?;
        let line = self.line()?;
        if line != "done\n" {
            return Err(Fault::plain(format!("go-plugin's host says {line:?}, where done is expected")));
        }
        Ok(())
    }

    fn first(&mut self, size: usize) -> Result<(), Fault> {
        self.pipeline(size, 1, 1)
    }

    fn peers(&self) -> Vec<u32> {
        vec![self.host.id(), self.plugin_pid]
    }
}
