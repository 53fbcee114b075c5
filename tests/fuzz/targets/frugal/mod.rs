//! Measures what decoding allocates: a length inside a message is only a claim.

use croupier_wire::codec::{CLAIM_PER_BYTE, CLAIM_SLACK};

/// What an error text may take beside the claim, in bytes.
const ERROR_TEXT_BYTES: usize = 1024;

/// How often over a claim may be allocated. A list is allocated as it is claimed, and the claim given back element by element as they are read: so what its elements claim in
/// turn comes on top. Messages have lists in lists, and no deeper.
const CLAIMS: usize = 3;

/// Decodes and panics if much more was allocated than the body is long.
pub fn decode<T>(body: &[u8], decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let used = allocation_counter::measure(|| decoded = Some(decode()));
    let max = CLAIMS * (body.len() * CLAIM_PER_BYTE + CLAIM_SLACK) + ERROR_TEXT_BYTES;
    assert!(
        used.bytes_total <= max as u64,
        "{} bytes allocated for a body of {}",
        used.bytes_total,
        body.len()
    );
    decoded.expect("it ran")
}
