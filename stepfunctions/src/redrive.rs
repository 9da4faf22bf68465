//! RedriveExecution (<https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>).

use super::{
    ApiError, StepFunctions,
    execution::{ExecutionStatus, Record},
    frame::Frame,
    history::{Details, MAX_EVENTS},
    seen::Ended,
};
use std::time::{Duration, SystemTime};

/// "The workflow execution hasn't exceeded the redrivable period of 14 days", from its end.
const REDRIVABLE_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

/// "The maximum open time of one year."
const MAX_OPEN: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why an execution cannot be redriven, as `redriveStatusReason` says it.
pub(super) fn refusal(
    status: ExecutionStatus,
    record: &Record,
    started: SystemTime,
    now: SystemTime,
) -> Option<&'static str> {
    let since = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    match status {
        ExecutionStatus::Running => Some("Execution is RUNNING and cannot be redriven"),
        ExecutionStatus::Succeeded => Some("Execution is SUCCEEDED and cannot be redriven"),
        _ if record.events.len() + 1 >= MAX_EVENTS => {
            Some("Execution history event limit exceeded")
        }
        _ if record.stopped.is_some_and(|at| since(at) > REDRIVABLE_FOR) => {
            Some("Execution redrivable period exceeded")
        }
        _ if since(started) > MAX_OPEN => Some("Execution has exceeded the max execution time"),
        _ => None,
    }
}

impl StepFunctions {
    /// Goes on with an execution that did not succeed, at the state that failed or was cut off, with the same input,
    /// variables and definition. Iterations and branches that ended keep their results; retries count from 0 again.
    ///
    /// # Errors
    /// `ExecutionDoesNotExist`, `ExecutionNotRedrivable`.
    pub fn redrive(&self, execution_arn: &str) -> Result<(), ApiError> {
        let execution = self.execution(execution_arn)?;
        let now = self.0.host.now();
        let id = {
            let mut record = execution.record();
            if let Some(reason) = refusal(execution.status(), &record, execution.started, now) {
                return Err(ApiError::new("ExecutionNotRedrivable", reason));
            }
            record.before = Some(Ended {
                status: execution.status(),
                stopped: record.stopped.take(),
                failed: std::mem::take(&mut record.failed),
                redriven: record.redriven,
            });
            record.redrives += 1;
            record.redriven = Some(now);
            // "Execution redrives are considered as state transitions."
            record.transitions += 1;
            let previous = record.events.len() as u64;
            let count = record.redrives;
            let id = record.append(now, previous, Details::ExecutionRedriven { count });
            rewind(&record.root, id);
            execution.status.send_replace(ExecutionStatus::Running);
            id
        };
        self.0.tell(&execution, id);
        self.0.announce(&execution);
        self.0.run(&execution);
        Ok(())
    }
}

/// What has not ended goes on after the redrive's event.
fn rewind(frame: &Frame, event: u64) {
    let inner = {
        let mut place = frame.place();
        if place.output.is_some() {
            return;
        }
        place.last = event;
        // It begins again, and tells so.
        place.begun = false;
        place.inner.clone()
    };
    for frame in inner.iter().flat_map(|frames| frames.iter()) {
        rewind(frame, event);
    }
}
