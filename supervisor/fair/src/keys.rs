//! The server's signing key. Keys are 32 bytes; in files and on command lines they are 64 hexadecimal digits.
//!
//! Reads and writes no file: where keys are kept, and that nobody else may read them, is the supervisor's business.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The text's length is wrong.
    #[error("the {what} must be 64 hexadecimal digits (32 bytes); this has {got} characters")]
    Length {
        /// Which key.
        what: &'static str,
        /// Characters found.
        got: usize,
    },
    /// The text is not hexadecimal.
    #[error("the {what} must be 64 hexadecimal digits; character {position} is none")]
    NotHex {
        /// Which key.
        what: &'static str,
        /// Counted from 1.
        position: usize,
    },
    /// 32 zero bytes are nobody's key.
    #[error("the {what} is all zeros, which is nobody's key: was it left unset?")]
    Zero {
        /// Which key.
        what: &'static str,
    },
}

/// 64 hexadecimal digits, white space around them ignored (a file's last line feed).
pub(crate) fn parse_hex(what: &'static str, text: &str) -> Result<[u8; 32], KeyError> {
    let text = text.trim();
    let mut bytes = [0; 32];
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(KeyError::NotHex { what, position: at + 1 });
    }
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Length { what, got: text.len() })?;
    if bytes == [0; 32] {
        return Err(KeyError::Zero { what });
    }
    Ok(bytes)
}

/// The secret with which a server signs transcripts (ed25519). Never printed: `Debug` hides it.
#[derive(Clone)]
pub struct ServerKey(SigningKey);

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerKey({})", self.public().id())
    }
}

impl ServerKey {
    /// From 32 bytes of the operating system's randomness.
    pub fn from_bytes(bytes: &[u8; 32]) -> ServerKey {
        ServerKey(SigningKey::from_bytes(bytes))
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<ServerKey, KeyError> {
        parse_hex("server's secret key", text).map(|bytes| ServerKey::from_bytes(&bytes))
    }

    /// The public half.
    pub fn public(&self) -> ServerPublic {
        ServerPublic(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// A server's public key, as published. Printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerPublic(pub [u8; 32]);

impl ServerPublic {
    /// A short name for the key: the first 16 hexadecimal digits of `SHA-256("croupier/key/1" ‖ key)`. For people, never for a check.
    pub fn id(&self) -> String {
        let hash = Sha256::new().chain_update(b"croupier/key/1").chain_update(self.0).finalize();
        hex::encode(&hash[..8])
    }

    /// Strict verification (RFC 8032 without its leniencies): no weak keys, no malleable signatures.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for ServerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ServerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerPublic({self})")
    }
}

impl FromStr for ServerPublic {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<ServerPublic, KeyError> {
        parse_hex("server's public key", text).map(ServerPublic)
    }
}
