//! The Rust mirror against the header: a small C program prints the size and alignment of every struct, the offset and size of
//! every field, and every constant; they must be what Rust says.
#![allow(unsafe_code)] // a pointer to a field, to learn its size

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::{MaybeUninit, align_of, offset_of, size_of};
use std::process::Command;

use croupier_abi as abi;
use support::{C99, CXX11, Language};

/// What both sides are asked: a C expression, and what Rust says it is.
type Questions = Vec<(String, i128)>;

fn pointee_bytes<T>(_: *const T) -> usize {
    size_of::<T>()
}

/// Asks about structs. The pattern names every field, so that a new one that is not asked about does not compile.
macro_rules! ask_structs {
    ($questions:ident; $($rust:ident = $c:literal { $($field:ident),* })*) => {$(
        let _ = |all: abi::$rust| { let abi::$rust { $($field: _),* } = all; };
        $questions.push((format!("sizeof({})", $c), size_of::<abi::$rust>() as i128));
        $questions.push((format!("ALIGNOF({})", $c), align_of::<abi::$rust>() as i128));
        $(
            let field = stringify!($field);
            $questions.push((format!("offsetof({}, {field})", $c), offset_of!(abi::$rust, $field) as i128));
            let place = MaybeUninit::<abi::$rust>::uninit();
            // SAFETY: the address of a field of a place that lives here; nothing is read.
            let bytes = pointee_bytes(unsafe { &raw const (*place.as_ptr()).$field });
            $questions.push((format!("sizeof((({} *)0)->{field})", $c), bytes as i128));
        )*
    )*};
}

macro_rules! ask_constants {
    ($questions:ident; $($c:literal = $rust:expr),* $(,)?) => {$(
        $questions.push(($c.to_owned(), i128::try_from($rust).unwrap()));
    )*};
}

fn questions() -> Questions {
    let mut questions = Questions::new();
    ask_structs! { questions;
        Slice = "croupier_slice" { ptr, len }
        Sink = "croupier_sink" { ctx, write }
        Turn = "croupier_turn" { struct_size, kind, flags, session, seq, now_ns, seed, player }
        Host = "croupier_host" { struct_size, abi_minor, ctx, get_extension, fail, log, send, emit, call }
        Descriptor = "croupier_descriptor" { struct_size, abi_minor, name, version, state_version, reserved }
        Vtable = "croupier_vtable" {
            struct_size, reserved, init, shutdown, get_extension, session_open, session_restore, session_close,
            player_join, player_leave, action, tick, suspend, resume, snapshot
        }
        Plugin = "croupier_plugin" { struct_size, reserved, descriptor, vtable }
        ExtInput = "croupier_ext_input" { struct_size, reserved, input }
    }
    ask_constants! { questions;
        "CROUPIER_ABI_MAJOR" = abi::ABI_MAJOR, "CROUPIER_ABI_MINOR" = abi::ABI_MINOR,
        "CROUPIER_OK" = abi::OK, "CROUPIER_E_REFUSED" = abi::E_REFUSED, "CROUPIER_E_BAD_INPUT" = abi::E_BAD_INPUT,
        "CROUPIER_E_UNSUPPORTED" = abi::E_UNSUPPORTED, "CROUPIER_E_INTERNAL" = abi::E_INTERNAL,
        "CROUPIER_E_TOO_BIG" = abi::E_TOO_BIG, "CROUPIER_E_DENIED" = abi::E_DENIED,
        "CROUPIER_E_NO_TURN" = abi::E_NO_TURN,
        "CROUPIER_TURN_OPEN" = abi::TURN_OPEN, "CROUPIER_TURN_JOIN" = abi::TURN_JOIN,
        "CROUPIER_TURN_LEAVE" = abi::TURN_LEAVE, "CROUPIER_TURN_ACTION" = abi::TURN_ACTION,
        "CROUPIER_TURN_TICK" = abi::TURN_TICK, "CROUPIER_TURN_CLOSE" = abi::TURN_CLOSE,
        "CROUPIER_TURN_EVENT" = abi::TURN_EVENT, "CROUPIER_TURN_COMMAND" = abi::TURN_COMMAND,
        "CROUPIER_TURN_RESULT" = abi::TURN_RESULT, "CROUPIER_TURN_MESSAGE" = abi::TURN_MESSAGE,
        "CROUPIER_TURN_ADMIN" = abi::TURN_ADMIN,
        "CROUPIER_LOG_ERROR" = abi::LOG_ERROR, "CROUPIER_LOG_WARN" = abi::LOG_WARN,
        "CROUPIER_LOG_INFO" = abi::LOG_INFO, "CROUPIER_LOG_DEBUG" = abi::LOG_DEBUG,
        "CROUPIER_HOUSE" = abi::HOUSE,
        "sizeof(croupier_status)" = size_of::<abi::Status>(),
        "sizeof(croupier_turn_kind)" = size_of::<abi::TurnKind>(),
        "sizeof(croupier_player)" = size_of::<abi::PlayerId>(),
        // Printed as a signed number of 64 bits.
        "CROUPIER_ALL_PLAYERS" = abi::ALL_PLAYERS as i64,
    }
    questions
}

