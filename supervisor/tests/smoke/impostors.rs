//! Worker binaries that are not what they should be: shell scripts, whose standard input is the link.

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
    for (script, part) in [
        ("exit 7", "exited by itself with code 7"),
        ("kill -SEGV $$", "fault signal 11"),
        ("echo good day, I am your worker >&0; exec sleep 60", "broke the protocol"),
        ("exec sleep 60", "did not load within 7000 ms"),
        // The beginning of a frame of 32 bytes, and nothing after it.
        (r"printf '\040\0\0\0\121\0\001\0' >&0; exec sleep 60", "a frame did not arrive whole within 5 s"),
        ("exec 0<&-; exec sleep 60", "it closed its link and lived on"),
    ] {
        let text = refusal(dir.path(), script);
        assert!(text.contains(part), "{script}: {text}");
    }
}
