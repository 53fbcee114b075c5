//! How things look to a person: short, aligned, readable at 3 am.

use std::time::{SystemTime, UNIX_EPOCH};

use croupier_client::{
    AuditHead, Event, Grant, Grants, JournalInfo, PluginInfo, SessionDetail, SessionInfo, StatusInfo, What,
    WorkerInfo,
};

use super::out::{Align, Table, hanging};

const NS_PER_MS: u64 = 1_000_000;

pub(crate) fn plugins(plugins: &[PluginInfo]) -> Vec<String> {
    if plugins.is_empty() {
        return vec!["no plugins are loaded; load one with `croupier load FILE`".to_owned()];
    }
    let mut table = Table::new(&[
        ("PLUGIN", Align::Left),
        ("VERSION", Align::Left),
        ("STATE", Align::Left),
        ("HEALTH", Align::Left),
        ("GAME", Align::Left),
        ("SESSIONS", Align::Right),
        ("HELD", Align::Right),
        ("WORKERS", Align::Right),
        ("REPLICAS", Align::Right),
        ("STANDBYS", Align::Right),
        ("TURNS", Align::Right),
        ("LOST", Align::Right),
        ("POISON", Align::Right),
        ("FAULT", Align::Left),
    ]);
    for plugin in plugins {
        table.row([
            plugin.name.clone(),
            plugin.version.clone(),
            plugin.state.clone(),
            plugin.health.clone(),
            plugin.game.clone(),
            plugin.sessions.to_string(),
            plugin.held.to_string(),
            plugin.workers.len().to_string(),
            format!("{}/{}", plugin.replicas, plugin.replicas_wanted),
            format!("{}/{}", plugin.standbys, plugin.standbys_wanted),
            plugin.turns.to_string(),
            plugin.workers_lost.to_string(),
            plugin.poison.to_string(),
            plugin.fault.clone().unwrap_or_default(),
        ]);
    }
    table.lines()
}

pub(crate) fn sessions(sessions: &[SessionInfo]) -> Vec<String> {
    if sessions.is_empty() {
        return vec!["no sessions".to_owned()];
    }
    let mut table = Table::new(&[
        ("SESSION", Align::Right),
        ("PLUGIN", Align::Left),
        ("STATE", Align::Left),
        ("PLAYERS", Align::Right),
        ("TURNS", Align::Right),
        ("PENDING", Align::Right),
        ("OPEN FOR", Align::Right),
    ]);
    let now = now_ns();
    for session in sessions {
        table.row([
            session.session.to_string(),
            session.plugin.clone(),
            session.state.clone(),
            session.players.to_string(),
            session.seq.to_string(),
            session.pending.to_string(),
            duration(now.saturating_sub(session.opened_ns) / NS_PER_MS),
        ]);
    }
    table.lines()
}

pub(crate) fn session(detail: &SessionDetail) -> Vec<String> {
    let info = &detail.info;
    let state = match &detail.held_reason {
        Some(reason) => format!("{}: {reason}", info.state),
        None => info.state.clone(),
    };
    let players: Vec<String> = detail.players.iter().map(u64::to_string).collect();
    let ticks = if detail.tick_ms == 0 { "none".to_owned() } else { format!("every {} ms", detail.tick_ms) };
    pairs(&[
        ("session", info.session.to_string()),
        ("plugin", info.plugin.clone()),
        ("state", state),
        ("open for", duration(now_ns().saturating_sub(info.opened_ns) / NS_PER_MS)),
        ("players", format!("{} ({})", players.len(), players.join(" "))),
        ("turns", format!("{}, {} pending, {} poison", info.seq, info.pending, detail.poison)),
        ("snapshot", format!("turn {}, {} bytes", detail.snapshot_seq, detail.snapshot_bytes)),
        ("journal", format!("{} records", detail.journal_records)),
        ("outputs", detail.outputs.to_string()),
        ("ticks", ticks),
        ("epoch", detail.epoch.to_string()),
        ("binary", detail.digest.clone()),
        ("commit", detail.commit.clone()),
    ])
}

