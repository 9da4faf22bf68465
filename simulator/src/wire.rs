//! Where the AWS SDK's wire ends: an HTTP client that answers in-process, in virtual time.
//!
//! Every call, of an SDK client or of the state machine itself, passes faults, latency and throttling, and is recorded.

mod integration;
mod latency;
mod protocol;
mod sdk;
#[cfg(test)]
mod tests;

pub(crate) use integration::optimized_ecs_failure;
pub use integration::{IntegrationFailure, sdk_failure, to_camel, to_pascal};
pub(crate) use protocol::form_entries;

use crate::{
    clock::Clock,
    dice::Dice,
    faults::{Fault, Faults},
    tap::{self, Seen},
    throttle::Throttle,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::sleep;

/// An error as a service answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// `ClusterNotFoundException`, without namespace.
    pub code: String,
    pub message: String,
    /// HTTP status.
    pub status: u16,
    /// Further members of the error, such as DynamoDB's `Item` or `CancellationReasons`.
    pub extra: Box<Map<String, Value>>,
}

impl ApiError {
    /// A refusal: HTTP 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 400,
            extra: Box::default(),
        }
    }

    /// The same with another HTTP status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with a further member.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.extra.insert(member.to_owned(), value);
        self
    }
}

/// What answers for a service: operation and JSON body in, JSON body out.
pub type Handler =
    Arc<dyn Fn(&str, Value) -> BoxFuture<'static, Result<Value, ApiError>> + Send + Sync>;

/// One call on the wire; a retry is a call of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// When the call was sent.
    pub at: SystemTime,
    pub caller: String,
    /// As in IAM actions: `ecs`, `dynamodb`, `states`, `sns`, `ssm`, `ec2`.
    pub service: String,
    pub action: String,
    /// What the caller got: nothing wrong, or the error code; `NoAnswer` while the call is under way and when the
    /// caller went away, `Timeout` when the connection timed out.
    pub outcome: Result<(), String>,
    /// What the call is about: table, task, container instances, topic, execution, ...
    pub resource: Option<String>,
    /// DynamoDB: capacity units consumed (read or write, by the action).
    pub units: f64,
}

/// The wire. Clones are the same wire.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    clock: Clock,
    dice: Dice,
    throttle: Throttle,
    faults: Faults,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    handlers: BTreeMap<String, Handler>,
    calls: Vec<CallRecord>,
    /// No call is recorded.
    forgets: bool,
}

impl State {
    /// A call's record, unless none was made.
    fn call(&mut self, call: usize) -> Option<&mut CallRecord> {
        self.calls.get_mut(call)
    }
}

/// How a call ended for its caller.
enum Outcome {
    Answered(Result<Value, ApiError>),
    ConnectionTimedOut,
}

/// After so long an SDK gives up on a connection (its default connect time-out).
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(3100);

