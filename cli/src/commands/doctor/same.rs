//! Whether a deployed definition is this version's: where ours has `${Name}`, the deployed one may have anything.

use serde_json::Value;
use std::collections::BTreeMap;

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

/// What was put in for each `${Name}`, as far as the two are the same.
pub fn values(ours: &Value, theirs: &Value) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    collect(ours, theirs, &mut values);
    values
}

fn collect(ours: &Value, theirs: &Value, values: &mut BTreeMap<String, String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                collect(value, theirs.get(name).unwrap_or(&Value::Null), values);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for (one, other) in ours.iter().zip(theirs) {
                collect(one, other, values);
            }
        }
        (Value::String(ours), Value::String(theirs)) => {
            for (name, value) in put_in(ours, theirs).unwrap_or_default() {
                values.entry(name.to_owned()).or_insert(value.to_owned());
            }
        }
        _ => {}
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    put_in(pattern, text).is_some()
}

/// What stands for each placeholder; `None` when the pieces between them do not come in this order, the first at the
/// beginning and the last at the end.
fn put_in<'a>(pattern: &'a str, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let Some((before, mut rest)) = pattern.split_once("${") else {
        return (pattern == text).then(Vec::new);
    };
    let mut left = text.strip_prefix(before)?;
    let mut found = Vec::new();
    loop {
        let (name, after) = rest.split_once('}')?;
        match after.split_once("${") {
            Some((piece, more)) => {
                let (value, others) = left.split_once(piece)?;
                found.push((name, value));
                (left, rest) = (others, more);
            }
            None => {
                found.push((name, left.strip_suffix(after)?));
                return Some(found);
            }
        }
    }
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
        let found = values(&ours, &same);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, [("M", "2"), ("N", "1"), ("P", "aws-cn")]);
    }
}