pub(crate) fn status(status: &StatusInfo) -> Vec<String> {
    let lost = format!("{}, {} of them in mid-turn", status.workers_lost, status.workers_lost_mid_turn);
    pairs(&[
        (
            "croupier",
            format!("{}, process {}, up {}", status.version, status.pid, duration(status.uptime_ms)),
        ),
        ("plugins", format!("{}, {} down", status.plugins, status.plugins_down)),
        ("sessions", format!("{} live, {} held", status.sessions, status.held)),
        ("workers", status.workers.to_string()),
        ("workers lost", lost),
        ("turns", format!("{}, {} sent again, {} poison", status.turns, status.retries, status.poison)),
        ("traffic", status.traffic_socket.clone().unwrap_or_else(|| "on the control socket".to_owned())),
        ("state", status.state_dir.clone().unwrap_or_else(|| "in memory".to_owned())),
    ])
}

/// How each plugin fares.
pub(crate) fn health(plugins: &[PluginInfo]) -> Vec<String> {
    let words = |plugin: &PluginInfo| match &plugin.fault {
        Some(why) => format!("{} is {}: {why}", plugin.name, plugin.health),
        None => format!("{} is {}", plugin.name, plugin.health),
    };
    plugins.iter().flat_map(|plugin| hanging("health        ", &words(plugin))).collect()
}

/// Those plugins that do not fare well.
pub(crate) fn unwell(plugins: &[PluginInfo]) -> Vec<String> {
    let unwell: Vec<PluginInfo> =
        plugins.iter().filter(|plugin| plugin.health != "healthy").cloned().collect();
    health(&unwell)
}

pub(crate) fn journal(journal: Option<&JournalInfo>) -> Vec<String> {
    let Some(journal) = journal else { return Vec::new() };
    let JournalInfo { entries, bytes, disk_bytes, waiting_bytes, trouble, aside, .. } = journal;
    let holds =
        format!("{entries} entries, {bytes} bytes; {disk_bytes} on the disk, {waiting_bytes} waiting");
    let mut all = vec![("journal", holds)];
    all.extend(trouble.iter().map(|trouble| ("refusing", trouble.clone())));
    all.extend(aside.iter().map(|aside| ("aside", aside.clone())));
    pairs(&all)
}

pub(crate) fn workers(workers: &[WorkerInfo]) -> Vec<String> {
    if workers.is_empty() {
        return vec!["no workers".to_owned()];
    }
    let mut table = Table::new(&[
        ("WORKER", Align::Right),
        ("PLUGIN", Align::Left),
        ("PID", Align::Right),
        ("STATE", Align::Left),
        ("SESSIONS", Align::Right),
        ("TURNS", Align::Right),
        ("CALLS", Align::Right),
        ("AGE", Align::Right),
        ("MIB", Align::Right),
        ("CPU", Align::Right),
    ]);
    for worker in workers {
        table.row([
            worker.worker.to_string(),
            worker.plugin.clone(),
            worker.pid.to_string(),
            worker.state.clone(),
            worker.sessions.to_string(),
            count(worker.turns),
            worker.in_flight.to_string(),
            duration(worker.age_ms),
            mib(worker.rss_kib),
            duration(worker.cpu_ms),
        ]);
    }
    let mut lines = table.lines();
    lines.extend(isolations(workers));
    lines
}

/// Whether a line of [`workers`] says that nothing confines some of them.
pub(crate) fn is_alarming(line: &str) -> bool {
    line.trim() == "off"
}

/// What confines them: those together that are confined alike. Too much for a column.
fn isolations(workers: &[WorkerInfo]) -> Vec<String> {
    let mut alike: Vec<(&str, Vec<String>)> = Vec::new();
    for worker in workers.iter().filter(|worker| !worker.isolation.is_empty()) {
        let number = worker.worker.to_string();
        match alike.iter_mut().find(|(text, _)| *text == worker.isolation) {
            Some((_, numbers)) => numbers.push(number),
            None => alike.push((&worker.isolation, vec![number])),
        }
    }
    let told = alike.iter().flat_map(|(text, numbers)| {
        let whose = if numbers.len() == workers.len() { "all".to_owned() } else { numbers.join(", ") };
        let mut lines = vec![String::new()];
        lines.extend(hanging("isolation of ", &format!("{whose}:")));
        lines.extend(text.split("; ").flat_map(|part| hanging("  ", part)));
        lines
    });
    told.collect()
}

