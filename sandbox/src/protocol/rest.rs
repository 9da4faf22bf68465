//! Lambda's restJson1: the operation is in the path.

use super::{Call, Reply, Request};
use crate::operations::{Protocol, SERVICES, Service};
use hyper::Method;
use serde_json::{Map, Value, json};
use simulator::wire::ApiError;

/// All of its operations that are offered are of this version of its API.
const FUNCTIONS: &str = "/2015-03-31/functions";

/// Its paths begin with the date of a version of its API: `/2015-03-31/`.
pub fn is_for_lambda(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    let date = |(place, letter): (usize, char)| match place {
        4 | 7 => letter == '-',
        _ => letter.is_ascii_digit(),
    };
    first.len() == 10 && first.chars().enumerate().all(date)
}

pub fn read(request: &Request<'_>) -> Result<Call, Reply> {
    let rest = request
        .path
        .strip_prefix(FUNCTIONS)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let known = rest.is_some();
    let parts: Vec<String> = rest
        .unwrap_or_default()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decoded)
        .collect();
    let mut body: Map<String, Value> =
        form_urlencoded::parse(request.query.unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
    let names: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (action, function) = match (request.method, known, names.as_slice()) {
        (&Method::GET, true, []) => ("ListFunctions", None),
        (&Method::GET, true, [name]) => ("GetFunction", Some(*name)),
        (&Method::GET, true, [name, "configuration"]) => ("GetFunctionConfiguration", Some(*name)),
        _ => ("", None),
    };
    if let Some(name) = function {
        body.insert("FunctionName".to_owned(), name.into());
    }
    Ok(Call {
        service: service().ok_or_else(|| reply(Err(unknown())))?,
        action: action.to_owned(),
        body: Value::Object(body),
        content_type: "application/json",
    })
}

fn service() -> Option<&'static Service> {
    SERVICES
        .iter()
        .find(|service| service.protocol == Protocol::Rest)
}

fn unknown() -> ApiError {
    ApiError::new("UnknownOperationException", "").with_status(404)
}

/// A part of a path without its percent signs.
fn decoded(part: &str) -> String {
    let pair = format!("part={}", part.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

pub fn reply(answer: Result<Value, ApiError>) -> Reply {
    let (status, error, body) = match answer {
        Ok(body) => (200, None, body),
        Err(error) => {
            let kind = if error.status < 500 { "User" } else { "Server" };
            let body = json!({ "Type": kind, "Message": error.message });
            (error.status, Some(error.code), body)
        }
    };
    Reply {
        status,
        content_type: "application/json",
        error,
        body: body.to_string(),
    }
}
