//! Loading and unloading plugins.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use croupier_core::Refusal as CoreRefusal;
use croupier_core::action::Answered;
use croupier_core::durable::Durability;
use croupier_core::event::LiveSessions;
use croupier_manifest::Digest;
use croupier_manifest::manifest::Isolation;
use croupier_wire::door::{Code, PluginInfo, Refusal};
use thiserror::Error;
use tokio::sync::oneshot;

use super::Shared;
use super::past::Adopted;
use crate::audit::Happened;
use crate::audit::record::text;
use crate::game::GameDriver;
use crate::journal::NoRoom;
use crate::refusals::{about, from_core, hint, internal, refusal, shutting_down};
use crate::registry::grants::Standing;
use crate::registry::{ObjectsError, Plugin, PluginError};
use crate::supervisor::config::IsolationOff;

/// Why a plugin is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin of that name is there.
    #[error("a plugin named {name} is already loaded (version {version}); unload it first")]
    AlreadyLoaded {
        /// The name.
        name: String,
        /// The version of the one that is there.
        version: String,
    },
    /// Another plugin is missing.
    #[error("plugin {name} needs plugin {needs} {wants}, and {}; load that first", found.as_ref().map_or("it is not loaded".to_owned(), |found| format!("{found} is loaded")))]
    Dependency {
        /// The plugin.
        name: String,
        /// What it needs.
        needs: String,
        /// In which version.
        wants: String,
        /// The version that is there.
        found: Option<String>,
    },
    /// It would not be confined at all.
    #[error(
        "isolation = \"off\" is configured for plugin {name}: it could do whatever the supervisor can; take that out of the config, or, to debug it, start with \
         `croupier serve --allow-isolation-off`"
    )]
    IsolationOff {
        /// The plugin.
        name: String,
    },
    /// Its sessions need a directory.
    #[error(
        "durability = \"disk\" is configured for plugin {name}, and this supervisor has no state directory; give it one"
    )]
    NoJournal {
        /// The plugin.
        name: String,
    },
    /// Sessions on the disk need another binary.
    #[error(
        "sessions of plugin {name} are on the disk that were played by the binary {needed}, and that one cannot be loaded: {why}; put it back under objects/ in the state directory"
    )]
    Played {
        /// The plugin.
        name: String,
        /// The binary.
        needed: Digest,
        /// Why not.
        why: String,
    },
    /// No copy could be kept.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// It did not come up.
    #[error("{refusal}")]
    Start {
        /// The plugin.
        name: String,
        /// Why.
        refusal: CoreRefusal,
    },
    /// The disk does not let go of its sessions.
    #[error(
        "{sessions} sessions of plugin {name} were put on the disk when the supervisor was stopped, and cannot be taken back from there: {source}; nothing is lost; load it again when the journal can be written"
    )]
    Parked {
        /// The plugin.
        name: String,
        /// How many sessions.
        sessions: usize,
        /// Why.
        source: NoRoom,
    },
    /// The end is near.
    #[error("the supervisor is going down")]
    ShuttingDown,
    /// A fault of our own.
    #[error("loading ended unexpectedly")]
    Lost,
}

impl LoadError {
    /// The plugin's name, as far as it came to be known.
    pub fn plugin(&self) -> &str {
        match self {
            LoadError::AlreadyLoaded { name, .. }
            | LoadError::Dependency { name, .. }
            | LoadError::IsolationOff { name }
            | LoadError::NoJournal { name }
            | LoadError::Played { name, .. }
            | LoadError::Parked { name, .. }
            | LoadError::Start { name, .. } => name,
            LoadError::Plugin(PluginError::Options { plugin, .. }) => plugin,
            LoadError::Plugin(_) | LoadError::Objects(_) | LoadError::ShuttingDown | LoadError::Lost => "",
        }
    }

    /// What a client is told.
    pub fn refusal(&self) -> Refusal {
        let text = self.to_string();
        match self {
            LoadError::Plugin(_) => {
                hint(refusal(Code::BadPlugin, text), "`croupier check FILE` looks at it without running it")
            }
            LoadError::AlreadyLoaded { name, .. } => about(refusal(Code::AlreadyLoaded, text), name, 0),
            LoadError::Dependency { name, .. }
            | LoadError::IsolationOff { name }
            | LoadError::NoJournal { name }
            | LoadError::Played { name, .. } => about(refusal(Code::BadPlugin, text), name, 0),
            // The text says what to look at; no fault of ours.
            LoadError::Objects(_) => refusal(Code::Internal, text),
            LoadError::Lost => internal(text),
            LoadError::Parked { name, .. } => about(refusal(Code::Busy, text), name, 0),
            LoadError::Start { name, refusal } => from_core(refusal, name, 0),
            LoadError::ShuttingDown => shutting_down(),
        }
    }
}

