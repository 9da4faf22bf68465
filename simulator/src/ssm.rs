//! Systems Manager Run Command, with the two documents of the stack.

mod command;
mod document;

pub use document::{PROBE, REBOOT};

use crate::{
    ACCOUNT, REGION,
    clock::{Clock, rfc3339},
    dice::Dice,
    duration,
    ecs::Ecs,
    eventbridge::Bus,
    node::Node,
    wire::{ApiError, Handler},
};
use command::{Command, Invocation};
use document::Script;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

/// API_SendCommand, `TimeoutSeconds`.
const DELIVERY_SECONDS: Range<f64> = 30.0..2_592_001.0;
const DEFAULT_SECONDS: f64 = 3600.0;

/// From SendCommand to the agent, and the run of a short script. AWS publishes no figure.
const DELIVERY: Range<Duration> = Duration::from_millis(300)..Duration::from_millis(2000);
const RUN: Range<Duration> = Duration::from_millis(500)..Duration::from_millis(3000);
/// So long an invocation cannot be asked for: GetCommandInvocation answers InvocationDoesNotExist "for a while". AWS
/// publishes no figure.
const HIDDEN: Range<Duration> = Duration::from_millis(0)..Duration::from_millis(1500);

/// After exit 194 the agent runs `shutdown -r +1`: the node goes down a minute later
/// (aws/amazon-ssm-agent, agent/rebooter/rebooter_unix.go).
const REBOOT_AFTER: Duration = Duration::from_secs(60);

/// What becomes of the orders of one document on one node. Default: each is run once, at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fate {
    /// The agent never gets them.
    pub lost: bool,
    /// The agent has got it and runs it so much later: it hangs, or its queue is full.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub late: Option<Duration>,
    /// It is run twice.
    pub twice: bool,
}

/// Systems Manager. Clones are the same.
#[derive(Clone)]
pub struct Ssm(Arc<Inner>);

struct Inner {
    clock: Clock,
    dice: Dice,
    bus: Bus,
    fleet: Ecs,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    commands: BTreeMap<String, Command>,
    /// By document and node.
    fates: BTreeMap<(&'static str, String), Fate>,
    online: BTreeMap<String, Arc<Notify>>,
}

impl State {
    fn online(&mut self, node: &str) -> Arc<Notify> {
        self.online.entry(node.to_owned()).or_default().clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ssm {
    pub fn new(clock: Clock, seed: u64, bus: Bus, fleet: Ecs) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let nodes = state.clone();
        fleet.on_ssm_online(move |node| lock(&nodes).online(node).notify_waiters());
        Self(Arc::new(Inner {
            clock,
            dice: Dice::new(seed, "ssm"),
            bus,
            fleet,
            state,
        }))
    }

    /// What becomes of this document's orders on this node from now on; [`PROBE`] or [`REBOOT`].
    pub fn set_fate(&self, document: &'static str, node: &str, fate: Fate) {
        let mut state = lock(&self.0.state);
        state.fates.insert((document, node.to_owned()), fate);
    }

    /// The operation as Step Functions' `aws-sdk:ssm:…` passes it: PascalCase, times as RFC 3339 text.
    ///
    /// # Errors
    /// Systems Manager's own.
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        match operation {
            "SendCommand" => self.send_command(body),
            "GetCommandInvocation" => self.get_command_invocation(body),
            "ListCommandInvocations" => self.list_command_invocations(body),
            _ => Err(ApiError::new(
                "UnsupportedOperationException",
                format!("SSM {operation} is not simulated"),
            )),
        }
    }

    /// For [`Wire::register`](crate::wire::Wire::register).
    pub fn handler(&self) -> Handler {
        let ssm = self.clone();
        Arc::new(move |operation, body| {
            let answer = ssm.api(operation, &body);
            Box::pin(async move { answer })
        })
    }

