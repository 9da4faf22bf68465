//! What happened to a job or an instance: items that are only ever added, and kept for [`KEPT_DAYS`].

use crate::ids::{ExecutionArn, InstanceId, JobId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// So long DynamoDB keeps an event: as long as Step Functions keeps its execution (developer guide, limits-overview).
pub const KEPT_DAYS: i64 = 90;

pub const DAY_SECONDS: i64 = 86_400;

/// When an item that is written now (seconds since the epoch) may be deleted.
pub fn expiry(now: i64) -> i64 {
    now + KEPT_DAYS * DAY_SECONDS
}

/// What the sort keys of events begin with.
pub const PREFIX: &str = "event#";

/// Whom an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    Job(&'a JobId),
    Instance(&'a InstanceId),
}

impl About<'_> {
    /// The hash key in the table of jobs. No job id has a `#`.
    pub fn key(self) -> String {
        match self {
            Self::Job(id) => id.to_string(),
            Self::Instance(id) => format!("instance#{id}"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum What {
    /// A job runs again.
    Recovered,
    /// A job was declared failed.
    Failed,
    /// An operator stopped a job.
    Stopped,
    /// A rank of a job ended, and the policies say to tell it only.
    Ended,
    /// An instance was found faulty, and its reboot begins.
    Faulty,
    /// It is healthy after its reboot.
    Repaired,
    Quarantined,
    /// An operator put it back into service.
    Released,
    /// An operator had it checked.
    Checked,
}

impl What {
    /// As written in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "RECOVERED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::Ended => "ENDED",
            Self::Faulty => "FAULTY",
            Self::Repaired => "REPAIRED",
            Self::Quarantined => "QUARANTINED",
            Self::Released => "RELEASED",
            Self::Checked => "CHECKED",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event: beside the items of its job, or of its instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// [`About::key`].
    pub job_id: String,
    /// Of an execution `event#EXECUTION#WHAT`, so that a call that is repeated adds nothing; of an operator
    /// `event#TIME#WHAT`.
    pub record: String,
    pub what: What,
    /// RFC 3339.
    pub at: String,
    pub detail: String,
    /// The job for which an instance worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_job: Option<JobId>,
    /// Which execution did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionArn>,
    /// Or which operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// When DynamoDB may delete it: seconds since the epoch.
    pub expires_at: i64,
}
