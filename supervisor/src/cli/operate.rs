//! The operators' verbs: one request, one answer, shown.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use croupier_client::blocking::Client;
use croupier_client::{LiveSessions, SessionId};
use serde_json::json;

use super::fail::{Failure, Stop};
use super::out::{Form, Out};
use super::show;

/// Arguments of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The plugin's `.so`
    file: PathBuf,
}

impl Load {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        // The supervisor has another working directory than we.
        let path = std::fs::canonicalize(&self.file).map_err(|error| {
            let text = format!("cannot find {}: {error}", self.file.display());
            Failure::new("no-file", text, "give the path of the plugin's .so file")
        })?;
        let Some(path) = path.to_str() else {
            let text = format!("the path {} is not UTF-8", path.display());
            return Err(Failure::new("no-file", text, "move the file to a path in UTF-8").into());
        };
        let plugin = client.load(path)?;
        match out.form() {
            Form::Json => out.json(&json!({ "plugins": [plugin] })),
            Form::Human => {
                out.line(&format!("loaded {} {}, {}", plugin.name, plugin.version, plugin.state))?;
                match client.grants(&plugin.name) {
                    Ok(grants) => lines(out, &show::grants(&grants)),
                    // It is loaded; what it may do can be asked for again.
                    Err(_) => Ok(()),
                }
            }
        }
    }
}

/// Arguments of `unload`.
#[derive(Debug, Args)]
pub(crate) struct Unload {
    /// The plugin's name
    plugin: String,
    /// Close its live sessions first; without this, live sessions are a reason to refuse
    #[arg(long)]
    close_sessions: bool,
}

impl Unload {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let sessions = if self.close_sessions { LiveSessions::Close } else { LiveSessions::Refuse };
        client.unload(&self.plugin, sessions)?;
        ok(out, &format!("unloaded {}", self.plugin))
    }
}

/// Arguments of verbs that just name a plugin.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The plugin's name
    plugin: String,
}

impl Named {
    pub(crate) fn suspend(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.suspend(&self.plugin)?;
        ok(out, &format!("suspended {}; its turns wait until `croupier resume {0}`", self.plugin))
    }

    pub(crate) fn resume(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.resume(&self.plugin)?;
        ok(out, &format!("resumed {}", self.plugin))
    }

    pub(crate) fn grants(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let grants = client.grants(&self.plugin)?;
        match out.form() {
            Form::Json => out.json(&grants),
            Form::Human => lines(out, &show::grants(&grants)),
        }
    }

    pub(crate) fn restart(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.restart(&self.plugin)?;
        ok(out, &format!("restarted {}", self.plugin))
    }

    pub(crate) fn release(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.release(&self.plugin)?;
        ok(out, &format!("released {}; its deaths are forgiven, and its sessions go on", self.plugin))
    }
}

/// Arguments of `scale`.
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// The plugin's name
    plugin: String,
    /// How many workers shall serve it
    replicas: u32,
}

impl Scale {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.scale(&self.plugin, self.replicas)?;
        let Scale { plugin, replicas } = self;
        ok(
            out,
            &format!(
                "{plugin} is served by {replicas}, until it is loaded anew; `croupier workers` shows its sessions move"
            ),
        )
    }
}

/// Arguments of `revoke` and `grant`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The plugin's name
    plugin: String,
    /// The permission, as `croupier grants` lists it
    permission: String,
}

impl Revoke {
    pub(crate) fn revoke(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.revoke(&self.plugin, &self.permission)?;
        let Revoke { plugin, permission } = self;
        ok(
            out,
            &format!(
                "revoked {permission} from {plugin}, over loads and restarts; `croupier grant {plugin} {permission}` gives it back"
            ),
        )
    }

    pub(crate) fn grant(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        client.grant(&self.plugin, &self.permission)?;
        let Revoke { plugin, permission } = self;
        ok(
            out,
            &format!("gave {permission} back to {plugin}, as far as it asks for it and the config grants it"),
        )
    }
}

/// Arguments of `plugins`.
#[derive(Debug, Args)]
pub(crate) struct Plugins {
    /// Only this one
    plugin: Option<String>,
}

impl Plugins {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let plugins = client.plugins(self.plugin.as_deref())?;
        match out.form() {
            Form::Json => out.json(&json!({ "plugins": plugins })),
            Form::Human => lines(out, &show::plugins(&plugins)),
        }
    }
}

