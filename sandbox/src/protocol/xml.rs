//! Answers of awsQuery and ec2Query.

use serde_json::Value;
use simulator::wire::ApiError;

/// <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>
pub fn query(namespace: &str, action: &str, answer: &Value, id: &str) -> String {
    let members = members(answer, "member");
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{members}</{action}Result><ResponseMetadata><RequestId>{id}\
         </RequestId></ResponseMetadata></{action}Response>"
    )
}

pub fn error(namespace: &str, error: &ApiError, id: &str) -> String {
    let fault = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    let (code, message) = (escape(&error.code), escape(&error.message));
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>{id}</RequestId></ErrorResponse>"
    )
}

/// <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>; an operation without output says `return`.
pub fn ec2(namespace: &str, action: &str, answer: &Value, id: &str) -> String {
    let members = match answer.as_object() {
        Some(answer) if !answer.is_empty() => members(&Value::Object(answer.clone()), "item"),
        _ => "<return>true</return>".to_owned(),
    };
    format!(
        "<{action}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>{members}</{action}Response>"
    )
}

pub fn ec2_error(error: &ApiError, id: &str) -> String {
    let (code, message) = (escape(&error.code), escape(&error.message));
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID>\
         </Response>"
    )
}

/// A structure's members by name, a list's as `item`.
fn members(value: &Value, item: &str) -> String {
    match value {
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", members(value, item)))
            .collect(),
        Value::Array(all) => all
            .iter()
            .map(|value| format!("<{item}>{}</{item}>", members(value, item)))
            .collect(),
        Value::String(text) => escape(text),
        Value::Null => String::new(),
        other => escape(&other.to_string()),
    }
}

/// Also what XML 1.0 does not know: control characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#xD;"),
            '\n' | '\t' => escaped.push(letter),
            letter if letter < ' ' || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}
