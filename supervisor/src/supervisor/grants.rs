//! Permissions of plugins: what they have, taking one away, giving it back.
//!
//! ```text
//!  revoke ─▶ on the disk ─▶ withheld in the game ─▶ written down ─▶ (threads: fresh workers) ─▶ answered
//!  grant  ─▶ off the disk ─▶ let out in the game ─▶ written down ─▶ (threads: fresh workers) ─▶ answered
//! ```

use std::sync::Arc;

use croupier_wire::door::{Code, ControlReply, Grants, Refusal, Reply};

use super::Shared;
use super::backend::Replier;
use crate::audit::Happened;
use crate::game::GameDriver;
use crate::game::driver::Started;
use crate::game::rights::{RevokeError, Takes};
use crate::refusals::{about, from_core, hint, refusal};
use crate::registry::revocations::RevocationsError;

impl Shared {
    pub(super) fn grants(&self, plugin: &str) -> Result<Grants, Refusal> {
        let game = self.game(plugin)?;
        Ok(Grants { plugin: plugin.to_owned(), permissions: game.grants() })
    }

    /// Takes a permission away. What the jail enforces ends with the workers that have it: they are replaced first, and then it is answered.
    pub(super) fn revoke(&self, uid: Option<u32>, plugin: &str, permission: &str, to: Replier) {
        let game = match self.game(plugin) {
            Ok(game) => game,
            Err(refusal) => return to.refuse(refusal),
        };
        if let Err(error) = game.check_revoke(permission) {
            return to.refuse(not_changed(&error, plugin));
        }
        // First where it lasts: what could not be kept is not said to be revoked.
        let to = match self.revocations.add(plugin, permission) {
            Ok(()) => to,
            Err(error @ RevocationsError::Unsynced { .. }) => but_unsynced(&error, plugin, to),
            Err(error) => return to.refuse(not_kept(&error, plugin)),
        };
        let takes = match game.revoke(permission) {
            Ok(takes) => takes,
            Err(error) => return to.refuse(not_changed(&error, plugin)),
        };
        self.context.audit.tell(Happened::PermissionRevoked {
            plugin: plugin.to_owned(),
            permission: permission.to_owned(),
            uid,
        });
        tracing::warn!(plugin, permission, "permission revoked");
        let next = "it is revoked for fresh workers; `croupier restart` replaces those that still have it";
        settle(&game, takes, next, to);
    }

    /// Gives a permission back; the plugin need not be loaded.
    pub(super) fn give_back(&self, uid: Option<u32>, plugin: &str, permission: &str, to: Replier) {
        let (was_lost, to) = match self.revocations.remove(plugin, permission) {
            Ok(was_lost) => (was_lost, to),
            Err(error @ RevocationsError::Unsynced { .. }) => (true, but_unsynced(&error, plugin, to)),
            Err(error) => return to.refuse(not_kept(&error, plugin)),
        };
        if !was_lost {
            return to.refuse(match self.game(plugin) {
                Ok(_) => not_changed(&RevokeError::NotRevoked(permission.to_owned()), plugin),
                Err(unknown) => nothing_of(unknown, permission, plugin),
            });
        }
        self.context.audit.tell(Happened::PermissionGivenBack {
            plugin: plugin.to_owned(),
            permission: permission.to_owned(),
            uid,
        });
        tracing::warn!(plugin, permission, "permission given back");
        let Ok(game) = self.game(plugin) else { return to.answer(Reply::Control(ControlReply::Ok)) };
        // Not known there: it was loaded by somebody else in between, with the permission.
        let takes = game.give_back(permission).ok().flatten().unwrap_or(Takes::AtOnce);
        let next = "it is given back to fresh workers; `croupier restart` replaces those that are without it";
        settle(&game, takes, next, to);
    }
}

/// Answers when the change counts.
fn settle(game: &Arc<GameDriver>, takes: Takes, next: &'static str, to: Replier) {
    match takes {
        Takes::AtOnce => to.answer(Reply::Control(ControlReply::Ok)),
        Takes::FreshWorkers => {
            let driver = game.clone();
            // One that is being loaded has workers already, and cannot be restarted yet.
            game.when_started(move |started| match started {
                Started::Up => replace(&driver, next, to),
                // Nobody is left who has it, or lacks it.
                Started::Failed => to.answer(Reply::Control(ControlReply::Ok)),
            });
        }
    }
}

fn replace(game: &Arc<GameDriver>, next: &'static str, to: Replier) {
    let (driver, old) = (game.clone(), game.worker_ids());
    game.restart(Box::new(move |restarted| match restarted {
        // Those that have it drain and leave; it is not over before they have.
        Ok(_) => driver.when_ended(old, move || to.answer(Reply::Control(ControlReply::Ok))),
        Err(why) => to.refuse(hint(from_core(&why, &driver.plugin().name, 0), next)),
    }));
}

/// What is done counts; whoever asked for it is told what is uncertain about it all the same.
fn but_unsynced(error: &RevocationsError, plugin: &str, to: Replier) -> Replier {
    let next = "see what is wrong with the disk of the state directory; should the power fail before it is mended, look at `croupier grants` afterwards";
    let refused = about(hint(refusal(Code::Internal, error.to_string()), next), plugin, 0);
    Replier::call(move |reply| match reply {
        Reply::Refused(other) => to.refuse(other),
        _ => to.refuse(refused),
    })
}

/// The disk's doing, which its operator can mend.
fn not_kept(error: &RevocationsError, plugin: &str) -> Refusal {
    let next =
        "see that the state directory has room and the supervisor's user may write there, and try again";
    about(hint(refusal(Code::Internal, error.to_string()), next), plugin, 0)
}

/// A name that nobody has, perhaps mistyped: there is nothing to be given back either.
fn nothing_of(unknown: Refusal, permission: &str, plugin: &str) -> Refusal {
    if unknown.code != Code::UnknownPlugin {
        return unknown;
    }
    let text = format!("{}, and no permission {permission:?} is revoked for one of that name", unknown.text);
    about(
        hint(refusal(unknown.code, text), "`croupier plugins` lists the plugins that are loaded"),
        plugin,
        0,
    )
}

fn not_changed(error: &RevokeError, plugin: &str) -> Refusal {
    let next = match error {
        RevokeError::NotRevoked(_) => {
            format!(
                "`croupier grants {plugin}` says why it does not have it; `grant` and `deny` in the config decide at load"
            )
        }
        RevokeError::NotGranted(_) | RevokeError::AlreadyRevoked(_) => {
            format!("`croupier grants {plugin}` lists what it has")
        }
    };
    about(hint(refusal(Code::WrongState, error.to_string()), next), plugin, 0)
}
