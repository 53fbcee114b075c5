//! Random storms, of every kind of weather.

use croupier_core::durable::Durability;
use proptest::prelude::*;

use crate::storm::run;
use crate::weather::{durable_op, harsh_op, knobs, op};

/// Cases of each storm, unless the environment says otherwise.
const CASES: u32 = 150;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { CASES };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_in_a_storm(knobs in knobs(), ops in prop::collection::vec(op(), 1..300)) {
        run(knobs, Durability::Process, ops);
    }

    #[test]
    fn nothing_is_lost_with_the_supervisor(knobs in knobs(), ops in prop::collection::vec(durable_op(), 1..300)) {
        run(knobs, Durability::Disk, ops);
    }

    #[test]
    fn nothing_is_lost_among_hostile_workers(knobs in knobs(), ops in prop::collection::vec(harsh_op(), 1..300)) {
        run(knobs, Durability::Process, ops);
    }
}
