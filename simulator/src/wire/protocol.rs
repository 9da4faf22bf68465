//! HTTP requests of the SDK to operations and back: awsJson by the `X-Amz-Target` header, awsQuery by the form
//! (<https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>, `aws-query-protocol.html`).

use super::{ApiError, Outcome, Wire};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value, json};
use std::{fmt, sync::Arc};

/// A target's namespace, and the service that it stands for.
const TARGETS: [(&str, &str); 4] = [
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("DynamoDB_20120810", "dynamodb"),
    ("AWSStepFunctions", "states"),
    ("AmazonSSM", "ssm"),
];

#[derive(Clone)]
struct Connector {
    wire: Wire,
    caller: Arc<str>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

pub(super) fn client(wire: Wire, caller: &str) -> SharedHttpClient {
    SharedHttpClient::new(Connector {
        wire,
        caller: caller.into(),
    })
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            let request =
                Request::read(&request).map_err(|why| ConnectorError::user(why.into()))?;
            let Request {
                service,
                action,
                body,
                query,
            } = request;
            let outcome = connector
                .wire
                .exchange(&connector.caller, service, &action, body)
                .await;
            match outcome {
                Outcome::Answered(answer) if query => {
                    query_response(&action, &answer, &connector.wire.0.dice.uuid())
                }
                Outcome::Answered(answer) => json_response(answer),
                Outcome::ConnectionTimedOut => {
                    Err(ConnectorError::timeout("the connection timed out".into()))
                }
            }
        })
    }
}

struct Request {
    service: &'static str,
    action: String,
    body: Value,
    /// awsQuery, answered in XML.
    query: bool,
}

impl Request {
    fn read(request: &HttpRequest) -> Result<Self, String> {
        let bytes = request
            .body()
            .bytes()
            .ok_or("a streamed request body is not simulated")?;
        let Some(target) = request.headers().get("x-amz-target") else {
            return Self::read_form(bytes);
        };
        let (namespace, action) = target
            .rsplit_once('.')
            .ok_or_else(|| format!("X-Amz-Target {target} has no operation"))?;
        let (_, service) = TARGETS
            .iter()
            .find(|(prefix, _)| *prefix == namespace)
            .ok_or_else(|| format!("no simulated service has the target {namespace}"))?;
        let body = serde_json::from_slice(bytes)
            .map_err(|e| format!("the body of {target} is no JSON: {e}"))?;
        Ok(Self {
            service,
            action: action.to_owned(),
            body,
            query: false,
        })
    }

    /// SNS is the one service here that speaks awsQuery.
    fn read_form(bytes: &[u8]) -> Result<Self, String> {
        let mut members: Map<String, Value> = form_urlencoded::parse(bytes)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        match (members.remove("Action"), members.remove("Version")) {
            (Some(Value::String(action)), Some(version)) if version == "2010-03-31" => Ok(Self {
                service: "sns",
                action,
                body: Value::Object(members),
                query: true,
            }),
            _ => Err("neither X-Amz-Target nor an SNS form: the service is not simulated".into()),
        }
    }
}

fn respond(
    status: u16,
    content_type: &'static str,
    body: String,
) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|e| ConnectorError::user(e.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    Ok(response)
}

/// What stands before a service answers in its own way when the service does not: a page, and no code.
fn proxy_response(status: u16) -> Result<HttpResponse, ConnectorError> {
    let body = format!("<html><head><title>{status}</title></head><body></body></html>");
    respond(status, "text/html", body)
}

fn json_response(answer: Result<Value, ApiError>) -> Result<HttpResponse, ConnectorError> {
    let (status, body) = match answer {
        Err(error) if error.code.is_empty() => return proxy_response(error.status),
        Ok(body) => (200, body),
        Err(error) => {
            let mut body = *error.extra;
            body.insert("__type".to_owned(), error.code.into());
            body.insert("message".to_owned(), error.message.into());
            (error.status, Value::Object(body))
        }
    };
    respond(status, "application/x-amz-json-1.1", body.to_string())
}

fn query_response(
    action: &str,
    answer: &Result<Value, ApiError>,
    request_id: &str,
) -> Result<HttpResponse, ConnectorError> {
    const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
    let (status, body) = match answer {
        Ok(body) => {
            let members = xml(body);
            let body = format!(
                "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{members}</{action}Result>\
                 <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
            );
            (200, body)
        }
        Err(error) if error.code.is_empty() => return proxy_response(error.status),
        Err(error) => {
            let fault = if error.status < 500 {
                "Sender"
            } else {
                "Receiver"
            };
            let body = format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message>\
                 </Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                escape(&error.code),
                escape(&error.message)
            );
            (error.status, body)
        }
    };
    respond(status, "text/xml", body)
}

/// A structure's members by name, a list's as `member`.
fn xml(value: &Value) -> String {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("<{name}>{}</{name}>", xml(value)))
            .collect(),
        Value::Array(members) => members
            .iter()
            .map(|value| format!("<member>{}</member>", xml(value)))
            .collect(),
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The members of an awsQuery map or list: `prefix.entry.1.Name` and so on, in order.
pub(crate) fn form_entries<'a>(body: &'a Value, prefix: &str) -> Vec<Value> {
    (1..)
        .map_while(|n| {
            let prefix = format!("{prefix}.entry.{n}.");
            let entry: Map<String, Value> = body
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value): (&'a String, &'a Value)| {
                    Some((name.strip_prefix(&prefix)?.to_owned(), value.clone()))
                })
                .collect();
            (!entry.is_empty()).then(|| json!(entry))
        })
        .collect()
}
