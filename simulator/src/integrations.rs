//! What the recovery's state machine may call, bound to the simulated services.

use crate::{
    ecs::{Fleet, run_task_sync},
    lambda::Lambda,
    object::object,
    stepfunctions::{Answer, Resource, TaskRequest, TaskRunner},
    wire::{IntegrationFailure, Wire, sdk_failure},
};
use serde_json::Value;
use std::sync::Arc;

/// Who makes the state machine's own calls.
pub const STATE_MACHINE: &str = "state-machine";

/// Lambda functions, `ecs:runTask.sync`, and any `aws-sdk:…` call that a service on the wire answers.
pub fn runner(wire: Wire, fleet: Fleet, lambda: Lambda) -> TaskRunner {
    Arc::new(move |request| {
        let (wire, fleet, lambda) = (wire.clone(), fleet.clone(), lambda.clone());
        Box::pin(async move { run(&wire, &fleet, &lambda, request).await })
    })
}

async fn run(
    wire: &Wire,
    fleet: &Fleet,
    lambda: &Lambda,
    request: TaskRequest,
) -> Result<Answer, IntegrationFailure> {
    let caller = format!("{STATE_MACHINE}#{}", request.execution_name);
    match &request.resource {
        Resource::LambdaInvoke => invoke(lambda, request.arguments).await.map(Answer::Result),
        Resource::LambdaInvokeWaitForTaskToken => {
            invoke(lambda, request.arguments).await.map(Answer::Waits)
        }
        Resource::EcsRunTaskSync => run_task_sync(wire, fleet, &caller, request.arguments)
            .await
            .map(Answer::Result),
        Resource::AwsSdk { service, action } => {
            let action = upper_first(action);
            wire.internal_call(&caller, service, &action, request.arguments)
                .await
                .map(Answer::Result)
                .map_err(|error| sdk_failure(service, &error))
        }
    }
}

async fn invoke(lambda: &Lambda, mut arguments: Value) -> Result<Value, IntegrationFailure> {
    let payload = arguments["Payload"].take();
    let function = arguments["FunctionName"].as_str().unwrap_or_default();
    let answer = lambda.invoke(function, payload).await?;
    Ok(object!({ "ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200 }))
}

fn upper_first(action: &str) -> String {
    let (first, rest) = action.split_at(1.min(action.len()));
    first.to_ascii_uppercase() + rest
}
