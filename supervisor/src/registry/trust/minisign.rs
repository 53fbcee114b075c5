//! The files of minisign <https://jedisct1.github.io/minisign/>: public keys, secret keys without a password, signatures. Pure.
//!
//! ```text
//!  public key   base64("Ed" ‖ key id 8 ‖ ed25519 public key 32)
//!  signature    base64(algorithm 2 ‖ key id 8 ‖ ed25519 signature 64)      "Ed": of the bytes; "ED": of their BLAKE2b-512
//!               trusted comment: …
//!               base64(ed25519 signature 64)                              of the signature and the trusted comment
//!  secret key   base64("Ed" ‖ 0 0 ‖ "B2" ‖ salt 32 ‖ ops 8 ‖ mem 8 ‖ key id 8 ‖ secret 32 ‖ public 32 ‖ BLAKE2b-256 32)
//! ```
//!
//! Secret keys are as `minisign -G -W` makes them: no password, kept by the file's mode alone. Signing is the prehashed kind, as
//! minisign does by default; both kinds verify.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest as _};
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, VerifyingKey};
use thiserror::Error;

/// Longest text of a key or signature that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 10;
/// Longest trusted comment, in bytes; minisign's own limit is 8192.
pub const COMMENT_BYTES_MAX: usize = 8192;
const LEGACY: [u8; 2] = *b"Ed";
const PREHASHED: [u8; 2] = *b"ED";
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no {what} in minisign's format: {why}")]
pub struct Malformed {
    what: &'static str,
    why: &'static str,
}

/// A key's name: eight bytes that its maker drew. Not bound to the key: who trusts a key trusts its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    /// As minisign shows it: a little-endian number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for KeyId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<KeyId, Malformed> {
        let wrong = Malformed { what: "key id", why: "it is 16 hexadecimal digits" };
        if text.len() != 16 {
            return Err(wrong);
        }
        u64::from_str_radix(text, 16).map(|number| KeyId(number.to_le_bytes())).map_err(|_| wrong)
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub id: KeyId,
    key: VerifyingKey,
}

fn unbase64<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], Malformed> {
    let bytes = STANDARD.decode(text).map_err(|_| Malformed { what, why: "a line is not base64" })?;
    bytes.try_into().map_err(|_| Malformed { what, why: "a line has another length" })
}

/// `N` bytes from `at` on.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the length was checked")
}

/// The lines of a file; a carriage return before a line feed is allowed, as it is by minisign.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line))
}

impl PublicKey {
    /// Reads a public key's file, or its second line alone.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(text: &str) -> Result<PublicKey, Malformed> {
        const WHAT: &str = "public key";
        let malformed = |why| Malformed { what: WHAT, why };
        let mut all = lines(text).filter(|line| !line.is_empty());
        let first = all.next().ok_or_else(|| malformed("it is empty"))?;
        let line = if first.starts_with(UNTRUSTED.trim_end()) { all.next() } else { Some(first) };
        let bytes: [u8; 42] = unbase64(WHAT, line.ok_or_else(|| malformed("there is only a comment"))?)?;
        if all.next().is_some() {
            return Err(malformed("more stands behind it"));
        }
        if part::<2>(&bytes, 0) != LEGACY {
            return Err(malformed("it is no ed25519 key"));
        }
        let key = VerifyingKey::from_bytes(&part(&bytes, 10))
            .map_err(|_| malformed("it is no point of the curve"))?;
        if key.is_weak() {
            return Err(malformed("it is a weak key, under which anything verifies"));
        }
        Ok(PublicKey { id: KeyId(part(&bytes, 2)), key })
    }

    /// Whether it is the same key, under whatever id.
    pub fn is_same(&self, other: &PublicKey) -> bool {
        self.key == other.key
    }

    /// The key as one line of base64.
    pub fn line(&self) -> String {
        STANDARD.encode([&LEGACY[..], &self.id.0, self.key.as_bytes()].concat())
    }

    /// The key as minisign writes its file.
    pub fn file(&self) -> String {
        format!("{UNTRUSTED}minisign public key {}\n{}\n", self.id, self.line())
    }

    /// Checks a signature of `bytes`, and the trusted comment's. The key's id is not looked at: the caller picked the key by it.
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signed = |message: &[u8], signature: &Ed25519| self.key.verify_strict(message, signature).is_ok();
        let body = match signature.kind {
            Kind::Legacy => signed(bytes, &signature.of_bytes),
            Kind::Prehashed => signed(&Blake2b512::digest(bytes), &signature.of_bytes),
        };
        let whole = [&signature.of_bytes.to_bytes()[..], signature.comment.as_bytes()].concat();
        body && signed(&whole, &signature.of_comment)
    }
}

