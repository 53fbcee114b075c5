//! Permissions of plugins that are loaded: what they have, and taking one away.

use croupier_wire::door::{Code, ControlReply, Grants, Refusal, Reply};

use super::Shared;
use super::backend::Replier;
use crate::audit::Happened;
use crate::game::rights::{RevokeError, Takes};
use crate::refusals::{about, from_core, hint, refusal};

impl Shared {
    pub(super) fn grants(&self, plugin: &str) -> Result<Grants, Refusal> {
        let game = self.named(plugin)?;
        Ok(Grants { plugin: plugin.to_owned(), permissions: game.grants() })
    }

    /// Takes a permission away. What the jail enforces ends with the workers that have it: they are replaced first, and then it is answered.
    pub(super) fn revoke(&self, uid: Option<u32>, plugin: &str, permission: &str, to: Replier) {
        let game = match self.named(plugin) {
            Ok(game) => game,
            Err(refusal) => return to.refuse(refusal),
        };
        let takes = match game.revoke(permission) {
            Ok(takes) => takes,
            Err(error) => return to.refuse(not_revoked(&error, plugin)),
        };
        self.context.audit.tell(Happened::PermissionRevoked {
            plugin: plugin.to_owned(),
            permission: permission.to_owned(),
            uid,
        });
        tracing::warn!(plugin, permission, "permission revoked");
        match takes {
            Takes::AtOnce => to.answer(Reply::Control(ControlReply::Ok)),
            Takes::FreshWorkers => {
                let plugin = plugin.to_owned();
                game.restart(Box::new(move |restarted| {
                    to.answer(match restarted {
                        Ok(_) => Reply::Control(ControlReply::Ok),
                        Err(why) => Reply::Refused(hint(
                            from_core(&why, &plugin, 0),
                            "it is revoked for fresh workers; `croupier restart` replaces those that still have it",
                        )),
                    });
                }));
            }
        }
    }
}

fn not_revoked(error: &RevokeError, plugin: &str) -> Refusal {
    let next = format!("`croupier grants {plugin}` lists what it has");
    about(hint(refusal(Code::WrongState, error.to_string()), next), plugin, 0)
}
