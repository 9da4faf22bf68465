//! JSONata's syntax errors, in the words and with the positions of jsonata-js 2.0.6, which AWS uses
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>), and a hint for the usual slips.

#[cfg(test)]
mod tests;
mod tokens;

use jsonata_core::{
    ast::AstNode,
    parser::{self, ParserError},
};
use tokens::{Token, scan};

/// The syntax tree of an expression.
///
/// # Errors
/// What is wrong, and where: the code, the position and the words of jsonata-js.
pub(super) fn parse(source: &str) -> Result<AstNode, String> {
    let chars: Vec<char> = source.chars().collect();
    let scanned = scan(&chars);
    let error = match parser::parse(source) {
        Ok(ast) => {
            let new = scanned.ok().and_then(|tokens| Fault::too_new(&tokens));
            return new.map_or(Ok(ast), |fault| Err(fault.told()));
        }
        Err(error) => error,
    };
    let fault = match scanned {
        // Strings, names, comments and regular expressions without an end.
        Err(open) => Fault {
            code: open.code.to_owned(),
            position: open.position,
            words: open.words.to_owned(),
            hint: None,
        },
        Ok(tokens) => Fault::find(&chars, &tokens, error),
    };
    Err(fault.told())
}

/// What the expression is written with, for the words of errors: names, symbols, literals.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let tokens = scan(&chars).unwrap_or_default().into_iter();
    tokens.map(|token| token.text).collect()
}

struct Fault {
    code: String,
    /// The number of characters up to the end of what is wrong.
    position: usize,
    words: String,
    hint: Option<&'static str>,
}

impl Fault {
    fn told(self) -> String {
        let Self {
            code,
            position,
            words,
            hint,
        } = self;
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{code} at position {position}: {words}{hint}")
    }

    /// `??` and `?:`, which the parser knows and AWS does not: no `?` of 2.0.6 stands before another one or a colon.
    fn too_new(tokens: &[Token]) -> Option<Self> {
        let pairs = tokens.windows(2);
        let mut new = pairs.filter(|pair| {
            pair[0].text == "?"
                && ["?", ":"].contains(&&*pair[1].text)
                && pair[0].end == pair[1].start
        });
        let second = &new.next()?[1];
        Some(Self {
            code: "S0211".to_owned(),
            position: second.end,
            words: format!(
                "The symbol {} cannot be used as a unary operator",
                second.shown()
            ),
            hint: Some(match second.text.as_str() {
                ":" => "?: came with JSONata 2.1, AWS has 2.0.6: write a ? a : b",
                _ => "?? came with JSONata 2.1, AWS has 2.0.6: write $exists(a) ? a : b",
            }),
        })
    }

    /// The parser names no position. The shortest beginning of the expression that cannot be gone on with ends with the
    /// token that is wrong.
    fn find(chars: &[char], tokens: &[Token], whole: ParserError) -> Self {
        for (index, token) in tokens.iter().enumerate() {
            let beginning: String = chars[..token.end].iter().collect();
            if let Err(error) = parser::parse(&beginning)
                && !is_open(token, &error)
            {
                return Self::at(token, &tokens[..index], &error);
            }
        }
        let (position, end) = (chars.len(), Token::end(chars.len()));
        let after_bracket = tokens.last().is_some_and(|last| last.text == "[")
            && tokens.iter().rev().nth(1).is_some_and(Token::is_value);
        if after_bracket {
            let words = "Expected \"]\" before end of expression".to_owned();
            return Self {
                code: "S0203".to_owned(),
                position,
                words,
                hint: None,
            };
        }
        Self {
            position,
            ..Self::at(&end, &[], &whole)
        }
    }

