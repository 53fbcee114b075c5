//! What operators see: plugins, sessions, workers, and the whole at a glance.

use croupier_core::ids::SessionId;
use croupier_core::views::{Counts, SessionView};
use croupier_wire::door::{PluginInfo, Refusal, SessionDetail, SessionInfo, StatusInfo, WorkerInfo};

use super::Shared;
use crate::game::GameDriver;

const NS_PER_MS: u64 = 1_000_000;

impl Shared {
    pub(super) fn plugin_info(&self, game: &GameDriver) -> PluginInfo {
        let (view, pids) = game.view();
        let plugin = game.plugin();
        let (health, why) = view.health;
        PluginInfo {
            name: plugin.name.clone(),
            version: plugin.player.version.clone(),
            digest: plugin.digest_hex(),
            path: plugin.path.display().to_string(),
            state: view.state.to_string(),
            fault: view
                .down
                .or_else(|| game.distrusted())
                .or_else(|| Some(why).filter(|why| !why.is_empty())),
            game: plugin.manifest.game.kind.as_str().to_owned(),
            description: plugin.manifest.description.clone(),
            sessions: view.live as u64,
            held: view.held as u64,
            workers: pids.into_values().collect(),
            turns: view.counts.turns,
            workers_lost: view.counts.workers_lost,
            poison: view.counts.poison,
            health: health.word().to_owned(),
            standbys: view.standbys.0 as u32,
            standbys_wanted: view.standbys.1 as u32,
            replicas: view.replicas.0 as u32,
            replicas_wanted: view.replicas.1 as u32,
            moved: view.counts.moved,
        }
    }

    pub(super) fn plugin_infos(&self, plugin: Option<&str>) -> Result<Vec<PluginInfo>, Refusal> {
        match plugin {
            Some(name) => Ok(vec![self.plugin_info(&*self.game(name)?)]),
            None => Ok(self.games().iter().map(|game| self.plugin_info(game)).collect()),
        }
    }

    pub(super) fn session_infos(
        &self,
        plugin: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SessionInfo>, Refusal> {
        let games = match plugin {
            Some(name) => vec![self.game(name)?],
            None => self.games(),
        };
        let mut all: Vec<SessionInfo> = games
            .iter()
            .flat_map(|game| {
                let views = game.session_views(limit);
                views.into_iter().map(|view| session_info(&view, &game.plugin().name)).collect::<Vec<_>>()
            })
            .collect();
        all.sort_by_key(|info| info.session);
        all.truncate(limit);
        Ok(all)
    }

    pub(super) fn session_detail(&self, session: u64) -> Result<SessionDetail, Refusal> {
        let game = self.routes.get(session).ok_or_else(|| self.no_session(session))?;
        let view = game.session_view(SessionId(session)).ok_or_else(|| self.no_session(session))?;
        Ok(SessionDetail {
            info: session_info(&view, &game.plugin().name),
            epoch: view.epoch,
            digest: game.plugin().digest_hex(),
            commit: hex::encode(view.commit),
            players: view.players.iter().map(|player| player.0).collect(),
            snapshot_seq: view.snapshot_seq,
            snapshot_bytes: view.snapshot_bytes as u64,
            journal_records: view.records as u64,
            outputs: view.outputs,
            tick_ms: u32::try_from(view.tick_ns / NS_PER_MS).unwrap_or(u32::MAX),
            poison: view.poison,
            held_reason: view.held,
        })
    }

    pub(super) fn export(&self, session: u64) -> Result<String, Refusal> {
        let game = self.routes.get(session).ok_or_else(|| self.no_session(session))?;
        let export = game.export(SessionId(session)).ok_or_else(|| self.no_session(session))?;
        Ok(crate::export::to_json(&game.plugin().name, &export))
    }

    pub(super) fn worker_infos(&self) -> Vec<WorkerInfo> {
        let now = self.context.clock.mono_ns();
        let mut infos = Vec::new();
        for game in self.games() {
            let (view, pids) = game.view();
            let mut isolations = game.isolations();
            infos.extend(view.workers.iter().map(|worker| WorkerInfo {
                worker: worker.worker.0,
                plugin: game.plugin().name.clone(),
                pid: pids.get(&worker.worker).copied().unwrap_or(0),
                state: worker.state.to_owned(),
                sessions: worker.sessions as u64,
                turns: worker.turns,
                in_flight: worker.in_flight as u32,
                age_ms: now.saturating_sub(worker.spawned_mono_ns) / NS_PER_MS,
                rss_kib: 0,
                cpu_ms: 0,
                isolation: isolations.remove(&worker.worker).unwrap_or_default(),
            }));
        }
        let pids: Vec<u32> = infos.iter().map(|info| info.pid).filter(|pid| *pid != 0).collect();
        let usage = self.sampler.usage(&pids);
        for info in &mut infos {
            let used = usage.get(&info.pid).copied().unwrap_or_default();
            (info.rss_kib, info.cpu_ms) = (used.rss_kib, used.cpu_ms);
        }
        infos
    }

    pub(super) fn status(&self) -> StatusInfo {
        let mut counts = *crate::lock(&self.past);
        let games = self.games();
        let (mut down, mut live, mut held, mut workers) = (0, 0, 0, 0);
        for game in &games {
            let (view, _) = game.view();
            add(&mut counts, &view.counts);
            down += u64::from(view.down.is_some());
            live += view.live as u64;
            held += view.held as u64;
            workers += view.workers.len() as u64;
        }
        StatusInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            plugins: games.len() as u64,
            plugins_down: down,
            sessions: live,
            held,
            workers,
            turns: counts.turns,
            workers_lost: counts.workers_lost,
            workers_lost_mid_turn: counts.workers_lost_mid_turn,
            retries: counts.retries,
            poison: counts.poison,
            traffic_socket: self.config.traffic_socket.clone(),
            state_dir: self.config.state_dir.as_ref().map(|dir| dir.display().to_string()),
        }
    }

    /// The game is unloaded: its counts are kept.
    pub(super) fn count_past(&self, game: &GameDriver) {
        let (view, _) = game.view();
        add(&mut crate::lock(&self.past), &view.counts);
    }
}

fn add(sum: &mut Counts, more: &Counts) {
    sum.turns += more.turns;
    sum.workers_lost += more.workers_lost;
    sum.workers_lost_mid_turn += more.workers_lost_mid_turn;
    sum.retries += more.retries;
    sum.poison += more.poison;
}

fn session_info(view: &SessionView, plugin: &str) -> SessionInfo {
    SessionInfo {
        session: view.session.0,
        plugin: plugin.to_owned(),
        state: view.state.to_owned(),
        players: view.players.len() as u32,
        seq: view.seq,
        pending: view.pending as u32,
        opened_ns: view.opened_ns,
    }
}