/// What was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The bytes themselves.
    Legacy,
    /// Their BLAKE2b-512.
    Prehashed,
}

/// A signature's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key that made it, as it says.
    pub key: KeyId,
    /// The trusted comment; trusted once the signature verifies.
    pub comment: String,
    kind: Kind,
    of_bytes: Ed25519,
    of_comment: Ed25519,
}

impl Signature {
    /// Reads a signature's file.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(text: &str) -> Result<Signature, Malformed> {
        const WHAT: &str = "signature";
        let malformed = |why| Malformed { what: WHAT, why };
        if text.len() > TEXT_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let all: Vec<&str> = lines(text).collect();
        let [untrusted, first, trusted, second] = all[..] else {
            return Err(malformed("it has four lines"));
        };
        if !untrusted.starts_with(UNTRUSTED.trim_end()) {
            return Err(malformed("its first line is an untrusted comment"));
        }
        let comment =
            trusted.strip_prefix(TRUSTED).ok_or_else(|| malformed("its third line is a trusted comment"))?;
        let bytes: [u8; 74] = unbase64(WHAT, first)?;
        let kind = match part::<2>(&bytes, 0) {
            LEGACY => Kind::Legacy,
            PREHASHED => Kind::Prehashed,
            _ => return Err(malformed("its algorithm is unknown")),
        };
        Ok(Signature {
            key: KeyId(part(&bytes, 2)),
            comment: comment.to_owned(),
            kind,
            of_bytes: Ed25519::from_bytes(&part(&bytes, 10)),
            of_comment: Ed25519::from_bytes(&unbase64(WHAT, second)?),
        })
    }

    /// The file's text.
    pub fn file(&self) -> String {
        let algorithm = match self.kind {
            Kind::Legacy => LEGACY,
            Kind::Prehashed => PREHASHED,
        };
        let first = STANDARD.encode([&algorithm[..], &self.key.0, &self.of_bytes.to_bytes()].concat());
        let second = STANDARD.encode(self.of_comment.to_bytes());
        format!("{UNTRUSTED}signature from croupier\n{first}\n{TRUSTED}{}\n{second}\n", self.comment)
    }
}

/// A secret key. Never printed: `Debug` hides it.
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

/// Bytes before the id in a secret key's line: algorithms, salt, limits.
const SECRET_HEAD_BYTES: usize = 2 + 2 + 2 + 32 + 8 + 8;

impl SecretKey {
    /// A key of this id and these 32 bytes of randomness.
    pub fn from_seed(id: KeyId, seed: [u8; 32]) -> SecretKey {
        SecretKey { id, key: SigningKey::from_bytes(&seed) }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { id: self.id, key: self.key.verifying_key() }
    }

    /// Signs, as minisign does by default: the prehashed kind.
    ///
    /// # Errors
    /// When the comment is too long or has more than one line.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<Signature, Malformed> {
        if comment.len() > COMMENT_BYTES_MAX || comment.contains(['\n', '\r']) {
            return Err(Malformed { what: "trusted comment", why: "it is one line of at most 8192 bytes" });
        }
        let of_bytes = self.key.sign(&Blake2b512::digest(bytes));
        let of_comment = self.key.sign(&[&of_bytes.to_bytes()[..], comment.as_bytes()].concat());
        let comment = comment.to_owned();
        Ok(Signature { key: self.id, comment, kind: Kind::Prehashed, of_bytes, of_comment })
    }

    /// The file's text.
    pub fn file(&self) -> String {
        let pair = self.key.to_keypair_bytes();
        let head = [&LEGACY[..], &[0, 0], b"B2", &[0; 32 + 8 + 8]].concat();
        let bytes = [&head[..], &self.id.0, &pair, &checksum(self.id, &pair)].concat();
        format!("{UNTRUSTED}minisign secret key {}\n{}\n", self.id, STANDARD.encode(bytes))
    }

    /// Reads a secret key's file.
    ///
    /// # Errors
    /// [`Malformed`]; also when it is protected by a password, which is not supported.
    pub fn parse(text: &str) -> Result<SecretKey, Malformed> {
        const WHAT: &str = "secret key";
        let malformed = |why| Malformed { what: WHAT, why };
        let line =
            lines(text).filter(|line| !line.is_empty() && !line.starts_with(UNTRUSTED.trim_end())).last();
        let bytes: [u8; SECRET_HEAD_BYTES + 8 + 64 + 32] =
            unbase64(WHAT, line.ok_or_else(|| malformed("it is empty"))?)?;
        if part::<2>(&bytes, 0) != LEGACY || part::<2>(&bytes, 4) != *b"B2" {
            return Err(malformed("its algorithms are unknown"));
        }
        if part::<2>(&bytes, 2) != [0, 0] {
            return Err(malformed(
                "it is protected by a password: make one without (`minisign -G -W`, `croupier keygen`)",
            ));
        }
        let id = KeyId(part(&bytes, SECRET_HEAD_BYTES));
        let pair: [u8; 64] = part(&bytes, SECRET_HEAD_BYTES + 8);
        if part::<32>(&bytes, SECRET_HEAD_BYTES + 8 + 64) != checksum(id, &pair) {
            return Err(malformed("its checksum is wrong: it is damaged"));
        }
        let key = SigningKey::from_keypair_bytes(&pair)
            .map_err(|_| malformed("its halves do not belong together"))?;
        Ok(SecretKey { id, key })
    }
}

