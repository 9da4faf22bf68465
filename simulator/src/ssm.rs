//! Systems Manager Run Command, with the two scripts of the recovery.

mod script;

use crate::{
    ACCOUNT, REGION,
    clock::{Clock, rfc3339},
    ecs::Fleet,
    eventbridge::Bus,
    seeded::Seeded,
    wire::{ApiError, Handler},
};
use script::{Run, Script};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
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

/// After exit 194 the agent runs `shutdown -r +1`: the node goes down a minute later
/// (aws/amazon-ssm-agent, agent/rebooter/rebooter_unix.go).
const REBOOT_AFTER: Duration = Duration::from_secs(60);

/// Systems Manager. Clones are the same.
#[derive(Clone)]
pub struct Ssm(Arc<Inner>);

struct Inner {
    clock: Clock,
    seeded: Seeded,
    bus: Bus,
    fleet: Fleet,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    commands: BTreeMap<String, Command>,
    /// The boot id that a node has written down under a token.
    marks: BTreeMap<(String, String), String>,
    online: BTreeMap<String, Arc<Notify>>,
}

impl State {
    fn online(&mut self, node: &str) -> Arc<Notify> {
        self.online.entry(node.to_owned()).or_default().clone()
    }
}

struct Command {
    script: Script,
    parameters: Value,
    comment: String,
    requested: SystemTime,
    expires: SystemTime,
    status: &'static str,
    invocations: BTreeMap<String, Invocation>,
}

struct Invocation {
    status: &'static str,
    details: &'static str,
    code: i32,
    output: String,
    started: Option<SystemTime>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ssm {
    pub fn new(clock: Clock, seed: u64, bus: Bus, fleet: Fleet) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let nodes = state.clone();
        fleet.on_ssm_online(move |node| lock(&nodes).online(node).notify_waiters());
        Self(Arc::new(Inner {
            clock,
            seeded: Seeded::new(seed, "ssm"),
            bus,
            fleet,
            state,
        }))
    }

