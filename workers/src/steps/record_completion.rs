//! RecordCompletion: a rank ended with exit 0; with the last one the job is COMPLETE.

use super::{
    find::{Found, rank_of},
    release,
};
use crate::{
    Context, Step, WorkerError,
    aws::{events::TaskStateChange, jobs::Write},
    ids::{ExecutionArn, JobId},
    records::{JobRecord, JobStatus, RankStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct RecordCompletion;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordCompletionInput {
    pub execution: ExecutionArn,
    pub event: TaskStateChange,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum RecordCompletionOutcome {
    /// The rank is done, others are not.
    Recorded {
        job_id: JobId,
        done: usize,
        nodes: u32,
    },
    /// Every rank is done.
    JobComplete {
        job_id: JobId,
    },
    /// The job has moved on since; nothing changed.
    Stale {
        job_id: JobId,
        why: String,
    },
    NotManaged,
}

impl Step for RecordCompletion {
    const NAME: &'static str = "record-completion";
    const STATE: Option<&'static str> = Some("RecordCompletion");
    type Input = RecordCompletionInput;
    type Outcome = RecordCompletionOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let (end, by) = (input.event.detail.end(), &input.execution);
        let key = match rank_of(ctx, &input.event.detail).await? {
            Found::NotManaged => return Ok(RecordCompletionOutcome::NotManaged),
            Found::OlderAttempt { key, job } => {
                return Ok(RecordCompletionOutcome::Stale {
                    job_id: key.job_id,
                    why: format!(
                        "the rank is of attempt {}, the job is in attempt {}",
                        key.attempt, job.attempt
                    ),
                });
            }
            Found::Current { key, job } => {
                if release::left_running(ctx, &key, &job, &end, by).await? {
                    return Ok(stale(&job));
                }
                key
            }
        };
        if let Some(mut rank) = ctx.jobs.rank(&key).await? {
            rank.status = RankStatus::Complete;
            rank.exit_code = Some(0);
            rank.stop_code = input.event.detail.stop_code.clone();
            rank.stopped_reason = input.event.detail.stopped_reason.clone();
            ctx.jobs.put_ranks(&[rank]).await?;
        }
        // One idempotent write keeps the set of done ranks, so that a lost or repeated call counts no rank twice.
        let job = match ctx.jobs.rank_done(&key).await? {
            Write::Done(job) => job,
            Write::Refused(Some(job)) if job.status != JobStatus::Complete => {
                // An operator may have stopped another rank since the job was read.
                release::left_running(ctx, &key, &job, &end, by).await?;
                return Ok(stale(&job));
            }
            // Already complete: an earlier call of ours may have died before it freed the instances.
            Write::Refused(Some(job)) => job,
            Write::Refused(None) => return Ok(RecordCompletionOutcome::NotManaged),
        };
        if job.status != JobStatus::Complete && job.done_ranks.len() < job.nodes as usize {
            return Ok(RecordCompletionOutcome::Recorded {
                job_id: key.job_id,
                done: job.done_ranks.len(),
                nodes: job.nodes,
            });
        }
        if job.status != JobStatus::Complete
            && let Write::Refused(Some(now)) = ctx.jobs.complete(&job).await?
            && now.status != JobStatus::Complete
        {
            return Ok(stale(&now));
        }
        release::all(ctx, &key.job_id, key.attempt, by).await?;
        Ok(RecordCompletionOutcome::JobComplete { job_id: key.job_id })
    }
}

fn stale(job: &JobRecord) -> RecordCompletionOutcome {
    RecordCompletionOutcome::Stale {
        job_id: job.job_id.clone(),
        why: format!("the job is {} in attempt {}", job.status, job.attempt),
    }
}
