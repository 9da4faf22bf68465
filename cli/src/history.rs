//! An execution's history, as GetExecutionHistory answers it, and where it comes from.

pub mod outcome;
pub mod path;

use crate::{Failure, account, files};
use aws_sdk_sfn::Client;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::AfterDeserializationInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{DateTime, config_bag::ConfigBag, date_time::Format};
use serde_json::Value;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// "The default is 100 and the maximum allowed page size is 1000."
const PAGE: i32 = 1000;

/// Reads a history from a file: as `drill --history` and `aws stepfunctions get-execution-history` write it.
///
/// # Errors
/// When the file cannot be read or is no history.
pub fn of_file(file: &Path) -> Result<Vec<Value>, Failure> {
    let value = files::json(file)?;
    let events = match value {
        Value::Array(events) => events,
        mut value => match value["events"].take() {
            Value::Array(events) => events,
            _ => Vec::new(),
        },
    };
    let begins = |event: &Value| event["type"] == "ExecutionStarted" && event["id"] == 1;
    let events = sorted(events);
    match events.first() {
        Some(first) if begins(first) => Ok(events),
        _ => Err(Failure::BadInput(format!(
            "{} is no execution history: give what `gpu-recovery drill --history FILE` or `aws stepfunctions \
             get-execution-history` writes, from its first event on",
            files::name(file)
        ))),
    }
}

/// Reads the whole history from Step Functions.
///
/// # Errors
/// When Step Functions does not give it.
pub async fn of_execution(client: &Client, execution: &str) -> Result<Vec<Value>, Failure> {
    newer_than(client, execution, 0).await
}

/// The events that came after the one with the id `known`, oldest first.
///
/// # Errors
/// When Step Functions does not give them.
pub async fn newer_than(
    client: &Client,
    execution: &str,
    known: u64,
) -> Result<Vec<Value>, Failure> {
    let mut events = Vec::new();
    let mut token = None;
    loop {
        let raw = Raw::default();
        let answer = client
            .get_execution_history()
            .execution_arn(execution)
            .include_execution_data(true)
            .max_results(if known == 0 { PAGE } else { 100 })
            .reverse_order(known > 0)
            .set_next_token(token)
            .customize()
            .interceptor(raw.clone())
            .send()
            .await
            .map_err(account::refused("states:GetExecutionHistory", execution))?;
        let page = raw.events();
        let reached = known > 0 && page.iter().any(|event| id(event) <= known);
        events.extend(page.into_iter().filter(|event| id(event) > known));
        token = answer.next_token;
        if reached || token.is_none() {
            return Ok(sorted(events));
        }
    }
}

/// The definition that an execution runs; `None` when Step Functions does not give it.
pub async fn definition_of(client: &Client, execution: &str) -> Option<Value> {
    let answer = client
        .describe_state_machine_for_execution()
        .execution_arn(execution)
        .send()
        .await
        .ok()?;
    serde_json::from_str(answer.definition()).ok()
}

/// The newest state that an execution has entered and not left, and when; from its last events.
///
/// # Errors
/// When Step Functions does not give them.
pub async fn place(client: &Client, execution: &str) -> Result<Option<(String, f64)>, Failure> {
    let raw = Raw::default();
    client
        .get_execution_history()
        .execution_arn(execution)
        .include_execution_data(false)
        .max_results(100)
        .reverse_order(true)
        .customize()
        .interceptor(raw.clone())
        .send()
        .await
        .map_err(account::refused("states:GetExecutionHistory", execution))?;
    let entered = |event: &&Value| event["stateEnteredEventDetails"]["name"].is_string();
    Ok(raw.events().iter().find(entered).map(|event| {
        let name = &event["stateEnteredEventDetails"]["name"];
        (name.as_str().unwrap_or_default().to_owned(), at(event))
    }))
}

fn id(event: &Value) -> u64 {
    event["id"].as_u64().unwrap_or_default()
}

fn sorted(mut events: Vec<Value>) -> Vec<Value> {
    events.sort_by_key(id);
    events
}

/// When an event came: seconds since the epoch. The API writes a number, the AWS CLI RFC 3339.
pub fn at(event: &Value) -> f64 {
    match &event["timestamp"] {
        Value::Number(seconds) => seconds.as_f64().unwrap_or_default(),
        Value::String(text) => DateTime::from_str(text, Format::DateTimeWithOffset)
            .map_or(0.0, |time| time.as_secs_f64()),
        _ => 0.0,
    }
}

/// Keeps an answer as it came: the SDK's own types cannot be written as JSON.
#[derive(Debug, Clone, Default)]
struct Raw(Arc<Mutex<Vec<Value>>>);

impl Raw {
    fn events(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Raw {
    fn name(&self) -> &'static str {
        "KeepHistory"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes()
            && let Ok(mut answer) = serde_json::from_slice::<Value>(bytes)
            && let Value::Array(events) = answer["events"].take()
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = events;
        }
        Ok(())
    }
}

/// A moment as `03:10:08`, UTC.
pub fn clock(at: f64) -> String {
    moment(at).get(11..19).unwrap_or_default().to_owned()
}

/// A moment as `2026-01-05 03:10:08 UTC`.
pub fn date_and_clock(at: f64) -> String {
    let text = moment(at);
    let date = text.get(..10).unwrap_or_default();
    format!("{date} {} UTC", clock(at))
}

fn moment(at: f64) -> String {
    DateTime::from_secs(at.floor() as i64)
        .fmt(Format::DateTime)
        .unwrap_or_default()
}
