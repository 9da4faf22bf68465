//! The operations on the wire (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html>).

use super::{
    ApiError, StepFunctions, execution::Execution, redrive, seen::Seen, service,
    time::epoch_seconds,
};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// "The default is 100 and the maximum allowed page size is 1000."
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

impl StepFunctions {
    /// An operation as it is on the wire: its name, its request and its answer, in awsJson.
    ///
    /// # Errors
    /// The codes on the wire; `UnknownOperationException` for what is not simulated.
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        match operation {
            "StartExecution" => self.start_execution(body),
            "DescribeExecution" => self.describe_execution(arn(body, "executionArn")?),
            "GetExecutionHistory" => self.get_history(body),
            "ListExecutions" => self.list_executions(body),
            "StopExecution" => self.stop_execution(body),
            "RedriveExecution" => {
                let arn = arn(body, "executionArn")?;
                self.redrive(arn)?;
                Ok(json!({ "redriveDate": epoch_seconds(self.0.host.now()) }))
            }
            "ListStateMachines" => self.list_machines(body),
            "DescribeStateMachine" => self.describe_machine(body),
            "DescribeStateMachineForExecution" => self.describe_machine_of(body),
            "ListStateMachineAliases" => {
                let aliases = self.aliases(required(body, "stateMachineArn")?)?;
                let (from, to, next) = page(body, aliases.len())?;
                Ok(paged(
                    "stateMachineAliases",
                    aliases[from..to].to_vec(),
                    next,
                ))
            }
            "DescribeStateMachineAlias" => {
                self.describe_alias(required(body, "stateMachineAliasArn")?)
            }
            "SendTaskSuccess" => {
                let output = required(body, "output")?;
                self.send_task_success(required(body, "taskToken")?, output)?;
                Ok(json!({}))
            }
            "SendTaskFailure" => {
                let (error, cause) = (text(body, "error"), text(body, "cause"));
                self.send_task_failure(required(body, "taskToken")?, error, cause)?;
                Ok(json!({}))
            }
            "SendTaskHeartbeat" => {
                self.send_task_heartbeat(required(body, "taskToken")?)?;
                Ok(json!({}))
            }
            other => Err(ApiError::new(
                "UnknownOperationException",
                format!("Step Functions {other} is not simulated"),
            )),
        }
    }

    fn start_execution(&self, body: &Value) -> Result<Value, ApiError> {
        // "If you don't include any JSON input data, you still must include the two braces."
        let input = text(body, "input").unwrap_or("{}");
        let input = serde_json::from_str(input).map_err(|error| {
            let message = format!("Invalid State Machine Execution Input: '{error}'");
            ApiError::new("InvalidExecutionInput", message)
        })?;
        let machine = required(body, "stateMachineArn")?;
        let arn = self.start(machine, text(body, "name"), input)?;
        let started = self.execution(&arn)?.started;
        Ok(json!({ "executionArn": arn, "startDate": epoch_seconds(started) }))
    }

    fn describe_execution(&self, arn: &str) -> Result<Value, ApiError> {
        let execution = self.execution(arn)?;
        let seen = execution.seen(self.0.seen());
        let seen = seen.ok_or_else(|| service::unknown(arn))?;
        let mut answer = summary(&execution, &seen);
        let included = json!({ "included": true });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                answer.insert(name.to_owned(), value);
            }
        };
        put("input", Some(execution.input.text().as_ref().into()));
        put("inputDetails", Some(included.clone()));
        let output = seen.output.as_ref();
        put("output", output.map(|output| output.text().as_ref().into()));
        put("outputDetails", output.map(|_| included));
        put("error", seen.failed.error.as_deref().map(Into::into));
        put("cause", seen.failed.cause.as_deref().map(Into::into));
        let (record, now) = (execution.record(), self.0.host.now());
        let refusal = redrive::refusal(seen.status, &record, execution.started, now);
        let redrivable = match refusal {
            None => "REDRIVABLE",
            Some(_) => "NOT_REDRIVABLE",
        };
        put("redriveStatus", Some(redrivable.into()));
        put("redriveStatusReason", refusal.map(Into::into));
        Ok(Value::Object(answer))
    }

    fn get_history(&self, body: &Value) -> Result<Value, ApiError> {
        let execution = self.execution(arn(body, "executionArn")?)?;
        let data = body["includeExecutionData"].as_bool().unwrap_or(true);
        let reverse = body["reverseOrder"].as_bool().unwrap_or(false);
        let record = execution.record();
        let (from, to, next) = page(body, record.events.len())?;
        let count = record.events.len();
        let events: Vec<Value> = (from..to)
            .map(|place| if reverse { count - 1 - place } else { place })
            .map(|index| record.events[index].render(index as u64 + 1, data, &self.0.host))
            .collect();
        Ok(paged("events", events, next))
    }

    fn list_executions(&self, body: &Value) -> Result<Value, ApiError> {
        let machine = self.machine(required(body, "stateMachineArn")?)?;
        let filter = text(body, "statusFilter");
        let known = [
            "RUNNING",
            "SUCCEEDED",
            "FAILED",
            "TIMED_OUT",
            "ABORTED",
            "PENDING_REDRIVE",
        ];
        if let Some(filter) = filter.filter(|filter| !known.contains(filter)) {
            let message = format!(
                "1 validation error detected: Value '{filter}' at 'statusFilter' failed to satisfy constraint: Member must \
                 satisfy enum value set: [{}]",
                known.join(", ")
            );
            return Err(ApiError::new("ValidationException", message));
        }
        let then = self.0.seen();
        let state = self.0.state();
        // "Results are sorted by time, with the most recent execution first."
        let executions: Vec<_> = state
            .executions
            .values()
            .rev()
            .filter(|execution| execution.machine.arn == machine.arn)
            .filter_map(|execution| Some((execution, execution.seen(then)?)))
            .filter(|(_, seen)| filter.is_none_or(|filter| seen.status.as_str() == filter))
            .collect();
        let (from, to, next) = page(body, executions.len())?;
        let executions = executions[from..to]
            .iter()
            .map(|(execution, seen)| Value::Object(summary(execution, seen)))
            .collect();
        Ok(paged("executions", executions, next))
    }

    fn stop_execution(&self, body: &Value) -> Result<Value, ApiError> {
        let arn = arn(body, "executionArn")?;
        self.stop(arn, text(body, "error"), text(body, "cause"))?;
        let stopped = self.execution(arn)?.record().stopped;
        Ok(json!({ "stopDate": stopped.map(epoch_seconds) }))
    }

    fn list_machines(&self, body: &Value) -> Result<Value, ApiError> {
        let state = self.0.state();
        let machines: Vec<_> = state.machines.values().collect();
        let (from, to, next) = page(body, machines.len())?;
        let machines = machines[from..to].iter().map(|machine| {
            json!({
                "stateMachineArn": machine.arn,
                "name": machine.name,
                "type": "STANDARD",
                "creationDate": epoch_seconds(machine.created),
            })
        });
        Ok(paged("stateMachines", machines.collect(), next))
    }

    /// The definition that an execution runs, which a later one of its machine does not change.
    fn describe_machine_of(&self, body: &Value) -> Result<Value, ApiError> {
        let execution = self.execution(arn(body, "executionArn")?)?;
        let machine = &execution.machine;
        Ok(json!({
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition.text(),
            "roleArn": self.0.host.role_arn(),
            "updateDate": epoch_seconds(machine.created),
        }))
    }

    fn describe_machine(&self, body: &Value) -> Result<Value, ApiError> {
        let arn = required(body, "stateMachineArn")?;
        let machine = self.machine(arn)?;
        Ok(json!({
            // Of a version, its own.
            "stateMachineArn": arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition.text(),
            "roleArn": self.0.host.role_arn(),
            "type": "STANDARD",
            "creationDate": epoch_seconds(machine.created),
            "loggingConfiguration": { "level": "OFF", "includeExecutionData": false },
        }))
    }
}