    fn send_command(&self, body: &Value) -> Result<Value, ApiError> {
        let document = body["DocumentName"].as_str().unwrap_or_default();
        let script = Script::read(document, &body["Parameters"])?;
        let nodes = self.known_nodes(body)?;
        let delivery = seconds(&body["TimeoutSeconds"]).ok_or_else(|| {
            ApiError::new(
                "ValidationException",
                "Value at 'timeoutSeconds' failed to satisfy constraint: between 30 and 2592000",
            )
        })?;
        let id = self.0.dice.uuid();
        let now = self.0.clock.now();
        // "Total timeout": delivery and execution together (user guide, monitor-commands).
        let total = Duration::from_secs_f64(delivery) + document::EXECUTION;
        let command = Command {
            script,
            parameters: body["Parameters"].clone(),
            comment: body["Comment"].as_str().unwrap_or_default().to_owned(),
            requested: now,
            expires: now + total,
            status: "Pending",
            visible: Instant::now() + self.0.dice.within(&HIDDEN),
            invocations: nodes
                .iter()
                .map(|n| (n.clone(), Invocation::new()))
                .collect(),
        };
        let answer = json!({ "Command": {
            "CommandId": id,
            "DocumentName": document,
            "DocumentVersion": "$DEFAULT",
            "Comment": command.comment,
            "ExpiresAfter": rfc3339(command.expires),
            "Parameters": command.parameters,
            "InstanceIds": nodes,
            "Targets": [],
            "RequestedDateTime": rfc3339(now),
            "Status": "Pending",
            "StatusDetails": "Pending",
            "MaxConcurrency": "50",
            "MaxErrors": "0",
            "TargetCount": nodes.len(),
            "CompletedCount": 0,
            "ErrorCount": 0,
            "DeliveryTimedOutCount": 0,
            "TimeoutSeconds": delivery as u64,
        }});
        lock(&self.0.state).commands.insert(id.clone(), command);
        let end = Instant::now() + total;
        for node in nodes {
            tokio::spawn(self.clone().invoke(id.clone(), node, end));
        }
        Ok(answer)
    }
    fn known_nodes(&self, body: &Value) -> Result<Vec<String>, ApiError> {
        let given = body["InstanceIds"].as_array().into_iter().flatten();
        let nodes: Vec<String> = given.filter_map(Value::as_str).map(str::to_owned).collect();
        if nodes.is_empty() || nodes.len() > 50 {
            return Err(ApiError::new(
                "ValidationException",
                "Value at 'instanceIds' failed to satisfy constraint: between 1 and 50 members",
            ));
        }
        if nodes.iter().collect::<BTreeSet<_>>().len() < nodes.len() {
            return Err(ApiError::new(
                "DuplicateInstanceId",
                "Duplicate InstanceIds",
            ));
        }
        let unknown: Vec<&str> = nodes
            .iter()
            .filter(|node| {
                let view = self.0.fleet.instance(node);
                view.is_none_or(|view| view.ssm_online.is_none())
            })
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            Ok(nodes)
        } else {
            let unknown = unknown.join(", ");
            Err(ApiError::new(
                "InvalidInstanceId",
                format!("Instances [[{unknown}]] not in a valid state for account {ACCOUNT}"),
            ))
        }
    }