/// The program that answers: one line per question, then the texts.
fn program(questions: &Questions) -> String {
    let mut source = String::from(
        "#include <stdio.h>\n#include \"croupier_plugin.h\"\n#include \"ext/input.h\"\n\
         #define ALIGNOF(T) offsetof(struct { char c; T t; }, t)\n\
         int main(void) {\n",
    );
    for (index, (expression, _)) in questions.iter().enumerate() {
        writeln!(source, "    printf(\"{index} %lld\\n\", (long long)({expression}));").unwrap();
    }
    source.push_str("    printf(\"symbol %s\\n\", CROUPIER_PLUGIN_SYMBOL);\n");
    source.push_str("    printf(\"input %s\\n\", CROUPIER_EXT_INPUT);\n    return 0;\n}\n");
    source
}

#[test]
fn the_mirror_is_the_header() {
    if !C99.is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let questions = questions();
    let binary = C99.compile(dir.path(), &program(&questions), "layout", &[]);
    let output = Command::new(binary).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    for (index, (expression, rust)) in questions.iter().enumerate() {
        let c: i128 = answers[index.to_string().as_str()].parse().unwrap();
        assert_eq!(c, *rust, "{expression}: the header (left) and the mirror (right) differ");
    }
    assert_eq!(answers["symbol"], abi::PLUGIN_SYMBOL.to_str().unwrap());
    assert_eq!(answers["input"], abi::EXT_INPUT.to_str().unwrap());
}

/// Every constant of the header is among the questions.
#[test]
fn no_constant_is_forgotten() {
    let header = std::fs::read_to_string(support::include_dir().join("croupier_plugin.h")).unwrap();
    let asked: Vec<String> = questions().into_iter().map(|(expression, _)| expression).collect();
    // Macros that are no numbers.
    let others =
        ["PLUGIN_H", "PLUGIN_SYMBOL", "VISIBLE", "EXTERN", "EXPORT_PLUGIN", "MANIFEST", "MANIFEST_FILE"];
    let mut seen = 0;
    for line in header.lines().filter_map(|line| line.strip_prefix("#define CROUPIER_")) {
        let name = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
        if !others.contains(&name) {
            assert!(
                asked.contains(&format!("CROUPIER_{name}")),
                "CROUPIER_{name} is not compared with the mirror"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} constants found: does this test still read the header right?");
}

const PLUGIN: &str = r#"
#include "croupier_plugin.h"
#include "ext/input.h"

static croupier_status init(const croupier_host *host, croupier_slice settings, void **game) {
    (void)host; (void)settings; *game = NULL; return CROUPIER_OK;
}
static void shutdown_(void *game) { (void)game; }
static const void *get_extension(void *game, const char *id) { (void)game; (void)id; return NULL; }
static croupier_status session_open(void *game, const croupier_turn *turn, croupier_slice config,
                                    const croupier_sink *reply, void **session) {
    (void)turn; (void)config; *session = game; return reply->write(reply->ctx, NULL, 0);
}
static croupier_status session_restore(void *game, uint64_t id, uint32_t version, croupier_slice snapshot,
                                       void **session) {
    (void)id; (void)version; (void)snapshot; *session = game; return CROUPIER_E_BAD_INPUT;
}
static croupier_status session_close(void *game, void *session, const croupier_turn *turn,
                                     const croupier_sink *reply) {
    (void)game; (void)session; (void)turn; (void)reply; return CROUPIER_OK;
}
static croupier_status act(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                           const croupier_sink *reply) {
    (void)game; (void)session; (void)payload; (void)reply;
    return turn->player == CROUPIER_HOUSE || turn->player == CROUPIER_ALL_PLAYERS ? CROUPIER_E_REFUSED : CROUPIER_OK;
}
static croupier_status snapshot(void *game, void *session, const croupier_sink *out) {
    (void)game; (void)session; (void)out; return CROUPIER_OK;
}

static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, "none", "1.0.0", 1, 0 };
static const croupier_vtable vtable = {
    sizeof vtable, 0, init, shutdown_, get_extension, session_open, session_restore, session_close,
    NULL, NULL, act, NULL, NULL, NULL, snapshot
};
CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
"#;

/// A whole plugin compiles in the language, and exports the symbol and the manifest.
fn plugin_compiles(language: &Language) {
    if !language.is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let manifest = "manifest = 1\nname = \"none\"\n";
    std::fs::write(dir.path().join("plugin.toml"), manifest).unwrap();
    let literal = format!("{PLUGIN}\nCROUPIER_MANIFEST(\"manifest = 1\\nname = \\\"none\\\"\\n\");\n");
    let file = format!("{PLUGIN}\nCROUPIER_MANIFEST_FILE(\"plugin.toml\");\n");
    let flags = ["-O2", "-fPIC", "-shared", "-fvisibility=hidden"];
    for (name, source) in [("literal", literal), ("file", file)] {
        let object = language.compile(dir.path(), &source, name, &flags);
        let bytes = std::fs::read(&object).unwrap();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(holds(manifest.as_bytes()), "{name}: the manifest is not in the object");
        assert!(holds(b"\0.croupier\0"), "{name}: the object has no section .croupier");
        assert!(holds(b"\0croupier_plugin_v1\0"), "{name}: the object does not export croupier_plugin_v1");
    }
}

#[test]
fn a_c99_plugin_compiles() {
    plugin_compiles(&C99);
}

#[test]
fn a_cxx11_plugin_compiles() {
    plugin_compiles(&CXX11);
}

/// `abi_stable` compares the crate's version, so it must be the contract's.
#[test]
fn the_crate_is_versioned_like_the_contract() {
    let contract = format!("{}.{}.", abi::ABI_MAJOR, abi::ABI_MINOR);
    assert!(
        env!("CARGO_PKG_VERSION").starts_with(&contract),
        "set version = \"{contract}0\" in plugin-abi/Cargo.toml"
    );
}