/// What a plugin asks for against what it has: `+` has it, `-` does not, `!` the config names what nobody asks for.
pub(crate) fn grants(grants: &Grants) -> Vec<String> {
    if grants.permissions.is_empty() {
        return vec![format!("{} asks for no permissions", grants.plugin)];
    }
    let line = |grant: &Grant| {
        let (sign, why) = match grant.state.as_str() {
            "granted" => ('+', ""),
            "denied" => ('-', "denied in the config"),
            "not-granted" => ('-', "not among those that the config grants"),
            "revoked" => ('-', "revoked; `croupier grant` gives it back"),
            _ => ('!', "not asked for, so not given"),
        };
        let uses = match grant.refused_uses {
            0 => String::new(),
            uses => format!("; {uses} uses refused"),
        };
        format!("  {sign} {:<24} {why}{uses}", grant.permission).trim_end().to_owned()
    };
    grants.permissions.iter().map(line).collect()
}

pub(crate) fn audit_head(head: Option<&AuditHead>) -> Vec<String> {
    let text = match head {
        None => "not kept".to_owned(),
        Some(head) => {
            let mut text = format!("record {}, hash {}", head.seq, head.hash);
            if head.lost > 0 {
                text.push_str(&format!("; {} RECORDS LOST", head.lost));
            }
            if let Some(trouble) = &head.trouble {
                text.push_str(&format!("; CANNOT BE WRITTEN: {trouble}"));
            }
            text
        }
    };
    vec![format!("{:<12}  {text}", "audit log")]
}

/// An event on one line: time of day (UTC), plugin, what.
pub(crate) fn event(event: &Event) -> String {
    let plugin = if event.plugin.is_empty() { "-" } else { &event.plugin };
    format!("{} {plugin}: {}", time_of_day(event.at_ns), what(&event.what))
}

fn what(what: &What) -> String {
    match what {
        What::PluginLoaded { version, digest } => {
            format!("plugin loaded, version {version}, binary {digest}")
        }
        What::PluginUnloaded => "plugin unloaded".to_owned(),
        What::PluginSuspended => "plugin suspended".to_owned(),
        What::PluginResumed => "plugin resumed".to_owned(),
        What::PluginDown { reason } => format!("PLUGIN DOWN: {reason}"),
        What::WorkerReady { worker, pid } => format!("worker {worker} serves, process {pid}"),
        What::WorkerDied { worker, pid, cause, unanswered } => {
            format!("worker {worker} died, process {pid}: {cause}; {unanswered} unanswered")
        }
        What::SessionOpened { session, commit } => format!("session {session} opened, commit {commit}"),
        What::SessionEnded { session, reason, seq } => {
            format!("session {session} ended after turn {seq}: {reason}")
        }
        What::SessionHeld { session, reason } => format!("SESSION {session} HELD: {reason}"),
        What::SessionRestored { session, worker, replayed, pause_us } => {
            format!(
                "session {session} restored in worker {worker}, {replayed} turns replayed, pause {pause_us} µs"
            )
        }
        What::SessionMoved { session, from, to, replayed, pause_us } => {
            format!(
                "session {session} moved from worker {from} to worker {to}, {replayed} turns replayed, pause {pause_us} µs"
            )
        }
        What::PluginScaled { replicas } => format!("{replicas} workers shall serve"),
        What::Diverged { session, seq } => format!("SESSION {session} DIVERGED on replay at turn {seq}"),
        What::Poison { session, seq, player } => {
            format!("POISON: session {session}, turn {seq}, player {player}")
        }
        What::PlayerJoined { session, player } => format!("session {session}: player {player} joined"),
        What::PlayerLeft { session, player } => format!("session {session}: player {player} left"),
        What::TurnDone { session, seq, status } => {
            format!("session {session}: turn {seq} done, status {status}")
        }
        What::Emitted { session, topic } => format!("session {session}: emitted on {topic}"),
        What::SessionAdopted { session, seq } => {
            format!("session {session} is back from the disk, at turn {seq}")
        }
        What::SessionUnreadable { session, reason } => {
            format!("session {session} cannot be brought back from the disk: {reason}")
        }
        What::JournalTrouble { reason } => format!("the journal refuses new turns: {reason}"),
        What::PluginReleased => "plugin released".to_owned(),
        What::BreakerOpened { failed, turns } => {
            format!("PLUGIN RESTS: {failed} of its last {turns} turns failed")
        }
        What::BreakerClosed => "the plugin's turns succeed again".to_owned(),
        What::StandbyReady { worker, pid } => format!("standby {worker} is warm (process {pid})"),
        What::MemoryHigh { worker, percent, rss_kib, limit_kib, .. } => {
            format!(
                "worker {worker} uses more than {percent} % of its memory limit ({rss_kib} of {limit_kib} KiB)"
            )
        }
        What::MemoryGrows { worker, grown_kib, rss_kib, .. } => {
            format!(
                "worker {worker} uses more memory each minute: {grown_kib} KiB more in ten of them, {rss_kib} KiB now"
            )
        }
        What::Throttled { worker, percent, .. } => {
            format!("worker {worker} is kept from the CPU for {percent} % of the time (cpu_percent)")
        }
        What::Violation { worker, what, .. } => format!("worker {worker} broke its bounds: {what}"),
        What::SuspendedFor { reason } => {
            format!("suspended: {reason}; look at it, then `croupier resume` it")
        }
        What::JournalRecovered { ms } => format!("the journal takes turns again, after {ms} ms"),
        What::SnapshotsDistrusted { reason } => format!("snapshots are not used any more: {reason}"),
        What::SignatureDistrusted { reason } => format!("its signature is not good any more: {reason}"),
    }
}

