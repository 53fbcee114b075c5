//! What a plugin that runs may do: what it was granted at load, less what was revoked since.
//!
//! `send`, `emit` and `call` are the core's to check, so a revocation counts from the next use on. The workers are told at their start what was granted at
//! load, and go on being told that: a turn on record must meet the same permissions when it is replayed. What they give out is
//! what the core withholds. `threads` is the jail's, and is settled when a worker is made: revoking it replaces the workers that have it, threads and all, by ones whose
//! filter and limits have one thread. When the revocation is answered, none of the old ones is left.

use std::collections::{BTreeMap, BTreeSet};

use croupier_core::event::Event;
use croupier_manifest::manifest::Permission;
use croupier_wire::door::Grant;
use thiserror::Error;

use super::driver::GameDriver;
use crate::jail::Plan;
use crate::jail::plan::Threads;
use crate::registry::grants::{Standing, granted};
use crate::registry::spec::core_grants;

/// Permissions whose refused uses are counted one by one; a hostile worker could think up any number of names.
const COUNTED_MAX: usize = 256;

/// What has happened to a plugin's permissions since it was loaded.
#[derive(Debug, Default)]
pub(super) struct Rights {
    revoked: BTreeSet<String>,
    refused_uses: BTreeMap<String, u64>,
}

/// When a change takes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// From the next use on.
    AtOnce,
    /// In fresh workers: restart.
    FreshWorkers,
}

/// Why there is nothing to revoke.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RevokeError {
    /// It does not have it.
    #[error("the plugin does not have the permission {0:?}")]
    NotGranted(String),
    /// It lost it already.
    #[error("the permission {0:?} is revoked already")]
    AlreadyRevoked(String),
    /// It was not lost.
    #[error("the permission {0:?} is not revoked")]
    NotRevoked(String),
}

impl Rights {
    pub(super) fn refused(&mut self, permission: &str, count: u64) {
        if self.refused_uses.len() < COUNTED_MAX || self.refused_uses.contains_key(permission) {
            let uses = self.refused_uses.entry(permission.to_owned()).or_default();
            *uses = uses.saturating_add(count);
        }
    }
}

impl GameDriver {
    /// What the plugin asks for, and what it has now.
    pub fn grants(&self) -> Vec<Grant> {
        self.with_rights(|rights| {
            let grant = |permission: String, asked, state: &str| {
                let refused_uses = rights.refused_uses.get(&permission).copied().unwrap_or_default();
                Grant { permission, asked, state: state.to_owned(), refused_uses }
            };
            let known = self.plugin.decided.iter().map(|decided| {
                let permission = decided.permission.to_string();
                let revoked = decided.standing == Standing::Granted && rights.revoked.contains(&permission);
                let state = if revoked { "revoked" } else { decided.standing.word() };
                grant(permission, decided.standing.is_asked(), state)
            });
            let known: Vec<Grant> = known.collect();
            let is_known = |permission: &String| known.iter().any(|one| one.permission == *permission);
            let others = rights.refused_uses.keys().filter(|permission| !is_known(permission)).cloned();
            let others: Vec<Grant> = others.map(|permission| grant(permission, false, "not-asked")).collect();
            [known, others].concat()
        })
    }

    /// What was revoked before it was loaded. To be called before the game starts.
    pub fn withhold(&self, revoked: BTreeSet<String>) {
        if revoked.is_empty() {
            return;
        }
        let withheld: Result<(), RevokeError> = self.step_rights(|rights| {
            rights.revoked = revoked;
            Ok(self.permitted(rights))
        });
        debug_assert!(withheld.is_ok(), "nothing in it fails");
    }

    /// Whether a permission that it has can be taken away.
    ///
    /// # Errors
    /// Why not.
    pub fn check_revoke(&self, permission: &str) -> Result<(), RevokeError> {
        if !granted(&self.plugin.decided).any(|granted| granted.to_string() == permission) {
            return Err(RevokeError::NotGranted(permission.to_owned()));
        }
        match self.with_rights(|rights| rights.revoked.contains(permission)) {
            true => Err(RevokeError::AlreadyRevoked(permission.to_owned())),
            false => Ok(()),
        }
    }

    /// Takes a permission away.
    ///
    /// # Errors
    /// When it does not have it.
    pub fn revoke(&self, permission: &str) -> Result<Takes, RevokeError> {
        let of = granted(&self.plugin.decided).find(|granted| granted.to_string() == permission);
        let of = of.ok_or_else(|| RevokeError::NotGranted(permission.to_owned()))?;
        // Under the lock under which answers are taken: whatever is answered later goes by it.
        self.step_rights(|rights| {
            if !rights.revoked.insert(permission.to_owned()) {
                return Err(RevokeError::AlreadyRevoked(permission.to_owned()));
            }
            Ok(self.permitted(rights))
        })?;
        Ok(takes(of))
    }

    /// Gives a permission back that was taken away. Says when that counts; not at all when the plugin has no use for it.
    ///
    /// # Errors
    /// When it was not taken away.
    pub fn give_back(&self, permission: &str) -> Result<Option<Takes>, RevokeError> {
        self.step_rights(|rights| {
            if !rights.revoked.remove(permission) {
                return Err(RevokeError::NotRevoked(permission.to_owned()));
            }
            Ok(self.permitted(rights))
        })?;
        Ok(granted(&self.plugin.decided).find(|granted| granted.to_string() == permission).map(takes))
    }

    fn permitted(&self, rights: &Rights) -> Event {
        let left =
            granted(&self.plugin.decided).filter(|granted| !rights.revoked.contains(&granted.to_string()));
        Event::Permit { grants: core_grants(left) }
    }

    /// What a fresh worker is confined by: without the threads that were revoked.
    pub(super) fn plan(&self) -> Plan {
        let mut plan = self.plugin.jail;
        if self.has_lost_threads() {
            plan.threads = Threads::Denied;
            plan.rlimits.threads = 1;
        }
        plan
    }

    fn has_lost_threads(&self) -> bool {
        let threads = Permission::Threads.to_string();
        self.with_rights(|rights| rights.revoked.contains(&threads))
    }

    /// What a fresh worker is told: as granted at load, but for what the jail enforces.
    pub(super) fn told_permissions(&self) -> Vec<&str> {
        let threads = Permission::Threads.to_string();
        let taken = self.has_lost_threads();
        self.plugin.permissions.iter().map(String::as_str).filter(|told| !taken || *told != threads).collect()
    }
}

fn takes(permission: &Permission) -> Takes {
    if *permission == Permission::Threads { Takes::FreshWorkers } else { Takes::AtOnce }
}
