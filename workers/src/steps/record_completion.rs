//! RecordCompletion: a rank ended with exit 0; with the last one the job is COMPLETE.

use super::{
    find::{Found, rank_of},
    take_back::take_back,
};
use crate::{
    Context, Settings, Step, WorkerError,
    aws::{
        events::TaskStateChange,
        jobs::{RankKey, Write},
        pace,
    },
    decisions::exit::TaskEnd,
    ids::{ExecutionArn, InstanceId, JobId},
    records::{JobStatus, RankStatus},
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
                if job.status == JobStatus::UserStopped && job.holder.is_none() {
                    // An operator stopped another rank and left this one running until now.
                    let settings = ctx.settings.of_job(&job.policies);
                    let end = input.event.detail.end();
                    release_one(ctx, &key, &end, &settings, &input.execution).await?;
                    return Ok(RecordCompletionOutcome::Stale {
                        job_id: key.job_id,
                        why: format!("the job is {} in attempt {}", job.status, job.attempt),
                    });
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
                return Ok(RecordCompletionOutcome::Stale {
                    job_id: key.job_id,
                    why: format!("the job is {} in attempt {}", job.status, job.attempt),
                });
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
            return Ok(RecordCompletionOutcome::Stale {
                job_id: key.job_id,
                why: format!("the job is {} in attempt {}", now.status, now.attempt),
            });
        }
        release_all(ctx, &key.job_id, key.attempt, &input.execution).await?;
        Ok(RecordCompletionOutcome::JobComplete { job_id: key.job_id })
    }
}

/// Writes down the end of a rank whose job is an operator's, and frees its instance.
pub(super) async fn release_one(
    ctx: &Context,
    key: &RankKey,
    end: &TaskEnd,
    settings: &Settings,
    by: &ExecutionArn,
) -> Result<(), WorkerError> {
    let Some(mut rank) = ctx.jobs.rank(key).await? else {
        return Ok(());
    };
    rank.note_end(Some(end), settings);
    ctx.jobs.put_rank_of_task(&rank).await?;
    if let Some(instance) = &rank.instance_id {
        ctx.instances.release(instance, &key.job_id, by).await?;
    }
    Ok(())
}

/// Frees every instance of an attempt whose job has ended and on which none of its ranks runs, also those that an execution holds which has lost the job.
pub(super) async fn release_all(
    ctx: &Context,
    job: &JobId,
    attempt: u32,
    by: &ExecutionArn,
) -> Result<usize, WorkerError> {
    let ranks = ctx.jobs.ranks(job, attempt).await?;
    let instances: std::collections::BTreeSet<_> = ranks
        .into_iter()
        .filter(|rank| !rank.may_run())
        .filter_map(|rank| rank.instance_id)
        .collect();
    let freed = pace::DYNAMODB
        .each(&instances, |i| release(ctx, i, job, by))
        .await
        .into_iter()
        .collect::<Result<Vec<bool>, WorkerError>>()?;
    Ok(freed.into_iter().filter(|freed| *freed).count())
}

/// Frees one, unless an operator wants it out of service: then it is quarantined.
async fn release(
    ctx: &Context,
    instance: &InstanceId,
    job: &JobId,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    if ctx.instances.release(instance, job, by).await? {
        return Ok(true);
    }
    take_back(ctx, instance, job, by).await?;
    if ctx.instances.keep_out(instance, job, by).await? {
        return Ok(false);
    }
    ctx.instances.release(instance, job, by).await
}
