//! Plugins that must not be loaded, and supervisors that make no sense: each ends the worker with status 1 and a fault of its own.

mod common;

use std::io::Write;

use common::{Said, Sealed, Worker, hello, memfd, probe, turn};
use croupier_wire::link::*;

/// Checks that this plugin is refused with this code and a text with these words, and that the worker then ends with status 1.
fn refused(plugin: &[u8], hello: Hello<'_>, code: FaultCode, words: &str) {
    let (worker, said) = Worker::load(plugin, hello);
    faulted(worker, said, code, words);
}

fn faulted(worker: Worker, said: Said, code: FaultCode, words: &str) {
    let Said::Fault { code: found, text } = said else { panic!("{said:?}") };
    assert_eq!(found, code, "{text}");
    assert!(text.contains(words), "{text}");
    assert_eq!(worker.end().0.code(), Some(1));
}

fn refused_probe(flags: &[&str], code: FaultCode, words: &str) {
    let Some(plugin) = probe(flags) else { return };
    refused(&plugin, hello(), code, words);
}

#[test]
fn files_that_are_no_plugins() {
    refused(b"just some text\n", hello(), FaultCode::Dlopen, "the plugin: ");
    refused(b"", hello(), FaultCode::Dlopen, "the plugin: ");
}

#[test]
fn an_undefined_symbol() {
    refused_probe(&["-DUNDEFINED"], FaultCode::Dlopen, "undefined symbol: nobody_has_this");
}

#[test]
fn no_symbol() {
    refused_probe(&["-DNO_SYMBOL"], FaultCode::NoSymbol, "croupier_plugin_v1");
}

#[test]
fn structs_that_lie() {
    refused_probe(&["-DVTABLE_BYTES=8"], FaultCode::BadAbi, "the vtable says struct_size 8");
    refused_probe(&["-DVTABLE_BYTES=1000000"], FaultCode::BadAbi, "struct_size 1000000");
    refused_probe(&["-DNULL_VTABLE"], FaultCode::BadAbi, "NULL or misaligned the vtable");
}

/// A struct of a later minor version is longer; its known part counts.
#[test]
fn a_longer_struct_is_welcome() {
    let Some(plugin) = probe(&["-DVTABLE_BYTES=sizeof vtable + 16"]) else { return };
    let (_, said) = Worker::load(&plugin, hello());
    assert_eq!(said, Said::Welcome { abi_minor: 0, has_extensions: false, layout_checked: false });
}

#[test]
fn a_missing_function() {
    refused_probe(&["-DNO_ACTION", "-Wno-unused-function"], FaultCode::MissingFunction, "no action");
}

#[test]
fn code_that_disagrees_with_the_manifest() {
    refused_probe(
        &["-DNAME=\"other\""],
        FaultCode::ManifestMismatch,
        "name \"other\", its manifest \"probe\"",
    );
    let Some(plugin) = probe(&[]) else { return };
    let version = Hello { plugin_version: "1.2.4", ..hello() };
    refused(&plugin, version, FaultCode::ManifestMismatch, "version \"1.2.3\", its manifest \"1.2.4\"");
    let state = Hello { state_version: 5, ..hello() };
    refused(&plugin, state, FaultCode::ManifestMismatch, "state_version \"4\", its manifest \"5\"");
}

#[test]
fn a_foreign_layout() {
    refused_probe(&["-DFOREIGN_LAYOUT"], FaultCode::LayoutMismatch, "another abi_stable");
}

#[test]
fn descriptors_that_are_not_one_sealed_memfd() {
    let mut none = Worker::start();
    none.hand_over(&[], hello());
    let said = none.hear().1;
    faulted(none, said, FaultCode::NoPlugin, "0 descriptors");

    let mut two = Worker::start();
    two.hand_over(&[memfd(b"", Sealed::Yes), memfd(b"", Sealed::Yes)], hello());
    let said = two.hear().1;
    faulted(two, said, FaultCode::NoPlugin, "2 descriptors");

    let mut unsealed = Worker::start();
    unsealed.hand_over(&[memfd(b"", Sealed::No)], hello());
    let said = unsealed.hear().1;
    faulted(unsealed, said, FaultCode::NoPlugin, "sealed against writing");

    let mut no_memfd = Worker::start();
    no_memfd.hand_over(&[std::fs::File::open("/dev/null").expect("there").into()], hello());
    let said = no_memfd.hear().1;
    faulted(no_memfd, said, FaultCode::NoPlugin, "not a sealed memfd");
}

#[test]
fn limits_that_contradict_each_other() {
    let Some(plugin) = probe(&[]) else { return };
    let limits = Limits { snapshot_bytes: 1 << 20, ..common::LIMITS };
    refused(&plugin, Hello { limits, ..hello() }, FaultCode::Setup, "cannot hold a snapshot");
    refused(&plugin, Hello { layout_shift_pages: u32::MAX, ..hello() }, FaultCode::Setup, "address layout");
}

