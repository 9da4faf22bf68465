//! What the system used from a job's failure on: counted, not timed.

use serde_json::Value;
use simulator::{
    cloud::Cloud,
    faults::role,
    scenario::{Billed, Cost},
    wire::CallRecord,
};
use std::{collections::BTreeMap, time::SystemTime};

/// Counts of everything that is limited or billed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// AWS API calls by `service:Action`; retries count.
    pub calls: BTreeMap<String, u64>,
    /// Calls that were answered with a throttling error.
    pub throttled: u64,
    pub read_units: f64,
    pub write_units: f64,
    /// Of all executions.
    pub state_transitions: u64,
    /// Of the longest history.
    pub history_events: u64,
    /// Bytes of the largest input or output in any history.
    pub largest_payload: usize,
    pub lambda_invocations: u64,
    /// Virtual, of the handlers: what Lambda bills.
    pub lambda_milliseconds: u64,
}

impl Usage {
    /// What was used since then. The launcher's calls and those of people are not the system's.
    pub fn since(cloud: &Cloud, since: SystemTime) -> Self {
        let mut usage = Self::default();
        for call in cloud.wire.calls() {
            if call.at >= since && is_ours(&call) {
                usage.add(&call);
            }
        }
        for invocation in cloud.lambda.invocations() {
            if invocation.at >= since {
                usage.lambda_invocations += 1;
                usage.lambda_milliseconds += invocation.duration.as_millis() as u64;
            }
        }
        for execution in cloud.stepfunctions.executions() {
            let history = cloud.stepfunctions.history(&execution.arn);
            usage.state_transitions += cloud.stepfunctions.transitions(&execution.arn);
            usage.history_events = usage.history_events.max(history.len() as u64);
            let largest = history.iter().map(payload).max().unwrap_or_default();
            usage.largest_payload = usage.largest_payload.max(largest);
        }
        usage
    }

    fn add(&mut self, call: &CallRecord) {
        let name = format!("{}:{}", call.service, call.action);
        *self.calls.entry(name).or_default() += 1;
        if matches!(&call.outcome, Err(code) if code.contains("Throttling") || code == "RequestLimitExceeded")
        {
            self.throttled += 1;
        }
        match call.action.as_str() {
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" => {
                self.read_units += call.units;
            }
            _ => self.write_units += call.units,
        }
    }

    /// Calls of a service, or of all: `""`.
    pub fn calls_to(&self, service: &str) -> u64 {
        let calls = self.calls.iter();
        calls
            .filter(|(name, _)| service.is_empty() || name.split(':').next() == Some(service))
            .map(|(_, n)| n)
            .sum()
    }

    /// The bill, line by line.
    pub fn bill(&self) -> Vec<Cost> {
        Cost::bill(&Billed {
            state_transitions: self.state_transitions,
            lambda_invocations: self.lambda_invocations,
            lambda_milliseconds: self.lambda_milliseconds,
            write_units: self.write_units,
            read_units: self.read_units,
            sns_messages: self.calls.get("sns:Publish").copied().unwrap_or(0),
        })
    }

    /// The whole bill in US dollars.
    pub fn dollars(&self) -> f64 {
        self.bill().iter().map(|line| line.dollars).sum()
    }
}

fn is_ours(call: &CallRecord) -> bool {
    !matches!(
        role(&call.caller),
        "deploy" | "launcher" | "report" | "person"
    )
}

/// The largest text in a history event: its input, output or cause.
fn payload(event: &Value) -> usize {
    match event {
        Value::String(text) => text.len(),
        Value::Object(members) => members.values().map(payload).max().unwrap_or_default(),
        Value::Array(items) => items.iter().map(payload).max().unwrap_or_default(),
        _ => 0,
    }
}
