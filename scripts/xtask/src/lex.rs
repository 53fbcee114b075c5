//! Splits Rust and C text into code and comments, line by line, so that a word in a string or a comment is not taken for code.
//!
//! Not a parser: it knows comments (nested in Rust), strings, raw strings and character literals, and nothing else.

/// One line of a source, split.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The code; comments are gone, and strings are empty.
    pub(crate) code: String,
    /// The comments, without their marks.
    pub(crate) comment: String,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    LineComment,
    /// How many are open.
    BlockComment(usize),
    /// A string that ends with this many `#`; `None` for one with escapes.
    Text(Option<usize>),
}

/// Splits a source into its lines.
pub(crate) fn split(text: &str) -> Vec<Line> {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c == '\n' {
            if state == State::LineComment {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let line = lines.last_mut().expect("there is always a line");
        let next = chars.get(at + 1).copied();
        match state {
            State::Code => at += code(&chars[at..], line, &mut state),
            State::LineComment => {
                line.comment.push(c);
                at += 1;
            }
            State::BlockComment(open) => match (c, next) {
                ('*', Some('/')) => {
                    state = if open == 1 { State::Code } else { State::BlockComment(open - 1) };
                    at += 2;
                }
                ('/', Some('*')) => {
                    state = State::BlockComment(open + 1);
                    at += 2;
                }
                _ => {
                    line.comment.push(c);
                    at += 1;
                }
            },
            State::Text(None) if c == '\\' && next != Some('\n') => at += 2,
            State::Text(None) => {
                if c == '"' {
                    line.code.push('"');
                    state = State::Code;
                }
                at += 1;
            }
            State::Text(Some(marks)) => {
                let ends = c == '"'
                    && chars[at + 1..].iter().take(marks).filter(|&&mark| mark == '#').count() == marks;
                at += 1;
                if ends {
                    line.code.push('"');
                    state = State::Code;
                    at += marks;
                }
            }
        }
    }
    lines
}

/// Takes one step in code and returns how many characters it took.
fn code(rest: &[char], line: &mut Line, state: &mut State) -> usize {
    match rest {
        ['/', '/', ..] => {
            *state = State::LineComment;
            2
        }
        ['/', '*', ..] => {
            *state = State::BlockComment(1);
            2
        }
        ['"', ..] => {
            line.code.push('"');
            *state = State::Text(None);
            1
        }
        // A character, not a lifetime: 'x' or an escape.
        ['\'', '\\', ..] => {
            line.code.push_str("''");
            let end = rest.iter().skip(3).position(|&c| c == '\'').map_or(rest.len(), |end| end + 4);
            end.min(rest.len())
        }
        ['\'', _, '\'', ..] => {
            line.code.push_str("''");
            3
        }
        ['r', tail @ ..]
            if !line.code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                || line.code.ends_with('b') =>
        {
            let marks = tail.iter().take_while(|&&c| c == '#').count();
            if tail.get(marks) == Some(&'"') {
                line.code.push('"');
                *state = State::Text(Some(marks));
                marks + 2
            } else {
                line.code.push('r');
                1
            }
        }
        [c, ..] => {
            line.code.push(*c);
            1
        }
        [] => 1,
    }
}

/// Whether `word` stands in `code` as a whole word (or path).
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .any(|(at, _)| !part(code[..at].chars().next_back()) && !part(code[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> Vec<String> {
        split(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(code_of("a // b\nc /* d\ne */ f"), ["a ", "c ", " f"]);
        assert_eq!(code_of("a /* b /* c */ d */ e"), ["a  e"]);
        assert_eq!(code_of(r#"a("b \" // c"); d"#), [r#"a(""); d"#]);
        assert_eq!(code_of("a(r#\"b \" // \"# c);"), ["a(\"\" c);"]);
        assert_eq!(code_of("x(br\"\\\"); y"), ["x(b\"\"); y"]);
        assert_eq!(code_of("m('\"', '\\'', '\\u{1}', b'/'); n::<'a>()"), ["m('', '', '', b''); n::<'a>()"]);
        assert_eq!(code_of("for r in bar {}"), ["for r in bar {}"]);
        assert_eq!(split("a // b c")[0].comment, " b c");
    }

    #[test]
    fn words() {
        assert!(has_word("use std::time::Instant;", "std::time"));
        assert!(!has_word("use std::timer;", "std::time"));
        assert!(!has_word("my_unsafe", "unsafe"));
        assert!(has_word("{unsafe{", "unsafe"));
    }
}
