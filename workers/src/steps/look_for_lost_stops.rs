//! LookForLostStops: every few minutes, the ranks of running jobs whose tasks have stopped and whose end nobody has
//! recorded. EventBridge delivers ECS's events "on a best-effort basis" (ECS developer guide, ecs_cwe_events): one that is
//! lost for good would leave its job IN_PROGRESS for ever.

use crate::{
    Context, Step, WorkerError,
    aws::{
        fleet::{FORGOTTEN_AFTER_SECONDS, end_of},
        launch_names::digest,
        pace, stop_event,
    },
    context::parse_time,
    decisions::exit::{Exit, TaskEnd},
    ids::{ExecutionArn, JobId, TaskArn},
    records::{JobRecord, JobStatus, RankRecord, RankStatus},
    settings::ExitPolicy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The step.
pub struct LookForLostStops;

/// A stop event that is on its way comes within so long; a later one finds the rank recorded, and does nothing.
const ON_ITS_WAY_SECONDS: i64 = 120;
/// How many failed ranks of a job are tried in one look: one is enough, unless its execution has been there before.
const TRIES: u32 = 3;
/// Jobs read at a time.
const PAGE: i32 = 100;

/// The scheduled event; nothing in it is read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LookForLostStopsInput {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum LookForLostStopsOutcome {
    /// Every running job was looked at, or as many as there was time for; the next look begins elsewhere.
    Looked {
        jobs: usize,
        all: bool,
        /// The tasks for which an execution was started.
        found: Vec<TaskArn>,
    },
}

impl Step for LookForLostStops {
    const NAME: &'static str = "look-for-lost-stops";
    const STATE: Option<&'static str> = None;
    const TIMEOUT_SECONDS: u32 = 120;
    type Input = LookForLostStopsInput;
    type Outcome = LookForLostStopsOutcome;

    async fn handle(ctx: &Context, _: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let until = pace::deadline(Self::TIMEOUT_SECONDS);
        let mut jobs = 0;
        let mut found = Vec::new();
        let first = first_of(ctx.clock.epoch_seconds());
        // From somewhere in the ids' order to its end, then from its beginning: with more jobs than one look gets through,
        // every job still gets its turn.
        let mut after = Some(first.clone());
        let mut wrapped = false;
        loop {
            let (page, next) = ctx.jobs.running(after.as_ref(), PAGE).await?;
            for id in page {
                if wrapped && id > first {
                    return Ok(LookForLostStopsOutcome::Looked {
                        jobs,
                        all: true,
                        found,
                    });
                }
                if Instant::now() >= until {
                    return Ok(LookForLostStopsOutcome::Looked {
                        jobs,
                        all: false,
                        found,
                    });
                }
                jobs += 1;
                found.extend(look_at(ctx, &id).await?);
            }
            match next {
                Some(next) => after = Some(next),
                None if wrapped => {
                    return Ok(LookForLostStopsOutcome::Looked {
                        jobs,
                        all: true,
                        found,
                    });
                }
                None => {
                    wrapped = true;
                    after = None;
                }
            }
        }
    }
}

/// Where a look at this time begins.
fn first_of(now: i64) -> JobId {
    const PLACES: &[u8] = b"0AJSZbgmrw";
    let place = usize::try_from(now / 300).unwrap_or_default() % PLACES.len();
    JobId::new(char::from(PLACES[place]))
}

/// Starts an execution for every rank of the job that has ended unseen; of those that failed one is enough, it finds the
/// others.
async fn look_at(ctx: &Context, id: &JobId) -> Result<Vec<TaskArn>, WorkerError> {
    let now = ctx.clock.epoch_seconds();
    let Some(job) = ctx.jobs.get(id).await? else {
        return Ok(Vec::new());
    };
    // An operator stopped it, and left the other ranks running: each of them frees its instance when it ends.
    let stopped = job.status == JobStatus::UserStopped;
    // The index lags: the job may be a recovery's by now, or have ended.
    if !(job.status == JobStatus::InProgress || stopped) || job.holder.is_some() {
        return Ok(Vec::new());
    }
    let ranks: Vec<RankRecord> = ctx
        .jobs
        .ranks(id, job.attempt)
        .await?
        .into_iter()
        .filter(|rank| rank.status == RankStatus::Running && !job.done_ranks.contains(&rank.rank))
        .collect();
    if stopped && ranks.is_empty() {
        ctx.jobs.all_ended(&job).await?;
        return Ok(Vec::new());
    }
    let arns: Vec<TaskArn> = ranks.iter().map(|rank| rank.task_arn.clone()).collect();
    let tasks = ctx.fleet.tasks(&arns).await?;
    let settings = ctx.settings.of_job(&job.policies);
    let mut tries = TRIES;
    let mut found = Vec::new();
    for arn in arns {
        let (event, end) = match tasks.get(&arn) {
            Some(task) => {
                let unseen = task.last_status() == Some("STOPPED")
                    && task
                        .stopped_at()
                        .is_some_and(|at| now - at.secs() >= ON_ITS_WAY_SECONDS);
                if !unseen {
                    continue;
                }
                (stop_event::of(task), end_of(task))
            }
            None if is_old(&job, now) => (stop_event::of_gone(&arn), TaskEnd::default()),
            None => continue,
        };
        let exit = end.classify(&settings);
        let ignored = match exit {
            Exit::StoppedByUs => true,
            Exit::Abnormal if stopped => false,
            // It leads to nothing, and must not stand for a failure that leads to a recovery.
            Exit::Abnormal => end.policy(&settings) == ExitPolicy::Ignore,
            Exit::Completed | Exit::StoppedByUser => false,
        };
        // Of failures one is enough. What an operator left running ends rank by rank.
        let one_is_enough = exit != Exit::Completed && !stopped;
        if ignored || (one_is_enough && tries == 0) {
            continue;
        }
        let name = format!("{LOST_STOP}{}", digest(arn.as_str(), 16));
        let started = ctx.executions.start(&ctx.settings, &name, &event).await?;
        if one_is_enough {
            // One that was started before and has ended has changed nothing: another rank may.
            tries = if started { 0 } else { tries - 1 };
        }
        if started {
            found.push(arn);
        }
    }
    Ok(found)
}

/// What the name of an execution begins with that the look has started.
const LOST_STOP: &str = "lost-stop-";

/// True when the look started this execution: ECS's event was lost.
pub fn is_of_a_lost_stop(execution: &ExecutionArn) -> bool {
    execution.name().starts_with(LOST_STOP)
}

/// A task that ECS does not know has stopped more than an hour ago, or started a moment ago. The latter is ruled out by a
/// job that nothing has changed for as long.
fn is_old(job: &JobRecord, now: i64) -> bool {
    parse_time(&job.updated_at).is_some_and(|at| now - at >= FORGOTTEN_AFTER_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::exit::GONE;

    #[test]
    fn looks_that_follow_each_other_begin_at_different_jobs() {
        let begins: std::collections::BTreeSet<JobId> =
            (0..10).map(|n| first_of(n * 300)).collect();
        assert_eq!(begins.len(), 10);
    }

    #[test]
    fn a_gone_task_counts_as_failed() {
        let event =
            stop_event::of_gone(&TaskArn::new("arn:aws:ecs:us-east-1:123456789012:task/c/1"));
        assert_eq!(event["detail"]["stopCode"], GONE);
    }
}
