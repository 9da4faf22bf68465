//! Events as JSON.

use super::{Details, Event, Failed, Phase};
use crate::{Host, Resource, time::epoch_seconds};
use serde_json::{Map, Value, json};

impl Event {
    /// As the API answers it. Without `data`, inputs and outputs are left out (`includeExecutionData`).
    pub(crate) fn render(&self, id: u64, data: bool, host: &Host) -> Value {
        let (name, member, details) = self.details.render(data, host);
        let mut event = Map::new();
        event.insert("timestamp".to_owned(), epoch_seconds(self.at).into());
        event.insert("type".to_owned(), name.into());
        event.insert("id".to_owned(), id.into());
        event.insert("previousEventId".to_owned(), self.previous.into());
        if let Some(details) = details {
            event.insert(member.to_owned(), details.into());
        }
        Value::Object(event)
    }
}

impl Failed {
    fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, text) in [("error", &self.error), ("cause", &self.cause)] {
            if let Some(text) = text {
                members.insert(name.to_owned(), text.as_ref().into());
            }
        }
        members
    }
}

/// Members of a details object, in the order in which they are added.
struct Members {
    map: Map<String, Value>,
    data: bool,
}

impl Members {
    fn text(mut self, name: &str, text: &str) -> Self {
        self.map.insert(name.to_owned(), text.into());
        self
    }

    fn optional(mut self, name: &str, value: Option<u64>) -> Self {
        if let Some(value) = value {
            self.map.insert(name.to_owned(), value.into());
        }
        self
    }

    fn payload(mut self, name: &str, text: &str) -> Self {
        if self.data {
            self.map.insert(name.to_owned(), text.into());
            let details = json!({ "truncated": false });
            self.map.insert(format!("{name}Details"), details);
        }
        self
    }

    fn resource(self, resource: &Resource) -> Self {
        self.text("resourceType", &resource.service)
            .text("resource", &resource.action_and_pattern())
    }

    fn failed(mut self, failed: &Failed) -> Self {
        self.map.extend(failed.members());
        self
    }
}

impl Details {
    /// The event's type, its details' member, and the details where the type has any.
    fn render(
        &self,
        data: bool,
        host: &Host,
    ) -> (String, &'static str, Option<Map<String, Value>>) {
        let members = Members {
            map: Map::new(),
            data,
        };
        let plain = |name: String| (name, "", None);
        let with =
            |name: &str, member, members: Members| (name.to_owned(), member, Some(members.map));
        match self {
            Self::ExecutionStarted { input } => with(
                "ExecutionStarted",
                "executionStartedEventDetails",
                members
                    .payload("input", input)
                    .text("roleArn", &host.role_arn()),
            ),
            Self::ExecutionSucceeded { output } => with(
                "ExecutionSucceeded",
                "executionSucceededEventDetails",
                members.payload("output", output),
            ),
            Self::ExecutionFailed(failed) => with(
                "ExecutionFailed",
                "executionFailedEventDetails",
                members.failed(failed),
            ),
            Self::ExecutionAborted(failed) => with(
                "ExecutionAborted",
                "executionAbortedEventDetails",
                members.failed(failed),
            ),
            Self::ExecutionTimedOut => with(
                "ExecutionTimedOut",
                "executionTimedOutEventDetails",
                members.text("error", "States.Timeout"),
            ),
            Self::ExecutionRedriven { count } => with(
                "ExecutionRedriven",
                "executionRedrivenEventDetails",
                members.optional("redriveCount", Some(u64::from(*count))),
            ),
            Self::StateEntered { kind, name, input } => with(
                &format!("{kind}StateEntered"),
                "stateEnteredEventDetails",
                members.text("name", name).payload("input", input),
            ),
            Self::StateExited {
                kind,
                name,
                output,
                assigned,
            } => {
                let mut members = members.text("name", name).payload("output", output);
                if data && !assigned.is_empty() {
                    let assigned: Map<String, Value> = assigned
                        .iter()
                        .map(|(name, text)| (name.to_string(), text.as_ref().into()))
                        .collect();
                    members
                        .map
                        .insert("assignedVariables".to_owned(), assigned.into());
                    let details = json!({ "truncated": false });
                    members
                        .map
                        .insert("assignedVariablesDetails".to_owned(), details);
                }
                with(
                    &format!("{kind}StateExited"),
                    "stateExitedEventDetails",
                    members,
                )
            }
            Self::StateStarted { kind, length: None } => plain(format!("{kind}StateStarted")),
            Self::StateStarted {
                kind,
                length: Some(length),
            } => with(
                &format!("{kind}StateStarted"),
                "mapStateStartedEventDetails",
                members.optional("length", Some(*length as u64)),
            ),
            Self::StateSucceeded(kind) => plain(format!("{kind}StateSucceeded")),
            Self::StateFailed(kind) => plain(format!("{kind}StateFailed")),
            Self::StateAborted(kind) => plain(format!("{kind}StateAborted")),
            Self::Iteration { phase, name, index } => {
                let (kind, member) = match phase {
                    Phase::Started => ("MapIterationStarted", "mapIterationStartedEventDetails"),
                    Phase::Succeeded => {
                        ("MapIterationSucceeded", "mapIterationSucceededEventDetails")
                    }
                    Phase::Failed => ("MapIterationFailed", "mapIterationFailedEventDetails"),
                    Phase::Aborted => ("MapIterationAborted", "mapIterationAbortedEventDetails"),
                };
                let members = members
                    .text("name", name)
                    .optional("index", Some(*index as u64));
                with(kind, member, members)
            }
            Self::TaskScheduled {
                resource,
                parameters,
                timeout,
                heartbeat,
            } => with(
                "TaskScheduled",
                "taskScheduledEventDetails",
                members
                    .resource(resource)
                    .text("region", &host.region)
                    .text("parameters", parameters)
                    .optional("timeoutInSeconds", *timeout)
                    .optional("heartbeatInSeconds", *heartbeat),
            ),
            Self::TaskStarted(resource) => with(
                "TaskStarted",
                "taskStartedEventDetails",
                members.resource(resource),
            ),
            Self::TaskSubmitted { resource, output } => with(
                "TaskSubmitted",
                "taskSubmittedEventDetails",
                members.resource(resource).payload("output", output),
            ),
            Self::TaskSucceeded { resource, output } => with(
                "TaskSucceeded",
                "taskSucceededEventDetails",
                members.resource(resource).payload("output", output),
            ),
            Self::TaskFailed { resource, failed } => with(
                "TaskFailed",
                "taskFailedEventDetails",
                members.resource(resource).failed(failed),
            ),
            Self::TaskTimedOut { resource, failed } => with(
                "TaskTimedOut",
                "taskTimedOutEventDetails",
                members.resource(resource).failed(failed),
            ),
            Self::EvaluationFailed {
                state,
                location,
                failed,
            } => {
                let mut members = members.failed(failed);
                if let Some(location) = location {
                    members = members.text("location", location);
                }
                with(
                    "EvaluationFailed",
                    "evaluationFailedEventDetails",
                    members.text("state", state),
                )
            }
        }
    }
}