/// The addresses of a session's memory and of the plugin's data, as the plugin tells them, in a process that the kernel did not shuffle.
fn addresses(plugin: &[u8], layout_shift_pages: u32) -> Vec<String> {
    let mut worker = Worker::start_unshuffled();
    worker.hand_over(&[memfd(plugin, Sealed::Yes)], Hello { layout_shift_pages, ..hello() });
    assert!(matches!(worker.hear().1, Said::Welcome { .. }));
    worker.ask(&ToWorker::Init { settings: b"{}" });
    worker.play(turn(1, 1, 0, b""), 0);
    let told = worker.play(turn(1, 2, 3, b"a"), 0).reply;
    told.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn another_layout_shift_gives_other_addresses() {
    let Some(plugin) = probe(&[]) else { return };
    if let Err(error) = std::process::Command::new("setarch").args(["-R", "true"]).output() {
        eprintln!("SKIPPED: `setarch` cannot be started here: {error}");
        return;
    }
    let (same, again, other) = (addresses(&plugin, 1), addresses(&plugin, 1), addresses(&plugin, 1000));
    assert_eq!(same, again, "nothing else moves them");
    assert!(same[1] != other[1] && same[3] != other[3], "{same:?} {other:?}");
}

#[test]
fn garbage_from_the_supervisor() {
    let cases: [(&[u8], &str); 5] = [
        (&[0xff; 64], "frame version"),
        (&[15, 0, 0, 0, 0x53, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "shorter than its own header"),
        (&[0, 0, 0, 0xff, 0x53, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "over the limit"),
        (&[17, 0, 0, 0, 0x99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8], "unknown frame kind"),
        (&[17, 0, 0, 0, 0x53, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200], "does not decode"),
    ];
    let Some(plugin) = probe(&[]) else { return };
    for (bytes, words) in cases {
        let (mut worker, _) = Worker::load(&plugin, hello());
        worker.link.write_all(bytes).expect("taken");
        let said = worker.hear().1;
        faulted(worker, said, FaultCode::Protocol, words);
    }
}

#[test]
fn messages_that_make_no_sense_now() {
    let Some(plugin) = probe(&[]) else { return };
    let answer = CallAnswer { asked: 0, status: 0, answer: b"" };
    let restore = ToWorker::Restore { session: 1, state_version: 4, snapshot: &[0; 8] };
    let cases = [
        (ToWorker::Turn(turn(9, 1, 3, b"n")), "a turn for session 9, which this worker does not have"),
        (ToWorker::Turn(turn(1, 1, 0, b"")), "an open turn for session 1, which this worker already has"),
        (restore, "Restore for session 1, which this worker already has"),
        (ToWorker::Snapshot { session: 9 }, "Snapshot for session 9, which this worker does not have"),
        (ToWorker::Hello(hello()), "Hello came for the second time"),
        (ToWorker::Init { settings: b"{}" }, "Init came for the second time"),
        (ToWorker::CallAnswer(answer), "CallAnswer came while no host call waits"),
    ];
    for (message, words) in cases {
        let mut worker = Worker::ready(&plugin);
        worker.play(turn(1, 1, 0, b""), 0);
        let said = worker.ask(&message);
        faulted(worker, said, FaultCode::Protocol, words);
    }
    let (mut early, _) = Worker::load(&plugin, hello());
    let said = early.ask(&ToWorker::Turn(turn(1, 1, 0, b"")));
    faulted(early, said, FaultCode::Protocol, "while the plugin is not initialized");

    let mut impatient = Worker::start();
    let mut frame = Vec::new();
    ToWorker::Ping.put(&mut frame, 0, 1, common::FRAME_BYTES_MAX).expect("fits");
    impatient.link.write_all(&frame).expect("taken");
    let said = impatient.hear().1;
    faulted(impatient, said, FaultCode::NoPlugin, "0 descriptors");
}

#[test]
fn the_answer_to_another_question() {
    let Some(plugin) = probe(&[]) else { return };
    let mut worker = Worker::ready(&plugin);
    worker.play(turn(1, 1, 0, b""), 0);
    let id = worker.say(&ToWorker::Turn(turn(1, 2, 3, b"c1")), 0);
    worker.hear();
    worker.say_as(id, &ToWorker::CallAnswer(CallAnswer { asked: 1, status: 0, answer: b"" }), 0);
    let said = worker.hear().1;
    faulted(worker, said, FaultCode::Protocol, "the answer to another question");
}

/// What a constructor prints reaches the supervisor too.
#[test]
fn constructors_are_heard() {
    let Some(plugin) = probe(&["-DSLOW_START"]) else { return };
    let (worker, _) = Worker::load(&plugin, hello());
    assert_eq!(worker.end().1, "constructed\n");
}
