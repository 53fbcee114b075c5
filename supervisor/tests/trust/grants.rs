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
    assert_eq!(denied[0]["says"], "supervisor");
    assert_eq!(of_kind(&records, "diverged").len(), 0);
    assert_eq!(of_kind(&records, "permission-granted").len(), 2);
    assert_eq!(of_kind(&records, "permission-refused").len(), 1);

    let twice = real.fails(&["revoke", "faulty", "send"]);
    assert!(twice.contains("revoked already") && twice.contains("croupier grants faulty"), "{twice}");
    let never = real.fails(&["revoke", "faulty", "threads"]);
    assert!(never.contains("does not have"), "{never}");
}

/// A session in which the plugin does things, one turn each.
struct Table<'a> {
    real: &'a Real,
    session: String,
}

impl<'a> Table<'a> {
    fn open(real: &'a Real) -> Table<'a> {
        Table { real, session: real.json(&["call", "--open", "faulty"])["session"].to_string() }
    }

    fn act(&self, action: &str) {
        // Whether the plugin gives up when it is refused something is its own affair.
        self.real.run(&["call", &self.session, "--player", "0", action]);
    }

    fn outputs(&self) -> u64 {
        number(&self.real.json(&["session", &self.session])["outputs"])
    }
}

const USES: [(&str, &str); 3] = [
    ("send", r#"{"do":"send","text":"x"}"#),
    ("emit:table", r#"{"do":"emit","name":"table"}"#),
    ("call:echo", r#"{"do":"call","name":"echo"}"#),
];

#[test]
fn what_is_revoked_stays_revoked_over_loads_and_starts_until_it_is_granted() {
    let mut real = Real::start("");
    let so = faulty();
    let so = so.to_str().expect("UTF-8");
    real.ok(&["load", so]);
    for (permission, _) in USES {
        real.ok(&["revoke", "faulty", permission]);
    }
    let all_revoked = |real: &Real| {
        for (permission, _) in USES {
            assert_eq!(standing(real, permission).0, "revoked", "{permission}");
        }
        let table = Table::open(real);
        USES.iter().for_each(|(_, action)| table.act(action));
        assert_eq!(table.outputs(), 0);
        for (permission, _) in USES {
            assert_eq!(standing(real, permission).1, 1, "{permission} was used once, in vain");
        }
    };
    all_revoked(&real);
    real.ok(&["unload", "faulty", "--close-sessions"]);
    let again = real.ok(&["load", so]);
    assert!(again.contains("- send") && again.contains("croupier grant"), "{again}");
    all_revoked(&real);
    real.stop();
    real.again("");
    // A planned stop parked its sessions, and their plugin is loaded for them.
    all_revoked(&real);

    // Given back while it runs; and while it is not there.
    real.ok(&["grant", "faulty", "send"]);
    assert_eq!(standing(&real, "send").0, "granted");
    let table = Table::open(&real);
    table.act(USES[0].1);
    assert_eq!(table.outputs(), 1);
    real.ok(&["unload", "faulty", "--close-sessions"]);
    real.ok(&["grant", "faulty", "emit:table"]);
    real.ok(&["load", so]);
    assert_eq!(
        ["send", "emit:table", "call:echo"].map(|permission| standing(&real, permission).0),
        ["granted", "granted", "revoked"]
    );
    let never = real.fails(&["grant", "faulty", "threads"]);
    assert!(never.contains("is not revoked") && never.contains("config"), "{never}");

    let records = real.audit(|records| of_kind(records, "permission-still-revoked").len() >= 7);
    assert_eq!(of_kind(&records, "permission-revoked").len(), 3);
    assert_eq!(of_kind(&records, "permission-given-back").len(), 2);
    assert_eq!(of_kind(&records, "permission-still-revoked").len(), 3 + 3 + 1, "at each load");
    let denied = of_kind(&records, "permission-denied");
    for (permission, _) in USES {
        let seen = denied.iter().filter(|one| one["permission"] == permission && one["says"] == "supervisor");
        assert_eq!(seen.count(), 3, "{permission}");
    }
    let verbs: Vec<String> = of_kind(&records, "verb")
        .iter()
        .filter(|verb| verb["verb"] == "grant")
        .map(|verb| verb["outcome"].to_string())
        .collect();
    assert_eq!(verbs, ["\"done\"", "\"done\"", "\"wrong-state\""]);
}

#[test]
fn what_the_worker_itself_refuses_is_written_down_as_its_word() {
    let real = Real::start("[plugins.faulty]\ngrant = []\n");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    let table = Table::open(&real);
    table.act(r#"{"do":"send","text":"x","times":3}"#);
    table.act(r#"{"do":"emit","name":"elsewhere"}"#);
    table.act(r#"{"do":"call","name":"wallet"}"#);
    let records = real.audit(|records| of_kind(records, "permission-denied").len() == 3);
    let seen: Vec<(String, String, u64, String)> = of_kind(&records, "permission-denied")
        .iter()
        .map(|one| {
            let word = |name: &str| one[name].as_str().expect("text").to_owned();
            (word("permission"), one["session"].to_string(), number(&one["seq"]), word("says"))
        })
        .collect();
    let expected =
        |permission: &str, seq| (permission.to_owned(), table.session.clone(), seq, "worker".to_owned());
    assert_eq!(seen, [expected("send", 2), expected("emit:elsewhere", 3), expected("call:wallet", 4)]);
    assert!(standing(&real, "send").1 >= 1, "and counted");
    assert_eq!(standing(&real, "call:wallet"), ("not-asked".to_owned(), 1));
}

#[test]
fn a_damaged_list_of_revocations_stops_the_start() {
    let mut real = Real::start("");
    real.stop();
    std::fs::write(real.path("state/revoked.json"), "{").expect("writes");
    let config = real.path("croupier.toml");
    let refused = crate::real::croupier(&["serve", "--config", config.to_str().expect("UTF-8")]);
    let text = crate::real::text(&refused.stderr);
    assert!(!refused.status.success() && text.contains("no list of revoked permissions"), "{refused:?}");
    std::fs::remove_file(real.path("state/revoked.json")).expect("removes");
    real.again("");
}

/// A plugin that asks for threads, and takes its time to come up.
fn slow(into: &std::path::Path) -> String {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = into.join("libslow.so");
    let built = std::process::Command::new("cc")
        .args(["-std=gnu11", "-fPIC", "-shared", "-pthread", "-DSLOW_INIT", "-I"])
        .arg(here.join("../plugin-abi/include"))
        .arg("-o")
        .arg(&path)
        .arg(here.join("tests/crash/crasher.c"))
        .output()
        .expect("`cc` can be started");
    assert!(built.status.success(), "{}", crate::real::text(&built.stderr));
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn threads_are_taken_away_and_given_back_while_the_plugin_is_being_loaded() {
    let real = Real::start("");
    let so = slow(real.dir.path());
    let state = || real.json(&["plugins"])["plugins"][0]["state"].as_str().unwrap_or_default().to_owned();
    let has_threads = || {
        let table = real.json(&["call", "--open", "crasher"])["session"].to_string();
        real.ok(&["call", &table, "--player", "0", r#""many_threads""#]).trim() == "42"
    };
    for (verb, expected) in [("revoke", false), ("grant", true)] {
        std::thread::scope(|scope| {
            let loading = scope.spawn(|| real.ok(&["load", &so]));
            while state().is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            assert_ne!(state(), "running", "it takes seconds to come up");
            real.ok(&[verb, "crasher", "threads"]);
            assert_eq!(state(), "running", "answered when it counts");
            loading.join().expect("no panic");
        });
        assert_eq!(has_threads(), expected, "{verb}");
        real.ok(&["unload", "crasher", "--close-sessions"]);
    }
}

#[test]
fn a_plugin_that_nobody_knows_has_nothing_to_be_given_back() {
    let real = Real::start("");
    let ghost = real.fails(&["grant", "ghost", "send"]);
    assert!(ghost.contains("no plugin ghost is loaded") && ghost.contains("\"send\" is revoked"), "{ghost}");
    assert!(ghost.contains("croupier plugins") && !ghost.contains("grants ghost"), "{ghost}");
}
