//! JSONata's syntax errors, in the words and with the positions of jsonata-js 2.0.6, which AWS uses
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>), and a hint for the usual slips.

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
    let error = match parser::parse(source) {
        Ok(ast) => return Ok(ast),
        Err(error) => error,
    };
    let chars: Vec<char> = source.chars().collect();
    let fault = match scan(&chars) {
        // Strings, names, comments and regular expressions without an end.
        Err(open) => Fault {
            code: open.code.to_owned(),
            position: open.position,
            words: open.words.to_owned(),
            hint: None,
        },
        Ok(tokens) => Fault::find(&chars, &tokens, error),
    };
    let Fault {
        code,
        position,
        words,
        hint,
    } = fault;
    let mut message = format!("{code} at position {position}: {words}");
    if let Some(hint) = hint {
        message = format!("{message}; {hint}");
    }
    Err(message)
}

struct Fault {
    code: String,
    /// The number of characters up to the end of what is wrong.
    position: usize,
    words: String,
    hint: Option<&'static str>,
}

impl Fault {
    /// The parser names no position. The shortest beginning of the expression that cannot be gone on with ends with the
    /// token that is wrong.
    fn find(chars: &[char], tokens: &[Token], whole: ParserError) -> Self {
        for (index, token) in tokens.iter().enumerate() {
            let beginning: String = chars[..token.end].iter().collect();
            if let Err(error) = parser::parse(&beginning)
                && !is_open(&error)
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
fn is_open(error: &ParserError) -> bool {
    match error {
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
        "?" if twice => Some("?? came with JSONata 2.1; AWS has 2.0.6"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// What npm's jsonata@2.0.6 says of each: code, position, words.
    #[test]
    fn syntax_errors_are_told_in_the_words_of_jsonata_js() {
        for (source, code, position, words) in [
            (
                "1 == 2",
                "S0211",
                4,
                "The symbol \"=\" cannot be used as a unary operator",
            ),
            (
                "1 && 2",
                "S0211",
                4,
                "The symbol \"&\" cannot be used as a unary operator",
            ),
            ("1 || 2", "S0201", 3, "Syntax error: \"|\""),
            ("!true", "S0204", 1, "Unknown operator: \"!\""),
            (
                "$states.input.",
                "S0207",
                14,
                "Unexpected end of expression",
            ),
            (
                "$states.input[",
                "S0203",
                14,
                "Expected \"]\" before end of expression",
            ),
            ("(1", "S0203", 2, "Expected \")\" before end of expression"),
            (
                "[1,2",
                "S0203",
                4,
                "Expected \"]\" before end of expression",
            ),
            (
                "{\"a\":1",
                "S0203",
                6,
                "Expected \"}\" before end of expression",
            ),
            ("{\"a\" 1}", "S0202", 6, "Expected \":\", got 1"),
            ("1 +", "S0207", 3, "Unexpected end of expression"),
            (
                ")",
                "S0211",
                1,
                "The symbol \")\" cannot be used as a unary operator",
            ),
            (
                "\"abc",
                "S0101",
                4,
                "String literal must be terminated by a matching quote",
            ),
            (
                "`abc",
                "S0105",
                4,
                "Quoted property name must be terminated with a backquote (`)",
            ),
            ("/abc", "S0302", 4, "No terminating / in regular expression"),
            ("/* x", "S0106", 0, "Comment has no closing tag"),
            ("$x :=", "S0207", 5, "Unexpected end of expression"),
            (
                "function($x){1",
                "S0203",
                14,
                "Expected \"}\" before end of expression",
            ),
            (
                "function(x){1}",
                "S0208",
                10,
                "Parameter 1 of function definition must be a variable name (start with $)",
            ),
            (
                "function($x, y){1}",
                "S0208",
                14,
                "Parameter 2 of function definition must be a variable name (start with $)",
            ),
            ("1 2", "S0201", 3, "Syntax error: 2"),
            (
                "$string(1",
                "S0203",
                9,
                "Expected \")\" before end of expression",
            ),
            ("$f := 1; $f", "S0201", 8, "Syntax error: \";\""),
            (
                "a^(b",
                "S0203",
                4,
                "Expected \")\" before end of expression",
            ),
            (
                "$map($x, function($v) { $v + })",
                "S0211",
                30,
                "The symbol \"}\" cannot be used as a unary operator",
            ),
        ] {
            let said = parse(source).unwrap_err();
            let expected = format!("{code} at position {position}: {words}");
            assert!(
                said.starts_with(&expected),
                "{source}: {said}, not {expected}"
            );
        }
    }

    #[test]
    fn the_usual_slips_get_a_hint() {
        for (source, hint) in [
            ("$a == $b", "compares with a single ="),
            ("$a && $b", "write `and`"),
            ("$a || $b", "write `or`"),
            ("!$a", "$not("),
        ] {
            let said = parse(source).unwrap_err();
            assert!(said.contains(hint), "{source}: {said}");
        }
    }
}
