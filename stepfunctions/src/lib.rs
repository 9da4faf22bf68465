//! AWS Step Functions on your machine, in virtual time: plays state machines written in the Amazon States Language with
//! JSONata, and writes the execution history that AWS writes.
//!
//! A state machine is code that only runs in the cloud: its retries, time-outs and catches are seldom tried before they
//! are needed. Here they are tried in a test. Time is tokio's, so that with a paused clock a week of `Wait` takes no time;
//! whatever is random comes from one seed, so that a history can be played again to the byte.
//!
//! # What is in it
//!
//! | | |
//! | --- | --- |
//! | [`Definition`] | a definition, read and checked: every error at once, with its line, what was expected and the nearest name; [`warnings`](Definition::warnings) for what AWS accepts, but may not be meant |
//! | [`StepFunctions`] | the service: machines, versions and aliases, executions, [histories](StepFunctions::history), [redrive](StepFunctions::redrive), task tokens, and the [API](StepFunctions::api) in awsJson, whose reads may [lag](StepFunctions::set_lag) |
//! | [`Host`] | what you give it: who does the tasks, the time, the seed, who hears of events |
//! | [`TaskRunner`] | a function that does the work of every Task state; [`Resource`] says what is called |
//! | [`Mocks`] | or no function, but a mock configuration of Step Functions Local |
//!
//! All state types are played: Task, Choice, Pass, Wait, Succeed, Fail, Parallel, and Map in its inline mode. Every
//! integration is: `lambda:invoke`, `ecs:runTask.sync`, `sqs:sendMessage.waitForTaskToken`, `aws-sdk:…`. The engine calls none of
//! them, your [`TaskRunner`] does.
//!
//! # An example
//!
//! A task that is throttled once, and tried again a minute later:
//!
//! ```
//! use serde_json::json;
//! use std::{collections::BTreeMap, sync::Arc, time::Duration};
//! use stepfunctions::{Answer, Definition, ExecutionStatus, Host, IntegrationFailure, StepFunctions};
//!
//! const GREETING: &str = r#"{
//!   "QueryLanguage": "JSONata",
//!   "StartAt": "Greet",
//!   "States": {
//!     "Greet": {
//!       "Type": "Task",
//!       "Resource": "arn:aws:states:::lambda:invoke",
//!       "Arguments": { "FunctionName": "${Greeter}", "Payload": "{% $states.input.name %}" },
//!       "Output": "{% $states.result.Payload %}",
//!       "Retry": [ { "ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 60 } ],
//!       "End": true
//!     }
//!   }
//! }"#;
//!
//! // Virtual time: the minute passes at once.
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let substitutions = BTreeMap::from([("Greeter".to_owned(), "greeter".to_owned())]);
//!     let definition = Definition::parse(GREETING, &substitutions)?;
//!
//!     // This is Lambda.
//!     let host = Host::new(Arc::new(|request| {
//!         Box::pin(async move {
//!             assert_eq!(request.resource.to_string(), "lambda:invoke");
//!             if request.retry_count == 0 {
//!                 return Err(IntegrationFailure {
//!                     error: "Lambda.TooManyRequestsException".to_owned(),
//!                     cause: "Rate Exceeded.".to_owned(),
//!                 });
//!             }
//!             let name = request.arguments["Payload"].as_str().unwrap_or("you");
//!             Ok(Answer::Result(json!({ "StatusCode": 200, "Payload": format!("Hello, {name}!") })))
//!         })
//!     }));
//!
//!     let service = StepFunctions::new(host);
//!     let machine = service.create_state_machine("greeting", definition);
//!     let execution = service.start(&machine, None, json!({ "name": "Ada" }))?;
//!     let ended = service.finished(&execution).await.expect("it was started");
//!
//!     assert_eq!(ended.status, ExecutionStatus::Succeeded);
//!     assert_eq!(*ended.output.unwrap(), json!("Hello, Ada!"));
//!     assert_eq!(ended.stopped.unwrap().duration_since(ended.started)?, Duration::from_secs(60));
//!     let types: Vec<_> = service.history(&execution).iter().map(|event| event["type"].clone()).collect();
//!     assert_eq!(types[3..6], ["TaskStarted", "TaskFailed", "TaskScheduled"]);
//!     Ok(())
//! }
//! ```
//!
//! # How true it is
//!
//! What AWS does is taken from its developer guide, its API reference, and histories recorded on AWS that others publish;
//! the comments name the page. Quotas that an execution can run into are there: 25,000 events, 256 KiB of data, 40
//! iterations at once. Where AWS documents nothing, the comment says so.
//!
//! It is right for: tests of a definition, of its retries and its error paths; simulations around one.
//! It is not right for: JSONPath (refused, with the JSONata field to write instead), distributed Maps, Express workflows,
//! activities, look-around in regular expressions; and it calls no service.
//!
//! # Inside
//!
//! A definition's text is read into a model that holds nothing that cannot be played, then checked as a whole. The
//! interpreter plays the model: one future for each flow, which waits in tokio's time. Where a flow stands is kept outside
//! of it, so that a redrive goes on from there. Every event is appended in one place, and rendered only when somebody asks.

