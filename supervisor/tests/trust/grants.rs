//! Permissions: asked for, granted, revoked while the plugin runs.

use crate::real::{Real, faulty, number, of_kind};

/// The state of a permission, and its refused uses.
fn standing(real: &Real, permission: &str) -> (String, u64) {
    let grants = real.json(&["grants", "faulty"]);
    let all = grants["permissions"].as_array().expect("an array");
    let one =
        all.iter().find(|grant| grant["permission"] == permission).unwrap_or_else(|| panic!("{grants}"));
    (one["state"].as_str().expect("text").to_owned(), number(&one["refused_uses"]))
}

#[test]
fn a_permission_is_revoked_while_the_plugin_runs_and_its_next_use_comes_to_nothing() {
    let config = "[plugins.faulty]\ngrant = [\"send\", \"emit:table\", \"call:wallet\"]\n";
    let real = Real::start(config);
    let loaded = real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    assert!(
        loaded.contains("+ send") && loaded.contains("- call:echo") && loaded.contains("! call:wallet"),
        "{loaded}"
    );
    assert_eq!(standing(&real, "call:echo").0, "not-granted");
    assert_eq!(standing(&real, "call:wallet").0, "not-asked");

    let session = real.json(&["call", "--open", "faulty"])["session"].to_string();
    let act = |action: &str| real.json(&["call", &session, "--player", "0", action]);
    let outputs = || number(&real.json(&["session", &session])["outputs"]);
    let pid = || real.json(&["workers"])["workers"][0]["pid"].to_string();
    let before = pid();
    act(r#"{"do":"send","text":"hello","times":2}"#);
    assert_eq!(outputs(), 2);
    real.ok(&["revoke", "faulty", "send"]);
    let done = act(r#"{"do":"send","text":"secret","times":3}"#);
    assert_eq!(done["reply"]["times"].to_string(), "3", "the turn itself is played");
    act(r#"{"do":"emit","name":"table"}"#);
    assert_eq!(outputs(), 3, "only the emit");
    assert_eq!(standing(&real, "send"), ("revoked".to_owned(), 3));
    assert_eq!((pid(), number(&real.json(&["status"])["workers_lost"])), (before, 0), "nobody died of it");

    // A fresh worker plays the turns on record as they were, and revoked stays revoked.
    real.ok(&["restart", "faulty"]);
    act(r#"{"do":"send","text":"again"}"#);
    assert_eq!((outputs(), standing(&real, "send").1), (3, 4));

    let records = real.audit(|records| of_kind(records, "permission-denied").len() == 2);
    let revoked = of_kind(&records, "permission-revoked");
    assert_eq!(revoked.len(), 1);
    assert_eq!((&revoked[0]["permission"], &revoked[0]["plugin"]), (&"send".into(), &"faulty".into()));
    let denied = of_kind(&records, "permission-denied");
    assert_eq!((number(&denied[0]["seq"]), number(&denied[0]["count"])), (3, 3));
    assert_eq!(of_kind(&records, "diverged").len(), 0);
    assert_eq!(of_kind(&records, "permission-granted").len(), 2);
    assert_eq!(of_kind(&records, "permission-refused").len(), 1);

    let twice = real.fails(&["revoke", "faulty", "send"]);
    assert!(twice.contains("revoked already") && twice.contains("croupier grants faulty"), "{twice}");
    let never = real.fails(&["revoke", "faulty", "threads"]);
    assert!(never.contains("does not have"), "{never}");
}
