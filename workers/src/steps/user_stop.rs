//! The end of a job that an operator stopped.

use super::{claim_job::Failure, release};
use crate::{
    Context, Settings, WorkerError,
    aws::history::Event,
    decisions::exit::{Exit, KEEP_OTHERS, TaskEnd},
    ids::{ExecutionArn, TaskArn},
    records::{
        JobRecord, JobStatus, RankRecord,
        event::{About, What},
    },
    settings::PersonStop,
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

/// Why the other ranks were stopped too, or run on.
fn decided_by(rank: Option<&RankRecord>, settings: &Settings, job: &JobRecord) -> String {
    if rank
        .and_then(|rank| rank.end(settings))
        .is_some_and(|end| end.keeps_others())
    {
        return format!("the stop's reason begins with {KEEP_OTHERS}");
    }
    let word = match settings.person_stop {
        PersonStop::Gang => "gang",
        PersonStop::Leave => "leave",
    };
    match job.policies.person_stop {
        Some(_) => format!("the job was submitted with --person-stop {word}"),
        None => format!("PERSON_STOP is {word}"),
    }
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
    let decided_by = Some(decided_by(rank, settings, job));
    match rank {
        Some(rank) => Failure {
            decided_by,
            ..Failure::of_rank(rank)
        },
        None => Failure {
            rank: job.failed_rank.unwrap_or_default(),
            task: TaskArn::new(""),
            instance: None,
            exit_code: None,
            stop_code: None,
            stopped_reason: None,
            ended_at: None,
            decided_by,
            not_relaunchable: None,
        },
    }
}
