//! The benchmark's kernels in a worker: they compute there what every other build of them does. The sums are those that clang's builds for native
//! code and WASM agree on (`tests/bench/peers` compares them in every run); here another compiler built the plugin.

use croupier::{Supervisor, SupervisorConfig};
use croupier_client::{Client, Code, OpenOptions, Player};
use croupier_tests::{artifacts, procs, skipped};

use super::code;

/// Kernels by their numbers: the sum of 1,000 units with seed 42.
const SUMS: [u64; 5] = [
    0x664c_56dc_9c49_0ae6,
    0xf76e_31a6_3e2f_6ac5,
    0xe10b_050e_439d_5386,
    0x78bb_3d93_f55e_887c,
    0xaa42_d7f9_912b_5b38,
];

fn payload(kernel: u32, units: u32, seed: u64) -> Vec<u8> {
    [&kernel.to_le_bytes()[..], &units.to_le_bytes(), &seed.to_le_bytes()].concat()
}

#[test]
fn kernels_compute_the_same_in_a_worker_before_and_after_its_death() {
    if artifacts::c_compiler().is_none() {
        return skipped("the benchmark's kernels", "there is no C compiler");
    }
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("libkernels.so");
    let home = artifacts::repository().join("tests/bench/kernels");
    let kernels = home.join("kernels.c").display().to_string();
    let flags = ["-ffp-contract=off", "-fno-math-errno", "-I", &home.display().to_string(), &kernels];
    artifacts::compile(&home.join("plugin.c"), &file, &flags.map(str::to_owned));

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = SupervisorConfig::new().worker_binary(artifacts::artifacts().worker());
    let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
    runtime.block_on(async {
        let client = Client::embedded(supervisor.backend());
        client.load(file.to_str().expect("UTF-8")).await.expect("the kernels");
        let table = client.open("kernels", "{}", OpenOptions::default()).await.expect("a table");
        for round in 0..2 {
            for (kernel, sum) in (0..).zip(SUMS) {
                let done = table.act(Player::HOUSE, payload(kernel, 1000, 42)).await.expect("a sum");
                assert_eq!(done.reply[..], sum.to_le_bytes(), "kernel {kernel}, round {round}");
            }
            let pid = client.workers().await.expect("workers")[0].pid;
            assert!(procs::signal_child(std::process::id(), pid, rustix::process::Signal::KILL));
        }
        // Without a seed the turn's own is taken, which is never the same.
        let mut sums = Vec::new();
        for _ in 0..2 {
            let done = table.act(Player::HOUSE, payload(0, 1000, 0)[..8].to_vec()).await.expect("a sum");
            sums.push(done.reply);
        }
        assert_ne!(sums[0], sums[1]);
        let short = table.act(Player::HOUSE, payload(0, 1, 0)[..7].to_vec()).await;
        assert_eq!(code(short), Code::PluginRefused);
        table.close().await.expect("it closes");
        assert_eq!(supervisor.shutdown().await, 0);
    });
}
