//! `croupier check`: reads a plugin's file as the supervisor would, without running it; with `--determinism` plays a script with it.

use std::path::{Path, PathBuf};

use clap::Args;
use croupier::solo::determinism::{DeterminismReport, Difference, determinism};
use croupier_manifest::{Manifest, PluginFile, read_plugin};
use serde_json::{Value, json};

use super::fail::{Failure, Stop};
use super::out::{Form, Out};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The plugin's .so
    file: PathBuf,
    /// Play this script (docs/PLAY.md) in workers with different address layouts, with and without restores in
    /// between, and compare every reply and snapshot
    #[arg(long, value_name = "SCRIPT")]
    determinism: Option<PathBuf>,
    /// The `croupier-worker` binary; beside this one when not said
    #[arg(long, value_name = "PATH", requires = "determinism")]
    worker: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(&self, out: &mut Out) -> Result<(), Stop> {
        let file = self.read()?;
        let determinism = match &self.determinism {
            None => None,
            Some(script) => Some(self.play(script)?),
        };
        match out.form() {
            Form::Json => {
                let mut value = facts(&file);
                if let Some(report) = determinism {
                    value["determinism"] = json!(report);
                }
                out.json(&value)
            }
            Form::Human => {
                out.line(&format!("{}: sound", self.file.display()))?;
                for (name, text) in lines(&file) {
                    out.line(&format!("  {name:<14}{text}"))?;
                }
                match determinism {
                    Some(report) => out.line(&format!(
                        "  {:<14}{} turns of {} sessions answer the same in another address layout and over {} moves",
                        "determinism", report.turns, report.sessions, report.moves
                    )),
                    None => Ok(()),
                }
            }
        }
    }

    fn read(&self) -> Result<PluginFile, Stop> {
        let path = self.file.display();
        let cannot = |error: std::io::Error| {
            Failure::new("bad-plugin", format!("cannot read {path}: {error}"), "name the plugin's .so")
        };
        let bytes = std::fs::metadata(&self.file).map_err(cannot)?.len();
        if bytes > croupier::registry::PLUGIN_BYTES_MAX as u64 {
            let max = croupier::registry::PLUGIN_BYTES_MAX;
            return Err(Failure::new(
                "bad-plugin",
                format!("{path} has {bytes} bytes; a plugin may have {max}"),
                "",
            )
            .into());
        }
        let bytes = std::fs::read(&self.file).map_err(cannot)?;
        Ok(read_plugin(&bytes).map_err(|error| {
            Failure::new("bad-plugin", format!("{path} is no plugin that can be loaded: {error}"), "")
        })?)
    }

    fn play(&self, script: &Path) -> Result<DeterminismReport, Stop> {
        let text = std::fs::read(script).map_err(|error| {
            Failure::new(
                "bad-script",
                format!("cannot read {}: {error}", script.display()),
                "docs/PLAY.md describes scripts",
            )
        })?;
        let report = determinism(&self.file, &text, self.worker.clone()).map_err(|error| {
            Failure::new(
                "not-checked",
                format!("the check could not be made: {error}"),
                "mend the script or the plugin, and check again",
            )
        })?;
        match &report.difference {
            None => Ok(report),
            Some(difference) => Err(differs(difference).into()),
        }
    }
}

fn differs(difference: &Difference) -> Failure {
    let Difference { line, session, what, pass, first, other } = difference;
    let text = format!(
        "not deterministic: line {line} of the script, session {session}: the {what} differs in the {pass}"
    );
    let hint = "look for clocks, addresses, hash order, threads and uninitialised memory; docs/PLUGINS.md lists what a plugin may depend on";
    Failure {
        problems: vec![format!("first: {first}"), format!("then:  {other}")],
        ..Failure::new("not-deterministic", text, hint)
    }
}

fn facts(file: &PluginFile) -> Value {
    let manifest: Value = toml::from_str::<toml::Table>(&file.elf.manifest)
        .ok()
        .and_then(|table| serde_json::to_value(table).ok())
        .unwrap_or(Value::Null);
    json!({
        "digest": file.digest.to_string(),
        "machine": file.elf.machine,
        "needed": file.elf.needed,
        "manifest": manifest,
    })
}

fn lines(file: &PluginFile) -> Vec<(&'static str, String)> {
    let manifest = &file.manifest;
    let mut lines = vec![
        ("plugin", format!("{} {}", manifest.name, manifest.version)),
        ("description", manifest.description.trim().to_owned()),
        ("authors", manifest.authors.join(", ")),
        ("licence", manifest.license.clone()),
        ("game", game(manifest)),
        ("players", format!("{} to {}", manifest.players.min, manifest.players.max)),
        ("state version", manifest.state_version.to_string()),
    ];
    if !manifest.game.bets.is_empty() {
        let with_edge = manifest.game.bets.iter().filter(|bet| bet.house_edge.is_some()).count();
        lines.push(("bets", format!("{}, {with_edge} with a house edge", manifest.game.bets.len())));
    }
    let permissions: Vec<String> = manifest.permissions.request.iter().map(ToString::to_string).collect();
    let none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    lines.push(("asks for", none(permissions.join(", "))));
    let needs: Vec<String> =
        manifest.dependencies.iter().map(|(name, version)| format!("{name} {version}")).collect();
    lines.push(("needs plugins", none(needs.join(", "))));
    lines.push(("libraries", none(file.elf.needed.join(", "))));
    lines.push(("digest", file.digest.to_string()));
    lines
}

fn game(manifest: &Manifest) -> String {
    let hidden = if manifest.game.hidden_information { ", hides information" } else { "" };
    format!("{}{hidden}", manifest.game.kind.as_str())
}
