//! What the system did, in plain words.

use crate::{history::outcome, output};
use serde_json::Value;
use std::collections::BTreeMap;
/// How good a thing is that was done; shown by colour, and always by words as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub text: String,
    pub tone: Tone,
    /// The execution does something that everybody wants to see.
    pub matters: bool,
}

impl Words {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone,
            matters: false,
        }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Longer values are cut; causes and reasons never are, for what they say stands at their end.
const LONGEST: usize = 200;

/// One line of at most [`LONGEST`] characters.
pub fn cut(text: &str) -> String {
    let line = line(text);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// One line, however long.
pub fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(short).collect();
    words.join(" ")
}

/// Of an ARN what names the thing; any other word as it is.
fn short(word: &str) -> &str {
    if word.starts_with("arn:") {
        word.rsplit(['/', ':']).next().unwrap_or(word)
    } else {
        word
    }
}

/// The task that an event is about: the beginning of its id.
pub fn of_task(input: &Value) -> Option<String> {
    let id = input["detail"]["taskArn"].as_str()?.rsplit('/').next()?;
    Some(id.chars().take(8).collect())
}

/// The task that an `ECS Task State Change` event tells of; `None` when the input is something else.
pub fn trigger(input: &Value) -> Option<String> {
    let detail = input.get("detail")?;
    let short = of_task(input)?;
    let containers = detail["containers"].as_array()?;
    let codes: Vec<String> = containers
        .iter()
        .filter_map(|container| container["exitCode"].as_i64())
        .map(|code| code.to_string())
        .collect();
    let code = match codes.as_slice() {
        [] => "no exit code".to_owned(),
        codes => format!("exit code {}", codes.join(", ")),
    };
    // Of a container that ended by itself the reason says no more than that.
    let by_itself = detail["stopCode"] == "EssentialContainerExited" && !codes.is_empty();
    let reason = match detail["stoppedReason"].as_str() {
        Some(reason) if !by_itself => format!(": {}", line(reason)),
        _ => String::new(),
    };
    Some(format!("task {short} stopped, {code}{reason}"))
}

/// The kind of a task that ended well.
pub const COMPLETION: &str = "exit code 0";

/// Why many executions have nothing to do, for their count; without what differs between them.
pub fn kind(input: &Value) -> &'static str {
    let detail = &input["detail"];
    let reason = detail["stoppedReason"].as_str().unwrap_or_default();
    if reason.starts_with("gpu-recovery:") {
        "stopped by this recovery"
    } else if detail["stopCode"] == "UserInitiated" {
        "stopped by an operator"
    } else if detail["containers"][0]["exitCode"] == 0 {
        COMPLETION
    } else {
        "of the job's other ranks"
    }
}

/// What a task answered: `parameters` it was called with, `result` of it.
pub fn task(state: &str, kind: &str, resource: &str, parameters: &Value, result: &Value) -> Words {
    match (kind, resource) {
        ("lambda", "invoke") => {
            let payload = &result["Payload"];
            let function = parameters["FunctionName"].as_str().unwrap_or_default();
            let worker = function.rsplit(':').next().unwrap_or_default();
            let told = outcome::of(worker.trim_start_matches("gpu-recovery-"), payload);
            told.map_or_else(|| Words::plain(brief(payload)), |told| told.short)
        }
        ("lambda", "invoke.waitForTaskToken") => Words::plain("back"),
        ("ecs", "runTask.sync") => match exit_code(result) {
            Some(0) => Words::new(Tone::Good, format!("{} exit 0: healthy", check(parameters))),
            Some(code) => Words::new(Tone::Warning, format!("{} exit {code}", check(parameters))),
            None => Words::plain(format!("{} ended", check(parameters))),
        },
        ("aws-sdk:ssm", "sendCommand") if state == "RebootInstance" => {
            Words::plain("reboot command sent")
        }
        ("aws-sdk:ssm", "sendCommand") => Words::plain("command sent"),
        ("aws-sdk:ec2", "rebootInstances") => Words::plain("told EC2 to reboot it"),
        (kind, resource) => Words::plain(format!(
            "{}:{resource} done",
            kind.trim_start_matches("aws-sdk:")
        )),
    }
}

/// How a task failed.
pub fn failure(parameters: &Value, error: &str, cause: &str) -> Words {
    if error == "States.TaskFailed"
        && let Ok(task) = serde_json::from_str::<Value>(cause)
        && task["TaskArn"].is_string()
    {
        return Words::new(
            Tone::Warning,
            format!("{} {}", check(parameters), end(&task)),
        );
    }
    Words::new(Tone::Warning, named(error, cause))
}

/// An error with its cause.
pub fn named(error: &str, cause: &str) -> String {
    let json = serde_json::from_str::<Value>(cause).ok();
    let cause = json.as_ref().and_then(said).unwrap_or_else(|| line(cause));
    if cause.is_empty() {
        return error.to_owned();
    }
    format!("{error}: {cause}")
}

/// What a cause in JSON says: of a task how it ended, of a function its message, of another execution its cause.
fn said(cause: &Value) -> Option<String> {
    if cause["TaskArn"].is_string() {
        return Some(end(cause));
    }
    let message = cause["errorMessage"].as_str();
    message.or(cause["Cause"].as_str()).map(line)
}

