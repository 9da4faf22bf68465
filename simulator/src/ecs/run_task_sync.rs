//! `arn:aws:states:::ecs:runTask.sync`
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html>).

use super::Ecs;
use crate::{
    stepfunctions::Answer,
    wire::{IntegrationFailure, Wire, optimized_ecs_failure, to_camel, to_pascal},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Step Functions sees the end through an EventBridge rule of its own.
const EVENT_DELAY: Duration = Duration::from_secs(1);

/// Runs the task; what is submitted is RunTask's answer, and the end is the Task, both in PascalCase, as are RunTask's
/// `arguments`. Dropping the end stops the task, as Step Functions does when the state times out or the execution is
/// stopped.
///
/// # Errors
/// Of the call or of the end:
/// - `States.TaskFailed`, cause: the Task in PascalCase as JSON, when an essential container ended with another code
///   than 0 or with none, or the task did not start;
/// - `AmazonECS.Unknown`, when RunTask answered 200 with `failures`;
/// - `ECS.…`, when RunTask was refused.
pub async fn run_task_sync(
    wire: &Wire,
    fleet: &Ecs,
    caller: &str,
    arguments: Value,
) -> Result<Answer, IntegrationFailure> {
    let body = camel_request(arguments);
    let cluster = body["cluster"].clone();
    let answer = wire
        .internal_call(caller, "ecs", "RunTask", body)
        .await
        .map_err(|error| optimized_ecs_failure(&error))?;
    let failures = answer["failures"].as_array().is_some_and(|f| !f.is_empty());
    let arn = answer["tasks"][0]["taskArn"].as_str().map(str::to_owned);
    let Some(arn) = arn.filter(|_| !failures) else {
        return Err(IntegrationFailure {
            error: "AmazonECS.Unknown".to_owned(),
            cause: to_pascal(answer).to_string(),
        });
    };
    let guard = StopOnDrop {
        wire: wire.clone(),
        caller: caller.to_owned(),
        body: Some(json!({
            "cluster": cluster,
            "task": arn,
            "reason": "Task stopped by AWS Step Functions",
        })),
    };
    let fleet = fleet.clone();
    Ok(Answer::Runs {
        submitted: to_pascal(answer),
        end: Box::pin(ended(fleet, arn, guard)),
    })
}

async fn ended(fleet: Ecs, arn: String, guard: StopOnDrop) -> Result<Value, IntegrationFailure> {
    let task = fleet.stopped(&arn).await;
    guard.disarm();
    sleep(EVENT_DELAY).await;
    let task = to_pascal(task.unwrap_or_default());
    if failed(&task, &fleet) {
        return Err(IntegrationFailure {
            error: "States.TaskFailed".to_owned(),
            cause: task.to_string(),
        });
    }
    Ok(task)
}

/// Step Functions sets StartedBy itself. Names of environment variables and tags are values, not keys, so that
/// changing the keys' case at every depth is safe.
fn camel_request(arguments: Value) -> Value {
    let mut body = to_camel(arguments);
    if let Some(members) = body.as_object_mut() {
        members.insert("startedBy".to_owned(), "AWS Step Functions".into());
    }
    body
}

fn failed(task: &Value, fleet: &Ecs) -> bool {
    if task["StopCode"] != "EssentialContainerExited" {
        return true;
    }
    let definition = task["TaskDefinitionArn"].as_str().unwrap_or_default();
    let essential = fleet.with(|state| {
        state.revision(definition).map(|revision| {
            let containers = revision.definition.containers.iter();
            containers
                .filter(|c| c.essential)
                .map(|c| c.name.clone())
                .collect::<Vec<_>>()
        })
    });
    let containers = task["Containers"].as_array().into_iter().flatten();
    containers
        .filter(|c| {
            let name = c["Name"].as_str().unwrap_or_default();
            essential
                .as_ref()
                .is_ok_and(|names| names.iter().any(|n| n == name))
        })
        .any(|c| c["ExitCode"] != 0)
}

/// Stops the task when the state is left before its end.
struct StopOnDrop {
    wire: Wire,
    caller: String,
    body: Option<Value>,
}

impl StopOnDrop {
    fn disarm(mut self) {
        self.body = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else {
            return;
        };
        // At the end of the world, too, futures are dropped; there is nobody left to stop a task then.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (wire, caller) = (self.wire.clone(), self.caller.clone());
            runtime.spawn(async move {
                // Step Functions tries, and does not tell when it fails (developer guide, connect-to-resource).
                let _ = wire.internal_call(&caller, "ecs", "StopTask", body).await;
            });
        }
    }
}
