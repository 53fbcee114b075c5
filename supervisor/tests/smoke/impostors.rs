//! Worker binaries that are not what they should be: shell scripts. Workers that misbehave are in the hostile suite.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use croupier::registry::PluginOptions;
use croupier::{Supervisor, SupervisorConfig};
use croupier_client::Code;
use tokio::runtime::Runtime;

use crate::bench::{alone, children, dice};

/// What loading a sound plugin with this worker is refused with.
fn refusal(dir: &Path, script: &str) -> String {
    let worker = dir.join("worker.sh");
    std::fs::write(&worker, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let options = PluginOptions { load_wall_ms: Some(7000), ..PluginOptions::default() };
    let config = SupervisorConfig::new().worker_binary(&worker).plugin_defaults(options);
    let runtime = Runtime::new().expect("a runtime");
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    let refused = runtime.block_on(supervisor.load(&dir.join("libdice.so"))).expect_err("is no worker");
    assert_eq!(refused.code, Code::BadPlugin, "{refused}");
    runtime.block_on(supervisor.shutdown());
    assert_eq!(children(), Vec::<String>::new());
    refused.text
}

#[test]
fn each_impostor_is_found_out_and_named() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a directory");
    dice(dir.path());
    // What is started is to make workers: its standard input is the socket over which it is asked for one.
    for (script, part) in [
        ("exit 7", "cannot start"),
        ("kill -SEGV $$", "cannot start"),
        ("read x; echo good day, I am your worker >&0; exec sleep 60", "cannot start"),
        ("exec sleep 60", "did not answer within 5 s"),
        (
            "printf 'croupier-worker 9.9.9+00ff' >&0; exec sleep 60",
            "it is of build 9.9.9+00ff, and this croupier is of build 0.1.0+",
        ),
        ("printf 'Status: 200' >&0; exec sleep 60", "it does not say which build it is of"),
        ("exec 0<&-; exec sleep 60", "cannot start"),
    ] {
        let text = refusal(dir.path(), script);
        assert!(text.contains(part), "{script}: {text}");
    }
}
