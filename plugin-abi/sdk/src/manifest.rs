//! Reads three keys of `plugin.toml` at compile time, so that the descriptor cannot disagree with the manifest.
//!
//! Not a TOML parser: it looks at the plain `key = value` lines before the first table. The whole manifest is
//! read and validated by `croupier check`.

/// The value of a top-level key: without its quotes when it is a string.
///
/// # Panics
/// At compile time, when the key is missing or its value is not on one line.
pub const fn value<'a>(manifest: &'a [u8], key: &str) -> &'a [u8] {
    let mut at = 0;
    while at < manifest.len() {
        let end = line_end(manifest, at);
        let start = skip_blanks(manifest, at, end);
        if start < end && manifest[start] == b'[' {
            break;
        }
        if starts_with(manifest, start, end, key.as_bytes()) {
            let equals = skip_blanks(manifest, start + key.len(), end);
            if equals < end && manifest[equals] == b'=' {
                return scalar(manifest, skip_blanks(manifest, equals + 1, end), end);
            }
        }
        at = end + 1;
    }
    panic!("plugin.toml lacks one of the keys name, version, state_version before its first [table]");
}

/// The text as a NUL-terminated array; `N` is its length and one.
///
/// # Panics
/// At compile time, when `N` does not fit or the text holds a NUL.
pub const fn c_text<const N: usize>(text: &[u8]) -> [u8; N] {
    assert!(text.len() + 1 == N);
    let mut out = [0u8; N];
    let mut i = 0;
    while i < text.len() {
        assert!(text[i] != 0, "a name or version in plugin.toml holds a NUL");
        out[i] = text[i];
        i += 1;
    }
    out
}

/// Whether two texts are the same.
pub const fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && starts_with(a, 0, a.len(), b)
}

/// The text as a whole number.
///
/// # Panics
/// At compile time, when it is none or does not fit.
pub const fn number(text: &[u8]) -> u32 {
    assert!(!text.is_empty(), "state_version in plugin.toml is not a whole number");
    let mut value = 0u32;
    let mut i = 0;
    while i < text.len() {
        assert!(text[i].is_ascii_digit(), "state_version in plugin.toml is not a whole number");
        value = value * 10 + (text[i] - b'0') as u32;
        i += 1;
    }
    value
}

const fn line_end(bytes: &[u8], from: usize) -> usize {
    let mut i = from;
    while i < bytes.len() && bytes[i] != b'\n' {
        i += 1;
    }
    i
}

const fn skip_blanks(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut i = from;
    while i < end && (bytes[i] == b' ' || bytes[i] == b'\t') {
        i += 1;
    }
    i
}

const fn starts_with(bytes: &[u8], from: usize, end: usize, prefix: &[u8]) -> bool {
    if end - from < prefix.len() {
        return false;
    }
    let mut i = 0;
    while i < prefix.len() {
        if bytes[from + i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The string or bare word that begins at `start`.
const fn scalar(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    assert!(start < end, "a key of plugin.toml has no value on its line");
    let quote = bytes[start];
    let quoted = quote == b'"' || quote == b'\'';
    let first = if quoted { start + 1 } else { start };
    let mut last = first;
    while last < end {
        let byte = bytes[last];
        if quoted && byte == quote {
            return sub(bytes, first, last);
        }
        if !quoted && matches!(byte, b' ' | b'\t' | b'\r' | b'#') {
            break;
        }
        last += 1;
    }
    assert!(!quoted, "a string in plugin.toml does not end on its line");
    sub(bytes, first, last)
}

const fn sub(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.split_at(to).0.split_at(from).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &[u8] = b"# a comment\nmanifest = 1\nname_of_it = \"no\"\n  name= \"craps\" # why\r\nversion ='1.2.3'\nstate_version = 12\r\n[game]\nlicense = \"late\"\n";

    #[test]
    fn finds_plain_keys() {
        assert_eq!(value(TOML, "name"), b"craps");
        assert_eq!(value(TOML, "version"), b"1.2.3");
        assert_eq!(number(value(TOML, "state_version")), 12);
        assert_eq!(c_text::<6>(value(TOML, "name")), *b"craps\0");
        assert!(same(b"craps", b"craps") && !same(b"craps", b"crap") && !same(b"crap", b"craps"));
    }

    #[test]
    #[should_panic(expected = "lacks one of the keys")]
    fn does_not_look_into_tables() {
        value(TOML, "license");
    }
}
