//! EventBridge's event pattern language
//! (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>).

use serde_json::{Map, Value};
use std::fmt;

/// A checked event pattern.
#[derive(Debug, Clone)]
pub struct Pattern(Node);

/// Why a pattern is refused: where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PatternError {
    /// JSON pointer into the pattern.
    pub pointer: String,
    pub expected: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event pattern, {}: {}", self.pointer, self.expected)
    }
}

/// Every field must match, and for each `$or` one of its alternatives.
#[derive(Debug, Clone)]
struct Node {
    fields: Vec<(String, Field)>,
    alternatives: Vec<Vec<Node>>,
}

#[derive(Debug, Clone)]
enum Field {
    Inside(Node),
    AnyOf(Vec<Test>),
}

#[derive(Debug, Clone)]
enum Test {
    Exactly(Value),
    Text(TextTest),
    NotIn(Vec<Value>),
    NotText(Vec<TextTest>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
}

#[derive(Debug, Clone)]
enum TextTest {
    Prefix(String),
    Suffix(String),
    Wildcard(String),
    IgnoreCase(String),
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// [`PatternError`] for the first thing that EventBridge, or this simulator, does not know.
    pub fn parse(pattern: &Value) -> Result<Self, PatternError> {
        match pattern {
            Value::Object(fields) if !fields.is_empty() => Node::parse(fields, "").map(Self),
            _ => Err(refuse("/", "expected an object with at least one field")),
        }
    }

    /// True when the event matches. Where the event has an array, one matching element is enough; fields
    /// below an array of objects must match in the same element.
    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(&[event])
    }
}

fn refuse(pointer: &str, expected: impl Into<String>) -> PatternError {
    PatternError {
        pointer: pointer.to_owned(),
        expected: expected.into(),
    }
}

impl Node {
    fn parse(map: &Map<String, Value>, at: &str) -> Result<Self, PatternError> {
        let mut node = Self {
            fields: Vec::new(),
            alternatives: Vec::new(),
        };
        for (key, value) in map {
            let at = format!("{at}/{key}");
            match value {
                Value::Array(nodes) if key == "$or" => {
                    let nodes = nodes.iter().map(|n| match n {
                        Value::Object(fields) => Self::parse(fields, &at),
                        _ => Err(refuse(&at, "$or takes objects")),
                    });
                    node.alternatives.push(nodes.collect::<Result<_, _>>()?);
                }
                Value::Object(inside) if !inside.is_empty() => {
                    let inside = Self::parse(inside, &at)?;
                    node.fields.push((key.clone(), Field::Inside(inside)));
                }
                Value::Array(tests) if !tests.is_empty() => {
                    let tests = tests.iter().map(|t| Test::parse(t, &at));
                    let tests = tests.collect::<Result<_, _>>()?;
                    node.fields.push((key.clone(), Field::AnyOf(tests)));
                }
                _ => return Err(refuse(&at, "expected an object or a non-empty array")),
            }
        }
        Ok(node)
    }

    /// `elements`: the object itself, or the elements of the array that stands in its place.
    fn matches(&self, elements: &[&Value]) -> bool {
        elements.iter().any(|element| {
            self.fields
                .iter()
                .all(|(key, field)| field.matches(key, element, elements))
                && self
                    .alternatives
                    .iter()
                    .all(|any| any.iter().any(|node| node.matches(&[element])))
        })
    }
}

impl Field {
    fn matches(&self, key: &str, element: &Value, all_elements: &[&Value]) -> bool {
        let value = element.get(key);
        match self {
            Self::Inside(node) => match value {
                Some(Value::Array(elements)) => node.matches(&elements.iter().collect::<Vec<_>>()),
                Some(value @ Value::Object(_)) => node.matches(&[value]),
                // A missing object still satisfies patterns that ask for absence only.
                _ => node.matches(&[&Value::Object(Map::new())]),
            },
            Self::AnyOf(tests) => tests.iter().any(|test| match test {
                // EventBridge flattens arrays before it looks for a field that must not exist.
                Test::Exists(false) => all_elements.iter().all(|e| e.get(key).is_none()),
                // Exists works on leaves only.
                Test::Exists(true) => value.is_some_and(|v| !v.is_object()),
                test => match value {
                    None => false,
                    Some(Value::Array(values)) => values.iter().any(|v| test.matches(v)),
                    Some(value) => test.matches(value),
                },
            }),
        }
    }
}

