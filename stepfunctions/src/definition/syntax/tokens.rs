//! The tokens of an expression and their places, for errors only: the parser keeps none.

/// A token; places count characters.
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// What has no end, as jsonata-js tells of it.
pub(super) struct Open {
    pub(super) code: &'static str,
    pub(super) position: usize,
    pub(super) words: &'static str,
}

const PAIRS: [&str; 7] = ["..", ":=", "!=", ">=", "<=", "**", "~>"];
const SYMBOLS: &str = ".[]{}(),@#;:?+-*/%|=<>^&!~";

impl Token {
    /// What stands behind the last one.
    pub(super) fn end(at: usize) -> Self {
        Self {
            start: at,
            end: at,
            text: "(end)".to_owned(),
        }
    }

    /// As jsonata-js shows it: numbers as they are, the rest in quotes, variables without their `$`.
    pub(super) fn shown(&self) -> String {
        let text = self.text.as_str();
        if text.parse::<f64>().is_ok() {
            return text.to_owned();
        }
        let bare = text.trim_matches(['"', '\'', '`']);
        format!("\"{}\"", bare.strip_prefix('$').unwrap_or(bare))
    }

    /// Whether it can end a value, so that an operator follows.
    pub(super) fn is_value(&self) -> bool {
        match self.text.as_str() {
            ")" | "]" | "}" => true,
            "and" | "or" | "in" => false,
            text => !text.starts_with(|c| SYMBOLS.contains(c)),
        }
    }
}

/// The tokens up to the end.
pub(super) fn scan(chars: &[char]) -> Result<Vec<Token>, Open> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        let start = at;
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        if (c, next) == ('/', Some('*')) {
            at = find(chars, at + 2, "*/").ok_or(Open {
                code: "S0106",
                position: start,
                words: "Comment has no closing tag",
            })?;
            continue;
        }
        at = match c {
            '/' if !tokens.last().is_some_and(Token::is_value) => {
                closing(chars, at, '/').ok_or(Open {
                    code: "S0302",
                    position: chars.len(),
                    words: "No terminating / in regular expression",
                })?
            }
            '"' | '\'' => closing(chars, at, c).ok_or(Open {
                code: "S0101",
                position: chars.len(),
                words: "String literal must be terminated by a matching quote",
            })?,
            '`' => find(chars, at + 1, "`").ok_or(Open {
                code: "S0105",
                position: chars.len(),
                words: "Quoted property name must be terminated with a backquote (`)",
            })?,
            _ if next.is_some_and(|next| PAIRS.contains(&&*String::from_iter([c, next]))) => at + 2,
            _ if SYMBOLS.contains(c) => at + 1,
            _ => word(chars, at),
        };
        tokens.push(Token {
            start,
            end: at,
            text: chars[start..at].iter().collect(),
        });
    }
    Ok(tokens)
}

/// A name, a variable or a number; a number may hold a point.
fn word(chars: &[char], start: usize) -> usize {
    let number = chars[start].is_ascii_digit();
    let inside = |at: usize| {
        let c = chars[at];
        let fraction = number && c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit);
        fraction || !(c.is_whitespace() || SYMBOLS.contains(c))
    };
    let mut at = start + 1;
    while at < chars.len() && inside(at) {
        at += 1;
    }
    at
}

/// Behind the next closing mark that no backslash stands before.
fn closing(chars: &[char], start: usize, mark: char) -> Option<usize> {
    let mut at = start + 1;
    while let Some(&c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            c if c == mark => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Behind the next occurrence of the text.
fn find(chars: &[char], from: usize, text: &str) -> Option<usize> {
    let text: Vec<char> = text.chars().collect();
    let rest = chars.get(from..)?;
    let found = rest.windows(text.len()).position(|window| window == text)?;
    Some(from + found + text.len())
}
