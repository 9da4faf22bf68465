//! RecordUserStop: a person stopped a task, so the job is USER_STOPPED and is not recovered.

use super::{
    find::{Found, rank_of},
    record_completion::release_all,
};
use crate::{
    Context, Step, WorkerError,
    aws::{events::TaskStateChange, jobs::Write},
    ids::{ExecutionArn, JobId},
    records::JobStatus,
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
    Recorded {
        job_id: JobId,
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
        if job.status != JobStatus::UserStopped
            && let Write::Refused(found) = ctx.jobs.user_stop(&key, &input.execution).await?
            // Another rank's event was faster, or the answer to this very write was lost.
            && found.as_ref().is_none_or(|job| job.status != JobStatus::UserStopped)
        {
            let why = found.map_or_else(
                || "the job is gone".to_owned(),
                |job| match &job.holder {
                    Some(holder) => {
                        format!("execution {holder} recovers the job; it sees the stop itself")
                    }
                    None => format!("the job is {} in attempt {}", job.status, job.attempt),
                },
            );
            return Ok(RecordUserStopOutcome::Stale {
                job_id: key.job_id,
                why,
            });
        }
        release_all(ctx, &key.job_id, key.attempt, &input.execution).await?;
        Ok(RecordUserStopOutcome::Recorded { job_id: key.job_id })
    }
}