    /// API_GetCommandInvocation.
    fn get_command_invocation(&self, body: &Value) -> Result<Value, ApiError> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let state = lock(&self.0.state);
        let command = state.commands.get(text("CommandId"));
        let found = command
            .filter(|command| command.visible <= Instant::now())
            .and_then(|c| Some((c, c.invocations.get(text("InstanceId"))?)));
        let (command, invocation) = found.ok_or_else(|| {
            ApiError::new(
                "InvocationDoesNotExist",
                "The command ID and managed node ID you specified didn't match any invocations.",
            )
        })?;
        Ok(command.one(text("CommandId"), text("InstanceId"), invocation))
    }

    /// API_ListCommandInvocations of one command: 50 a page.
    fn list_command_invocations(&self, body: &Value) -> Result<Value, ApiError> {
        let id = body["CommandId"].as_str().unwrap_or_default();
        let state = lock(&self.0.state);
        let Some(command) = state.commands.get(id) else {
            return Err(ApiError::new(
                "InvalidCommandId",
                "The specified command ID isn't valid. Verify the ID and try again.",
            ));
        };
        let page = match &body["MaxResults"] {
            Value::Null => 50,
            most => most.as_f64().map_or(0, |most| most as usize),
        };
        if !(1..=50).contains(&page) {
            return Err(ApiError::new(
                "ValidationException",
                "Value at 'maxResults' failed to satisfy constraint: between 1 and 50",
            ));
        }
        let from = match body["NextToken"].as_str() {
            None => 0,
            Some(token) => token.parse().map_err(|_| {
                ApiError::new("InvalidNextToken", "The specified token isn't valid.")
            })?,
        };
        let details = body["Details"].as_bool() == Some(true);
        let shown = command.visible <= Instant::now();
        let all = command.invocations.iter().filter(|_| shown);
        let invocations: Vec<Value> = all
            .skip(from)
            .take(page)
            .map(|(node, invocation)| command.listed(id, node, invocation, details))
            .collect();
        let next = from + invocations.len();
        let mut answer = json!({ "CommandInvocations": invocations });
        if shown && next < command.invocations.len() {
            answer["NextToken"] = json!(next.to_string());
        }
        Ok(answer)
    }

    /// One node's part of a command, from Pending to its final status.
    async fn invoke(self, command: String, node: String, end: Instant) {
        let document = lock(&self.0.state)
            .commands
            .get(&command)
            .map(|c| c.script.document());
        let fate = document.and_then(|document| {
            let fates = &lock(&self.0.state).fates;
            fates.get(&(document, node.clone())).copied()
        });
        let fate = fate.unwrap_or_default();
        let arrives = async {
            if fate.lost {
                std::future::pending::<()>().await;
            }
            self.online(&node).await;
            sleep(self.0.dice.within(&DELIVERY)).await;
        };
        // A command that has expired is DeliveryTimedOut, one in progress too (API Command, `ExpiresAfter`).
        if timeout_at(end, arrives).await.is_err() {
            return self.expired(&command, &node);
        }
        self.set(&command, &node, "InProgress", &Said::nothing());
        if fate.twice {
            let (ssm, command, node) = (self.clone(), command.clone(), node.clone());
            tokio::spawn(async move { ssm.run(&command, &node, fate).await });
        }
        let (ssm, of, on) = (self.clone(), command.clone(), node.clone());
        // What the agent has got it runs, whatever SSM says of the command by then.
        let mut run = tokio::spawn(async move { ssm.run(&of, &on, fate).await });
        match timeout_at(end, &mut run).await {
            Err(_) => self.expired(&command, &node),
            Ok(Ok(said)) if said.code == 0 => self.set(&command, &node, "Success", &said),
            Ok(Ok(said)) => self.set(&command, &node, "Failed", &said),
            Ok(Err(_)) => {}
        }
    }

    fn expired(&self, command: &str, node: &str) {
        self.set(command, node, "TimedOut", &Said::nothing());
    }

    /// Resolves when the node's SSM agent takes commands.
    async fn online(&self, node: &str) {
        let hello = lock(&self.0.state).online(node);
        loop {
            let next = hello.notified();
            let view = self.0.fleet.instance(node);
            if view.is_some_and(|view| view.ssm_online == Some(true)) {
                return;
            }
            next.await;
        }
    }

    /// Runs the script until it exits with another code than 194: after each reboot it runs again.
    async fn run(&self, command: &str, node: &str, fate: Fate) -> Said {
        sleep(fate.late.unwrap_or_default()).await;
        let mut lines = Vec::new();
        loop {
            self.online(node).await;
            let Some(before) = self.0.fleet.instance(node) else {
                return Said::nothing();
            };
            sleep(self.0.dice.within(&RUN)).await;
            let after = self.0.fleet.instance(node);
            // The node went down while the script ran: the agent runs it again when it is back.
            let Some(view) = after.filter(|v| v.up && v.boot_id == before.boot_id) else {
                continue;
            };
            let ordered = {
                let state = lock(&self.0.state);
                state
                    .commands
                    .get(command)
                    .map(|c| (c.script.clone(), c.ordered_by()))
            };
            let Some((script, by)) = ordered else {
                return Said::nothing();
            };
            let said = script.run(&Node::of(&view, self.0.clock.now()));
            lines.push(said.line);
            if said.code != 194 {
                return Said {
                    code: said.code,
                    output: lines.join("\n") + "\n",
                };
            }
            let hello = lock(&self.0.state).online(node);
            let rebooted = hello.notified();
            sleep(REBOOT_AFTER).await;
            // It may have gone down by other means meanwhile.
            let up = self.0.fleet.instance(node);
            if up.is_some_and(|now| now.up && now.boot_id == before.boot_id) {
                self.0.fleet.reboot(node, &by);
            }
            rebooted.await;
        }
    }

    fn set(&self, id: &str, node: &str, status: &'static str, said: &Said) {
        let now = self.0.clock.now();
        let (detail, command_event) = {
            let mut state = lock(&self.0.state);
            let Some(command) = state.commands.get_mut(id) else {
                return;
            };
            let document = command.script.document();
            let requested = command.requested;
            let Some(invocation) = command.invocations.get_mut(node) else {
                return;
            };
            invocation.status = status;
            invocation.code = said.code;
            invocation.output.clone_from(&said.output);
            if status == "InProgress" {
                invocation.started = Some(now);
            }
            let detail = json!({
                "command-id": id,
                "document-name": document,
                "instance-id": node,
                "requested-date-time": rfc3339(requested),
                "status": status,
            });
            (detail, command.summed_up(id))
        };
        // Shapes: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitoring-systems-manager-event-examples.html
        let resource = resource(node);
        let put = |detail_type, detail| {
            self.0.bus.put("aws.ssm", detail_type, &[&resource], detail);
        };
        put("EC2 Command Invocation Status-change Notification", detail);
        if let Some(detail) = command_event {
            put("EC2 Command Status-change Notification", detail);
        }
    }
}

/// What a command's runs on a node have said, and how the last of them ended.
struct Said {
    code: i32,
    output: String,
}

impl Said {
    fn nothing() -> Self {
        Self {
            code: -1,
            output: String::new(),
        }
    }
}

fn resource(node: &str) -> String {
    if node.starts_with("mi-") {
        format!("arn:aws:ssm:{REGION}:{ACCOUNT}:managed-instance/{node}")
    } else {
        format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{node}")
    }
}

fn seconds(value: &Value) -> Option<f64> {
    if value.is_null() {
        return Some(DEFAULT_SECONDS);
    }
    value.as_f64().filter(|s| DELIVERY_SECONDS.contains(s))
}

#[cfg(test)]
mod tests;