    /// The operation as Step Functions' `aws-sdk:ssm:…` passes it: PascalCase, times as RFC 3339 text.
    ///
    /// # Errors
    /// Systems Manager's own.
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        match operation {
            "SendCommand" => self.send_command(body),
            "GetCommandInvocation" => self.get_command_invocation(body),
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
        if document != "AWS-RunShellScript" {
            return Err(ApiError::new(
                "InvalidDocument",
                format!("The document {document} is not simulated; AWS-RunShellScript is."),
            ));
        }
        let nodes = self.known_nodes(body)?;
        let delivery = seconds(&body["TimeoutSeconds"]).ok_or_else(|| {
            ApiError::new(
                "ValidationException",
                "Value at 'timeoutSeconds' failed to satisfy constraint: between 30 and 2592000",
            )
        })?;
        let parameters = &body["Parameters"];
        let lines = parameter(parameters, "commands")?;
        let execution = match parameter(parameters, "executionTimeout")?.first() {
            None => DEFAULT_SECONDS,
            Some(text) => text
                .parse()
                .map_err(|_| invalid_parameters("executionTimeout is no number of seconds"))?,
        };
        let script = Script::read(&lines).map_err(|why| invalid_parameters(&why))?;
        let id = self.0.seeded.uuid();
        let now = self.0.clock.now();
        let command = Command {
            script,
            parameters: parameters.clone(),
            comment: body["Comment"].as_str().unwrap_or_default().to_owned(),
            requested: now,
            expires: now + Duration::from_secs_f64(delivery + execution),
            status: "Pending",
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
        let delivery_end = Instant::now() + Duration::from_secs_f64(delivery);
        let end = delivery_end + Duration::from_secs_f64(execution);
        for node in nodes {
            let invocation = self.clone().invoke(id.clone(), node, delivery_end, end);
            tokio::spawn(invocation);
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

    fn get_command_invocation(&self, body: &Value) -> Result<Value, ApiError> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let state = lock(&self.0.state);
        let command = state.commands.get(text("CommandId"));
        let found = command.and_then(|c| Some((c, c.invocations.get(text("InstanceId"))?)));
        let (command, invocation) = found.ok_or_else(|| {
            ApiError::new(
                "InvocationDoesNotExist",
                "The command ID and managed node ID you specified didn't match any invocations.",
            )
        })?;
        Ok(json!({
            "CommandId": text("CommandId"),
            "InstanceId": text("InstanceId"),
            "Comment": command.comment,
            "DocumentName": "AWS-RunShellScript",
            "DocumentVersion": "$DEFAULT",
            "PluginName": "aws:runShellScript",
            "ResponseCode": invocation.code,
            "ExecutionStartDateTime": invocation.started.map(rfc3339).unwrap_or_default(),
            "Status": invocation.status,
            "StatusDetails": invocation.details,
            "StandardOutputContent": invocation.output,
            "StandardErrorContent": "",
        }))
    }

    /// One node's part of a command, from Pending to its final status.
    async fn invoke(self, command: String, node: String, delivery_end: Instant, end: Instant) {
        if timeout_at(delivery_end, self.online(&node)).await.is_err() {
            return self.set(
                &command,
                &node,
                "TimedOut",
                "DeliveryTimedOut",
                -1,
                String::new(),
            );
        }
        sleep(self.0.seeded.within(&DELIVERY)).await;
        self.set(
            &command,
            &node,
            "InProgress",
            "InProgress",
            -1,
            String::new(),
        );
        match timeout_at(end, self.run(&command, &node)).await {
            Err(_) => self.set(
                &command,
                &node,
                "TimedOut",
                "ExecutionTimedOut",
                -1,
                String::new(),
            ),
            Ok((0, output)) => self.set(&command, &node, "Success", "Success", 0, output),
            Ok((code, output)) => self.set(&command, &node, "Failed", "Failed", code, output),
        }
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
    async fn run(&self, command: &str, node: &str) -> (i32, String) {
        loop {
            self.online(node).await;
            let Some(before) = self.0.fleet.instance(node) else {
                return (-1, "the node is gone".to_owned());
            };
            sleep(self.0.seeded.within(&RUN)).await;
            let after = self.0.fleet.instance(node);
            // The node went down while the script ran: the agent runs it again when it is back.
            let Some(view) = after.filter(|v| v.up && v.boot_id == before.boot_id) else {
                continue;
            };
            match self.run_once(command, &view) {
                Run::Exit { code, output } => return (code, output),
                Run::Reboot(order) => {
                    let hello = lock(&self.0.state).online(node);
                    let rebooted = hello.notified();
                    sleep(REBOOT_AFTER).await;
                    // It may have gone down by other means meanwhile.
                    let up = self.0.fleet.instance(node);
                    if up.is_some_and(|now| now.up && now.boot_id == before.boot_id) {
                        self.0.fleet.reboot(node, &order);
                    }
                    rebooted.await;
                }
            }
        }
    }

    fn run_once(&self, command: &str, view: &crate::ecs::InstanceView) -> Run {
        let mut state = lock(&self.0.state);
        let Some(command) = state.commands.get(command) else {
            return Run::Exit {
                code: -1,
                output: "the command is gone".to_owned(),
            };
        };
        let script = command.script.clone();
        let mark = match &script {
            Script::RebootOnce { token, .. } => Some((view.id.clone(), token.clone())),
            Script::ProveBoot { .. } => None,
        };
        let recorded = mark.as_ref().and_then(|mark| state.marks.get(mark));
        let run = script.run(
            view,
            recorded.map(String::as_str),
            self.0.clock.epoch_seconds() as u64,
        );
        if let (Run::Reboot(_), Some(mark)) = (&run, mark) {
            state.marks.insert(mark, view.boot_id.clone());
        }
        run
    }

    fn set(
        &self,
        id: &str,
        node: &str,
        status: &'static str,
        details: &'static str,
        code: i32,
        output: String,
    ) {
        let now = self.0.clock.now();
        let (detail, command_event) = {
            let mut state = lock(&self.0.state);
            let Some(command) = state.commands.get_mut(id) else {
                return;
            };
            let Some(invocation) = command.invocations.get_mut(node) else {
                return;
            };
            invocation.status = status;
            invocation.details = details;
            invocation.code = code;
            invocation.output = output;
            if status == "InProgress" {
                invocation.started = Some(now);
            }
            let detail = json!({
                "command-id": id,
                "document-name": "AWS-RunShellScript",
                "instance-id": node,
                "requested-date-time": rfc3339(command.requested),
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

impl Invocation {
    fn new() -> Self {
        Self {
            status: "Pending",
            details: "Pending",
            code: -1,
            output: String::new(),
            started: None,
        }
    }
}

impl Command {
    /// The command's status from its invocations'; the event's detail when it has changed
    /// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html>).
    fn summed_up(&mut self, id: &str) -> Option<Value> {
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
            "document-name": "AWS-RunShellScript",
            "expire-after": rfc3339(self.expires),
            "parameters": self.parameters,
            "requested-date-time": rfc3339(self.requested),
            "status": status,
        }))
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

fn invalid_parameters(why: &str) -> ApiError {
    ApiError::new("InvalidParameters", why)
}

/// A document parameter is a list of text; a missing one is empty.
fn parameter(parameters: &Value, name: &str) -> Result<Vec<String>, ApiError> {
    let value = &parameters[name];
    if value.is_null() {
        return Ok(Vec::new());
    }
    value
        .as_array()
        .and_then(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect())
        .ok_or_else(|| invalid_parameters(&format!("{name} is no list of text")))
}

#[cfg(test)]
mod tests;