/// What ListExecutions tells of an execution, and DescribeExecution, too.
fn summary(execution: &Execution, seen: &Seen) -> Map<String, Value> {
    let version = execution.version();
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let seconds = |time: SystemTime| Value::from(epoch_seconds(time));
    put("executionArn", Some(execution.arn.as_ref().into()));
    put(
        "stateMachineArn",
        Some(execution.machine.arn.as_str().into()),
    );
    put("name", Some(execution.name.as_ref().into()));
    put("status", Some(seen.status.as_str().into()));
    put("startDate", Some(seconds(execution.started)));
    put("stopDate", seen.stopped.map(seconds));
    put("stateMachineVersionArn", version.version.map(Into::into));
    put("stateMachineAliasArn", version.alias.map(Into::into));
    put("redriveCount", Some(seen.redrives.into()));
    put("redriveDate", seen.redriven.map(seconds));
    members
}

fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Value::as_str)
}

fn required<'a>(body: &'a Value, member: &str) -> Result<&'a str, ApiError> {
    text(body, member).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        );
        ApiError::new("ValidationException", message)
    })
}

/// An execution's ARN.
fn arn<'a>(body: &'a Value, member: &str) -> Result<&'a str, ApiError> {
    let arn = required(body, member)?;
    let mut parts = arn.split(':');
    if parts.next() == Some("arn") && parts.nth(4) == Some("execution") {
        Ok(arn)
    } else {
        Err(ApiError::new("InvalidArn", format!("Invalid Arn: '{arn}'")))
    }
}

/// The places from which and to which a page goes, and the next one's token.
fn page(body: &Value, count: usize) -> Result<(usize, usize, Option<String>), ApiError> {
    let from = match text(body, "nextToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|from| from.parse().ok())
            .filter(|from| *from <= count)
            .ok_or_else(|| ApiError::new("InvalidToken", format!("Invalid Token: '{token}'")))?,
    };
    // "A value of 0 uses the default."
    let size = match body["maxResults"].as_u64() {
        None | Some(0) => PAGE,
        Some(size) => usize::try_from(size).unwrap_or(MAX_PAGE).min(MAX_PAGE),
    };
    let to = count.min(from + size);
    Ok((from, to, (to < count).then(|| format!("page-{to}"))))
}

fn paged(member: &str, entries: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = Map::new();
    answer.insert(member.to_owned(), entries.into());
    if let Some(next) = next {
        answer.insert("nextToken".to_owned(), next.into());
    }
    Value::Object(answer)
}
