//! What `submit --json` and `adopt --json` write.

use schemars::JsonSchema;
use serde::Serialize;
use workers::{
    desk::submit::Submission,
    ids::{InstanceId, JobId},
    records::{JobRecord, JobStatus, launch::LaunchSpec},
};

/// A job that runs and is recorded.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    job_id: JobId,
    status: JobStatus,
    attempt: u32,
    nodes: u32,
    /// The job's own; none where the functions' setting holds.
    recovery_attempts: Option<u32>,
    created_at: String,
}

impl From<&JobRecord> for Submitted {
    fn from(job: &JobRecord) -> Self {
        Self {
            job_id: job.job_id.clone(),
            status: job.status,
            attempt: job.attempt,
            nodes: job.nodes,
            recovery_attempts: job.recovery_attempts,
            created_at: job.created_at.clone(),
        }
    }
}

/// A job that would be started: `submit --dry-run`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    job_id: JobId,
    ranks: Vec<Rank>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Rank {
    rank: usize,
    instance_id: InstanceId,
    /// How its task is started.
    launch: LaunchSpec,
}

impl From<&Submission> for Planned {
    fn from(submission: &Submission) -> Self {
        let ranks = submission.ranks.iter().cloned().enumerate();
        Self {
            job_id: submission.job_id.clone(),
            ranks: ranks
                .map(|(rank, (instance_id, launch))| Rank {
                    rank,
                    instance_id,
                    launch,
                })
                .collect(),
        }
    }
}
