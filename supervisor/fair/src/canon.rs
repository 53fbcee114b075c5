//! The canonical encoding: how a value becomes the bytes that are hashed or signed.
//!
//! Integers are little-endian of fixed width; byte strings and texts have their length in front as a `u64`; arrays of 32 bytes stand bare.
//! There is one encoding per value and it can be read back without guessing, so two different values never share their bytes.
//! Not the file's format: a transcript is JSON, see [`crate::transcript`].

use sha2::{Digest, Sha256};

/// Where canonical bytes go.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Writes values in the canonical encoding.
pub(crate) struct Canon<S: Sink>(S);

impl Canon<Sha256> {
    /// A hash over the tag (bare) and what follows.
    pub(crate) fn hash(tag: &[u8]) -> Canon<Sha256> {
        Canon(Sha256::new()).bare(tag)
    }

    /// The hash.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Canon<Vec<u8>> {
    /// The bytes themselves: the tag (bare) and what follows.
    pub(crate) fn message(tag: &[u8]) -> Canon<Vec<u8>> {
        Canon(Vec::new()).bare(tag)
    }

    /// The bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<S: Sink> Canon<S> {
    /// Bytes whose length is known from the place where they stand.
    pub(crate) fn bare(mut self, bytes: &[u8]) -> Self {
        self.0.put(bytes);
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.bare(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bare(&value.to_le_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bare(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bare(&value.to_le_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.bare(&value.to_le_bytes())
    }

    /// Length as `u64`, then the bytes.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.u64(bytes.len() as u64).bare(bytes)
    }
}
