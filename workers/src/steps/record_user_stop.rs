//! RecordUserStop: an operator stopped a task, so the job is USER_STOPPED and is not recovered. With PERSON_STOP=gang this
//! step takes the job, and StopSiblings stops its other ranks.

use super::{
    claim_job::Failure,
    find::{Found, rank_of},
    release::{self, left_running},
    user_stop,
};
use crate::{
    Context, Settings, Step, WorkerError,
    aws::{
        events::TaskStateChange,
        jobs::{RankKey, Write},
    },
    ids::{ExecutionArn, JobId},
    records::{JobRecord, JobStatus, RankRecord},
    settings::PersonStop,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct RecordUserStop;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordUserStopInput {
    pub execution: ExecutionArn,
    pub event: TaskStateChange,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum RecordUserStopOutcome {
    /// The job is USER_STOPPED and this execution's; its other ranks are to be stopped.
    StopOthers {
        job_id: JobId,
        attempt: u32,
        nodes: u32,
        failure: Failure,
    },
    /// The job is USER_STOPPED; its other ranks run on, and nobody recovers them.
    RankStopped {
        job_id: JobId,
        attempt: u32,
        nodes: u32,
        failure: Failure,
    },
    /// A recovery is at work on the job, or it has ended or moved on; nothing changed.
    Stale {
        job_id: JobId,
        why: String,
    },
    NotManaged,
}

impl Step for RecordUserStop {
    const NAME: &'static str = "record-user-stop";
    const STATE: Option<&'static str> = Some("RecordUserStop");
    type Input = RecordUserStopInput;
    type Outcome = RecordUserStopOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let (key, job) = match rank_of(ctx, &input.event.detail).await? {
            Found::NotManaged => return Ok(RecordUserStopOutcome::NotManaged),
            Found::OlderAttempt { key, job } => {
                return Ok(RecordUserStopOutcome::Stale {
                    job_id: key.job_id,
                    why: format!(
                        "the rank is of attempt {}, the job is in attempt {}",
                        key.attempt, job.attempt
                    ),
                });
            }
            Found::Current { key, job } => (key, job),
        };
        first(ctx, &key, &job, &input).await
    }
}

/// The event of an operator's stop.
async fn first(
    ctx: &Context,
    key: &RankKey,
    job: &JobRecord,
    input: &RecordUserStopInput,
) -> Result<RecordUserStopOutcome, WorkerError> {
    let by = &input.execution;
    let settings = ctx.settings.of_job(&job.policies);
    let told = input.event.detail.end();
    if user_stop::ended_by(job, by) {
        return left(ctx, job, input).await;
    }
    if left_running(ctx, key, job, &told, by).await? {
        return Ok(stale(key, Some(job)));
    }
    if job.status == JobStatus::UserStopped && job.holder.as_ref() == Some(by) {
        // An earlier call of ours: its answer was lost.
        return stop_others(ctx, job, input).await;
    }
    if job.status != JobStatus::InProgress {
        return Ok(stale(key, Some(job)));
    }
    // Before the job is taken: StopSiblings finds the stop among the ranks' ends.
    if let Some(mut rank) = ctx.jobs.rank(key).await? {
        rank.note_end(Some(&told), &settings);
        ctx.jobs.put_rank_of_task(&rank).await?;
    }
    let leave = settings.person_stop == PersonStop::Leave || told.keeps_others();
    let written = if leave {
        ctx.jobs.user_stop(key, by).await?
    } else {
        ctx.jobs.claim_user_stop(key, by).await?
    };
    match written {
        Write::Done(job) if leave => left(ctx, &job, input).await,
        Write::Done(job) => stop_others(ctx, &job, input).await,
        Write::Refused(found) => {
            // Another rank's event may have been faster.
            if let Some(job) = &found {
                left_running(ctx, key, job, &told, by).await?;
            }
            Ok(stale(key, found.as_deref()))
        }
    }
}

async fn stop_others(
    ctx: &Context,
    job: &JobRecord,
    input: &RecordUserStopInput,
) -> Result<RecordUserStopOutcome, WorkerError> {
    let settings = ctx.settings.of_job(&job.policies);
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    user_stop::note(ctx, job, &ranks).await?;
    Ok(RecordUserStopOutcome::StopOthers {
        job_id: job.job_id.clone(),
        attempt: job.attempt,
        nodes: job.nodes,
        failure: failure(&ranks, &settings, job, input),
    })
}

async fn left(
    ctx: &Context,
    job: &JobRecord,
    input: &RecordUserStopInput,
) -> Result<RecordUserStopOutcome, WorkerError> {
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    release::ended(ctx, &ranks, &job.job_id, &input.execution).await?;
    user_stop::note(ctx, job, &ranks).await?;
    let settings = ctx.settings.of_job(&job.policies);
    Ok(RecordUserStopOutcome::RankStopped {
        job_id: job.job_id.clone(),
        attempt: job.attempt,
        nodes: job.nodes,
        failure: failure(&ranks, &settings, job, input),
    })
}

/// The rank that the operator stopped; when, if it is the event's.
fn failure(
    ranks: &[RankRecord],
    settings: &Settings,
    job: &JobRecord,
    input: &RecordUserStopInput,
) -> Failure {
    let stopped = user_stop::stopped_rank(ranks, settings, job);
    let told = &input.event.detail;
    let ended_at = told.ended_at().filter(|_| stopped.task == told.task_arn);
    Failure {
        ended_at: ended_at.map(str::to_owned),
        ..stopped
    }
}

fn stale(key: &RankKey, job: Option<&JobRecord>) -> RecordUserStopOutcome {
    let why = job.map_or_else(
        || "the job is gone".to_owned(),
        |job| match &job.holder {
            Some(holder) => {
                format!("execution {holder} is at work on the job; it sees the stop itself")
            }
            None => format!("the job is {} in attempt {}", job.status, job.attempt),
        },
    );
    RecordUserStopOutcome::Stale {
        job_id: key.job_id.clone(),
        why,
    }
}