/// Where a plugin's file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// An operator.
    File,
    /// The copies that we keep.
    Objects,
}

impl Shared {
    /// Loads a plugin file, in a task of its own: a caller who goes away does not leave it half done.
    pub(super) async fn load(&self, path: PathBuf) -> Result<PluginInfo, LoadError> {
        self.load_from(path, From::File).await
    }

    async fn load_from(&self, path: PathBuf, from: From) -> Result<PluginInfo, LoadError> {
        let shared = self.me.upgrade().ok_or(LoadError::ShuttingDown)?;
        let file = path.clone();
        let task = self.context.runtime.spawn(async move { shared.load_here(file, from).await });
        let loaded = task.await.unwrap_or(Err(LoadError::Lost));
        if let Err(error) = &loaded {
            self.context.audit.tell(Happened::PluginRefused {
                plugin: error.plugin().to_owned(),
                path: text(path.display()),
                reason: text(error),
            });
        }
        loaded
    }

    async fn load_here(self: Arc<Self>, path: PathBuf, from: From) -> Result<PluginInfo, LoadError> {
        self.check_serving().map_err(|_| LoadError::ShuttingDown)?;
        let shared = self.clone();
        let read = move || -> Result<Plugin, LoadError> {
            let gate = match from {
                From::File => shared.config.gate.as_deref(),
                // It was admitted when it was kept.
                From::Objects => None,
            };
            let plugin = Plugin::load_through(gate, &path, |name| shared.config.options_for(name))?;
            let plugin = shared.as_played(plugin)?;
            shared.check_durability(&plugin)?;
            shared.check_isolation(&plugin)?;
            shared.check_name_and_needs(&plugin)?;
            if let Some(objects) = &shared.objects {
                objects.keep(plugin.digest(), &plugin.binary.bytes().map_err(PluginError::from)?)?;
            }
            Ok(plugin)
        };
        let plugin = tokio::task::spawn_blocking(read).await.map_err(|_| LoadError::Lost)??;
        let game = self.add_game(plugin)?;
        if self.config.gate.is_some() {
            let (shared, added) = (self.clone(), game.clone());
            let looked = tokio::task::spawn_blocking(move || shared.look_again(added.plugin())).await;
            if let Err(error) = looked.unwrap_or(Err(LoadError::Lost)) {
                self.remove_game(&game);
                return Err(error);
            }
        }
        // Until whatever is adopted plays, or waits on the disk again.
        let _settling = self.settling.enter();
        let adopted = self.take_back(&game).await?;
        let (done, started) = oneshot::channel();
        game.start(Box::new(move |result| drop(done.send(result))));
        let error = match started.await {
            Ok(Ok(_)) => {
                self.tell_loaded(game.plugin());
                return Ok(self.plugin_info(&game));
            }
            Ok(Err(refusal)) => LoadError::Start { name: game.plugin().name.clone(), refusal },
            Err(_) => LoadError::ShuttingDown,
        };
        self.put_back(&game, adopted, &error);
        Err(error)
    }

    /// Gives the game its sessions from the disk.
    async fn take_back(self: &Arc<Self>, game: &Arc<GameDriver>) -> Result<Adopted, LoadError> {
        let _adopting = self.adopting.enter();
        // Counted before it is asked: the end says that it has begun, and then waits for whoever is counted.
        if self.check_serving().is_err() {
            let error = LoadError::ShuttingDown;
            self.put_back(game, Adopted::new(), &error);
            return Err(error);
        }
        if !self.has_past(&game.plugin().name) {
            return Ok(Adopted::new());
        }
        let (shared, adopting) = (self.clone(), game.clone());
        // It waits for the disk.
        let taken = tokio::task::spawn_blocking(move || {
            let adopted = shared.adopt(&adopting);
            let error = shared.unpark(&adopting, &adopted).err();
            (adopted, error)
        });
        let (adopted, error) = taken.await.unwrap_or_else(|_| (Adopted::new(), Some(LoadError::Lost)));
        let Some(error) = error else { return Ok(adopted) };
        self.put_back(game, adopted, &error);
        Err(error)
    }

