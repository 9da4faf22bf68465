//! Errors of evaluation in the words of jsonata-js 2.0.6, as far as the evaluator tells enough; the codes are the same.

/// What AWS writes behind "threw an error during evaluation".
pub(super) fn in_jsonata_js(message: &str) -> String {
    let Some((code, words)) = message.split_once(": ") else {
        return message.to_owned();
    };
    let words = match code {
        // As recorded on AWS, without the name.
        "T1006" => "Attempted to invoke a non-function".to_owned(),
        "T2001" | "T2002" => quoted(words, " side of the ", " operator"),
        "D3030" => words
            .strip_prefix("Cannot convert '")
            .and_then(|rest| rest.strip_suffix("' to number"))
            .map_or_else(
                || words.to_owned(),
                |value| format!("Unable to cast value to a number: \"{value}\""),
            ),
        "D3100" => words
            .strip_prefix("Radix must be between 2 and 36, got ")
            .map_or_else(
                || words.to_owned(),
                |value| {
                    format!(
                        "The radix of the formatBase function must be between 2 and 36.  It was given {value}"
                    )
                },
            ),
        "D3138" | "D3139" => match words.rsplit_once(" (") {
            Some((words, _)) => words.to_owned(),
            None => words.to_owned(),
        },
        _ => words.to_owned(),
    };
    format!("{code}: {words}")
}

/// What stands between the two in double quotes.
fn quoted(words: &str, before: &str, after: &str) -> String {
    let parts = words.split_once(before).and_then(|(start, rest)| {
        let (name, end) = rest.split_once(after)?;
        Some(format!("{start}{before}\"{name}\"{after}{end}"))
    });
    parts.unwrap_or_else(|| words.to_owned())
}
