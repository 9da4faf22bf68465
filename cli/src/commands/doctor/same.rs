//! Whether a deployed definition is this version's: where ours has `${Name}`, the deployed one may have anything.

use serde_json::Value;

/// The JSON pointer of the first place where they differ.
pub fn difference(ours: &Value, theirs: &Value, place: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let missing = ours.keys().find(|name| !theirs.contains_key(*name));
            let strange = theirs.keys().find(|name| !ours.contains_key(*name));
            if let Some(name) = missing.or(strange) {
                return Some(format!("{place}/{name}"));
            }
            ours.iter().find_map(|(name, value)| {
                difference(value, &theirs[name], &format!("{place}/{name}"))
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .find_map(|(n, (one, other))| difference(one, other, &format!("{place}/{n}"))),
        (Value::String(ours), Value::String(theirs)) if fits(ours, theirs) => None,
        (ours, theirs) if ours == theirs => None,
        _ => Some(place.to_owned()),
    }
}

/// The pieces between the placeholders come in this order, the first at the beginning and the last at the end.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        pieces.push(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    let Some((first, middle)) = pieces.split_first() else {
        return pattern == text;
    };
    let Some(mut left) = text
        .strip_prefix(first)
        .and_then(|text| text.strip_suffix(rest))
    else {
        return false;
    };
    for piece in middle {
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_substituted_may_be_anything_and_the_rest_may_not() {
        let ours = json!({ "A": "arn:${P}:x", "B": ["${N} and ${M}!"], "C": 1 });
        let same = json!({ "A": "arn:aws-cn:x", "B": ["1 and 2!"], "C": 1 });
        assert_eq!(difference(&ours, &same, ""), None);
        for (name, value) in [
            ("A", json!("arn:aws:y")),
            ("B", json!(["1 or 2!"])),
            ("C", json!(2)),
            ("D", json!(0)),
        ] {
            let mut other = same.clone();
            other[name] = value;
            assert!(
                difference(&ours, &other, "")
                    .is_some_and(|place| place.starts_with(&format!("/{name}"))),
                "{name}"
            );
        }
        assert!(!fits("ab${X}ba", "aba"));
    }
}