    /// The game does not come up: what it got from the disk waits there again, unless the end of the supervisor has parked it already.
    fn put_back(&self, game: &Arc<GameDriver>, adopted: Adopted, why: &LoadError) {
        let on_disk = game.retire(&why.to_string());
        // First: whoever takes the name next finds them.
        self.return_to_shelf(&game.plugin().name, adopted, &on_disk, &why.to_string());
        self.remove_game(game);
    }

    /// Keys may have changed since its signature was looked at, while nobody knew of it yet.
    fn look_again(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let (Some(gate), Some(signature)) = (self.config.gate.as_deref(), &plugin.signature) else {
            return Ok(());
        };
        let bytes = plugin.binary.bytes().map_err(PluginError::from)?;
        let looked = gate.look_again(&plugin.name, &plugin.digest_hex(), &bytes, signature);
        let shut = |source| PluginError::Signature { path: plugin.path.clone(), source };
        Ok(looked.map_err(shut)?)
    }

    /// Writes down what runs now, and what it may.
    fn tell_loaded(&self, plugin: &Plugin) {
        let audit = &self.context.audit;
        let name = || plugin.name.clone();
        audit.tell(Happened::PluginLoaded {
            plugin: name(),
            version: plugin.player.version.clone(),
            digest: plugin.digest_hex(),
            path: text(plugin.path.display()),
        });
        let revoked = self.revocations.of(&plugin.name);
        for decided in &plugin.decided {
            let permission = decided.permission.to_string();
            match decided.standing {
                Standing::Granted if revoked.contains(&permission) => {
                    tracing::warn!(plugin = plugin.name, permission, "revoked, and not given back");
                    audit.tell(Happened::PermissionStillRevoked { plugin: name(), permission });
                }
                Standing::Granted => audit.tell(Happened::PermissionGranted { plugin: name(), permission }),
                Standing::Denied | Standing::NotGranted => {
                    tracing::warn!(plugin = plugin.name, permission, "asked for and not granted");
                    audit.tell(Happened::PermissionRefused { plugin: name(), permission });
                }
                Standing::NotAsked => {
                    tracing::warn!(
                        plugin = plugin.name,
                        permission,
                        "granted in the config and not asked for"
                    );
                }
            }
        }
    }

    /// The binary that plays on: sessions on the disk need the one that played them.
    fn as_played(&self, plugin: Plugin) -> Result<Plugin, LoadError> {
        let (Some(objects), Some(needed)) = (&self.objects, self.past_digest(&plugin.name)) else {
            return Ok(plugin);
        };
        if needed == plugin.digest() {
            return Ok(plugin);
        }
        let name = plugin.name.as_str();
        match Plugin::load(&objects.path(needed), |name| self.config.options_for(name)) {
            Ok(played) if played.digest() == needed && played.name == plugin.name => {
                tracing::warn!(plugin = name, file = %plugin.path.display(), %needed,
                    "sessions on the disk were played by another binary: that one is loaded, not the file");
                Ok(played)
            }
            Ok(_) => Err(LoadError::Played {
                name: name.to_owned(),
                needed,
                why: "the kept copy is another file".to_owned(),
            }),
            Err(error) => Err(LoadError::Played { name: name.to_owned(), needed, why: error.to_string() }),
        }
    }

    /// Loads the plugins whose sessions are on the disk and that nobody has loaded. Those that cannot be loaded leave them there.
    pub(super) async fn load_played(&self) {
        for (name, needed) in self.past_plugins() {
            let why = match (&self.objects, self.game(&name)) {
                (_, Ok(_)) => continue,
                (None, Err(_)) => "there is no copy of its binary".to_owned(),
                (Some(objects), Err(_)) => match self.load_from(objects.path(needed), From::Objects).await {
                    Ok(_) => continue,
                    Err(error) => error.to_string(),
                },
            };
            let sessions = self.set_all_aside(&name, &why);
            tracing::error!(
                plugin = name,
                sessions,
                why,
                "sessions stay on the disk: their plugin cannot be loaded"
            );
        }
    }

    fn check_durability(&self, plugin: &Plugin) -> Result<(), LoadError> {
        if plugin.spec.durability == Durability::Disk && self.context.journal.is_none() {
            return Err(LoadError::NoJournal { name: plugin.name.clone() });
        }
        Ok(())
    }

    fn check_isolation(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let refused = self.config.isolation_off == IsolationOff::Refused;
        if refused && plugin.jail.level == Isolation::Off {
            return Err(LoadError::IsolationOff { name: plugin.name.clone() });
        }
        Ok(())
    }