#![warn(missing_docs)]

mod api;
mod callbacks;
mod definition;
pub mod dice;
mod error;
mod events;
mod execution;
mod failure;
mod frame;
mod history;
mod host;
mod interpreter;
mod json;
pub mod mocks;
pub mod nearest;
mod query;
mod redrive;
mod resource;
mod seen;
mod service;
mod start;
pub mod time;
mod tokens;
mod versions;

#[cfg(test)]
mod tests;

pub use definition::{Definition, DefinitionError, DefinitionErrors};
pub use error::{ApiError, IntegrationFailure};
pub use events::{EVENT_SOURCE, EVENT_TYPE, StatusChange};
pub use execution::{ExecutionStatus, ExecutionView};
pub use host::Host;
pub use mocks::Mocks;
pub use resource::{Pattern, Resource};
pub use service::StepFunctions;
pub use tokens::WaitingTask;

use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// What a Task state calls; the engine knows no service itself. Dropping the future cancels the task: that is how a
/// time-out, a failed sibling and a stopped execution reach it.
pub type TaskRunner = Arc<
    dyn Fn(TaskRequest) -> BoxFuture<'static, Result<Answer, IntegrationFailure>> + Send + Sync,
>;

/// What a runner answers when its call is answered.
pub enum Answer {
    /// The task is done, and this is the state's result. A mock of a `.sync` or `.waitForTaskToken` state may answer so too:
    /// then it is what was submitted as well.
    Result(Value),
    /// `.sync`: the call went out, with this answer; the state goes on when the job ends. A mock of a `.waitForTaskToken`
    /// state may answer so.
    Runs {
        /// The call's answer.
        submitted: Value,
        /// How the job ends.
        end: JobEnd,
    },
    /// `.waitForTaskToken`: the call went out, with this answer; now the state waits for its token.
    Waits(Value),
}

/// The end of what a `.sync` call started; dropping it cancels the job.
pub type JobEnd = BoxFuture<'static, Result<Value, IntegrationFailure>>;

/// One call of a Task state; a retry is a call of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRequest {
    /// Whose call it is.
    pub execution_arn: String,
    /// The last part of that ARN.
    pub execution_name: String,
    /// The state's name.
    pub state: String,
    /// What is called.
    pub resource: Resource,
    /// The evaluated `Arguments`.
    pub arguments: Value,
    /// Inside a Map: the innermost iteration's index.
    pub map_index: Option<usize>,
    /// How many retries came before: 0 at first.
    pub retry_count: u32,
    /// `waitForTaskToken` only.
    pub task_token: Option<String>,
}
