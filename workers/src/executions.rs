//! Step Functions, in the recovery's words.

use crate::{WorkerError, error::code_of, ids::ExecutionArn};
use aws_sdk_sfn::{
    Client,
    types::{ExecutionStatus, HistoryEvent},
};

/// Asks about executions and ends waits.
#[derive(Clone)]
pub struct Executions {
    client: Client,
}

impl Executions {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// True when the execution is RUNNING (or waits for its redrive). One that AWS no longer knows has ended
    /// more than 90 days ago.
    pub async fn is_running(&self, execution: &ExecutionArn) -> Result<bool, WorkerError> {
        match self
            .client
            .describe_execution()
            .execution_arn(execution.as_str())
            .send()
            .await
        {
            Ok(e) => Ok(matches!(
                e.status,
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive
            )),
            Err(e) if code_of(&e) == "ExecutionDoesNotExist" => Ok(false),
            Err(e) => Err(WorkerError::aws("states:DescribeExecution")(e)),
        }
    }

    /// Where an ended execution stood last: the state that failed, with its error. The last hundred events are read.
    pub async fn last_step(
        &self,
        execution: &ExecutionArn,
    ) -> Result<Option<LastStep>, WorkerError> {
        let history = self
            .client
            .get_execution_history()
            .execution_arn(execution.as_str())
            .reverse_order(true)
            .max_results(100)
            .include_execution_data(true)
            .send()
            .await
            .map_err(WorkerError::aws("states:GetExecutionHistory"))?;
        Ok(LastStep::of(history.events()))
    }

    /// Ends a wait with `output`. A wait that is over already is fine: the answer was late or came twice.
    pub async fn succeed(
        &self,
        token: &str,
        output: &serde_json::Value,
    ) -> Result<(), WorkerError> {
        let sent = self
            .client
            .send_task_success()
            .task_token(token)
            .output(output.to_string())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if is_over(&code_of(&e)) => Ok(()),
            Err(e) => Err(WorkerError::aws("states:SendTaskSuccess")(e)),
        }
    }

    /// Ends a wait with an error. A wait that is over already is fine.
    pub async fn fail(&self, token: &str, error: &str, cause: &str) -> Result<(), WorkerError> {
        let sent = self
            .client
            .send_task_failure()
            .task_token(token)
            .error(error)
            .cause(cause)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if is_over(&code_of(&e)) => Ok(()),
            Err(e) => Err(WorkerError::aws("states:SendTaskFailure")(e)),
        }
    }
}

/// Where an execution stood last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastStep {
    pub state: String,
    pub error: Option<String>,
    pub cause: Option<String>,
}

impl LastStep {
    /// From events, newest first: the newest failure of a task, and the state that it happened in. In a Map several
    /// states are under way at once; `previousEventId` leads from a failure to its own state.
    fn of(newest_first: &[HistoryEvent]) -> Option<Self> {
        let by_id = |id: i64| newest_first.iter().find(|e| e.id() == id);
        let failure = newest_first.iter().find(|e| failure_of(e).is_some());
        let mut event = failure.or(newest_first.first());
        let (error, cause) = failure.and_then(failure_of).unwrap_or_default();
        while let Some(e) = event {
            if let Some(entered) = e.state_entered_event_details() {
                return Some(Self {
                    state: entered.name().to_owned(),
                    error,
                    cause,
                });
            }
            event = by_id(e.previous_event_id());
        }
        None
    }
}

fn failure_of(event: &HistoryEvent) -> Option<(Option<String>, Option<String>)> {
    let owned = |t: Option<&str>| t.map(str::to_owned);
    if let Some(d) = event.task_failed_event_details() {
        return Some((owned(d.error()), owned(d.cause())));
    }
    if let Some(d) = event.task_timed_out_event_details() {
        return Some((owned(d.error()), owned(d.cause())));
    }
    event
        .evaluation_failed_event_details()
        .map(|d| (owned(d.error()), owned(d.cause())))
}

/// SendTaskSuccess and SendTaskFailure answer so when nobody waits for the token any more (API reference).
fn is_over(code: &str) -> bool {
    matches!(code, "TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")
}