    fn check_name_and_needs(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let games = self.games.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = games.get(&plugin.name) {
            return Err(already_loaded(there));
        }
        for (needs, wants) in &plugin.manifest.dependencies {
            let found = games.get(needs.as_str()).map(|game| &game.plugin().manifest.version);
            if !found.is_some_and(|version| wants.matches(version)) {
                return Err(LoadError::Dependency {
                    name: plugin.name.clone(),
                    needs: needs.to_string(),
                    wants: wants.to_string(),
                    found: found.map(ToString::to_string),
                });
            }
        }
        Ok(())
    }

    /// Takes the plugin's name; whoever comes second is refused.
    fn add_game(&self, plugin: Plugin) -> Result<Arc<GameDriver>, LoadError> {
        let mut games = self.games.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock that the end takes: nothing is added after it.
        self.check_serving().map_err(|_| LoadError::ShuttingDown)?;
        if let Some(there) = games.get(&plugin.name) {
            return Err(already_loaded(there));
        }
        let game = GameDriver::new(self.context.clone(), Arc::new(plugin));
        game.withhold(self.revocations.of(&game.plugin().name));
        games.insert(game.plugin().name.clone(), game.clone());
        Ok(game)
    }

    fn remove_game(&self, game: &Arc<GameDriver>) {
        let mut games = self.games.write().unwrap_or_else(PoisonError::into_inner);
        let name = &game.plugin().name;
        if games.get(name).is_some_and(|there| Arc::ptr_eq(there, game)) {
            games.remove(name);
            drop(games);
            self.routes.forget(&Arc::downgrade(game));
            self.count_past(game);
        }
    }

    /// Loads every `*.so` of these directories.
    pub(super) async fn load_dirs(&self, dirs: Vec<PathBuf>) -> Vec<(PathBuf, Result<PluginInfo, Refusal>)> {
        let mut results = Vec::new();
        let mut left = Vec::new();
        for dir in dirs {
            match plugin_files(&dir) {
                Ok(files) => left.extend(files),
                Err(source) => {
                    let error = LoadError::Plugin(PluginError::Read { path: dir.clone(), source });
                    results.push((dir, Err(error.refusal())));
                }
            }
        }
        // Each round loads at least one plugin that others may need, or is the last.
        loop {
            let mut waiting = Vec::new();
            let before = left.len();
            for path in left {
                match self.load(path.clone()).await {
                    Ok(info) => results.push((path, Ok(info))),
                    Err(error @ LoadError::Dependency { .. }) => waiting.push((path, error)),
                    Err(error) => results.push((path, Err(error.refusal()))),
                }
            }
            if waiting.len() == before || waiting.is_empty() {
                results.extend(waiting.into_iter().map(|(path, error)| (path, Err(error.refusal()))));
                return results;
            }
            left = waiting.into_iter().map(|(path, _)| path).collect();
        }
    }

    /// Unloads a plugin, in a task of its own.
    pub(super) async fn unload(&self, plugin: &str, sessions: LiveSessions) -> Result<(), Refusal> {
        let game = self.game(plugin)?;
        let dependant = self
            .games()
            .into_iter()
            .find(|other| other.plugin().manifest.dependencies.keys().any(|needs| needs.as_str() == plugin));
        if let Some(other) = dependant {
            let text = format!("plugin {} needs plugin {plugin}", other.plugin().name);
            return Err(about(hint(refusal(Code::WrongState, text), "unload that one first"), plugin, 0));
        }
        let shared = self.me.upgrade().ok_or_else(shutting_down)?;
        let task = self.context.runtime.spawn(async move { shared.unload_here(&game, sessions).await });
        task.await.unwrap_or_else(|_| Err(internal("unloading ended unexpectedly")))
    }

    async fn unload_here(&self, game: &Arc<GameDriver>, sessions: LiveSessions) -> Result<(), Refusal> {
        let (done, unloaded) = oneshot::channel::<Result<Answered, CoreRefusal>>();
        game.unload(sessions, Box::new(move |result| drop(done.send(result))));
        match unloaded.await {
            Ok(Ok(_)) => {
                game.stopped().await;
                self.remove_game(game);
                Ok(())
            }
            Ok(Err(refusal)) => Err(from_core(&refusal, &game.plugin().name, 0)),
            Err(_) => Err(shutting_down()),
        }
    }
}

fn already_loaded(there: &GameDriver) -> LoadError {
    let plugin = there.plugin();
    LoadError::AlreadyLoaded { name: plugin.name.clone(), version: plugin.player.version.clone() }
}

/// The `*.so` files of a directory, by name.
fn plugin_files(dir: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
