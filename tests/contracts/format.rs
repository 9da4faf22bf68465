//! How `statemachine/recovery.asl.json` is laid out: what fits on a line stands on one, a state never does, and each
//! retrier always does, so that equal ones look equal.

use serde_json::Value;
use std::{fs, path::PathBuf};

const WIDTH: usize = 120;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../statemachine/recovery.asl.json")
}

/// The value as text. `indent` is how far in its first line stands, `beside` what stands before it on that line,
/// `member` the name of the member that holds it.
fn laid_out(value: &Value, indent: usize, beside: usize, member: &str) -> String {
    let line = one_line(value);
    let is_state = value.get("Type").is_some() && value.get("Comment").is_some();
    let fits = indent + beside + line.len() <= WIDTH;
    let parts: Vec<String> = match value {
        _ if member == "Retry" && value.is_object() => return line,
        _ if fits && !is_state => return line,
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let label = format!("{}: ", Value::from(name.as_str()));
                let text = laid_out(value, indent + 2, label.len(), name);
                label + &text
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| laid_out(item, indent + 2, 0, member))
            .collect(),
        _ => return line,
    };
    let (open, close) = if value.is_object() {
        ('{', '}')
    } else {
        ('[', ']')
    };
    let pad = " ".repeat(indent);
    let body = parts.join(&format!(",\n{pad}  "));
    format!("{open}\n{pad}  {body}\n{pad}{close}")
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), one_line(value))
            };
            format!(
                "{{{}}}",
                members.iter().map(member).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(one_line).collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}

/// `UPDATE_DEFINITION=1` lays the file out instead.
#[test]
fn the_definition_is_laid_out() {
    let text = fs::read_to_string(file()).unwrap();
    let definition: Value = serde_json::from_str(&text).unwrap();
    let laid_out = laid_out(&definition, 0, 0, "") + "\n";
    if std::env::var_os("UPDATE_DEFINITION").is_some() {
        fs::write(file(), &laid_out).unwrap();
        return;
    }
    assert!(
        text == laid_out,
        "lay it out: UPDATE_DEFINITION=1 cargo test -p tests --test contracts laid_out"
    );
}
