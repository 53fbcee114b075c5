//! Which build a program is from. `croupier` and `croupier-worker` must be from the same one, and say so before anything else, outside of the codec: between
//! two builds nothing else is sure to be understood.
//!
//! A build's name is Croupier's version and a hash over the sources of this crate, so that programs that would misunderstand each other never have the same one.

/// This build's name, as `0.1.0+0123456789abcdef`.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("CROUPIER_VOCABULARY"));
/// Longest greeting, in bytes.
pub const GREETING_BYTES_MAX: usize = 128;

/// What a zygote says first, as one packet of text, before it is asked anything: this, and its build.
const GREETING: &str = "croupier-worker ";

/// The first packet of a zygote of this build.
#[must_use]
pub fn greeting() -> String {
    format!("{GREETING}{BUILD}")
}

/// The build that a greeting names; none when it is no greeting.
#[must_use]
pub fn greeted(packet: &[u8]) -> Option<&str> {
    let build = std::str::from_utf8(packet).ok()?.strip_prefix(GREETING)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    (!build.is_empty() && build.bytes().all(fits)).then_some(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_names_its_build_and_nothing_else_is_one() {
        assert!(greeting().len() <= GREETING_BYTES_MAX);
        assert_eq!(greeted(greeting().as_bytes()), Some(BUILD));
        assert_eq!(greeted(b"croupier-worker 9.9.9+ab"), Some("9.9.9+ab"));
        for other in [&b""[..], b"croupier-worker ", b"croupier-worker \x1b[2J", b"\xff\xff", b"hello"] {
            assert_eq!(greeted(other), None);
        }
        let (version, vocabulary) = BUILD.split_once('+').expect("two parts");
        assert_eq!((version, vocabulary.len()), (env!("CARGO_PKG_VERSION"), 16));
    }
}
