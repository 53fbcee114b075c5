//! Sealing a server seed to an auditor: only the auditor's secret opens it, and the seal hides who sealed.
//!
//! The seal is libsodium's `crypto_box_seal`: an ephemeral X25519 key, then XSalsa20-Poly1305; 80 bytes for the 32 of a seed.

use std::fmt;
use std::str::FromStr;

use crypto_box::aead::rand_core::{CryptoRng, Error as RngError, RngCore};
use crypto_box::{PublicKey, SecretKey};
use thiserror::Error;

use crate::keys::{KeyError, parse_hex};
use crate::seed::ServerSeed;

/// Bytes of a sealed seed: ephemeral public key, authenticator, seed.
pub const SEALED_BYTES: usize = 32 + 16 + 32;

/// Why a sealed seed was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// It is not for this secret, or it was changed.
    #[error("the sealed seed does not open with this secret: it was sealed to another auditor, or changed")]
    Broken,
    /// It opens, but not to 32 bytes.
    #[error("the sealed seed opens to something that is no seed: whoever sealed it did not seal a seed")]
    NoSeed,
}

/// An auditor's X25519 public key. Printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuditorPublic(pub [u8; 32]);

impl AuditorPublic {
    /// Seals the seed to this auditor. `entropy` is 32 fresh bytes of the operating system's randomness, used once and for nothing else.
    pub fn seal(&self, seed: &ServerSeed, entropy: [u8; 32]) -> Vec<u8> {
        PublicKey::from_bytes(self.0)
            .seal(&mut Once(Some(entropy)), seed.expose())
            .expect("XSalsa20-Poly1305 encrypts 32 bytes")
    }
}

impl fmt::Display for AuditorPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuditorPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditorPublic({self})")
    }
}

impl FromStr for AuditorPublic {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<AuditorPublic, KeyError> {
        parse_hex("auditor's public key", text).map(AuditorPublic)
    }
}

/// An auditor's X25519 secret. Never printed: `Debug` hides it.
#[derive(Clone)]
pub struct AuditorSecret(SecretKey);

impl fmt::Debug for AuditorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditorSecret(of {})", self.public())
    }
}

impl AuditorSecret {
    /// From 32 bytes of the operating system's randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> AuditorSecret {
        AuditorSecret(SecretKey::from_bytes(bytes))
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<AuditorSecret, KeyError> {
        parse_hex("auditor's secret", text).map(AuditorSecret::from_bytes)
    }

    /// The public half.
    pub fn public(&self) -> AuditorPublic {
        AuditorPublic(self.0.public_key().to_bytes())
    }

    /// Opens a seed that was sealed to this auditor.
    pub fn open(&self, sealed: &[u8]) -> Result<ServerSeed, SealError> {
        let opened = self.0.unseal(sealed).map_err(|_| SealError::Broken)?;
        opened.try_into().map(ServerSeed::from_bytes).map_err(|_| SealError::NoSeed)
    }
}

/// Hands out the caller's 32 bytes, once: how this crate stays without a generator of its own.
struct Once(Option<[u8; 32]>);

impl RngCore for Once {
    fn next_u32(&mut self) -> u32 {
        unreachable!("an X25519 secret is filled, not drawn")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("an X25519 secret is filled, not drawn")
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        to.copy_from_slice(&self.0.take().expect("one sealed box draws one secret"));
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Once {}
