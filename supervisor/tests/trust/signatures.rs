//! Signatures: keys made, plugins signed, loaded or refused, with the real binary.

use std::path::PathBuf;

use crate::real::{Real, croupier, faulty, number, of_kind, text};

/// A key pair: the secret's file.
fn key(real: &Real, name: &str) -> PathBuf {
    let path = real.path(name);
    assert!(croupier(&["keygen", path.to_str().expect("UTF-8")]).status.success());
    path
}

/// Runs `croupier` on files, which must succeed.
fn done(words: &[&str], paths: &[&PathBuf]) -> String {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().expect("UTF-8")).collect();
    let words: Vec<&str> = words
        .iter()
        .map(|word| match word.strip_prefix('@') {
            Some(at) => paths[at.parse::<usize>().expect("a number")],
            None => word,
        })
        .collect();
    let output = croupier(&words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    text(&output.stdout)
}

#[test]
fn only_what_a_trusted_key_signed_is_loaded_and_each_refusal_has_its_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let real = Real::start("signatures = \"required\"\n");
    let so = real.path("plugin.so");
    std::fs::copy(faulty(), &so).expect("copies");
    let trust = real.path("state/trust");
    let load = || real.fails(&["load", so.to_str().expect("UTF-8")]);
    let refused_for = |why: &str| {
        let told = load();
        assert!(told.contains(why), "{why:?} was expected, not {told}");
    };
    let (root, author) = (key(&real, "root"), key(&real, "author"));
    let (root_pub, author_pub) = (real.path("root.pub"), real.path("author.pub"));
    let mode = std::fs::metadata(&root).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the secret is its owner's alone");
    assert!(!croupier(&["keygen", root.to_str().expect("UTF-8")]).status.success(), "no key is overwritten");

    refused_for("not signed");
    done(&["sign", "@0", "--key", "@1"], &[&so, &author]);
    refused_for("not trusted here");
    done(&["trust", "add", "@0", "--trust-dir", "@1"], &[&root_pub, &trust]);
    // The author may sign other plugins.
    let vouch = |expires: &str, plugins: &str| {
        done(
            &["sign", "@0", "--key", "@1", "--expires", expires, "--plugins", plugins],
            &[&author_pub, &root],
        );
        done(&["trust", "add", "@0", "--trust-dir", "@1"], &[&author_pub, &trust]);
    };
    vouch("2099-01-01", "craps,acme-*");
    refused_for("may sign craps, acme-*");
    vouch("2020-01-01", "*");
    refused_for("expired on 2020-01-01");
    vouch("2099-01-01", "f*y");
    real.ok(&["load", so.to_str().expect("UTF-8")]);
    real.ok(&["unload", "faulty"]);
    assert!(done(&["verify", "@0", "--trust-dir", "@1"], &[&so, &trust]).starts_with("good"));

    // One byte of the plugin: the signature is looked at before the file is.
    let bytes = std::fs::read(&so).expect("reads");
    let mut edited = bytes.clone();
    let middle = edited.len() / 2;
    edited[middle] ^= 1;
    std::fs::write(&so, edited).expect("writes");
    refused_for("does not fit the file");
    std::fs::write(&so, bytes).expect("writes");
    let signature = real.path("plugin.so.minisig");
    let good = std::fs::read_to_string(&signature).expect("reads");
    std::fs::write(&signature, "nonsense").expect("writes");
    refused_for("damaged");
    std::fs::write(&signature, good).expect("writes");

    let list = done(&["--json", "trust", "list", "--trust-dir", "@0"], &[&trust]);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let root_id = list["roots"][0].as_str().expect("text").to_owned();
    let author_id = list["authors"][0]["id"].as_str().expect("text").to_owned();
    done(&["trust", "revoke", &root_id, "--trust-dir", "@0"], &[&trust]);
    let revoked = load();
    assert!(revoked.contains(&author_id) && revoked.contains("root key"), "revoked: {revoked}");

    let records = real.audit(|records| of_kind(records, "signature-checked").len() == 8);
    let verdicts: Vec<&str> =
        of_kind(&records, "signature-checked").iter().filter_map(|seen| seen["verdict"].as_str()).collect();
    assert_eq!(
        verdicts,
        [
            "none",
            "unknown-key",
            "name-not-allowed",
            "expired",
            "good",
            "bad-signature",
            "malformed",
            "revoked"
        ]
    );
    assert!(of_kind(&records, "trust-read").len() >= 4, "changed keys are written down");
}

#[test]
fn by_default_an_unsigned_plugin_is_loaded_and_a_badly_signed_one_is_not() {
    let real = Real::start("");
    let so = real.path("plugin.so");
    std::fs::copy(faulty(), &so).expect("copies");
    real.ok(&["load", so.to_str().expect("UTF-8")]);
    real.ok(&["unload", "faulty"]);
    done(&["sign", "@0", "--key", "@1"], &[&so, &key(&real, "stranger")]);
    assert!(real.fails(&["load", so.to_str().expect("UTF-8")]).contains("not trusted here"));
    let verified = done(&["verify", "@0", "--key", "@1"], &[&so, &real.path("stranger.pub")]);
    assert!(verified.contains("good"), "{verified}");
}

