//! The audit log of a supervisor that runs.

use serde_json::Value;

use crate::real::{Real, croupier, faulty, number, of_kind, text};

#[test]
fn what_happens_is_written_down_chained_filtered_exported_and_verified() {
    let mut real = Real::start("[transcripts]\nwrite = false\n");
    let faulty = faulty();
    let so = faulty.to_str().expect("UTF-8");
    let (state, not_there) = (real.path("state"), real.path("not-a-plugin.so"));
    let state = state.to_str().expect("UTF-8");
    std::fs::write(&not_there, b"no ELF").expect("writes");
    real.fails(&["load", not_there.to_str().expect("UTF-8")]);
    real.ok(&["load", so]);
    let session = real.json(&["call", "--open", "faulty"])["session"].to_string();
    real.fails(&["call", &session, "--player", "0", r#"{"do":"segv"}"#]);
    real.ok(&["session", &session, "--export", "-"]);
    real.fails(&["suspend", "nobody"]);
    real.ok(&["unload", "faulty", "--close-sessions"]);
    let head = real.json(&["status"])["audit"].clone();
    assert!(number(&head["seq"]) > 5, "{head}");
    real.stop();

    let records = real.audit(|records| !of_kind(records, "stopped").is_empty());
    let one = |kind: &str| -> Value {
        let all = of_kind(&records, kind);
        assert_eq!(all.len(), 1, "{kind}: {records:#?}");
        all[0].clone()
    };
    assert_eq!(one("plugin-loaded")["plugin"], "faulty");
    assert!(one("plugin-refused")["path"].as_str().expect("text").ends_with("not-a-plugin.so"));
    assert_eq!(number(&one("poison")["seq"]), 2);
    let deaths = of_kind(&records, "worker-died");
    assert!(
        deaths.len() >= 2 && deaths.iter().all(|death| death["cause"] == "fault signal 11"),
        "{deaths:?}"
    );
    let uid = u64::from(nix::unistd::geteuid().as_raw());
    assert_eq!(number(&one("session-exported")["uid"]), uid);
    let verbs: Vec<(String, String, u64)> = of_kind(&records, "verb")
        .iter()
        .map(|verb| (verb["verb"].to_string(), verb["outcome"].to_string(), number(&verb["uid"])))
        .collect();
    let verb = |name: &str, outcome: &str| (format!("{name:?}"), format!("{outcome:?}"), uid);
    assert_eq!(
        verbs,
        [
            verb("load", "bad-plugin"),
            verb("load", "done"),
            verb("export", "done"),
            verb("suspend", "unknown-plugin"),
            verb("unload", "done"),
        ]
    );
    of_kind(&records, "started").first().expect("the first record");
    of_kind(&records, "config-read").first().expect("the config");

    let noted = format!("{}:{}", head["seq"], head["hash"].as_str().expect("text"));
    let verified = croupier(&["audit", "verify", "--state-dir", state, "--head", &noted]);
    assert!(verified.status.success(), "{verified:?}");
    let denied =
        croupier(&["audit", "--denied", "--plugin", "nobody", "--since", "1h", "--state-dir", state]);
    assert_eq!(text(&denied.stdout).lines().count(), 1, "{denied:?}");
    assert!(text(&denied.stdout).contains("unknown-plugin"), "{denied:?}");
    let later = croupier(&["audit", "--since", "2400-01-01", "--state-dir", state]);
    assert_eq!(text(&later.stdout), "");
    let csv = text(&croupier(&["audit", "--format", "csv", "--state-dir", state]).stdout);
    assert_eq!(csv.lines().count(), records.len() + 1);

    // An edit is found, and its line is named.
    let file = std::fs::read_dir(real.path("state/audit"))
        .expect("reads")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .expect("a file");
    let original = std::fs::read_to_string(&file).expect("reads");
    let at = 1 + original.lines().position(|line| line.contains("\"poison\"")).expect("it is there");
    std::fs::write(
        &file,
        original.replacen("\"poison\":{\"plugin\":\"faulty\"", "\"poison\":{\"plugin\":\"craps_\"", 1),
    )
    .expect("writes");
    let broken = croupier(&["audit", "verify", "--state-dir", state]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken.stderr).contains(&format!("line {at} ")), "{broken:?}");
    // And the next supervisor does not go on with it.
    let refused = croupier(&["serve", "--config", real.path("croupier.toml").to_str().expect("UTF-8")]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("was changed"), "{refused:?}");
    std::fs::write(&file, original).expect("writes");
    real.again("");
    real.stop();
    let verified = croupier(&["audit", "verify", "--state-dir", state, "--head", &noted]);
    assert!(verified.status.success(), "the chain goes on over restarts: {verified:?}");
}

#[test]
fn a_supervisor_that_is_killed_leaves_a_chain_that_goes_on() {
    let mut real = Real::start("");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    real.audit(|records| !of_kind(records, "plugin-loaded").is_empty());
    real.kill();
    std::fs::remove_file(real.path("control.sock")).expect("removes");
    real.again("");
    let records = real.audit(|records| of_kind(records, "started").len() == 2);
    assert_eq!(of_kind(&records, "stopped").len(), 0);
}

#[test]
fn what_a_plugin_tried_is_named_with_its_turn() {
    let mut real = Real::start("[transcripts]\nwrite = false\n");
    let Some(so) = c_plugin(&real, "opens_file") else { return };
    real.ok(&["load", so.to_str().expect("UTF-8")]);
    let session = real.json(&["call", "--open", "opens_file"])["session"].to_string();
    let tried = real.ok(&["call", &session, "--player", "0", "{}"]);
    assert!(tried.contains("refused"), "{tried}");
    let records = real.audit(|records| !of_kind(records, "denied-syscall").is_empty());
    let denied = of_kind(&records, "denied-syscall")[0].clone();
    assert_eq!(denied["plugin"], "opens_file");
    assert_eq!(denied["syscall"], "openat");
    assert_eq!((number(&denied["session"]).to_string(), number(&denied["seq"])), (session, 2));
    assert_eq!(denied["verdict"], "refused");
    let state = real.path("state");
    let only = croupier(&["audit", "--denied", "--state-dir", state.to_str().expect("UTF-8")]);
    assert!(text(&only.stdout).contains("openat"), "{only:?}");
    real.stop();
}

/// One of the C plugins for tests; none, and a word about it, without a compiler.
fn c_plugin(real: &Real, name: &str) -> Option<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let so = real.path(&format!("lib{name}.so"));
    let built = std::process::Command::new("cc")
        .args(["-std=c99", "-fPIC", "-shared", "-I"])
        .arg(root.join("plugin-abi/include"))
        .arg("-o")
        .arg(&so)
        .arg(root.join(format!("plugins/faulty/c/{name}.c")))
        .status();
    match built {
        Ok(status) => {
            assert!(status.success(), "cc builds {name}");
            Some(so)
        }
        Err(error) => {
            println!("skipped: what_a_plugin_tried_is_named_with_its_turn: no C compiler: {error}");
            None
        }
    }
}
