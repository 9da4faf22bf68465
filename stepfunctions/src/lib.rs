//! Step Functions: plays a JSONata definition as AWS would, in virtual time, and writes the same history.
//!
//! [`Definition::parse`] refuses by name what it does not know; [`StepFunctions`] is the service;
//! [`Mocks`] plays a definition with the mock configuration of Step Functions Local.

mod api;
mod callbacks;
mod definition;
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
mod nearest;
mod query;
mod redrive;
mod resource;
pub mod seeded;
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
    Runs { submitted: Value, end: JobEnd },
    /// `.waitForTaskToken`: the call went out, with this answer; now the state waits for its token.
    Waits(Value),
}

/// The end of what a `.sync` call started; dropping it cancels the job.
pub type JobEnd = BoxFuture<'static, Result<Value, IntegrationFailure>>;

/// One call of a Task state; a retry is a call of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRequest {
    pub execution_arn: String,
    pub execution_name: String,
    /// The state's name.
    pub state: String,
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