#[test]
fn keys_that_change_while_a_plugin_runs_are_written_down_and_the_plugin_is_named() {
    let real = Real::start("signatures = \"required\"\n");
    let so = real.path("plugin.so");
    std::fs::copy(faulty(), &so).expect("copies");
    let trust = real.path("state/trust");
    let root = key(&real, "root");
    done(&["sign", "@0", "--key", "@1"], &[&so, &root]);
    done(&["trust", "add", "@0", "--trust-dir", "@1"], &[&real.path("root.pub"), &trust]);
    // Nothing is loaded, and it is on record all the same.
    real.audit(|records| of_kind(records, "trust-read").iter().any(|read| number(&read["roots"]) == 1));
    real.ok(&["load", so.to_str().expect("UTF-8")]);
    let session = real.json(&["call", "--open", "faulty"])["session"].to_string();
    let fault = || real.json(&["plugins"])["plugins"][0]["fault"].clone();
    assert!(fault().is_null(), "{}", fault());

    let list = done(&["--json", "trust", "list", "--trust-dir", "@0"], &[&trust]);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let id = list["roots"][0].as_str().expect("text").to_owned();
    done(&["trust", "revoke", &id, "--trust-dir", "@0"], &[&trust]);
    let records = real.audit(|records| !of_kind(records, "signature-distrusted").is_empty());
    let distrusted = of_kind(&records, "signature-distrusted");
    assert_eq!((&distrusted[0]["plugin"], &distrusted[0]["verdict"]), (&"faulty".into(), &"revoked".into()));
    assert!(of_kind(&records, "trust-read").iter().any(|read| number(&read["revoked"]) == 1));
    let said = fault().as_str().expect("it is shown").to_owned();
    assert!(said.contains("would not let it in any more") && said.contains(&id), "{said}");
    assert!(real.ok(&["plugins"]).contains("would not let it in"), "{}", real.ok(&["plugins"]));
    // It plays on, for those who are at its tables.
    real.ok(&["call", &session, "--player", "0", r#"{"do":"count"}"#]);

    // A store that cannot be read is written down once, and so is its return.
    std::fs::write(trust.join("revoked"), "what?\n").expect("writes");
    real.audit(|records| of_kind(records, "trust-unreadable").len() == 1);
    std::fs::remove_file(trust.join("revoked")).expect("removes");
    real.audit(|records| {
        of_kind(records, "trust-read").last().is_some_and(|read| number(&read["revoked"]) == 0)
    });
    // Trusted again, and said no more.
    let due = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !fault().is_null() {
        assert!(std::time::Instant::now() < due, "{}", fault());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let records = real.audit(|_| true);
    assert_eq!(of_kind(&records, "signature-distrusted").len(), 1, "once");
    assert_eq!(of_kind(&records, "trust-unreadable").len(), 1, "once");
}

/// The copy of a plugin that a supervisor keeps.
fn kept(real: &Real) -> PathBuf {
    let all = std::fs::read_dir(real.path("state/objects"))
        .expect("there")
        .map(|entry| entry.expect("reads").path());
    let all: Vec<PathBuf> = all.collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[test]
fn a_key_that_is_revoked_while_its_plugin_is_being_loaded_does_not_let_it_in() {
    let real = Real::start("signatures = \"required\"\n");
    let so = real.path("plugin.so");
    std::fs::copy(faulty(), &so).expect("copies");
    let trust = real.path("state/trust");
    let root = key(&real, "root");
    done(&["sign", "@0", "--key", "@1"], &[&so, &root]);
    done(&["trust", "add", "@0", "--trust-dir", "@1"], &[&real.path("root.pub"), &trust]);
    real.ok(&["load", so.to_str().expect("UTF-8")]);
    real.ok(&["unload", "faulty"]);
    // Behind the look at its signature the load looks at the copy that is kept; where a pipe lies, it waits for who writes into it.
    let copy = kept(&real);
    std::fs::remove_file(&copy).expect("removes");
    nix::unistd::mkfifo(&copy, nix::sys::stat::Mode::S_IRWXU).expect("makes");
    let checked = |records: &[serde_json::Value], verdict: &str| {
        of_kind(records, "signature-checked").iter().filter(|seen| seen["verdict"] == verdict).count()
    };
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| real.fails(&["load", so.to_str().expect("UTF-8")]));
        real.audit(|records| checked(records, "good") == 2);
        let list = done(&["--json", "trust", "list", "--trust-dir", "@0"], &[&trust]);
        let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
        let id = list["roots"][0].as_str().expect("text").to_owned();
        done(&["trust", "revoke", &id, "--trust-dir", "@0"], &[&trust]);
        // Those who watch the keys have seen it, and found nobody to look at.
        real.audit(|records| of_kind(records, "trust-read").iter().any(|read| number(&read["revoked"]) == 1));
        drop(std::fs::OpenOptions::new().write(true).open(&copy).expect("somebody reads"));
        let refused = loading.join().expect("no panic");
        assert!(refused.contains("revoked") && refused.contains(&id), "{refused}");
    });
    let records = real.audit(|records| !of_kind(records, "plugin-refused").is_empty());
    assert_eq!(checked(&records, "revoked"), 1);
    assert_eq!(of_kind(&records, "plugin-loaded").len(), 1, "only the first time");
    assert!(real.json(&["plugins"])["plugins"].as_array().expect("an array").is_empty());
}
