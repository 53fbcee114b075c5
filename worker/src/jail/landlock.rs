//! Landlock: no file, no TCP port, no abstract socket and no signal to anybody outside. Nothing is allowed, so there are no rules.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, Ruleset,
    RulesetAttr as _, RulesetStatus, Scope,
};

use crate::fault::Fault;

/// The newest ABI that this build asks for; an older kernel gives what it has, and that is reported.
const WANTED: ABI = ABI::V6;

/// What came of it.
pub(super) struct Landlocked {
    /// The ABI in force; 0 for none.
    pub(super) abi: u8,
    /// Everything that was asked for is in force.
    pub(super) whole: bool,
}

/// Restricts this process, as far as the kernel knows how.
pub(super) fn restrict() -> Result<Landlocked, Fault> {
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()?
            .restrict_self()
    };
    let status = restrict().map_err(|error| Fault::Jail {
        step: "restrict itself with Landlock",
        source: std::io::Error::other(error),
    })?;
    let abi = match (&status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi as u8,
        _ => 0,
    };
    Ok(Landlocked { abi, whole: status.ruleset == RulesetStatus::FullyEnforced })
}
