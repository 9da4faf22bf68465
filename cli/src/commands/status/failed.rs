//! Executions that ended badly: one that failed before it took its job stands in no record.

use crate::{
    Failure,
    account::{Desk, refused},
    commands::replay,
    history,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use workers::{error::code_of, ids::ExecutionArn};

/// How far back.
const SECONDS: f64 = 24.0 * 3600.0;

/// An execution that ended FAILED, TIMED_OUT or ABORTED and was not replayed since.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedExecution {
    pub execution: ExecutionArn,
    pub status: String,
    /// The state that it stood at.
    pub state: Option<String>,
    /// Seconds since the epoch.
    pub ended: f64,
}

/// Those of the last day, oldest first, without the ones that hold a job: these are shown with their job.
///
/// # Errors
/// When Step Functions does not answer.
pub async fn executions(
    desk: &Desk,
    holders: &BTreeSet<ExecutionArn>,
) -> Result<Vec<FailedExecution>, Failure> {
    let mut found = Vec::new();
    for failed in replay::failed_since(desk, SECONDS).await? {
        if holders.contains(&failed.execution) || is_replayed(desk, &failed.execution).await? {
            continue;
        }
        let place = history::place(&desk.sfn, failed.execution.as_str()).await?;
        found.push(FailedExecution {
            state: place.map(|(state, _)| state),
            execution: failed.execution,
            status: failed.status,
            ended: failed.ended,
        });
    }
    Ok(found)
}

/// Whether it was started anew, which leaves the old execution as it was; one that was redriven did not end badly any more.
async fn is_replayed(desk: &Desk, execution: &ExecutionArn) -> Result<bool, Failure> {
    let arn = replay::replay_of(execution);
    let described = desk.sfn.describe_execution().execution_arn(arn.as_str());
    match described.send().await {
        Ok(_) => Ok(true),
        Err(error) if code_of(&error) == "ExecutionDoesNotExist" => Ok(false),
        Err(error) => Err(refused("states:DescribeExecution", arn.as_str())(error)),
    }
}
