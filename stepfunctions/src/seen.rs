//! An execution as DescribeExecution and ListExecutions see it: "This operation is eventually consistent. The results are
//! best effort and may not reflect very recent updates and changes"
//! (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>).

use super::{
    execution::{Execution, ExecutionStatus},
    history::Failed,
    json::Json,
};
use std::time::SystemTime;

/// What is told of an execution.
pub(super) struct Seen {
    pub(super) status: ExecutionStatus,
    pub(super) stopped: Option<SystemTime>,
    pub(super) output: Option<Json>,
    pub(super) failed: Failed,
    pub(super) redrives: u32,
    pub(super) redriven: Option<SystemTime>,
}

/// How an execution had ended when it was redriven.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) status: ExecutionStatus,
    pub(super) stopped: Option<SystemTime>,
    pub(super) failed: Failed,
    pub(super) redriven: Option<SystemTime>,
}

impl Execution {
    /// The execution as it was then; `None` before its start. Of several redrives since, the last one counts.
    pub(super) fn seen(&self, then: SystemTime) -> Option<Seen> {
        if self.started > then {
            return None;
        }
        let record = self.record();
        let later = |time: Option<SystemTime>| time.is_some_and(|time| time > then);
        let (redrives, redriven) = (record.redrives, record.redriven);
        if let Some(before) = record.before.clone()
            && later(redriven)
        {
            return Some(Seen {
                status: before.status,
                stopped: before.stopped,
                output: None,
                failed: before.failed,
                redrives: redrives - 1,
                redriven: before.redriven,
            });
        }
        let ended = record.stopped.is_some() && !later(record.stopped);
        Some(Seen {
            status: if ended {
                self.status()
            } else {
                ExecutionStatus::Running
            },
            stopped: record.stopped.filter(|_| ended),
            output: record.output.clone().filter(|_| ended),
            failed: if ended {
                record.failed.clone()
            } else {
                Failed::default()
            },
            redrives,
            redriven,
        })
    }
}
