//! Checks that bytes are exactly one JSON value (RFC 8259), without building it.
//!
//! One pass, linear time, no recursion. It keeps one bit per open bracket, so it allocates nothing (unless keys are to be unique).
//! It is at least as strict as `serde_json`: what passes here parses there. On top of the grammar it bounds
//! depth, and the length and exponent of numbers: `1e999999999` is ten bytes of text and gigabytes as an exact number.

use std::collections::HashSet;

use thiserror::Error;

/// Deepest nesting of arrays and objects that can be asked for.
pub const JSON_DEPTH_MAX: usize = 127;
/// Longest number, in bytes of text.
pub const NUMBER_BYTES_MAX: usize = 256;
/// Largest magnitude of a number's exponent.
pub const EXPONENT_MAX: u32 = 999;

/// Why bytes are not one acceptable JSON value. `at` is the offset of the byte in question.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Nothing but space.
    #[error("there is no JSON value, only {bytes} bytes of space")]
    Empty {
        /// How many bytes.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("not JSON: byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// Something else than what the grammar wants.
    #[error("not JSON: at byte {at} there should be {expected}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What the grammar wants.
        expected: &'static str,
    },
    /// The text ends too early.
    #[error("not JSON: the text ends at byte {at}, where there should be {expected}")]
    CutOff {
        /// Its length.
        at: usize,
        /// What the grammar wants.
        expected: &'static str,
    },
    /// More follows after the value.
    #[error("more than one JSON value: something follows at byte {at}")]
    Trailing {
        /// Where.
        at: usize,
    },
    /// Nested too deep.
    #[error("JSON nested deeper than {max} levels at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
        /// The cap.
        max: usize,
    },
    /// More values than allowed.
    #[error("JSON with more than {max} values")]
    TooManyValues {
        /// The cap.
        max: usize,
    },
    /// A number that is too long or has too large an exponent.
    #[error(
        "the number at byte {at} is out of bounds: at most {NUMBER_BYTES_MAX} characters and an exponent of at most {EXPONENT_MAX}"
    )]
    NumberOutOfBounds {
        /// Where.
        at: usize,
    },
    /// The same key twice in one object.
    #[error("the key {key:?} at byte {at} is in its object twice")]
    DuplicateKey {
        /// Where.
        at: usize,
        /// Which, cut to 64 characters.
        key: String,
    },
}

/// Whether a key may be in an object twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Not looked at: who parses the value decides.
    Any,
    /// Refused: two parsers could read two different values.
    Unique,
}

/// Checks that `bytes` are exactly one JSON value nested at most `max_depth` levels (at most [`JSON_DEPTH_MAX`] in any case).
/// A number or string alone has depth 0.
///
/// # Errors
/// What is wrong and where, as a [`JsonError`].
pub fn check_json(bytes: &[u8], max_depth: usize) -> Result<(), JsonError> {
    check(bytes, max_depth, usize::MAX, Keys::Any).map(|_values| ())
}

/// As [`check_json`], with a cap on the number of values and a rule for keys. Returns the number of values.
pub(crate) fn check(bytes: &[u8], depth: usize, values: usize, keys: Keys) -> Result<usize, JsonError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(JsonError::NotUtf8 { at: error.valid_up_to() });
    }
    let mut scan = Scan {
        bytes,
        at: 0,
        depth: 0,
        objects: 0,
        depth_max: depth.min(JSON_DEPTH_MAX),
        values: 0,
        values_max: values,
        keys: (keys == Keys::Unique).then(Vec::new),
    };
    scan.space();
    if scan.at == bytes.len() {
        return Err(JsonError::Empty { bytes: bytes.len() });
    }
    scan.document()?;
    Ok(scan.values)
}

