//! `Step Functions Execution Status Change`
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>).

use super::{execution::Execution, json::Json, redrive, time::epoch_millis};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// "If the combined escaped input and escaped output … exceeds 248 KiB, then the input is excluded"; the output likewise.
const MAX_DATA: usize = 248 * 1024;

/// The event's `source`.
pub const EVENT_SOURCE: &str = "aws.states";

/// The event's `detail-type`.
pub const EVENT_TYPE: &str = "Step Functions Execution Status Change";

/// An execution began, ended or was redriven: what an EventBridge event tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    /// The event's only resource.
    pub execution_arn: String,
    /// The event's `detail`.
    pub detail: Value,
}

pub(super) fn status_change(execution: &Execution, now: SystemTime) -> StatusChange {
    let status = execution.status();
    let record = execution.record();
    let millis = |time: Option<SystemTime>| time.map(epoch_millis);
    let escaped = |json: &Json| Value::from(json.text().as_ref()).to_string().len();
    let output_size = record.output.as_ref().map_or(0, escaped);
    let with_input = escaped(&execution.input) + output_size <= MAX_DATA;
    let with_output = output_size <= MAX_DATA;
    let output = record.output.as_ref();
    let (redrivable, reason) = match redrive::refusal(status, &record, execution.started, now) {
        None => ("REDRIVABLE", None),
        Some(reason) => ("NOT_REDRIVABLE", Some(reason)),
    };
    let text = |json: &Json| Value::from(json.text().as_ref());
    let version = execution.version();
    let mut detail = Map::new();
    let mut put = |name: &str, value: Value| detail.insert(name.to_owned(), value);
    put("executionArn", execution.arn.as_ref().into());
    put("stateMachineArn", execution.machine.arn.as_str().into());
    put("name", execution.name.as_ref().into());
    put("status", status.as_str().into());
    put("startDate", epoch_millis(execution.started).into());
    put("stopDate", json!(millis(record.stopped)));
    put(
        "input",
        if with_input {
            text(&execution.input)
        } else {
            Value::Null
        },
    );
    put(
        "output",
        output.filter(|_| with_output).map_or(Value::Null, text),
    );
    put("stateMachineVersionArn", json!(version.version));
    put("stateMachineAliasArn", json!(version.alias));
    put("redriveCount", record.redrives.into());
    put("redriveDate", json!(millis(record.redriven)));
    put("redriveStatus", redrivable.into());
    put("redriveStatusReason", json!(reason));
    put("inputDetails", json!({ "included": with_input }));
    put(
        "outputDetails",
        output.map_or(Value::Null, |_| json!({ "included": with_output })),
    );
    put("error", json!(record.failed.error.as_deref()));
    put("cause", json!(record.failed.cause.as_deref()));
    StatusChange {
        execution_arn: execution.arn.to_string(),
        detail: detail.into(),
    }
}

/// The qualified ARN that an execution was started with.
pub(super) struct Version<'a> {
    pub(super) version: Option<&'a str>,
    pub(super) alias: Option<&'a str>,
}

impl Execution {
    /// Versions are numbers, aliases are not.
    pub(super) fn version(&self) -> Version<'_> {
        let qualifier = self.qualifier.as_deref();
        let is_version = qualifier
            .and_then(|arn| arn.rsplit(':').next())
            .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
        Version {
            version: qualifier.filter(|_| is_version),
            alias: qualifier.filter(|_| !is_version),
        }
    }
}
