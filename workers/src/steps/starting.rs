//! Waiting until every rank of a launch runs: RECOVERED means that it does.

use crate::{
    Context, Settings, WorkerError,
    aws::{fleet::end_of, pace::out_of_time},
    decisions::exit::{Exit, TaskEnd},
    ids::{ExecutionArn, TaskArn},
    records::{JobRecord, RankRecord},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Looks again after an eighth of the time that it has waited: soon at first; a pull of ten minutes costs few calls.
const POLL_SHARE: u32 = 8;
const POLL: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(15);

/// What came of a launch.
pub(super) enum Started {
    /// Every rank is RUNNING, but for those that have completed already.
    All {
        done: BTreeMap<u32, TaskEnd>,
        /// The ends that events have told of so far; all are completions.
        told: BTreeSet<u32>,
    },
    /// An operator stopped a task.
    StoppedByUser { rank: u32, end: TaskEnd },
}

/// Waits until every rank runs.
///
/// # Errors
/// [`WorkerError::NotStarted`] and [`WorkerError::PullThrottled`] when one ended or could not start, or when
/// START_TIMEOUT_SECONDS have passed; [`WorkerError::OutOfTime`] when the next call is to go on.
pub(super) async fn all_running(
    ctx: &Context,
    job: &JobRecord,
    ranks: &BTreeMap<u32, RankRecord>,
    by: &ExecutionArn,
    until: Instant,
) -> Result<Started, WorkerError> {
    let settings = ctx.settings.of_job(&job.policies);
    let arns: Vec<TaskArn> = ranks.values().map(|rank| rank.task_arn.clone()).collect();
    let since = Instant::now();
    loop {
        // The record first: an end that an event tells of later keeps the launch from being committed.
        let told = ctx
            .jobs
            .held(&job.job_id, job.attempt, by)
            .await?
            .launch_ended;
        let tasks = ctx.fleet.tasks(&arns).await?;
        let mut done = BTreeMap::new();
        let mut ended = Vec::new();
        let mut pending = Vec::new();
        for (rank, record) in ranks {
            let task = tasks.get(&record.task_arn);
            match task.and_then(|task| Some((task, task.last_status()?))) {
                Some((task, "STOPPED")) => {
                    let end = end_of(task);
                    match end.classify(&settings) {
                        Exit::Completed => {
                            done.insert(*rank, end);
                        }
                        Exit::StoppedByUser => {
                            return Ok(Started::StoppedByUser { rank: *rank, end });
                        }
                        Exit::Abnormal | Exit::StoppedByUs => ended.push((*rank, end)),
                    }
                }
                Some((task, "RUNNING"))
                    if task.desired_status() == Some("RUNNING") && !told.contains(rank) => {}
                Some((_, status)) => pending.push((*rank, status.to_owned())),
                // Not shown yet.
                None => pending.push((*rank, "not shown by ECS".to_owned())),
            }
        }
        if !ended.is_empty() {
            return Err(not_started(&ended, ranks, &settings));
        }
        if pending.is_empty() {
            return Ok(Started::All { done, told });
        }
        let waited = ctx.clock.epoch_seconds() - job.launched_at.unwrap_or_default();
        if waited >= i64::from(settings.start_timeout_seconds) {
            let (rank, status) = &pending[0];
            return Err(WorkerError::NotStarted(format!(
                "{} of {} ranks were not RUNNING after {} min; rank {rank}{} is {status}",
                pending.len(),
                ranks.len(),
                waited / 60,
                place(ranks, *rank)
            )));
        }
        let pause = (since.elapsed() / POLL_SHARE).clamp(*POLL.start(), *POLL.end());
        if Instant::now() + pause >= until {
            return Err(out_of_time());
        }
        sleep(pause).await;
    }
}

/// Words of registries that refuse a pull because too many were made: Docker Hub's "toomanyrequests", ECR's "Rate exceeded"
/// (ECS developer guide, stopped-task-error-codes, CannotPullContainerError).
const THROTTLED_PULLS: [&str; 3] = ["toomanyrequests", "Rate exceeded", "pull rate limit"];

fn not_started(
    ended: &[(u32, TaskEnd)],
    ranks: &BTreeMap<u32, RankRecord>,
    settings: &Settings,
) -> WorkerError {
    let words: Vec<String> = ended
        .iter()
        .take(3)
        .map(|(rank, end)| {
            let code = end
                .exit_code(settings)
                .map_or(String::new(), |code| format!(" with exit code {code}"));
            let why = end.words(settings).unwrap_or_default();
            format!("rank {rank}{} ended{code}: {why}", place(ranks, *rank))
        })
        .collect();
    let mut text = words.join("; ");
    if ended.len() > words.len() {
        text.push_str(&format!("; and {} more ranks", ended.len() - words.len()));
    }
    if THROTTLED_PULLS.iter().any(|word| text.contains(word)) {
        WorkerError::PullThrottled(text)
    } else {
        WorkerError::NotStarted(text)
    }
}

fn place(ranks: &BTreeMap<u32, RankRecord>, rank: u32) -> String {
    ranks
        .get(&rank)
        .and_then(|rank| rank.instance_id.as_ref())
        .map_or(String::new(), |instance| format!(" on {instance}"))
}