/// What comes next.
enum Next {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    /// After a value in a container.
    CommaOrEnd,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Bit `n` is set when the container at depth `n` is an object.
    objects: u128,
    depth_max: usize,
    values: usize,
    values_max: usize,
    /// The keys of each open object, when they must be unique.
    keys: Option<Vec<HashSet<String>>>,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        let mut next = Next::Value;
        loop {
            self.space();
            next = match next {
                Next::ValueOrEnd if self.peek() == Some(b']') => self.close(),
                Next::KeyOrEnd if self.peek() == Some(b'}') => self.close(),
                Next::Value | Next::ValueOrEnd => self.value()?,
                Next::KeyOrEnd => self.key()?,
                Next::CommaOrEnd if self.depth == 0 => break,
                Next::CommaOrEnd => self.comma_or_end()?,
            };
        }
        if self.at < self.bytes.len() {
            return Err(JsonError::Trailing { at: self.at });
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Next, JsonError> {
        self.values += 1;
        if self.values > self.values_max {
            return Err(JsonError::TooManyValues { max: self.values_max });
        }
        match self.peek() {
            Some(b'{') => return self.open(Next::KeyOrEnd),
            Some(b'[') => return self.open(Next::ValueOrEnd),
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(self.wrong("a value")),
        }
        Ok(Next::CommaOrEnd)
    }

    fn open(&mut self, next: Next) -> Result<Next, JsonError> {
        if self.depth == self.depth_max {
            return Err(JsonError::TooDeep { at: self.at, max: self.depth_max });
        }
        let bit = 1u128 << self.depth;
        if matches!(next, Next::KeyOrEnd) {
            self.objects |= bit;
            if let Some(keys) = &mut self.keys {
                keys.push(HashSet::new());
            }
        } else {
            self.objects &= !bit;
        }
        self.depth += 1;
        self.at += 1;
        Ok(next)
    }

    fn close(&mut self) -> Next {
        if self.in_object()
            && let Some(keys) = &mut self.keys
        {
            keys.pop();
        }
        self.depth -= 1;
        self.at += 1;
        Next::CommaOrEnd
    }

    fn in_object(&self) -> bool {
        self.objects & (1u128 << (self.depth - 1)) != 0
    }

    fn comma_or_end(&mut self) -> Result<Next, JsonError> {
        match (self.peek(), self.in_object()) {
            (Some(b','), true) => {
                self.at += 1;
                self.space();
                self.key()
            }
            (Some(b','), false) => {
                self.at += 1;
                Ok(Next::Value)
            }
            (Some(b'}'), true) | (Some(b']'), false) => Ok(self.close()),
            (_, true) => Err(self.wrong("a comma or `}`")),
            (_, false) => Err(self.wrong("a comma or `]`")),
        }
    }

    fn key(&mut self) -> Result<Next, JsonError> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a key in quotes"));
        }
        self.string()?;
        if let Some(keys) = self.keys.as_mut().and_then(|stack| stack.last_mut()) {
            let key: String = serde_json::from_slice(&self.bytes[start..self.at])
                .map_err(|_| JsonError::Unexpected { at: start, expected: "a key in quotes" })?;
            if keys.contains(&key) {
                return Err(JsonError::DuplicateKey { at: start, key: key.chars().take(64).collect() });
            }
            keys.insert(key);
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.wrong("a colon"));
        }
        self.at += 1;
        Ok(Next::Value)
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.wrong("no control character (escape it)")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("the end of a string")),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unicode()? {
                0xd800..0xdc00 => {
                    if self.peek() != Some(b'\\') || self.bytes.get(self.at + 1) != Some(&b'u') {
                        return Err(self.wrong("the second half of a surrogate pair"));
                    }
                    self.at += 1;
                    let at = self.at;
                    match self.unicode()? {
                        0xdc00..0xe000 => Ok(()),
                        _ => {
                            Err(JsonError::Unexpected { at, expected: "the second half of a surrogate pair" })
                        }
                    }
                }
                0xdc00..0xe000 => Err(self.wrong("a surrogate pair from its first half on")),
                _ => Ok(()),
            },
            _ => Err(self.wrong("an escape: one of \" \\ / b f n r t u")),
        }
    }

    /// `uXXXX`, with `at` on the `u`.
    fn unicode(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        }
        self.at += 1;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.wrong("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mut exponent = 0;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            let first = self.at;
            self.digits()?;
            for digit in &self.bytes[first..self.at] {
                exponent = (exponent * 10 + u32::from(digit - b'0')).min(EXPONENT_MAX + 1);
            }
        }
        if self.at - start > NUMBER_BYTES_MAX || exponent > EXPONENT_MAX {
            return Err(JsonError::NumberOutOfBounds { at: start });
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn wrong(&self, expected: &'static str) -> JsonError {
        let at = self.at;
        if at < self.bytes.len() {
            JsonError::Unexpected { at, expected }
        } else {
            JsonError::CutOff { at, expected }
        }
    }
}