fn checksum(id: KeyId, pair: &[u8; 64]) -> [u8; 32] {
    let hash = Blake2b::<U32>::new();
    hash.chain_update(LEGACY).chain_update(id.0).chain_update(pair).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the reference tool and published with minisign-verify <https://github.com/jedisct1/rust-minisign-verify>: both sign `test`.
    const PUBLIC: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const PREHASHED_SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1556193335\tfile:test\n\
        y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";
    const LEGACY_SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
        trusted comment: timestamp:1555779966\tfile:test\n\
        QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n";

    #[test]
    fn what_the_reference_tool_signed_verifies() {
        let key = PublicKey::parse(PUBLIC).unwrap();
        assert_eq!(key.id.to_string(), "E7620F1842B4E81F");
        for text in [PREHASHED_SIGNATURE, LEGACY_SIGNATURE] {
            let signature = Signature::parse(text).unwrap();
            assert_eq!(signature.key, key.id);
            assert!(key.verifies(b"test", &signature), "{text}");
            assert!(!key.verifies(b"Test", &signature));
            let commented = Signature { comment: signature.comment.replace("file", "File"), ..signature };
            assert!(!key.verifies(b"test", &commented), "the comment is signed too");
        }
    }

    #[test]
    fn keys_and_signatures_are_files_and_back() {
        let secret = SecretKey::from_seed(KeyId(*b"\x01\x02\x03\x04\x05\x06\x07\x08"), [7; 32]);
        let again = SecretKey::parse(&secret.file()).unwrap();
        assert_eq!(again.public(), secret.public());
        assert_eq!(PublicKey::parse(&secret.public().file()).unwrap(), secret.public());
        assert_eq!(PublicKey::parse(&secret.public().line()).unwrap(), secret.public());
        let signature = again.sign(b"bytes", "a comment").unwrap();
        let read = Signature::parse(&signature.file().replace('\n', "\r\n")).unwrap();
        assert_eq!(read, signature);
        assert!(secret.public().verifies(b"bytes", &read) && !secret.public().verifies(b"byte", &read));
        assert!(secret.sign(b"", "two\nlines").is_err());
        assert!(!format!("{secret:?}").contains(&STANDARD.encode([7; 32])));
    }

    #[test]
    fn whatever_is_malformed_is_refused() {
        let secret = SecretKey::from_seed(KeyId([9; 8]), [7; 32]);
        let damaged = secret.file().replacen("AAAA", "AAAB", 1);
        assert!(
            SecretKey::parse(&damaged).is_err()
                || SecretKey::parse(&damaged).unwrap().public() == secret.public()
        );
        let public = secret.public().file();
        for text in
            ["", "untrusted comment: x\n", "RW==", &format!("{public}more\n"), &public.replace("RW", "RX")]
        {
            assert!(PublicKey::parse(text).is_err(), "{text:?}");
        }
        let weak = STANDARD.encode([&LEGACY[..], &[9; 8], &[1], &[0; 31]].concat());
        assert!(PublicKey::parse(&weak).unwrap_err().to_string().contains("weak"));
        let signature = secret.sign(b"x", "c").unwrap().file();
        let long = format!("{signature}{}", " ".repeat(TEXT_BYTES_MAX));
        for text in
            ["", &signature.replace("trusted comment: c\n", ""), &signature.replace("RU", "RV"), &long]
        {
            assert!(Signature::parse(text).is_err(), "{text:?}");
        }
        assert!("12".parse::<KeyId>().is_err() && "x".repeat(16).parse::<KeyId>().is_err());
        assert_eq!(KeyId([9; 8]).to_string().parse::<KeyId>().unwrap(), KeyId([9; 8]));
    }
}
