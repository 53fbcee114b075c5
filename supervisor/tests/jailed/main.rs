//! Plugins that attack: each behaviour in a worker of its own, jailed as in service, with a neighbour plugin in the same supervisor that must not notice.
//!
//! ```text
//!  cargo test ─▶ harness: namespaces and limits of its own, as root and as an ordinary user ─▶ this program again: TESTS
//! ```
//!
//! The attacks are in `attack.c`, `more.h` and `ring.h`; `table` says which layer stops each: the call that the warden refuses, the error that the filter or a limit gives by itself,
//! or how the worker ends. `suite` runs them all, jailed and unjailed, and counts what is on record; `ablation` switches layers off.
//! Everything that could harm the machine if it succeeded is tried in a form that cannot (signal 0, names of nothing) or is bounded by limits; and the harness's own
//! namespaces and limits are around it all the same.

mod ablation;
mod arena;
mod cases;
mod harness;
mod outside;
mod suite;
mod table;
mod threads;
mod zygote;

/// What runs inside, the longest first.
const TESTS: &[(&str, fn())] = &[
    (
        "suite::every_attack_over_the_ring_is_stopped_by_its_layer_and_on_record",
        suite::every_attack_over_the_ring_is_stopped_by_its_layer_and_on_record,
    ),
    (
        "suite::every_attack_over_the_socket_is_stopped_by_its_layer_and_on_record",
        suite::every_attack_over_the_socket_is_stopped_by_its_layer_and_on_record,
    ),
    (
        "suite::a_flood_of_denied_calls_is_on_record_with_what_was_left_out",
        suite::a_flood_of_denied_calls_is_on_record_with_what_was_left_out,
    ),
    ("suite::unjailed_the_attacks_succeed_over_the_ring", suite::unjailed_the_attacks_succeed_over_the_ring),
    (
        "suite::unjailed_the_attacks_on_the_worker_succeed_over_the_socket",
        suite::unjailed_the_attacks_on_the_worker_succeed_over_the_socket,
    ),
    (
        "ablation::without_a_layer_the_one_that_is_claimed_holds_and_no_other",
        ablation::without_a_layer_the_one_that_is_claimed_holds_and_no_other,
    ),
    (
        "ablation::without_any_other_layer_the_filter_holds",
        ablation::without_any_other_layer_the_filter_holds,
    ),
    (
        "ablation::without_any_other_layer_nothing_is_inherited",
        ablation::without_any_other_layer_nothing_is_inherited,
    ),
    (
        "ablation::who_gets_past_everything_else_finds_nothing_in_the_empty_root",
        ablation::who_gets_past_everything_else_finds_nothing_in_the_empty_root,
    ),
    ("threads::threads_are_a_permission_with_a_limit", threads::threads_are_a_permission_with_a_limit),
    (
        "threads::a_thread_that_writes_to_the_link_during_a_turn_ends_its_worker",
        threads::a_thread_that_writes_to_the_link_during_a_turn_ends_its_worker,
    ),
    (
        "threads::a_thread_that_rewrites_the_ring_ends_its_worker_and_no_other",
        threads::a_thread_that_rewrites_the_ring_ends_its_worker_and_no_other,
    ),
    (
        "threads::threads_that_stay_at_the_ring_disturb_no_other",
        threads::threads_that_stay_at_the_ring_disturb_no_other,
    ),
    (
        "threads::revoked_threads_are_gone_when_it_is_answered_and_come_back_when_they_are_granted",
        threads::revoked_threads_are_gone_when_it_is_answered_and_come_back_when_they_are_granted,
    ),
    ("cases::constructors_get_no_further", cases::constructors_get_no_further),
    (
        "cases::a_worker_that_sends_more_than_its_bytes_is_ended",
        cases::a_worker_that_sends_more_than_its_bytes_is_ended,
    ),
    ("cases::a_dripping_worker_is_ended", cases::a_dripping_worker_is_ended),
    ("cases::a_denial_says_who_when_and_where", cases::a_denial_says_who_when_and_where),
    (
        "outside::a_live_worker_is_confined_as_it_is_said_to_be",
        outside::a_live_worker_is_confined_as_it_is_said_to_be,
    ),
    (
        "outside::levels_are_said_and_a_manifest_can_raise_them_but_not_lower",
        outside::levels_are_said_and_a_manifest_can_raise_them_but_not_lower,
    ),
    (
        "outside::isolation_off_is_refused_unless_it_was_allowed",
        outside::isolation_off_is_refused_unless_it_was_allowed,
    ),
    ("outside::a_fresh_worker_is_jailed_as_well", outside::a_fresh_worker_is_jailed_as_well),
    (
        "zygote::when_the_zygote_dies_workers_die_and_are_replaced_by_another_ones",
        zygote::when_the_zygote_dies_workers_die_and_are_replaced_by_another_ones,
    ),
    (
        "zygote::a_dead_worker_that_a_debugger_holds_takes_no_other_along",
        zygote::a_dead_worker_that_a_debugger_holds_takes_no_other_along,
    ),
];
