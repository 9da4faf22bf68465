//! Errors of evaluation in the words of jsonata-js 2.0.6, as far as the evaluator tells enough; the codes are the same.

use crate::definition::{is_function, tokens};

/// Words that hold no value.
const CONSTANT: [(&str, &str); 25] = [
    // As recorded on AWS, without the name.
    ("T1006", "Attempted to invoke a non-function"),
    (
        "T2003",
        "The left side of the range operator (..) must evaluate to an integer",
    ),
    (
        "T2004",
        "The right side of the range operator (..) must evaluate to an integer",
    ),
    (
        "D3001",
        "Attempting to invoke string function on Infinity or NaN",
    ),
    (
        "D3010",
        "Second argument of replace function cannot be an empty string",
    ),
    (
        "D3020",
        "Third argument of split function must evaluate to a positive number",
    ),
    (
        "D3080",
        "The picture string must only contain a maximum of two sub-pictures",
    ),
    (
        "D3081",
        "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
    ),
    (
        "D3082",
        "The sub-picture must not contain more than one instance of the 'percent' character",
    ),
    (
        "D3083",
        "The sub-picture must not contain more than one instance of the 'per-mille' character",
    ),
    (
        "D3084",
        "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
    ),
    (
        "D3085",
        "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit \
         character' or a member of the 'decimal digit family'",
    ),
    (
        "D3086",
        "The sub-picture must not contain a passive character that is preceded by an active character and that is \
         followed by another active character",
    ),
    (
        "D3087",
        "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a \
         'decimal-separator' character",
    ),
    (
        "D3088",
        "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
    ),
    (
        "D3089",
        "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
    ),
    (
        "D3090",
        "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by \
         an instance of the 'optional digit character'",
    ),
    (
        "D3091",
        "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is \
         followed by a member of the 'decimal digit family'",
    ),
    (
        "D3092",
        "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an \
         'exponent-separator'",
    ),
    (
        "D3093",
        "The exponent part of the sub-picture must comprise only of one or more characters that are members of the \
         'decimal digit family'",
    ),
    // Without the values, which the evaluator keeps to itself.
    (
        "T2007",
        "Type mismatch when comparing values in order-by clause",
    ),
    (
        "T2011",
        "The insert/update clause of the transform expression must evaluate to an object",
    ),
    (
        "T2012",
        "The delete clause of the transform expression must evaluate to a string or array of strings",
    ),
    ("D1002", "Cannot negate a non-numeric value"),
    (
        "D2014",
        "The size of the sequence allocated by the range operator (..) must not exceed 1e6.",
    ),
];

/// What AWS writes behind "threw an error during evaluation"; `source` is the expression.
pub(super) fn in_jsonata_js(message: &str, source: &str) -> String {
    let Some((code, words)) = message.split_once(": ") else {
        return message.to_owned();
    };
    let constant = CONSTANT.iter().find(|(known, _)| *known == code);
    let worded = match code {
        _ if let Some((_, words)) = constant => Some((*words).to_owned()),
        "T0410" => argument(words).map(|index| {
            format!(
                "Argument {index} of function {} does not match function signature",
                called(source)
            )
        }),
        "T0412" => array(words, source),
        "T2001" | "T2002" => quoted(words, " side of the ", " operator"),
        "T2009" => words
            .strip_prefix("The expressions on ")
            .map(|rest| format!("The values {rest}")),
        "T2010" => Some(format!(
            "The expressions either side of operator {} must evaluate to numeric or string values",
            any(source, |token| ["<", "<=", ">", ">="].contains(&token))
        )),
        "D3030" => words
            .strip_prefix("Cannot convert '")
            .and_then(|rest| rest.strip_suffix("' to number"))
            .map(|value| format!("Unable to cast value to a number: \"{value}\"")),
        "D3100" => words
            .strip_prefix("Radix must be between 2 and 36, got ")
            .map(|value| {
                format!(
                    "The radix of the formatBase function must be between 2 and 36.  It was given {value}"
                )
            }),
        "D3130" => Some(format!(
            "Formatting or parsing an integer as a sequence starting with \"{words}\" is not supported by this implementation"
        )),
        "D3138" | "D3139" => words.rsplit_once(" (").map(|(words, _)| words.to_owned()),
        _ => None,
    };
    format!("{code}: {}", worded.as_deref().unwrap_or(words))
}

/// Which argument does not fit; of too many, the first that is too much, and of too few, the first that lacks.
fn argument(words: &str) -> Option<usize> {
    let Some(counts) = words.strip_prefix("Argument count mismatch: expected ") else {
        let (index, _) = words.strip_prefix("Argument ")?.split_once(" must be ")?;
        return index.parse().ok();
    };
    let (expected, actual) = counts.split_once(", got ")?;
    let (expected, actual): (usize, usize) = (expected.parse().ok()?, actual.parse().ok()?);
    // An argument that the context may stand for is not expected.
    Some(1 + actual.min(expected.max(1)))
}

fn array(words: &str, source: &str) -> Option<String> {
    let (index, of) = words
        .strip_prefix("Argument ")?
        .split_once(" must be an array of ")?;
    Some(format!(
        "Argument {index} of function {} must be an array of \"{}s\"",
        called(source),
        of.to_lowercase()
    ))
}

/// The functions of the expression: the evaluator does not say which one it was.
fn called(source: &str) -> String {
    any(source, |token| {
        token.strip_prefix('$').is_some_and(is_function)
    })
}

/// The tokens of this kind in the expression: `"<"`, or `"<" or ">"`.
fn any(source: &str, kind: impl Fn(&str) -> bool) -> String {
    let mut found: Vec<String> = Vec::new();
    for token in tokens(source) {
        let name = format!("\"{}\"", token.strip_prefix('$').unwrap_or(&token));
        if kind(&token) && !found.contains(&name) {
            found.push(name);
        }
    }
    found.join(" or ")
}

/// What stands between the two in double quotes.
fn quoted(words: &str, before: &str, after: &str) -> Option<String> {
    let (start, rest) = words.split_once(before)?;
    let (name, end) = rest.split_once(after)?;
    Some(format!("{start}{before}\"{name}\"{after}{end}"))
}