impl Test {
    fn parse(test: &Value, at: &str) -> Result<Self, PatternError> {
        let Value::Object(operator) = test else {
            return if test.is_array() {
                Err(refuse(at, "an array inside an array is no test"))
            } else {
                Ok(Self::Exactly(test.clone()))
            };
        };
        let mut entries = operator.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return Err(refuse(at, "a test object has exactly one operator"));
        };
        let at = format!("{at}/{name}");
        match name.as_str() {
            "exists" => match argument {
                Value::Bool(exists) => Ok(Self::Exists(*exists)),
                _ => Err(refuse(&at, "expected true or false")),
            },
            "numeric" => Self::numeric(argument, &at),
            "anything-but" => Self::anything_but(argument, &at),
            _ => TextTest::parse(name, argument, &at).map(Self::Text),
        }
    }

    fn numeric(argument: &Value, at: &str) -> Result<Self, PatternError> {
        const EXPECTED: &str =
            r#"expected comparison and number, once or twice, as [">", 0, "<=", 5]"#;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        if !matches!(parts.len(), 2 | 4) {
            return Err(refuse(at, EXPECTED));
        }
        let comparisons = parts.chunks_exact(2).map(|pair| {
            let comparison = match pair[0].as_str() {
                Some("<") => Comparison::Less,
                Some("<=") => Comparison::LessOrEqual,
                Some("=") => Comparison::Equal,
                Some(">=") => Comparison::GreaterOrEqual,
                Some(">") => Comparison::Greater,
                _ => return Err(refuse(at, EXPECTED)),
            };
            let number = pair[1].as_f64().ok_or_else(|| refuse(at, EXPECTED))?;
            Ok((comparison, number))
        });
        comparisons.collect::<Result<_, _>>().map(Self::Numeric)
    }

    fn anything_but(argument: &Value, at: &str) -> Result<Self, PatternError> {
        match argument {
            Value::Object(operator) => {
                let mut entries = operator.iter();
                let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
                    return Err(refuse(at, "expected exactly one operator"));
                };
                let at = format!("{at}/{name}");
                let tests = match argument {
                    Value::Array(list) => list
                        .iter()
                        .map(|one| TextTest::parse(name, one, &at))
                        .collect::<Result<_, _>>()?,
                    one => vec![TextTest::parse(name, one, &at)?],
                };
                Ok(Self::NotText(tests))
            }
            Value::Array(list) => Ok(Self::NotIn(list.clone())),
            Value::Null | Value::Bool(_) => {
                Err(refuse(at, "expected text, numbers or an operator"))
            }
            one => Ok(Self::NotIn(vec![one.clone()])),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == value,
            Self::Text(test) => value.as_str().is_some_and(|text| test.matches(text)),
            Self::NotIn(list) => !list.contains(value),
            Self::NotText(tests) => value
                .as_str()
                .is_some_and(|text| !tests.iter().any(|test| test.matches(text))),
            Self::Numeric(comparisons) => value
                .as_f64()
                .is_some_and(|n| comparisons.iter().all(|(c, bound)| c.holds(n, *bound))),
            Self::Exists(_) => false,
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Equal => number == bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Greater => number > bound,
        }
    }
}

impl TextTest {
    fn parse(name: &str, argument: &Value, at: &str) -> Result<Self, PatternError> {
        let ignore_case = match argument {
            Value::Object(inner) if matches!(name, "prefix" | "suffix") && inner.len() == 1 => {
                inner.get("equals-ignore-case").and_then(Value::as_str)
            }
            _ => None,
        };
        match (name, argument, ignore_case) {
            ("prefix", _, Some(text)) => Ok(Self::PrefixIgnoreCase(text.to_lowercase())),
            ("suffix", _, Some(text)) => Ok(Self::SuffixIgnoreCase(text.to_lowercase())),
            ("prefix", Value::String(text), _) => Ok(Self::Prefix(text.clone())),
            ("suffix", Value::String(text), _) => Ok(Self::Suffix(text.clone())),
            ("wildcard", Value::String(text), _) if !text.contains("**") => {
                Ok(Self::Wildcard(text.clone()))
            }
            ("equals-ignore-case", Value::String(text), _) => {
                Ok(Self::IgnoreCase(text.to_lowercase()))
            }
            ("prefix" | "suffix" | "wildcard" | "equals-ignore-case", ..) => {
                Err(refuse(at, "expected text"))
            }
            _ => Err(refuse(
                at,
                "unknown operator; known: prefix, suffix, anything-but, exists, numeric, wildcard, equals-ignore-case",
            )),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::IgnoreCase(wanted) => text.to_lowercase() == *wanted,
            Self::PrefixIgnoreCase(prefix) => text.to_lowercase().starts_with(prefix),
            Self::SuffixIgnoreCase(suffix) => text.to_lowercase().ends_with(suffix),
            Self::Wildcard(pattern) => wildcard(pattern, text),
        }
    }
}