/// `name  value` lines, aligned.
fn pairs(pairs: &[(&str, String)]) -> Vec<String> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect()
}

/// Memory in MiB, with a tenth where that matters.
fn mib(kib: u64) -> String {
    if kib < 10 << 10 { format!("{}.{}", kib >> 10, kib % 1024 * 10 / 1024) } else { (kib >> 10).to_string() }
}

/// A count as a person says it: `9999`, `10k`, `12.3M`. JSON has it to the last.
pub(crate) fn count(count: u64) -> String {
    let (unit, word) = match count {
        0..10_000 => return count.to_string(),
        10_000..1_000_000 => return format!("{}k", count / 1_000),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, 'G'),
        _ => (1_000_000_000_000, 'T'),
    };
    format!("{}.{}{word}", count / unit, count % unit * 10 / unit)
}

/// Milliseconds as a person says them: `120ms`, `4.2s`, `12m30s`, `2h05m`, `3d04h`.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms}ms"),
        1..=59 => format!("{s}.{}s", ms % 1000 / 100),
        60..=3599 => format!("{}m{:02}s", s / 60, s % 60),
        3600..=86399 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86400, s / 3600 % 24),
    }
}

fn time_of_day(at_ns: u64) -> String {
    let ms = at_ns / NS_PER_MS;
    let s = ms / 1000 % 86400;
    format!("{:02}:{:02}:{:02}.{:03}Z", s / 3600, s / 60 % 60, s % 60, ms % 1000)
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::out::WIDTH;

    #[test]
    fn workers_that_are_confined_alike_are_told_together_within_any_terminal() {
        let worker = |worker, isolation: &str| WorkerInfo {
            worker,
            plugin: "blackjack".to_owned(),
            pid: 4_194_303,
            state: "draining".to_owned(),
            sessions: 1000,
            in_flight: 64,
            age_ms: 12_345_678,
            rss_kib: 1 << 20,
            cpu_ms: 12_345_678,
            isolation: isolation.to_owned(),
            turns: 1 << 40,
        };
        let whole = format!("standard; enforced: {}; absent: cgroup (none)", "seccomp, ".repeat(20));
        let lines =
            workers(&[worker(1, &whole), worker(2, "off; absent: all"), worker(3, &whole), worker(4, "")]);
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{lines:#?}");
        let at = |text: &str| {
            lines.iter().position(|line| line == text).unwrap_or_else(|| panic!("{text}: {lines:#?}"))
        };
        assert!(at("isolation of 1, 3:") < at("  absent: cgroup (none)"));
        assert!(at("isolation of 2:") < at("  off"));
        let alarming: Vec<&String> = lines.iter().filter(|line| is_alarming(line)).collect();
        assert_eq!(alarming, ["  off"]);
    }

    #[test]
    fn counts() {
        let all: Vec<String> = [0, 9_999, 10_000, 999_999, 1_000_000, 12_345_678, 1 << 40].map(count).into();
        assert_eq!(all, ["0", "9999", "10k", "999k", "1.0M", "12.3M", "1.0T"]);
    }

    #[test]
    fn durations_and_times() {
        let all: Vec<String> = [7, 4_250, 750_000, 7_500_000, 273_600_000].map(duration).into();
        assert_eq!(all, ["7ms", "4.2s", "12m30s", "2h05m", "3d04h"]);
        assert_eq!(time_of_day(1_700_000_000_123_456_789), "22:13:20.123Z");
    }
}
