//! What the recovery's state machine may call, bound to the simulated services.

use crate::{
    ecs::{Ecs, run_task_sync},
    lambda::Lambda,
    object::object,
    stepfunctions::{
        Answer, Definition, Mocks, Pattern, TaskRequest, TaskRunner, mocks::MockErrors,
    },
    tap::{self, Seen},
    wire::{IntegrationFailure, Wire, sdk_failure},
};
use serde_json::Value;
use std::sync::Arc;

/// Who makes the state machine's own calls.
pub const STATE_MACHINE: &str = "state-machine";

/// A test case whose mocks answer for some states; what is called by the others is really called.
#[derive(Debug, Clone)]
pub struct TestCase {
    pub mocks: Mocks,
    pub machine: String,
    pub name: String,
}

impl TestCase {
    /// The tasks of a definition in this test case.
    ///
    /// # Errors
    /// When it mocks what is no Task of the definition.
    pub fn runner(
        &self,
        others: TaskRunner,
        definition: &Definition,
    ) -> Result<TaskRunner, MockErrors> {
        self.mocks
            .runner_beside(others, &self.machine, &self.name, definition)
    }
}

/// Lambda functions, `ecs:runTask.sync`, and any `aws-sdk:…` call that a service on the wire answers. Of another
/// integration the state fails, and says so.
pub fn runner(wire: Wire, fleet: Ecs, lambda: Lambda) -> TaskRunner {
    Arc::new(move |request| {
        let (wire, fleet, lambda) = (wire.clone(), fleet.clone(), lambda.clone());
        Box::pin(async move { run(&wire, &fleet, &lambda, request).await })
    })
}

async fn run(
    wire: &Wire,
    fleet: &Ecs,
    lambda: &Lambda,
    request: TaskRequest,
) -> Result<Answer, IntegrationFailure> {
    let caller = format!("{STATE_MACHINE}#{}", request.execution_name);
    let resource = &request.resource;
    match (resource.to_string().as_str(), resource.sdk_service()) {
        ("lambda:invoke", _) => invoke(lambda, &caller, request.arguments)
            .await
            .map(Answer::Result),
        ("lambda:invoke.waitForTaskToken", _) => invoke(lambda, &caller, request.arguments)
            .await
            .map(Answer::Waits),
        ("ecs:runTask.sync", _) => run_task_sync(wire, fleet, &caller, request.arguments).await,
        (_, Some(service)) if resource.pattern == Pattern::RequestResponse => {
            let action = upper_first(&resource.action);
            wire.internal_call(&caller, service, &action, request.arguments)
                .await
                .map(Answer::Result)
                .map_err(|error| sdk_failure(service, &error))
        }
        // Not caught and not retried: the definition asks for what is not here.
        (name, _) => Err(IntegrationFailure {
            error: "States.Runtime".to_owned(),
            cause: format!(
                "the simulated cloud has no {name}: give the state '{}' a mock",
                request.state
            ),
        }),
    }
}

/// An invocation passes no wire, so that it is told here; how it failed is the function's business, not the API's.
async fn invoke(
    lambda: &Lambda,
    caller: &str,
    arguments: Value,
) -> Result<Value, IntegrationFailure> {
    let function = arguments["FunctionName"].as_str().unwrap_or_default();
    let answer = lambda
        .invoke(function, arguments["Payload"].clone())
        .await?;
    let answer = object!({ "ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200 });
    tap::tell(Seen::Call {
        caller,
        service: "lambda",
        action: "Invoke",
        request: &arguments,
        answer: Ok(&answer),
        injected: false,
    });
    Ok(answer)
}

fn upper_first(action: &str) -> String {
    let (first, rest) = action.split_at(1.min(action.len()));
    first.to_ascii_uppercase() + rest
}