    fn at(token: &Token, before: &[Token], error: &ParserError) -> Self {
        let shown = token.shown();
        let (code, words) = match error {
            ParserError::Expected { expected, .. } if expected == "parameter name" => {
                let listed = before.iter().rev().take_while(|token| token.text != "(");
                let number = 1 + listed.filter(|token| token.text == ",").count();
                let words = format!(
                    "Parameter {number} of function definition must be a variable name (start with $)"
                );
                ("S0208", words)
            }
            ParserError::Expected { expected, found } => {
                let expected = symbol(expected);
                match found.as_str() {
                    "Eof" => (
                        "S0203",
                        format!("Expected {expected} before end of expression"),
                    ),
                    _ => ("S0202", format!("Expected {expected}, got {shown}")),
                }
            }
            ParserError::UnexpectedToken(name) if name == "Eof" => {
                ("S0207", "Unexpected end of expression".to_owned())
            }
            ParserError::UnexpectedToken(name) if name == "!" => {
                ("S0204", format!("Unknown operator: {shown}"))
            }
            ParserError::UnexpectedToken(_) => (
                "S0211",
                format!("The symbol {shown} cannot be used as a unary operator"),
            ),
            other => return Self::other(token, before, other),
        };
        Self {
            code: code.to_owned(),
            position: token.end,
            words,
            hint: hint(token, before.last()),
        }
    }

    /// Errors that carry their code and words already.
    fn other(token: &Token, before: &[Token], error: &ParserError) -> Self {
        let said = error.to_string();
        let coded = said
            .split_once(": ")
            .and_then(|(first, rest)| match is_code(first) {
                true => Some((first, rest)),
                false => rest.split_once(": ").filter(|(code, _)| is_code(code)),
            });
        let (code, words) = match coded {
            Some(("S0201", _)) | None => ("S0201", format!("Syntax error: {}", token.shown())),
            Some(("S0102", _)) => {
                let words = format!("Number out of range: \"{}\"", token.text);
                return Self {
                    code: "S0102".to_owned(),
                    position: token.start,
                    words,
                    hint: None,
                };
            }
            Some(("S0214", _)) => {
                let symbol = before.last().unwrap_or(token).shown();
                let words =
                    format!("The right side of {symbol} must be a variable name (start with $)");
                ("S0214", words)
            }
            Some((code, words)) => (code, words.to_owned()),
        };
        Self {
            code: code.to_owned(),
            position: token.end,
            words,
            hint: hint(token, before.last()),
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.starts_with(['S', 'T', 'D']) && text[1..].parse::<u16>().is_ok()
}

/// Whether more of the expression could make it right.
fn is_open(last: &Token, error: &ParserError) -> bool {
    match error {
        // A variable's name may follow.
        ParserError::Coded { code: "S0214", .. } => ["@", "#"].contains(&last.text.as_str()),
        ParserError::UnexpectedEnd => true,
        ParserError::UnexpectedToken(name) => name == "Eof",
        ParserError::Expected { found, .. } => found == "Eof",
        _ => false,
    }
}

/// The parser's name of a token as the symbol, in quotes.
fn symbol(name: &str) -> String {
    let symbol = match name {
        "LeftParen" => "(",
        "RightParen" => ")",
        "LeftBracket" => "[",
        "RightBracket" => "]",
        "LeftBrace" => "{",
        "RightBrace" => "}",
        "Colon" => ":",
        "Comma" => ",",
        "Pipe" => "|",
        other => other,
    };
    format!("\"{symbol}\"")
}

/// What people write who come from other languages.
fn hint(token: &Token, before: Option<&Token>) -> Option<&'static str> {
    let twice = before.is_some_and(|before| before.end == token.start && before.text == token.text);
    match token.text.as_str() {
        "=" if twice => Some("JSONata compares with a single ="),
        "=" if before.is_some_and(|b| b.text == "!=") => Some("JSONata compares with !="),
        "&" if twice => Some("write `and`; & joins strings"),
        "|" => Some("write `or`"),
        "!" => Some("write $not(…), or != to compare"),
        ">" if before.is_some_and(|b| b.text == "<") => Some("JSONata compares with !="),
        _ => None,
    }
}
