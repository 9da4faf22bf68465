//! What a report says of the job's items: in the words of the other commands' JSON, not in those of the table.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use workers::{
    ids::{ExecutionArn, InstanceId, JobId, TaskArn},
    records::{JobRecord, JobStatus, RankRecord, RankStatus},
};

/// The job at the end.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    job_id: JobId,
    status: JobStatus,
    attempt: u32,
    nodes: u32,
    reason: Option<String>,
    failed_rank: Option<u32>,
    /// The execution at work on it.
    holder: Option<ExecutionArn>,
    done_ranks: Vec<u32>,
    created_at: String,
    updated_at: String,
}

/// A rank of its last attempt.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RankReport {
    rank: u32,
    attempt: u32,
    task: TaskArn,
    instance_id: Option<InstanceId>,
    status: RankStatus,
    exit_code: Option<i32>,
    stop_code: Option<String>,
    stopped_reason: Option<String>,
}

pub fn job<S: Serializer>(job: &JobRecord, serializer: S) -> Result<S::Ok, S::Error> {
    let job = job.clone();
    let report = JobReport {
        job_id: job.job_id,
        status: job.status,
        attempt: job.attempt,
        nodes: job.nodes,
        reason: job.reason,
        failed_rank: job.failed_rank,
        holder: job.holder,
        done_ranks: job.done_ranks.into_iter().collect(),
        created_at: job.created_at,
        updated_at: job.updated_at,
    };
    report.serialize(serializer)
}

pub fn ranks<S: Serializer>(ranks: &[RankRecord], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ranks.iter().cloned().map(|rank| RankReport {
        rank: rank.rank,
        attempt: rank.attempt,
        task: rank.task_arn,
        instance_id: rank.instance_id,
        status: rank.status,
        exit_code: rank.exit_code,
        stop_code: rank.stop_code,
        stopped_reason: rank.stopped_reason,
    }))
}
