//! Test vectors for other implementations. docs/FAIRNESS.md prints every one of them; a test holds it to that.

use croupier_fair::chain::{OutcomeChain, outcome_sha256};
use croupier_fair::entry::{Effect, Verdict};
use croupier_fair::seed::{Mix, turn_seed};

use crate::support::*;

const COMMIT: &str = "3623670394c2053ba5cc5dda1ca5ed26632e2937f7ee85d28d0b341110396e92";
const MIX_START: &str = "7808cb72304474b699b6d8cba7eb7df1610e306f4fb8c09da68c0b87004f16e1";
const MIX_ADA: &str = "4613dcd3107ba4dd08f5c0bd10dc301d10a37894f73e9bd4fe9307f3e378f175";
const TURN_1: &str = "37102d337e10b5ecfb4c09fd6952b87a19b8f92e3897bc9707f6f09e7bdf0903";
const TURN_2: &str = "25ffd4796dba83370e63b787907cd0a2d263f63e0036a5f43867e81578228107";
const OUTCOME_DONE: &str = "721e8ba07221929d4ce83081768f4641e8e6796d7a4c2a36b547eb89f4131194";
const OUTCOME_FAILED: &str = "03a9c0b5149b03bc0cbc30689996d53675ce204b5f4408e25721458e1009264a";
const OUTCOME_POISON: &str = "7f3fd2fb4804d2fc520c0f88b701a47c9f4d428f2c7a74d9b9c21c61c054c055";
const OUTCOME_SKIPPED: &str = "89a13abb416cc2210481c6aba8f9eabdcc5fcc6f269a99baeb350267262ad3ea";
const TICKS_EMPTY: &str = "cf481ad3c85f190ae9d1d7f9e2b594db17beab5efb167b62c8a2b873a2bf75a6";
const TICKS_TWO: &str = "08f71a63eb7272c91a2a727e2e6a85cd7503623548d7148819e7ea3e9d696f5c";
const HEADER: &str = "dca56ea86b9cbf8fdf1337cab053e85cc24553c4df651753cd2a9700e7ace9fb";
const FINAL: &str = "dfef3eecd06ef6fcd522cf086a2f396c745d0145d4c09321b0133c3bb5f236b6";
const KEY_ID: &str = "3ac1dda0f20aa226";

/// Each with its name, as computed and as promised.
fn vectors() -> Vec<(&'static str, String, &'static str)> {
    let commit = seed().commit(SESSION);
    let start = Mix::start(&commit);
    let ada = start.add(2, 1, b"ada's lucky number");
    let effects = vec![
        Effect::Send { to: 1, message: bytes("hi") },
        Effect::Emit { topic: "table".to_owned(), event: bytes([1, 2, 3]) },
    ];
    let rich = outcome_sha256(&Verdict::Done { reply: bytes("{\"sum\":9}"), effects });
    let failed = outcome_sha256(&Verdict::Failed { status: -3, text: "no".to_owned() });
    let poison = outcome_sha256(&Verdict::Poison);
    let skipped = outcome_sha256(&Verdict::Skipped { ticks: 84 });
    let empty = OutcomeChain::new();
    let mut two = empty;
    two.add(&rich);
    two.add(&failed);
    let file = transcript(header(), &everything(), croupier_fair::transcript::Reveal::Public(seed()));
    let last = check(&file).expect("nothing is wrong with it").final_hash;
    vec![
        ("commit", hex::encode(commit), COMMIT),
        ("mix before anybody", hex::encode(start.0), MIX_START),
        ("mix after Ada", hex::encode(ada.0), MIX_ADA),
        ("seed of turn 1", hex::encode(turn_seed(&seed(), SESSION, &start, 1)), TURN_1),
        ("seed of turn 2", hex::encode(turn_seed(&seed(), SESSION, &ada, 2)), TURN_2),
        ("outcome done", hex::encode(rich), OUTCOME_DONE),
        ("outcome failed", hex::encode(failed), OUTCOME_FAILED),
        ("outcome poison", hex::encode(poison), OUTCOME_POISON),
        ("outcome skipped", hex::encode(skipped), OUTCOME_SKIPPED),
        ("no ticks", hex::encode(empty.value()), TICKS_EMPTY),
        ("two ticks", hex::encode(two.value()), TICKS_TWO),
        ("h_0", hex::encode(header().hash()), HEADER),
        ("final hash", hex::encode(last), FINAL),
        ("key id", server().public().id(), KEY_ID),
    ]
}

#[test]
fn the_vectors_hold() {
    for (name, found, promised) in vectors() {
        assert_eq!(found, promised, "{name}");
    }
}

#[test]
fn the_page_prints_them() {
    let page = include_str!("../../../../docs/FAIRNESS.md");
    for (name, _, promised) in vectors() {
        assert!(page.contains(promised), "docs/FAIRNESS.md lacks {name}: {promised}");
    }
}
