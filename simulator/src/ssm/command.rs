//! A command and each node's part of it, as SSM shows them.

use super::document::Script;
use crate::clock::rfc3339;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::SystemTime};
use tokio::time::Instant;

/// API_ListCommandInvocations, `CommandPlugin`: "Output: up to 2,500 characters".
const LISTED_OUTPUT: usize = 2500;

/// The time of a plugin's start has no fractions (service model, StringDateTime).
fn in_seconds(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

pub(super) struct Command {
    pub script: Script,
    pub parameters: Value,
    pub comment: String,
    pub requested: SystemTime,
    pub expires: SystemTime,
    pub status: &'static str,
    /// From when on it can be asked for.
    pub visible: Instant,
    pub invocations: BTreeMap<String, Invocation>,
}

pub(super) struct Invocation {
    pub status: &'static str,
    pub code: i32,
    pub output: String,
    pub started: Option<SystemTime>,
}

impl Invocation {
    pub fn new() -> Self {
        Self {
            status: "Pending",
            code: -1,
            output: String::new(),
            started: None,
        }
    }

    /// Of the ways to time out there is only this one here: no script of ours runs into its own bound.
    fn details(&self) -> &'static str {
        match self.status {
            "TimedOut" => "DeliveryTimedOut",
            status => status,
        }
    }
}

impl Command {
    /// Whose order it is: what stands in the comment behind the product's name.
    pub fn ordered_by(&self) -> String {
        let by = self.comment.strip_prefix("gpu-recovery ");
        by.unwrap_or(&self.comment).to_owned()
    }

    /// As GetCommandInvocation shows a node's part.
    pub fn one(&self, id: &str, node: &str, invocation: &Invocation) -> Value {
        json!({
            "CommandId": id,
            "InstanceId": node,
            "Comment": self.comment,
            "DocumentName": self.script.document(),
            "DocumentVersion": "$DEFAULT",
            "PluginName": "script",
            "ResponseCode": invocation.code,
            "ExecutionStartDateTime": invocation.started.map(in_seconds).unwrap_or_default(),
            "Status": invocation.status,
            "StatusDetails": invocation.details(),
            "StandardOutputContent": invocation.output,
            "StandardErrorContent": "",
        })
    }

    /// As ListCommandInvocations shows it.
    pub fn listed(&self, id: &str, node: &str, invocation: &Invocation, details: bool) -> Value {
        let output: String = invocation.output.chars().take(LISTED_OUTPUT).collect();
        let mut listed = json!({
            "CommandId": id,
            "InstanceId": node,
            "InstanceName": "",
            "Comment": self.comment,
            "DocumentName": self.script.document(),
            "DocumentVersion": "$DEFAULT",
            "RequestedDateTime": rfc3339(self.requested),
            "Status": invocation.status,
            "StatusDetails": invocation.details(),
            "CommandPlugins": [],
        });
        if details {
            listed["CommandPlugins"] = json!([{
                "Name": "script",
                "Status": invocation.status,
                "StatusDetails": invocation.details(),
                "ResponseCode": invocation.code,
                "Output": output,
            }]);
        }
        listed
    }

    /// The command's status from its invocations'; the event's detail when it has changed
    /// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html>).
    pub fn summed_up(&mut self, id: &str) -> Option<Value> {
        let any = |status| self.invocations.values().any(|i| i.status == status);
        let status = if any("Pending") || any("InProgress") {
            "InProgress"
        } else if any("TimedOut") {
            "TimedOut"
        } else if any("Failed") {
            "Failed"
        } else {
            "Success"
        };
        if status == self.status {
            return None;
        }
        self.status = status;
        Some(json!({
            "command-id": id,
            "document-name": self.script.document(),
            "expire-after": rfc3339(self.expires),
            "parameters": self.parameters,
            "requested-date-time": rfc3339(self.requested),
            "status": status,
        }))
    }
}
