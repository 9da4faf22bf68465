//! Undoing a launch that did not become an attempt: some of its tasks may run although no record shows them.

use crate::{
    Context, WorkerError,
    aws::{
        fleet::SHOWN_WITHIN_SECONDS,
        launch_names::started_by,
        pace,
        stopping::{Ended, Stopping},
    },
    decisions::exit::Exit,
    ids::{ExecutionArn, TaskArn},
    records::{JobRecord, RankRecord, RankStatus},
    settings::ExitPolicy,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long one call watches. A task that ignores SIGTERM is killed after its stopTimeout: 30 s by default, 2 minutes at
/// the most on EC2 (ECS developer guide, task_definition_parameters).
const WATCH: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_secs(2);
/// The same while only ECS's memory is waited for.
const SLOW_POLL: Duration = Duration::from_secs(15);

/// What the caller knows of the launch.
pub(super) enum Launch<'a> {
    /// Every RunTask was answered: these tasks were started, and no others.
    Answered(&'a [TaskArn]),
    /// Whoever made it may have died before an answer came.
    Unknown,
}

/// Shuts out whoever is still launching, stops whatever was started, and notes that the try is over.
/// The job is answered as it is then.
pub(super) async fn undo(
    ctx: &Context,
    job: JobRecord,
    by: &ExecutionArn,
    launch: Launch<'_>,
    until: Instant,
) -> Result<JobRecord, WorkerError> {
    if !job.launching {
        return Ok(job);
    }
    let mut job = ctx.jobs.fence_launch(&job, by).await?;
    let started_by = started_by(&job.job_id, job.attempt + 1);
    let mut ranks = recorded(ctx, &job).await?;
    let mut known: BTreeSet<TaskArn> = ranks.keys().cloned().collect();
    known.extend(job.undo_tasks.iter().map(TaskArn::new));
    let all_answered = match launch {
        Launch::Answered(tasks) => {
            known.extend(tasks.iter().cloned());
            true
        }
        Launch::Unknown => false,
    };
    let mut stopping = Stopping::new(&ctx.fleet, "undoing a partial relaunch", known.clone());
    let until = until.min(Instant::now() + WATCH);
    loop {
        let listed = ctx.fleet.tasks_started_by(&started_by).await?;
        let unrecorded: Vec<TaskArn> = listed.into_iter().filter(|t| !known.contains(t)).collect();
        if !unrecorded.is_empty() {
            job = ctx.jobs.note_undo_tasks(&job, by, &unrecorded).await?;
            known.extend(unrecorded.iter().cloned());
            stopping.add(unrecorded);
        }
        let look = stopping.look(until).await?;
        note_ended(ctx, &job, &mut ranks, &look.ended).await?;
        if let Some(trouble) = look.trouble {
            return Err(trouble);
        }
        let shown = job.undo_since.unwrap_or_default() + i64::from(SHOWN_WITHIN_SECONDS);
        let all_shown = all_answered || ctx.clock.epoch_seconds() >= shown;
        let left = stopping.left().len();
        if left == 0 && all_shown {
            return ctx.jobs.end_undo(&job, by).await;
        }
        if Instant::now() >= until {
            return Err(WorkerError::NotSettledYet(if left == 0 {
                "ECS may not show every task of a partial relaunch yet; it does within five minutes"
                    .to_owned()
            } else {
                format!(
                    "{left} tasks of a partial relaunch (startedBy {started_by}) do not stop; stop them by hand, then redrive"
                )
            }));
        }
        sleep(if left == 0 { SLOW_POLL } else { POLL }).await;
    }
}

/// The tasks that the launch, or an earlier one, has recorded and that are not known to have stopped.
async fn recorded(
    ctx: &Context,
    job: &JobRecord,
) -> Result<BTreeMap<TaskArn, RankRecord>, WorkerError> {
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt + 1).await?;
    Ok(ranks
        .into_iter()
        .filter(|rank| rank.status == RankStatus::Running)
        .map(|rank| (rank.task_arn.clone(), rank))
        .collect())
}

/// The rank of an undone launch whose trainer asked for no recovery by its exit code, in words: it is not launched again.
pub(super) async fn asked_for_none(
    ctx: &Context,
    job: &JobRecord,
) -> Result<Option<String>, WorkerError> {
    let settings = ctx.settings.of_job(&job.policies);
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt + 1).await?;
    let asked = ranks.iter().find_map(|rank| {
        let end = rank.end(&settings)?;
        let asks =
            end.classify(&settings) == Exit::Abnormal && end.policy(&settings) == ExitPolicy::Fail;
        asks.then_some((rank, end.exit_code(&settings)?))
    });
    Ok(asked.map(|(rank, code)| {
        format!(
            "rank {} ended with exit code {code} while the others started: its trainer asked for no recovery",
            rank.rank
        )
    }))
}

async fn note_ended(
    ctx: &Context,
    job: &JobRecord,
    ranks: &mut BTreeMap<TaskArn, RankRecord>,
    ended: &[Ended],
) -> Result<(), WorkerError> {
    let settings = ctx.settings.of_job(&job.policies);
    let stopped: Vec<RankRecord> = ended
        .iter()
        .filter_map(|end| Some((end, ranks.remove(&end.task())?)))
        .map(|(end, mut rank)| {
            rank.note_end(end.task_end().as_ref(), &settings);
            rank
        })
        .collect();
    pace::DYNAMODB
        .each(&stopped, |rank| ctx.jobs.put_rank_of_task(rank))
        .await
        .into_iter()
        .collect()
}