/// `*` stands for any text, the empty one too. Greedy from the left is enough: the last piece is pinned to the end.
fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(found) = text.find(piece) else {
            return false;
        };
        text = &text[found + piece.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(pattern: Value, event: Value) -> bool {
        Pattern::parse(&pattern).unwrap().matches(&event)
    }

    #[test]
    fn every_operator_matches_as_the_guide_says() {
        let cases = [
            (json!({"a": ["x", null, 1]}), json!({"a": 1}), true),
            (json!({"a": ["x"]}), json!({}), false),
            (json!({"a": ["x"]}), json!({"a": ["y", "x"]}), true),
            (
                json!({"a": [{"prefix": "gpu-"}]}),
                json!({"a": "gpu-recovery: x"}),
                true,
            ),
            (
                json!({"a": [{"prefix": {"equals-ignore-case": "GPU"}}]}),
                json!({"a": "gpu-1"}),
                true,
            ),
            (
                json!({"a": [{"suffix": ".png"}]}),
                json!({"a": "b.jpg"}),
                false,
            ),
            (
                json!({"a": [{"anything-but": ["x", "y"]}]}),
                json!({"a": "y"}),
                false,
            ),
            (json!({"a": [{"anything-but": "x"}]}), json!({}), false),
            (
                json!({"a": [{"anything-but": {"prefix": "gpu-"}}]}),
                json!({"a": "gpu-1"}),
                false,
            ),
            (
                json!({"a": [{"anything-but": {"suffix": ["1", "2"]}}]}),
                json!({"a": "gpu-3"}),
                true,
            ),
            (
                json!({"a": [{"numeric": [">", 0, "<=", 5]}]}),
                json!({"a": 5}),
                true,
            ),
            (
                json!({"a": [{"numeric": ["=", 0]}]}),
                json!({"a": "0"}),
                false,
            ),
            (json!({"a": [{"exists": false}]}), json!({}), true),
            (json!({"a": {"b": [{"exists": false}]}}), json!({}), true),
            (
                json!({"a": [{"exists": true}]}),
                json!({"a": {"b": 1}}),
                false,
            ),
            (
                json!({"a": [{"wildcard": "arn:*:task/*/x*"}]}),
                json!({"a": "arn:aws:ecs:task/c/xyz"}),
                true,
            ),
            (
                json!({"a": [{"wildcard": "a*b"}]}),
                json!({"a": "a"}),
                false,
            ),
            (
                json!({"a": [{"equals-ignore-case": "YES"}]}),
                json!({"a": "yes"}),
                true,
            ),
            (
                json!({"$or": [{"a": [1]}, {"b": [2]}]}),
                json!({"a": 0, "b": 2}),
                true,
            ),
            (
                json!({"$or": [{"a": [1]}, {"b": [2]}], "c": [3]}),
                json!({"a": 1, "c": 4}),
                false,
            ),
        ];
        for (pattern, event, expected) in cases {
            assert_eq!(
                matches(pattern.clone(), event.clone()),
                expected,
                "{pattern} on {event}"
            );
        }
    }

    #[test]
    fn fields_of_one_array_element_match_together() {
        let pattern = json!({"containers": {"name": ["train"], "exitCode": [1]}});
        let event = |code| json!({"containers": [{"name": "log", "exitCode": 1}, {"name": "train", "exitCode": code}]});
        assert!(matches(pattern.clone(), event(1)));
        assert!(!matches(pattern, event(0)));
    }

    #[test]
    fn an_unknown_operator_is_refused_by_its_pointer() {
        let error = Pattern::parse(&json!({"detail": {"a": [{"sounds-like": "x"}]}})).unwrap_err();
        assert_eq!(error.pointer, "/detail/a/sounds-like");
        assert!(error.expected.contains("wildcard"));
        assert!(Pattern::parse(&json!({"a": "x"})).is_err());
        assert!(Pattern::parse(&json!({"a": [{"numeric": [">"]}]})).is_err());
    }
}
