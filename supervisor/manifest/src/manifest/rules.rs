//! Rules about values and between keys that their types do not say. The first one that is broken is told.

use std::collections::BTreeSet;

use super::{
    AUTHOR_BYTES_MAX, AUTHORS_MAX, BETS_MAX, DEPENDENCIES_MAX, DESCRIPTION_BYTES_MAX, GameType,
    IDLE_TIMEOUT_MS_MAX, Isolation, LICENSE_BYTES_MAX, Manifest, ManifestError, PARAMETERS_MAX,
    PERMISSIONS_MAX, PLAYERS_MAX, Permission, TICK_MS_MAX, limits,
};

/// Longest version, in bytes; semver itself has no limit.
const VERSION_BYTES_MAX: usize = 64;

/// Checks all rules.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    about(manifest)?;
    game(manifest)?;
    players(manifest)?;
    permissions(manifest)?;
    limits::check(&manifest.limits)?;
    dependencies(manifest)?;
    session(manifest)
}

fn about(manifest: &Manifest) -> Result<(), ManifestError> {
    if manifest.version.to_string().len() > VERSION_BYTES_MAX {
        return Err(broken("version", format!("is longer than {VERSION_BYTES_MAX} bytes")));
    }
    if manifest.authors.is_empty() {
        return Err(broken("authors", "is empty; name at least one"));
    }
    at_most("authors", manifest.authors.len(), AUTHORS_MAX)?;
    for (index, author) in manifest.authors.iter().enumerate() {
        line(&format!("authors[{index}]"), author, AUTHOR_BYTES_MAX)?;
    }
    let plain = |c: char| !c.is_control() || c == '\n';
    if manifest.description.trim().is_empty() || !manifest.description.chars().all(plain) {
        return Err(broken(
            "description",
            "must be text without control characters; say in a line what the game is",
        ));
    }
    if manifest.description.len() > DESCRIPTION_BYTES_MAX {
        return Err(broken("description", format!("is longer than {DESCRIPTION_BYTES_MAX} bytes")));
    }
    line("license", &manifest.license, LICENSE_BYTES_MAX)?;
    let spdx = |c: char| c.is_ascii_alphanumeric() || " .+-()".contains(c);
    if !manifest.license.chars().all(spdx) {
        return Err(broken("license", "must be an SPDX expression such as \"MIT OR Apache-2.0\""));
    }
    if manifest.isolation == Some(Isolation::Off) {
        return Err(broken(
            "isolation",
            "may be \"standard\" or \"strict\"; \"off\" is for the operator to say",
        ));
    }
    if manifest.state_version == 0 {
        return Err(broken("state_version", "must be 1 or more"));
    }
    Ok(())
}

fn game(manifest: &Manifest) -> Result<(), ManifestError> {
    let game = &manifest.game;
    if game.kind != GameType::Custom && !game.parameters.is_empty() {
        return Err(broken("game.parameters", "are for type = \"custom\" only"));
    }
    at_most("game.parameters", game.parameters.len(), PARAMETERS_MAX)?;
    at_most("game.bets", game.bets.len(), BETS_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, bet) in game.bets.iter().enumerate() {
        if !seen.insert(&bet.name) {
            return Err(broken(
                format!("game.bets[{index}].name"),
                format!("the bet `{}` is there twice", bet.name),
            ));
        }
    }
    Ok(())
}

fn players(manifest: &Manifest) -> Result<(), ManifestError> {
    let players = manifest.players;
    if !(1..=PLAYERS_MAX).contains(&players.max) {
        return Err(broken(
            "players.max",
            format!("{} is out of bounds; it may be 1 to {PLAYERS_MAX}", players.max),
        ));
    }
    if players.min > players.max {
        return Err(broken(
            "players.min",
            format!("{} is more than players.max, {}", players.min, players.max),
        ));
    }
    Ok(())
}

fn permissions(manifest: &Manifest) -> Result<(), ManifestError> {
    let request = &manifest.permissions.request;
    at_most("permissions.request", request.len(), PERMISSIONS_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, permission) in request.iter().enumerate() {
        if !seen.insert(permission) {
            return Err(broken(
                format!("permissions.request[{index}]"),
                format!("`{permission}` is there twice"),
            ));
        }
    }
    if manifest.limits.threads > 1 && !manifest.may(&Permission::Threads) {
        return Err(broken("limits.threads", "more than 1 needs \"threads\" in permissions.request"));
    }
    Ok(())
}

fn dependencies(manifest: &Manifest) -> Result<(), ManifestError> {
    at_most("dependencies", manifest.dependencies.len(), DEPENDENCIES_MAX)?;
    if manifest.dependencies.contains_key(&manifest.name) {
        return Err(broken(format!("dependencies.{}", manifest.name), "a plugin cannot depend on itself"));
    }
    Ok(())
}

fn session(manifest: &Manifest) -> Result<(), ManifestError> {
    let session = manifest.session;
    if session.tick_ms > TICK_MS_MAX {
        let why = format!("{} is out of bounds; it may be 0 to {TICK_MS_MAX}", session.tick_ms);
        return Err(broken("session.tick_ms", why));
    }
    if session.idle_timeout_ms > IDLE_TIMEOUT_MS_MAX {
        let why =
            format!("{} is out of bounds; it may be 0 to {IDLE_TIMEOUT_MS_MAX}", session.idle_timeout_ms);
        return Err(broken("session.idle_timeout_ms", why));
    }
    Ok(())
}

fn line(path: &str, text: &str, bytes_max: usize) -> Result<(), ManifestError> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(broken(path, "must be one line of text"));
    }
    if text.len() > bytes_max {
        return Err(broken(path, format!("is longer than {bytes_max} bytes")));
    }
    Ok(())
}

fn at_most(path: &str, count: usize, max: usize) -> Result<(), ManifestError> {
    if count > max {
        return Err(broken(path, format!("has {count} entries, more than the {max} allowed")));
    }
    Ok(())
}

fn broken(path: impl Into<String>, why: impl Into<String>) -> ManifestError {
    ManifestError::key(path, why)
}
