//! How deep a TOML text nests, counted before it is parsed.
//!
//! The parser caps brackets at 80 and the parts of one dotted key at 80, but not their product: 80 inline tables with keys of 80 parts
//! make 6,400 levels, and a stack overflow. So the depth is bounded first, with the parser's own lexer (strings and comments
//! are then the same to both) and one rule: *when in doubt, it is deeper*. Mismatched brackets are refused here, so that nothing
//! depends on how the parser recovers from them.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::ManifestError;

/// Deepest nesting of a manifest: parts of the table's header, of dotted keys, and brackets, all added.
pub const DEPTH_MAX: usize = 32;

/// One level of brackets.
struct Level {
    closer: TokenKind,
    /// Levels that were added by the key before the bracket, and the bracket itself.
    levels: usize,
}

/// Checks the depth of `text`, in linear time and without recursion.
pub(super) fn check(text: &str) -> Result<(), ManifestError> {
    let mut depth = Depth::default();
    for token in Source::new(text).lex() {
        depth.token(token.kind()).map_err(|why| {
            let before = &text.as_bytes()[..token.span().start().min(text.len())];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            ManifestError::Syntax { line, why }
        })?;
    }
    Ok(())
}

#[derive(Default)]
struct Depth {
    /// Parts of the last table header.
    header: usize,
    /// In a header: between a `[` that begins a line and the line's end.
    in_header: bool,
    /// Nothing but space came since the last line began, outside of brackets.
    at_line_start: bool,
    started: bool,
    open: Vec<Level>,
    /// Sum of `open`.
    open_levels: usize,
    /// Dots since the last separator, which make levels if it was a key; in a number they come to nothing.
    dots: usize,
    /// Levels of the keys before `=` that hold until the next separator.
    key: usize,
}

impl Depth {
    fn token(&mut self, kind: TokenKind) -> Result<(), String> {
        let line_start = self.at_line_start || !self.started;
        self.started = true;
        self.at_line_start = line_start && kind == TokenKind::Whitespace;
        match kind {
            TokenKind::Dot => self.dots += 1,
            TokenKind::Equals => {
                self.key += self.dots + 1;
                self.dots = 0;
                self.limit()?;
            }
            TokenKind::Comma => (self.dots, self.key) = (0, 0),
            TokenKind::Newline => self.newline()?,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                if line_start && self.open.is_empty() {
                    self.in_header = kind == TokenKind::LeftSquareBracket;
                    self.header = 0;
                }
                let closer = match kind {
                    TokenKind::LeftSquareBracket => TokenKind::RightSquareBracket,
                    _ => TokenKind::RightCurlyBracket,
                };
                self.push(closer)?;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => self.pop(kind)?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, closer: TokenKind) -> Result<(), String> {
        let levels = self.key + self.dots + 1;
        (self.key, self.dots) = (0, 0);
        self.open.push(Level { closer, levels });
        self.open_levels += levels;
        self.limit()
    }

    fn pop(&mut self, kind: TokenKind) -> Result<(), String> {
        let level = self.open.pop().filter(|level| level.closer == kind);
        let level = level.ok_or_else(|| format!("{} without its opening bracket", kind.description()))?;
        if self.in_header {
            self.header = self.header.max(self.dots + 1);
        }
        self.open_levels -= level.levels;
        (self.key, self.dots) = (0, 0);
        if self.in_header {
            self.limit()?;
        }
        Ok(())
    }

    fn newline(&mut self) -> Result<(), String> {
        if self.in_header && !self.open.is_empty() {
            return Err("a table header is not closed".to_owned());
        }
        if self.open.is_empty() {
            (self.key, self.dots, self.in_header) = (0, 0, false);
            self.at_line_start = true;
        }
        Ok(())
    }

    fn limit(&self) -> Result<(), String> {
        if self.header + self.open_levels + self.key > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels, headers and dotted keys included"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts() {
        let keys = |n: usize| vec!["a"; n].join(".");
        let fine = [
            format!("{} = 1", keys(32)),
            format!("[{}]\n{} = 1", keys(16), keys(16)),
            format!("a = {}{}", "[".repeat(31), "]".repeat(31)),
            format!("a = [{}]\nb = 1.5", "1.25, ".repeat(1000)),
            format!(
                "# {}\na = '{}'\nb = \"\"\"\n{}\"\"\"",
                ".[{".repeat(99),
                "[".repeat(99),
                "{\n".repeat(99)
            ),
            format!("[{}]\n[a]\n{} = 1", keys(32), keys(31)),
            "[a]\nx = { y.z = [1, 2] }\n[[b]]\n[[b]]\nc = [\n  [1],\n]".to_owned(),
        ];
        for text in fine {
            check(&text).unwrap_or_else(|error| panic!("{error}: {text:.80}"));
        }
        let deep = [
            format!("{} = 1", keys(33)),
            format!("[{}]", keys(33)),
            format!("[{}]\n{} = 1", keys(16), keys(17)),
            format!("a = {}{}", "[".repeat(32), "]".repeat(32)),
            format!("x = {{ {} = {{ {} = 1 }} }}", keys(16), keys(16)),
            format!("x = {}1", "{ a.b = ".repeat(11)),
        ];
        for text in deep {
            assert!(check(&text).is_err(), "{text:.80}");
        }
        for text in ["a = ]", "a = [}", "a = {]", "[a\n]"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