impl Wire {
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self(Arc::new(Inner {
            clock,
            dice: Dice::new(seed, "wire"),
            throttle: Throttle::default(),
            faults: Faults::default(),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `handler` answer for a service (`ecs`, `dynamodb`, `states`, `sns`, `ssm`, `ec2`).
    pub fn register(&self, service: &str, handler: Handler) {
        self.state().handlers.insert(service.to_owned(), handler);
    }

    /// Nothing answers any more.
    pub(crate) fn forget_services(&self) {
        let handlers = std::mem::take(&mut self.state().handlers);
        drop(handlers);
    }

    /// Records no call from now on: an account that is used for days would fill the memory.
    pub fn forget_calls(&self) {
        let mut state = self.state();
        state.calls = Vec::new();
        state.forgets = true;
    }

    /// A call from outside, which has its own latency: the service's answer at once. It meets no faults, takes nothing of
    /// the account's rates and is not recorded.
    ///
    /// # Errors
    /// What the service answers; `None` when there is no such service.
    pub async fn answer_at_once(
        &self,
        service: &str,
        action: &str,
        body: Value,
    ) -> Option<Result<Value, ApiError>> {
        let handler = self.state().handlers.get(service).cloned()?;
        Some(handler(action, body).await)
    }

    /// The fault plan; the invoker of Lambda functions asks it too.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The account's token buckets.
    pub fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// Every call so far, in the order in which they were sent.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.state().calls.clone()
    }

    /// An HTTP client for the AWS SDK; its calls are the caller's.
    pub fn client_for(&self, caller: &str) -> SharedHttpClient {
        protocol::client(self.clone(), caller)
    }

    /// A call that the state machine makes itself: same faults, latency, throttling and record, no SDK, no retry.
    ///
    /// # Errors
    /// What the service answers; `SdkClientException` when the connection timed out.
    pub async fn internal_call(
        &self,
        caller: &str,
        service: &str,
        action: &str,
        body: Value,
    ) -> Result<Value, ApiError> {
        match self.exchange(caller, service, action, body).await {
            Outcome::Answered(answer) => answer,
            Outcome::ConnectionTimedOut => Err(ApiError::new(
                "SdkClientException",
                "Unable to execute HTTP request: connection timed out",
            )),
        }
    }

    async fn exchange(&self, caller: &str, service: &str, action: &str, body: Value) -> Outcome {
        let call = self.open_record(caller, service, action, &body);
        let fault = self.0.faults.decide(caller, service, action);
        match fault {
            Fault::KillCaller {
                after_effect: false,
            } => return std::future::pending().await,
            Fault::TimeoutBefore => return self.time_out(call).await,
            _ => {}
        }
        let latency = latency::of(service, action).mul_f64(0.7 + 0.9 * self.0.dice.fraction());
        sleep(latency / 2).await;
        let request = tap::is_on().then(|| body.clone());
        let answer = match &fault {
            Fault::Fail {
                code,
                status,
                message,
            } => Err(ApiError::new(code, message).with_status(*status)),
            _ => self.answer(call, service, action, body).await,
        };
        if let Some(request) = &request {
            tap::tell(Seen::Call {
                caller,
                service,
                action,
                request,
                answer: answer.as_ref(),
                injected: matches!(fault, Fault::Fail { .. }),
            });
        }
        match fault {
            Fault::FailAfterEffect => return self.time_out(call).await,
            Fault::KillCaller { .. } => {
                self.0.faults.kill(caller);
                return std::future::pending().await;
            }
            _ => {}
        }
        sleep(latency / 2).await;
        let outcome = answer.as_ref().map(|_| ()).map_err(|e| e.code.clone());
        if let Some(record) = self.state().call(call) {
            record.outcome = outcome;
        }
        Outcome::Answered(answer)
    }

    async fn answer(
        &self,
        call: usize,
        service: &str,
        action: &str,
        mut body: Value,
    ) -> Result<Value, ApiError> {
        if let Err(code) = self.0.throttle.take(service, action) {
            let status = if service == "ec2" { 503 } else { 400 };
            return Err(ApiError::new(code, "Rate exceeded").with_status(status));
        }
        let handler = self.state().handlers.get(service).cloned();
        let Some(handler) = handler else {
            return Err(ApiError::new(
                "UnknownServiceException",
                format!("the simulated cloud has no service {service}"),
            ));
        };
        let count_units = service == "dynamodb" && body.get("ReturnConsumedCapacity").is_none();
        if count_units
            && !action.ends_with("Table")
            && let Some(body) = body.as_object_mut()
        {
            body.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
        }
        let mut answer = handler(action, body).await;
        if service == "dynamodb" {
            if let Some(record) = self.state().call(call) {
                record.units = consumed_units(&answer);
            }
            if count_units && let Ok(Value::Object(members)) = &mut answer {
                members.remove("ConsumedCapacity");
            }
        }
        answer
    }

    async fn time_out(&self, call: usize) -> Outcome {
        sleep(CONNECTION_TIMEOUT).await;
        if let Some(record) = self.state().call(call) {
            record.outcome = Err("Timeout".to_owned());
        }
        Outcome::ConnectionTimedOut
    }

    fn open_record(&self, caller: &str, service: &str, action: &str, body: &Value) -> usize {
        let mut state = self.state();
        if state.forgets {
            return usize::MAX;
        }
        state.calls.push(CallRecord {
            at: self.0.clock.now(),
            caller: caller.to_owned(),
            service: service.to_owned(),
            action: action.to_owned(),
            outcome: Err("NoAnswer".to_owned()),
            resource: resource(body),
            units: 0.0,
        });
        state.calls.len() - 1
    }
}

/// The first member that names what a call is about; an index is named as in its ARN, `table/index/name`.
fn resource(body: &Value) -> Option<String> {
    if let (Some(table), Some(index)) = (body["TableName"].as_str(), body["IndexName"].as_str()) {
        return Some(format!("{table}/index/{index}"));
    }
    if let Some(tables) = body["RequestItems"].as_object() {
        return tables.keys().next().cloned();
    }
    // Of a command both are named: the document, and the nodes.
    if let (Some(document), Some(nodes)) = (
        body["DocumentName"].as_str(),
        body["InstanceIds"].as_array(),
    ) {
        let nodes = nodes.iter().filter_map(Value::as_str);
        return Some(
            [document]
                .into_iter()
                .chain(nodes)
                .collect::<Vec<_>>()
                .join(","),
        );
    }
    if let Some(attributes) = body["attributes"].as_array() {
        let targets = attributes.iter().filter_map(|a| a["targetId"].as_str());
        return Some(targets.collect::<Vec<_>>().join(","));
    }
    const MEMBERS: [&str; 14] = [
        "TableName",
        "TopicArn",
        "InstanceIds",
        "CommandId",
        "task",
        "tasks",
        "containerInstance",
        "containerInstances",
        "placementConstraints",
        "startedBy",
        "executionArn",
        "stateMachineArn",
        "taskDefinition",
        "cluster",
    ];
    MEMBERS.iter().find_map(|member| match body.get(*member)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if !list.is_empty() => Some(
            list.iter()
                .map(|item| match item.as_str().or(item["expression"].as_str()) {
                    Some(text) => text.to_owned(),
                    None => item.to_string(),
                })
                .collect::<Vec<_>>()
                .join(","),
        ),
        _ => None,
    })
}

/// A refused conditional write costs as a write does; one unit stands for it, its items here are small
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).
fn consumed_units(answer: &Result<Value, ApiError>) -> f64 {
    let one = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap_or(0.0);
    match answer {
        Ok(answer) => match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().map(one).sum(),
            capacity => one(capacity),
        },
        Err(error) if error.code == "ConditionalCheckFailedException" => 1.0,
        Err(_) => 0.0,
    }
}
