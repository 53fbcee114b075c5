//! The operating system's randomness: seeds, keys, nothing else.

/// 32 bytes that nobody can guess.
///
/// # Panics
/// When the kernel gives none. It does not happen after boot (getrandom(2)), and a supervisor without chance must not play.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no randomness: {error}"),
        }
    }
    bytes
}
