//! Finding the job of a stopped task.

use crate::{
    Context, WorkerError,
    aws::{
        events::TaskDetail,
        jobs::{RankKey, Write},
    },
    records::JobRecord,
};

/// Where a stopped task belongs.
pub(super) enum Found {
    /// A rank of the job's current attempt.
    Current { key: RankKey, job: Box<JobRecord> },
    /// A rank of an older attempt: the event is late.
    OlderAttempt { key: RankKey, job: Box<JobRecord> },
    /// A task of no job.
    NotManaged,
}

/// Looks the task up.
///
/// # Errors
/// [`WorkerError::NotSettledYet`] while the answer may change by itself: the task is so young that its launcher may
/// not have recorded it, or it belongs to an attempt whose launch is not committed.
pub(super) async fn rank_of(ctx: &Context, task: &TaskDetail) -> Result<Found, WorkerError> {
    let Some(key) = ctx.jobs.find_task(&task.task_arn).await? else {
        if task.may_be_unrecorded(ctx.clock.epoch_seconds()) {
            return Err(WorkerError::NotSettledYet(format!(
                "no record of task {} yet; its launcher may still be writing it",
                task.task_arn
            )));
        }
        return Ok(Found::NotManaged);
    };
    let span = tracing::Span::current();
    span.record("job", key.job_id.as_str());
    span.record("attempt", key.attempt);
    let Some(job) = ctx.jobs.get(&key.job_id).await?.map(Box::new) else {
        return Err(WorkerError::NotSettledYet(format!(
            "rank {} of job {} is recorded, the job itself is not yet",
            key.rank, key.job_id
        )));
    };
    match key.attempt.cmp(&job.attempt) {
        std::cmp::Ordering::Equal => Ok(Found::Current { key, job }),
        std::cmp::Ordering::Less => Ok(Found::OlderAttempt { key, job }),
        std::cmp::Ordering::Greater if job.status.is_recovering() => launching(ctx, key, job).await,
        // That launch was given up, the job with it: nothing is left to do for its tasks.
        std::cmp::Ordering::Greater => Ok(Found::OlderAttempt { key, job }),
    }
}

/// A task of an attempt that is being launched has ended: RelaunchJob, which waits for all of them, decides. What it knows
/// of it goes into the job's item by one write; when that comes after the commit, the attempt is the current one.
async fn launching(ctx: &Context, key: RankKey, job: Box<JobRecord>) -> Result<Found, WorkerError> {
    let Some(rank) = ctx.jobs.rank(&key).await? else {
        return Ok(Found::NotManaged);
    };
    Ok(
        match ctx.jobs.note_launch_ended(&key, rank.launch_try).await? {
            Write::Refused(Some(now)) if now.attempt == key.attempt => {
                Found::Current { key, job: now }
            }
            Write::Done(job) | Write::Refused(Some(job)) => Found::OlderAttempt { key, job },
            Write::Refused(None) => Found::OlderAttempt { key, job },
        },
    )
}
