//! Everything that can be asked wrongly: each gets an error of its own that says what is wrong, and the supervisor goes on.

use std::path::{Path, PathBuf};

use croupier_client::{Code, OpenOptions, Player, SessionId, blocking::Client};
use croupier_tests::{Daemon, Plugin, Ran, Raw, artifacts};
use croupier_wire::door::{DOOR_VERSION, Done, Reply, Request, Verb};
use croupier_wire::frame::{HEADER_BYTES, Header, Kind};

use super::refusal;

/// What was said, and what it has to say at least.
struct Said {
    wrong: &'static str,
    code: Code,
    text: String,
}

/// Collects errors, and checks after each of them that all is well.
struct Book<'a> {
    daemon: &'a Daemon,
    said: Vec<Said>,
}

impl Book<'_> {
    #[track_caller]
    fn note(&mut self, wrong: &'static str, refusal: croupier_client::Refusal, code: Code, words: &[&str]) {
        self.note_text(wrong, refusal.code, refusal.text, code, words);
    }

    #[track_caller]
    fn note_text(&mut self, wrong: &'static str, found: Code, text: String, code: Code, words: &[&str]) {
        println!("{wrong:<44} {found:?}: {text}");
        assert_eq!(found, code, "{wrong}: {text}");
        for word in words {
            assert!(text.contains(word), "{wrong}: {text:?} does not say {word:?}");
        }
        self.daemon.client().ping().unwrap_or_else(|error| panic!("after {wrong}: {error}"));
        self.said.push(Said { wrong, code: found, text });
    }

    /// No two errors are the same, and a game still plays.
    fn close(self) {
        for (index, one) in self.said.iter().enumerate() {
            for other in &self.said[..index] {
                let same = one.text == other.text;
                assert!(
                    !same,
                    "{} and {} get the same error: {:?} {}",
                    one.wrong, other.wrong, one.code, one.text
                );
            }
        }
        let status = self.daemon.status();
        assert_eq!((status.plugins_down, status.poison, status.held), (0, 0, 0), "{status:?}");
        let table = self.daemon.open(Plugin::Craps, "{}");
        table.join(Player(1), r#"{"bankroll":100}"#).expect("a seat");
        table.act(Player(1), r#"{"roll":true}"#).expect("a roll");
        table.close().expect("it closes");
    }
}

#[test]
fn a_wrong_action_session_player_plugin_config_or_method_each_gets_its_own_error() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let mut book = Book { daemon: &daemon, said: Vec::new() };
    let client = daemon.player();
    let open = |plugin: &str, config: &str| client.open(plugin, config, OpenOptions::default());
    let table = open("craps", "{}").expect("a table");
    table.join(Player(1), r#"{"bankroll":100}"#).expect("a seat");
    let act = |player, action: &str| refusal(table.act(Player(player), action));

    book.note(
        "an action against the rules",
        act(1, r#"{"bet":{"kind":"pass","amount":1000}}"#),
        Code::PluginRefused,
        &[],
    );
    book.note(
        "an action that the game does not know",
        act(1, r#"{"juggle":true}"#),
        Code::PluginRefused,
        &["juggle"],
    );
    book.note("an action that is no JSON", act(1, "roll!"), Code::BadPayload, &["JSON"]);
    book.note("a player who has not joined", act(2, r#""show""#), Code::UnknownPlayer, &["player 2"]);
    book.note(
        "a player who leaves without having come",
        refusal(table.leave(Player(7), "")),
        Code::UnknownPlayer,
        &["player 7"],
    );
    book.note(
        "a player who joins twice",
        refusal(table.join(Player(1), r#"{"bankroll":1}"#)),
        Code::AlreadyJoined,
        &["player 1"],
    );
    book.note(
        "the house as a player",
        refusal(table.join(Player(0), r#"{"bankroll":1}"#)),
        Code::UnknownPlayer,
        &["0", "from 1"],
    );
    book.note(
        "a profile that the game does not take",
        refusal(table.join(Player(3), r#"{"hat":true}"#)),
        Code::PluginRefused,
        &[],
    );
    book.note(
        "a method that the plugin does not have",
        refusal(table.other(8, Player(1), "{}")),
        Code::Unsupported,
        &[],
    );
    book.note(
        "a tick from outside",
        refusal(table.other(4, Player(0), "{}")),
        Code::Unsupported,
        &["kind 4"],
    );
    let big = format!("\"{}\"", "x".repeat(2 << 20));
    book.note("an action that is too big", act(1, &big), Code::TooBig, &["2097154", "limit"]);
    let nobody = client.session(SessionId(4_000_000_000));
    book.note(
        "an unknown session",
        refusal(nobody.act(Player(1), r#""show""#)),
        Code::UnknownSession,
        &["4000000000"],
    );
    book.note("an unknown plugin", refusal(open("carps", "{}")), Code::UnknownPlugin, &["carps"]);
    book.note(
        "a config that does not fit",
        refusal(open("craps", r#"{"odds":[3,4,"five"]}"#)),
        Code::BadConfig,
        &["/odds/2"],
    );
    book.note(
        "a config with an unknown member",
        refusal(open("craps", r#"{"stakes":1}"#)),
        Code::BadConfig,
        &["stakes"],
    );
    book.note("a config that is no JSON", refusal(open("craps", "{")), Code::BadConfig, &["JSON"]);
    table.close().expect("it closes");
    book.note("a session that has ended", act(1, r#""show""#), Code::SessionClosed, &["ended"]);
    book.close();
}

#[test]
fn frames_that_make_no_sense_end_their_connection_with_a_reason_and_nothing_else() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let mut book = Book { daemon: &daemon, said: Vec::new() };
    let traffic = daemon.traffic();
    let bystander = daemon.open(Plugin::Craps, "{}");
    let header = |len: u32, kind: u8, version: u16, call_id: u64| {
        let mut bytes = [0; HEADER_BYTES];
        Header { len, kind: Kind::Data, flags: 0, version, call_id }.put(&mut bytes);
        bytes[4] = kind;
        bytes
    };
    let told = |send: &dyn Fn(&mut Raw)| {
        let mut raw = Raw::greeted(&traffic);
        send(&mut raw);
        raw.last_words()
    };

    let done = Done { seq: 1, now_ns: 0, reply: Vec::new(), retries: 0 };
    let reply = told(&|raw| raw.reply(5, &Reply::Done(done.clone())));
    book.note("a reply without a request", reply, Code::Protocol, &[]);
    let oversize = told(&|raw| raw.send(&header(1 << 30, 0x52, DOOR_VERSION, 1)));
    book.note("an oversize frame", oversize, Code::Protocol, &["1073741824", "limit"]);
    let short = told(&|raw| raw.send(&header(3, 0x52, DOOR_VERSION, 1)));
    book.note("a frame shorter than its header", short, Code::Protocol, &["shorter"]);
    let kind = told(&|raw| raw.send(&header(16, 0x99, DOOR_VERSION, 1)));
    book.note("an unknown kind of frame", kind, Code::Protocol, &["0x99"]);
    let version = told(&|raw| raw.send(&header(16, 0x52, 77, 1)));
    book.note("a frame of another version", version, Code::Protocol, &["77"]);
    let no_id = told(&|raw| {
        let mut frame = Vec::new();
        croupier_wire::door::put_request(&mut frame, 1, &Request::Ping, 1 << 20).expect("a small frame");
        frame[8..16].fill(0);
        raw.send(&frame);
    });
    book.note("a request without a call id", no_id, Code::Protocol, &["call id"]);
    let rubbish = told(&|raw| {
        let mut frame = header(24, 0x52, DOOR_VERSION, 9).to_vec();
        frame.extend([0xff; 8]);
        raw.send(&frame);
    });
    book.note("a body that is no request", rubbish, Code::Protocol, &["request"]);
    let mut raw = Raw::connect(&traffic);
    raw.hello(DOOR_VERSION + 1, 1);
    book.note("a client of another version", raw.last_words(), Code::Protocol, &["version 2"]);
    let mut raw = Raw::connect(&traffic);
    raw.request(1, &Request::Ping);
    book.note("a request before the hello", raw.last_words(), Code::Protocol, &["hello"]);

    // A verb on the wrong door is no nonsense: it is refused, and the connection stays.
    let player = daemon.player();
    book.note(
        "a verb on the traffic socket",
        refusal(player.control(Verb::Status)),
        Code::NotAllowed,
        &["traffic"],
    );
    player.ping().expect("the connection is still there");
    bystander.join(Player(1), r#"{"bankroll":5}"#).expect("other connections go on");
    book.close();
}

/// A manifest with nothing wrong in it.
const MANIFEST: &str = r#"manifest = 1
name = "tiny"
version = "1.0.0"
authors = ["a"]
description = "d"
license = "MIT"
state_version = 1
[game]
type = "custom"
[players]
min = 0
max = 4
"#;

/// A manifest as a macro for the C compiler.
fn quoted(manifest: &str) -> String {
    format!("TINY_MANIFEST=\"{}\"", manifest.replace('"', "\\\"").replace('\n', "\\n"))
}

/// Files that are no plugins, and what has to be said of each.
fn bad_files(dir: &Path) -> Vec<(&'static str, PathBuf, Code, Vec<&'static str>)> {
    let source = artifacts::repository().join("tests/plugins/tiny.c");
    let built = |name: &str, defines: &[&str]| {
        let out = dir.join(format!("{name}.so"));
        artifacts::compile(
            &source,
            &out,
            &defines.iter().map(|define| format!("-D{define}")).collect::<Vec<_>>(),
        );
        out
    };
    let written = |name: &str, bytes: &[u8]| {
        let out = dir.join(name);
        std::fs::write(&out, bytes).expect("room on the disk");
        out
    };
    let good = std::fs::read(built("good", &[])).expect("what was just built");
    let manifest = quoted;
    let base = MANIFEST;
    let bad = Code::BadPlugin;
    vec![
        (
            "a wrong ABI version",
            built("abi", &["croupier_plugin_v1=croupier_plugin_v9"]),
            bad,
            vec!["ABI version", "croupier_plugin_v9"],
        ),
        ("no manifest", built("bare", &["TINY_NO_MANIFEST"]), bad, vec!["no manifest"]),
        (
            "a manifest that is not TOML",
            built("toml", &[&manifest("what = is = this")]),
            bad,
            vec!["not TOML", "line 1"],
        ),
        (
            "a manifest with an unknown key",
            built("key", &[&manifest(&base.replace("license", "licence"))]),
            bad,
            vec!["bad manifest", "licence"],
        ),
        (
            "a manifest with a value out of bounds",
            built("bound", &[&manifest(&format!("{base}[limits]\nturn_wall_ms = 0\n"))]),
            bad,
            vec!["limits.turn_wall_ms"],
        ),
        (
            "a manifest of another format",
            built("format", &[&manifest(&base.replace("manifest = 1", "manifest = 7"))]),
            bad,
            vec!["version 7"],
        ),
        (
            "a missing plugin symbol",
            built("symbol", &["TINY_NO_EXPORT"]),
            bad,
            vec!["does not export", "croupier_plugin_v1"],
        ),
        (
            "a missing function elsewhere",
            built("undefined", &["TINY_UNDEFINED"]),
            bad,
            vec!["a_function_that_nobody_has"],
        ),
        (
            "a descriptor with another name",
            built("other", &["TINY_DESCRIPTOR=\"big\""]),
            bad,
            vec!["big", "tiny"],
        ),
        ("a vtable that is too small", built("small", &["TINY_SMALL_VTABLE"]), bad, vec!["vtable"]),
        ("a mandatory function missing", built("action", &["TINY_NO_ACTION"]), bad, vec!["action"]),
        ("an init that says no", built("init", &["TINY_INIT_FAILS"]), bad, vec!["there is no luck today"]),
        ("a crash while loading", built("crash", &["TINY_CRASH_AT_LOAD"]), bad, vec![]),
        ("a text file", written("text.so", b"# a text file\n"), bad, vec!["not an ELF file", "text"]),
        ("an empty file", written("empty.so", b""), bad, vec!["empty"]),
        ("half a plugin", written("half.so", &good[..good.len() / 2]), bad, vec!["truncated"]),
        ("a program", PathBuf::from("/proc/self/exe").canonicalize().expect("ourselves"), bad, vec![]),
        ("a directory", dir.to_owned(), bad, vec![]),
        ("a file that is not there", dir.join("nowhere.so"), bad, vec!["cannot read", "nowhere.so"]),
        ("a plugin that is loaded already", Plugin::Craps.file(), Code::AlreadyLoaded, vec!["craps"]),
    ]
}

#[test]
fn a_file_that_is_no_good_plugin_is_refused_for_its_own_reason() {
    let daemon = Daemon::with(&[Plugin::Craps]);
    let mut book = Book { daemon: &daemon, said: Vec::new() };
    let client = daemon.client();
    let plugins_before = daemon.status().plugins;
    let dir = daemon.dir().join("bad");
    std::fs::create_dir(&dir).expect("a directory");
    for (wrong, file, code, words) in bad_files(&dir) {
        let said = refusal(client.load(file.to_str().expect("UTF-8")));
        // Paths differ in any case: what is compared is the rest.
        let text = said.text.replace(&*file.to_string_lossy(), "FILE");
        let words: Vec<&str> = words.into_iter().filter(|word| !word.ends_with(".so")).collect();
        book.note_text(wrong, said.code, text, code, &words);
        assert_eq!(daemon.status().plugins, plugins_before, "{wrong}: nothing of it stays");
    }
    assert!(client.load(dir.join("good.so").to_str().expect("UTF-8")).is_ok(), "the good one is good");
    book.close();
}

#[test]
fn check_says_the_same_without_a_supervisor_and_without_running_anything() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut texts = Vec::new();
    // What shows only when it is run is none of `check`'s business.
    let seen_at_load =
        ["missing function", "descriptor", "vtable", "mandatory", "init", "while loading", "already"];
    for (wrong, file, _, words) in bad_files(dir.path()) {
        let path = file.to_str().expect("UTF-8");
        let ran = Ran::croupier(None, ["check", path, "--json"]);
        if seen_at_load.iter().any(|part| wrong.contains(part)) {
            continue;
        }
        let (_, text) = ran.error();
        for word in words.into_iter().filter(|word| !word.ends_with(".so")) {
            assert!(text.contains(word), "{wrong}: {text:?} does not say {word:?}");
        }
        let text = text.replace(path, "FILE");
        assert!(!texts.contains(&text), "{wrong}: {text} was said before");
        texts.push(text);
    }
    for plugin in [Plugin::Craps, Plugin::Holdem, Plugin::Faulty, Plugin::Dice] {
        let file = plugin.file();
        let json = Ran::croupier(None, ["check", file.to_str().expect("UTF-8"), "--json"]).exits(0).json();
        assert!(json.to_string().contains(&format!("\"{}\"", plugin.name())), "{json:#}");
    }
}

#[test]
fn a_bad_plugin_in_the_plugin_directory_is_reported_and_the_others_are_loaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("a-text.so");
    std::fs::write(&text, "no plugin").expect("room on the disk");
    let daemon = croupier_tests::Setup::new().file(&text).plugin(Plugin::Craps).start();
    let names: Vec<String> =
        daemon.client().plugins(None).expect("plugins").into_iter().map(|plugin| plugin.name).collect();
    assert_eq!(names, ["craps"]);
    let log = daemon.log();
    assert!(log.contains("a-text.so") && log.contains("not an ELF file"), "{log}");
}

#[test]
fn a_client_without_a_supervisor_learns_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("nobody.sock");
    let (code, text) = Ran::croupier(Some(&socket), ["status", "--json"]).error();
    assert_eq!(code, "connect");
    assert!(text.contains("nobody.sock"), "{text}");
    let error = Client::connect(&socket).map(|_| ()).expect_err("nobody is there");
    assert!(error.to_string().contains("start the supervisor"), "{error}");
}

#[test]
fn a_plugin_that_needs_another_one_is_loaded_after_it_and_not_before() {
    let daemon = Daemon::with(&[]);
    let dir = daemon.dir().join("needy");
    std::fs::create_dir(&dir).expect("a directory");
    let source = artifacts::repository().join("tests/plugins/tiny.c");
    let build = |requirement: &str| {
        let out = dir.join("needy.so");
        let manifest =
            MANIFEST.replace("tiny", "needy") + &format!("[dependencies]\ncraps = \"{requirement}\"\n");
        let define = |text: &str| format!("-D{}", text);
        let arguments = [define(&quoted(&manifest)), define("TINY_DESCRIPTOR=\"needy\"")];
        artifacts::compile(&source, &out, &arguments);
        out.to_str().expect("UTF-8").to_owned()
    };
    let client = daemon.client();
    let alone = refusal(client.load(&build("^1.0")));
    assert!(alone.text.contains("craps"), "{alone:?}");
    client.load(Plugin::Craps.file().to_str().expect("UTF-8")).expect("craps");
    let wrong = refusal(client.load(&build("^2.0")));
    assert!(wrong.text.contains("craps") && wrong.text.contains("2.0"), "{wrong:?}");
    assert_ne!(alone.text, wrong.text);
    client.load(&build("^1.0")).expect("with craps there");
}
