//! The end of a job that an operator stopped.

use super::{claim_job::Failure, release};
use crate::{
    Context, Settings, WorkerError,
    aws::history::Event,
    decisions::exit::{Exit, TaskEnd},
    ids::{ExecutionArn, TaskArn},
    records::{
        JobRecord, JobStatus, RankRecord,
        event::{About, What},
    },
};

/// Lets go of the job, if this execution holds it, frees the instances on which none of its ranks runs, and answers with
/// the rank that the operator stopped.
pub(super) async fn end(
    ctx: &Context,
    job: &JobRecord,
    ranks: &[RankRecord],
    by: &ExecutionArn,
) -> Result<Failure, WorkerError> {
    if job.holder.is_some() {
        ctx.jobs.end_user_stop(job, by).await?;
    }
    release::all(ctx, &job.job_id, job.attempt, by).await?;
    Ok(stopped_rank(
        ranks,
        &ctx.settings.of_job(&job.policies),
        job,
    ))
}

/// Adds to the history that an operator has stopped the job.
pub(super) async fn note(
    ctx: &Context,
    job: &JobRecord,
    ranks: &[RankRecord],
) -> Result<(), WorkerError> {
    let Some(by) = &job.stopped_by else {
        return Ok(());
    };
    let settings = ctx.settings.of_job(&job.policies);
    let rank = stopped_rank(ranks, &settings, job).rank;
    let event = Event {
        about: About::Job(&job.job_id),
        what: What::Stopped,
        detail: &format!("an operator stopped rank {rank}"),
        of_job: None,
    };
    ctx.history.note(event, by).await
}

/// True when this execution has ended the job so before: its answer was lost.
pub(super) fn ended_by(job: &JobRecord, by: &ExecutionArn) -> bool {
    job.status == JobStatus::UserStopped
        && job.holder.is_none()
        && job.stopped_by.as_ref() == Some(by)
}

/// The rank that the operator stopped.
pub(super) fn stopped_rank(ranks: &[RankRecord], settings: &Settings, job: &JobRecord) -> Failure {
    let by_user = |rank: &&RankRecord| {
        rank.end(settings)
            .is_some_and(|end: TaskEnd| end.classify(settings) == Exit::StoppedByUser)
    };
    let rank = ranks
        .iter()
        .find(by_user)
        .or_else(|| ranks.iter().find(|rank| Some(rank.rank) == job.failed_rank));
    Failure {
        rank: rank.map_or(job.failed_rank.unwrap_or_default(), |rank| rank.rank),
        task: rank.map_or_else(|| TaskArn::new(""), |rank| rank.task_arn.clone()),
        instance: rank.and_then(|rank| rank.instance_id.clone()),
        exit_code: rank.and_then(|rank| rank.exit_code),
        stop_code: rank.and_then(|rank| rank.stop_code.clone()),
        stopped_reason: rank.and_then(|rank| rank.stopped_reason.clone()),
        not_relaunchable: None,
    }
}
