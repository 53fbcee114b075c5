//! One plugin's table in the config: its options, and the settings that its `init` gets as JSON.

use croupier_core::game::{REPLICAS_MAX, STANDBYS_MAX};
use croupier_manifest::manifest::{Permission, PluginName};
use serde_json::{Map, Value};

use crate::registry::PluginOptions;

/// Takes `[plugins.NAME]` apart. The error is the key's path, and what is wrong with it.
pub(super) fn options(name: &str, mut table: toml::Table) -> Result<PluginOptions, (String, String)> {
    let at = format!("plugins.{name}");
    PluginName::try_from(name.to_owned()).map_err(|why| (at.clone(), why))?;
    let settings = match table.remove("settings") {
        None => None,
        Some(toml::Value::Table(settings)) => Some(object(&format!("{at}.settings"), settings)?.to_string()),
        Some(_) => return Err((format!("{at}.settings"), "must be a table".to_owned())),
    };
    let mut options: PluginOptions =
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { at.clone() } else { format!("{at}.{path}") };
            (path, error.inner().message().to_owned())
        })?;
    check(&at, &options)?;
    options.settings = settings;
    Ok(options)
}

/// Checks what the types do not say.
pub(super) fn check(at: &str, options: &PluginOptions) -> Result<(), (String, String)> {
    for (index, denied) in options.deny.iter().enumerate() {
        Permission::try_from(denied.clone()).map_err(|why| (format!("{at}.deny[{index}]"), why))?;
    }
    let PluginOptions {
        queue_max, window_calls, flights_max, sessions_max, clients_max, snapshot_turns, ..
    } = options;
    let zeros = [
        ("queue_max", *queue_max == Some(0)),
        ("window_calls", *window_calls == Some(0)),
        ("flights_max", *flights_max == Some(0)),
        ("sessions_max", *sessions_max == Some(0)),
        ("clients_max", *clients_max == Some(0)),
        ("snapshot_turns", *snapshot_turns == Some(0)),
        ("snapshot_turns_min", options.snapshot_turns_min == Some(0)),
        ("turn_wall_ms", options.turn_wall_ms == Some(0)),
        ("load_wall_ms", options.load_wall_ms == Some(0)),
        ("ping_wall_ms", options.ping_wall_ms == Some(0)),
        ("replicas", options.replicas == Some(0)),
        ("violations_window_s", options.violations_window_s == Some(0)),
        ("cpu_percent", options.cpu_percent == Some(0)),
        ("effects_per_s", options.effects_per_s == Some(0)),
        ("link_mib_per_s", options.link_mib_per_s == Some(0)),
    ];
    if let Some(replicas) = options.replicas.filter(|replicas| *replicas > REPLICAS_MAX) {
        return Err((format!("{at}.replicas"), format!("{replicas} is more than {REPLICAS_MAX}")));
    }
    if let Some(standbys) = options.standbys.filter(|standbys| *standbys > STANDBYS_MAX) {
        return Err((format!("{at}.standbys"), format!("{standbys} is more than {STANDBYS_MAX}")));
    }
    match zeros.iter().find(|(_, is_zero)| *is_zero) {
        Some((key, _)) => {
            Err((format!("{at}.{key}"), "0 would let nothing happen at all: 1 is the least".to_owned()))
        }
        None => Ok(()),
    }
}

fn object(at: &str, table: toml::Table) -> Result<Value, (String, String)> {
    let members = table
        .into_iter()
        .map(|(key, value)| json(&format!("{at}.{key}"), value).map(|value| (key, value)))
        .collect::<Result<Map<_, _>, _>>()?;
    Ok(Value::Object(members))
}

/// TOML as JSON. What JSON cannot say exactly is refused: money is written as text.
fn json(at: &str, value: toml::Value) -> Result<Value, (String, String)> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Array(values) => Value::Array(
            values
                .into_iter()
                .enumerate()
                .map(|(index, value)| json(&format!("{at}[{index}]"), value))
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(table) => object(at, table)?,
        toml::Value::Float(number) => {
            return Err((
                at.to_owned(),
                format!("{number} is a binary fraction: write it as text, \"{number}\""),
            ));
        }
        toml::Value::Datetime(time) => {
            return Err((
                at.to_owned(),
                format!("{time} is a time, which JSON does not know: write it as text"),
            ));
        }
    })
}
