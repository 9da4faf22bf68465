//! HTTP requests to operations, and answers back, as each of AWS's protocols has them
//! (<https://smithy.io/2.0/aws/protocols/index.html>).

mod form;
mod rest;
mod xml;

use crate::operations::{Protocol, SERVICES, Service};
use hyper::{HeaderMap, Method, header};
use serde_json::{Map, Value, json};
use simulator::wire::ApiError;

/// What came over HTTP.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// An operation that is asked for, and how its answer is to be written.
#[derive(Debug)]
pub struct Call {
    pub service: &'static Service,
    pub action: String,
    pub body: Value,
    /// Of awsJson: 1.0 or 1.1.
    content_type: &'static str,
}

/// What goes back over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    /// restJson1 names the error in a header.
    pub error: Option<String>,
    pub body: String,
}

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// Reads a request.
///
/// # Errors
/// The reply to what is no request of AWS.
pub fn read(request: &Request<'_>, id: &str) -> Result<Call, Reply> {
    let call = if let Some(target) = request.headers.get("x-amz-target") {
        let target = String::from_utf8_lossy(target.as_bytes());
        read_json(request, &target)?
    } else if rest::is_for_lambda(request.path) {
        rest::read(request)?
    } else {
        read_form(request, id)?
    };
    // Nobody looks at the signature. That there is one keeps out what is no client of AWS: a browser does not send the
    // header without asking first.
    let signed = request.headers.get(header::AUTHORIZATION);
    if !signed.is_some_and(|value| value.as_bytes().starts_with(b"AWS4-")) {
        let code = match call.service.protocol {
            Protocol::Query(..) | Protocol::Ec2(..) => "MissingAuthenticationToken",
            _ => "MissingAuthenticationTokenException",
        };
        let error = ApiError::new(
            code,
            "Request must contain a valid (registered) AWS access key ID; any will do here.",
        );
        let status = if code.ends_with("Exception") {
            400
        } else {
            403
        };
        return Err(write(&call, Err(error.with_status(status)), id));
    }
    if call.service.operations.contains(&call.action.as_str()) {
        Ok(call)
    } else {
        let error = unknown_operation(call.service, &call.action);
        Err(write(&call, Err(error), id))
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html> and its like of each service.
fn unknown_operation(service: &Service, action: &str) -> ApiError {
    let says = format!(
        "The sandbox does not offer {} {action}; docs/sandbox.md lists what it offers.",
        service.title
    );
    match service.protocol {
        Protocol::Json(_) => ApiError::new("UnknownOperationException", says),
        Protocol::Query(..) | Protocol::Ec2(..) => ApiError::new("InvalidAction", says),
        Protocol::Rest => ApiError::new("UnknownOperationException", says).with_status(404),
    }
}

fn read_json(request: &Request<'_>, target: &str) -> Result<Call, Reply> {
    let asked_in = request.headers.get(header::CONTENT_TYPE);
    let content_type = match asked_in {
        Some(value) if value.as_bytes().starts_with(JSON_1_0.as_bytes()) => JSON_1_0,
        _ => JSON_1_1,
    };
    let (namespace, action) = target.rsplit_once('.').unwrap_or((target, ""));
    let service = SERVICES
        .iter()
        .find(|service| matches!(service.protocol, Protocol::Json(known) if known == namespace));
    let Some(service) = service else {
        let error = ApiError::new(
            "UnknownOperationException",
            format!("The sandbox has no service with the target {namespace:?}."),
        );
        return Err(json_reply(content_type, "", Err(error)));
    };
    let body = match request.body {
        // The CLI sends nothing where an operation has no members.
        [] => Ok(json!({})),
        bytes => serde_json::from_slice(bytes),
    };
    match body {
        Ok(body @ Value::Object(_)) => Ok(Call {
            service,
            action: action.to_owned(),
            body,
            content_type,
        }),
        _ => {
            let error = ApiError::new("SerializationException", "");
            Err(json_reply(content_type, service.name, Err(error)))
        }
    }
}

/// awsQuery and ec2Query: which service it is, the form's version says.
fn read_form(request: &Request<'_>, id: &str) -> Result<Call, Reply> {
    let mut members = match *request.method {
        Method::POST => form::members(request.body),
        _ => form::members(request.query.unwrap_or_default().as_bytes()),
    };
    let mut take = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (action, version) = (take("Action"), take("Version"));
    if action.is_empty() {
        // As services answer what is none of their protocols.
        return Err(Reply {
            status: 404,
            content_type: "text/xml",
            error: None,
            body: "<UnknownOperationException/>\n".to_owned(),
        });
    }
    let service = SERVICES.iter().find(|service| {
        matches!(service.protocol, Protocol::Query(known, _) | Protocol::Ec2(known, _) if known == version)
    });
    let Some(service) = service else {
        let says = format!("The sandbox has no service with the action {action} of {version:?}.");
        let error = ApiError::new("InvalidAction", says);
        return Err(xml_reply(400, xml::error("", &error, id)));
    };
    let body = match service.protocol {
        Protocol::Ec2(..) => form::nested(members),
        _ => Value::Object(members),
    };
    Ok(Call {
        service,
        action,
        body,
        content_type: "text/xml",
    })
}

/// Writes an answer.
pub fn write(call: &Call, answer: Result<Value, ApiError>, id: &str) -> Reply {
    let status = answer.as_ref().map_or_else(|error| error.status, |_| 200);
    match call.service.protocol {
        Protocol::Json(_) => json_reply(call.content_type, call.service.name, answer),
        Protocol::Rest => rest::reply(answer),
        Protocol::Query(_, namespace) => xml_reply(
            status,
            match &answer {
                Ok(answer) => xml::query(namespace, &call.action, answer, id),
                Err(error) => xml::error(namespace, error, id),
            },
        ),
        Protocol::Ec2(_, namespace) => xml_reply(
            status,
            match &answer {
                Ok(answer) => xml::ec2(namespace, &call.action, answer, id),
                Err(error) => xml::ec2_error(error, id),
            },
        ),
    }
}

fn xml_reply(status: u16, body: String) -> Reply {
    Reply {
        status,
        content_type: "text/xml",
        error: None,
        body,
    }
}

fn json_reply(content_type: &'static str, service: &str, answer: Result<Value, ApiError>) -> Reply {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => {
            let mut body: Map<String, Value> = *error.extra;
            let kind = match service {
                "dynamodb" => format!("com.amazonaws.dynamodb.v20120810#{}", error.code),
                _ => error.code,
            };
            body.insert("__type".to_owned(), kind.into());
            if !error.message.is_empty() {
                body.insert("message".to_owned(), error.message.into());
            }
            (error.status, Value::Object(body))
        }
    };
    Reply {
        status,
        content_type,
        error: None,
        body: body.to_string(),
    }
}