/// Arguments of `sessions`.
#[derive(Debug, Args)]
pub(crate) struct Sessions {
    /// Only this plugin's
    #[arg(long)]
    plugin: Option<String>,
    /// At most this many, lowest ids first
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

impl Sessions {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let sessions = client.sessions(self.plugin.as_deref(), self.limit)?;
        match out.form() {
            Form::Json => out.json(&json!({ "sessions": sessions })),
            Form::Human => {
                lines(out, &show::sessions(&sessions))?;
                if sessions.len() as u64 >= u64::from(self.limit) {
                    out.line(&format!("the first {}; there may be more: --limit", self.limit))?;
                }
                Ok(())
            }
        }
    }
}

/// Arguments of `session`.
#[derive(Debug, Args)]
pub(crate) struct Session {
    /// The session's id
    session: u64,
    /// Write the session as a JSON document (snapshot, turns since, binary's digest) to a file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Drop a held session for good, after the export if there is one
    #[arg(long = "drop")]
    drop_held: bool,
}

impl Session {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let id = SessionId(self.session);
        if let Some(file) = &self.export {
            let document = client.export(id)?;
            export(file, &document, self.session, out)?;
        }
        if self.drop_held {
            client.drop_held(id)?;
            return ok(out, &format!("dropped session {id}"));
        }
        if self.export.is_some() {
            return Ok(());
        }
        let detail = client.session_detail(id)?;
        match out.form() {
            Form::Json => out.json(&detail),
            Form::Human => lines(out, &show::session(&detail)),
        }
    }
}

/// The export is what a table's money hangs on: readable by its owner alone, on the disk before anything is dropped, and never over another file.
fn export(file: &Path, document: &str, session: u64, out: &mut Out) -> Result<(), Stop> {
    if file == Path::new("-") {
        out.bytes(document.as_bytes())?;
        out.bytes(b"\n")?;
        return out.flush();
    }
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut target| target.write_all(document.as_bytes()).and_then(|()| target.sync_all()));
    written.map_err(|error| {
        let text = format!("cannot write the export to {}: {error}", file.display());
        let hint =
            "name a file that does not exist yet, in a directory that you may write to; nothing was dropped";
        Failure { session, ..Failure::new("output", text, hint) }
    })?;
    match out.form() {
        Form::Json => out.json(&json!({ "exported": file, "bytes": document.len() })),
        Form::Human => {
            out.line(&format!("exported session {session} to {}, {} bytes", file.display(), document.len()))
        }
    }
}

pub(crate) fn status(client: &Client, out: &mut Out) -> Result<(), Stop> {
    let status = client.status()?;
    // An older supervisor knows no audit log.
    let audit = client.audit_head().ok().flatten();
    let journal = client.journal().ok().flatten();
    let plugins = client.plugins(None).unwrap_or_default();
    match out.form() {
        Form::Json => {
            let mut value = serde_json::to_value(&status)
                .map_err(|error| Failure::new("internal", format!("cannot write JSON: {error}"), ""))?;
            value["audit"] = json!(audit);
            value["journal"] = json!(journal);
            value["health"] = plugins
                .iter()
                .map(|plugin| json!({ "plugin": plugin.name, "health": plugin.health, "why": plugin.fault }))
                .collect();
            out.json(&value)
        }
        Form::Human => {
            lines(out, &show::status(&status))?;
            lines(out, &show::health(&plugins))?;
            lines(out, &show::audit_head(audit.as_ref()))?;
            lines(out, &show::journal(journal.as_ref()))
        }
    }
}

pub(crate) fn workers(client: &Client, out: &mut Out) -> Result<(), Stop> {
    let workers = client.workers()?;
    match out.form() {
        Form::Json => out.json(&json!({ "workers": workers })),
        Form::Human => {
            show::workers(&workers).iter().try_for_each(|line| match show::is_alarming(line) {
                true => out.alarm(line),
                false => out.line(line),
            })?;
            let unwell = show::unwell(&client.plugins(None).unwrap_or_default());
            if !unwell.is_empty() {
                out.line("")?;
            }
            lines(out, &unwell)
        }
    }
}

fn ok(out: &mut Out, text: &str) -> Result<(), Stop> {
    match out.form() {
        Form::Json => out.json(&json!({ "ok": true })),
        Form::Human => out.line(text),
    }
}

fn lines(out: &mut Out, lines: &[String]) -> Result<(), Stop> {
    lines.iter().try_for_each(|line| out.line(line))
}
