//! Keys and seals: what is accepted, what is refused, and that secrets are not printed.

use croupier_fair::keys::{KeyError, ServerKey, ServerPublic};
use croupier_fair::seal::{AuditorPublic, AuditorSecret, SEALED_BYTES, SealError};
use croupier_fair::transcript::{FinishError, Reveal, TranscriptWriter};

use crate::support::*;

#[test]
fn keys_are_64_hexadecimal_digits() {
    let text = server().public().to_string();
    assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(server().public()));
    let refuse = |text: &str| text.parse::<ServerPublic>().expect_err("it is no key").to_string();
    assert_eq!(
        refuse("abc"),
        "the server's public key must be 64 hexadecimal digits (32 bytes); this has 3 characters"
    );
    assert_eq!(
        refuse(&text[..62]),
        "the server's public key must be 64 hexadecimal digits (32 bytes); this has 62 characters"
    );
    assert_eq!(refuse("12x4"), "the server's public key must be 64 hexadecimal digits; character 3 is none");
    let zeros = "0".repeat(64);
    assert_eq!(zeros.parse::<AuditorPublic>(), Err(KeyError::Zero { what: "auditor's public key" }));
    assert!(matches!(ServerKey::from_hex(""), Err(KeyError::Length { what: "server's secret key", got: 0 })));
    assert!(matches!(AuditorSecret::from_hex("é"), Err(KeyError::NotHex { position: 1, .. })));
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?} {:?} {:?} {:?}", server(), auditor(), seed(), Reveal::Public(seed()));
    for secret in [[0x42; 32], [0x24; 32], *seed().expose()] {
        assert!(!printed.contains(&hex::encode(secret)), "{printed}");
        assert!(!printed.contains(&format!("{:?}", &secret[..4])), "{printed}");
    }
}

#[test]
fn a_seal_opens_for_its_auditor_and_breaks_for_others() {
    let sealed = auditor().public().seal(&seed(), [0x99; 32]);
    assert_eq!(sealed.len(), SEALED_BYTES);
    assert_eq!(auditor().open(&sealed), Ok(seed()));
    assert_eq!(AuditorSecret::from_bytes([0x25; 32]).open(&sealed), Err(SealError::Broken));
    for at in 0..sealed.len() {
        let mut edited = sealed.clone();
        edited[at] ^= 1;
        assert_eq!(auditor().open(&edited), Err(SealError::Broken), "byte {at}");
        assert_eq!(auditor().open(&sealed[..at]), Err(SealError::Broken), "cut to {at}");
    }
    assert_ne!(auditor().public().seal(&seed(), [0x98; 32]), sealed, "other entropy, other box");
}

#[test]
fn only_the_key_of_the_header_signs() {
    let (writer, _) = TranscriptWriter::new(header());
    let other = ServerKey::from_bytes(&[0x43; 32]);
    let refused = writer.finish("closed", Reveal::Withheld, &other);
    assert_eq!(refused, Err(FinishError::OtherKey { header: server().public(), given: other.public() }));
}