/// How a task ended.
fn end(task: &Value) -> String {
    match (exit_code(task), task["StoppedReason"].as_str()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(reason)) => format!("without exit code: {}", line(reason)),
        (None, None) => "without exit code".to_owned(),
    }
}

fn exit_code(task: &Value) -> Option<i64> {
    task["Containers"][0]["ExitCode"].as_i64()
}

/// The task that was run, as people call it.
fn check(parameters: &Value) -> String {
    let name = parameters["TaskDefinition"].as_str().unwrap_or("task");
    let family = name.rsplit('/').next().unwrap_or(name);
    if family.contains("dcgm") {
        "DCGM".to_owned()
    } else {
        family.to_owned()
    }
}

/// What a record that goes on to the next state says: a verdict, or what became of an instance.
pub fn record(output: &Value) -> Option<Words> {
    if let Some(verdict) = output["verdict"].as_str() {
        return Some(Words::new(tone(verdict), verdict));
    }
    let recovered = output["recovered"].as_bool()?;
    let tone = if recovered { Tone::Good } else { Tone::Bad };
    Some(Words::new(tone, line(output["detail"].as_str()?)))
}

fn tone(verdict: &str) -> Tone {
    match verdict {
        "healthy" => Tone::Good,
        "faulty" | "no-reboot-helps" => Tone::Bad,
        _ => Tone::Warning,
    }
}

/// What came of a Map: verdicts or recoveries counted.
pub fn map(output: &Value) -> Option<Words> {
    let items = output.as_array()?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items {
        let word = match (item["verdict"].as_str(), item["recovered"].as_bool()) {
            (Some(verdict), _) => verdict,
            (None, Some(true)) => "recovered",
            (None, Some(false)) => "not recovered",
            _ => return None,
        };
        *counts.entry(word).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(word, number)| format!("{} {word}", output::count(*number)))
        .collect();
    Some(Words::plain(parts.join(", ")))
}

/// JSON in a few words.
pub fn brief(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => cut(text),
        value => match value["outcome"].as_str() {
            Some(outcome) => outcome.to_owned(),
            None => cut(&value.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failed_health_check_is_told_by_its_exit_code() {
        let cause = json!({
            "TaskArn": "arn:aws:ecs:us-east-1:123456789012:task/c/1",
            "Containers": [{ "ExitCode": 226 }],
            "StoppedReason": "Essential container in task exited",
        });
        let parameters = json!({ "TaskDefinition": "dcgm-health-check" });
        let words = failure(&parameters, "States.TaskFailed", &cause.to_string());
        assert_eq!(words.text, "DCGM exit 226");
    }

    #[test]
    fn a_failed_worker_is_told_by_its_message() {
        let cause = r#"{"errorType":"NotPlaced","errorMessage":"rank 3: RESOURCE:GPU"}"#;
        assert_eq!(named("NotPlaced", cause), "NotPlaced: rank 3: RESOURCE:GPU");
        assert_eq!(named("States.Timeout", ""), "States.Timeout");
        assert_eq!(
            cut("task\n arn:aws:ecs:us-east-1:123456789012:task/c/1f of job j"),
            "task 1f of job j"
        );
    }

    #[test]
    fn a_cause_is_told_to_its_end() {
        let long = format!("{} and this is why", "word ".repeat(100).trim_end());
        let task = json!({ "Attachments": [], "TaskArn": "arn:aws:ecs:r:a:task/c/1", "StoppedReason": long });
        let execution =
            json!({ "ExecutionArn": "arn:aws:states:r:a:execution:m:e", "Cause": long });
        let other = json!({ "a": long });
        let told = |cause: String| named("States.TaskFailed", &cause);
        assert_eq!(told(long.clone()), format!("States.TaskFailed: {long}"));
        assert_eq!(
            told(task.to_string()),
            format!("States.TaskFailed: without exit code: {long}")
        );
        assert_eq!(
            told(execution.to_string()),
            format!("States.TaskFailed: {long}")
        );
        assert!(told(other.to_string()).ends_with("and this is why\"}"));
    }

    #[test]
    fn every_outcome_of_the_workers_is_told_in_words() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:gpu-recovery-claim-job";
        let told = |payload: &Value| {
            let parameters = json!({ "FunctionName": arn });
            let result = json!({ "Payload": payload });
            task("ClaimJob", "lambda", "invoke", &parameters, &result)
        };
        let stale = json!({ "outcome": "Stale", "jobId": "j", "why": "attempt 2 runs" });
        let words = told(&stale);
        assert_eq!(words.text, "too late: attempt 2 runs");
        assert!(!words.matters);
        let unknown = json!({ "outcome": "Unknown" });
        assert!(outcome::of("claim-job", &unknown).is_none());
        assert_eq!(told(&unknown).text, "Unknown");
        for name in ["claim-job", "ClaimJob"] {
            let told = outcome::of(name, &stale).unwrap();
            assert_eq!(
                told.sentence,
                "the event came too late, so nothing was done: attempt 2 runs"
            );
            assert_eq!(told.decision, None);
        }
    }
}
