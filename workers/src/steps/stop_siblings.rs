//! StopSiblings: stops every task of the attempt, waits until they ARE stopped, and says which instances to check.

use super::{
    claim_job::Failure,
    partial_launch::{Launch, undo},
    prepare_checks::{Holder, prepare},
    relaunch_job::{REPAIRED, note_verdicts},
    spares, user_stop,
};
use crate::{
    Context, Settings, Step, WorkerError,
    aws::{
        jobs::{RankKey, Write},
        pace,
        stopping::{Ended, Stopping},
    },
    decisions::{
        diagnosis::{Recovery, Suspect},
        exit::Exit,
    },
    ids::{ExecutionArn, InstanceId, JobId, TaskArn},
    records::{JobRecord, JobStatus, RankRecord, RankStatus},
    settings::{ExitPolicy, InstancesToCheck},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// The step.
pub struct StopSiblings;

/// How long one call watches: a little more than ECS's default stopTimeout of 30 s. The machine asks again.
const WATCH: Duration = Duration::from_secs(45);
/// Asks again after an eighth of the time that it has watched: soon where tasks stop at once, and no more often in all
/// than once a second where they take their whole stopTimeout.
const POLL_SHARE: u32 = 8;
const POLL: RangeInclusive<Duration> = Duration::from_millis(400)..=Duration::from_secs(2);
/// DescribeTasks refills at 20 calls a second for the whole account: a large job looks less often.
const POLL_PER_TASK: Duration = Duration::from_millis(2);
/// What a container leaves that SIGKILL has ended.
const KILLED: i32 = 137;
/// How many running tasks the outcome names.
const NAMED: usize = 10;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopSiblingsInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    /// What became of the nodes that were rebooted under a task that did not stop.
    #[serde(default)]
    pub recoveries: Vec<Recovery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum StopSiblingsOutcome {
    /// Every task of the attempt is STOPPED.
    Stopped { to_check: Vec<Suspect> },
    /// Some tasks still run; the first few are named.
    StillStopping {
        running_tasks: usize,
        running: Vec<RunningTask>,
    },
    /// An operator stopped a task of the job: it is USER_STOPPED, and none of its ranks runs.
    StoppedByUser { failure: Failure },
    /// A rank's trainer asked for no recovery, by its exit code.
    NotToRecover { failure: Failure },
}

/// A task that does not stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunningTask {
    pub rank: u32,
    pub instance: Option<InstanceId>,
    pub task: TaskArn,
}

impl Step for StopSiblings {
    const NAME: &'static str = "stop-siblings";
    const STATE: Option<&'static str> = Some("StopSiblings");
    const TIMEOUT_SECONDS: u32 = 300;
    type Input = StopSiblingsInput;
    type Outcome = StopSiblingsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let until = pace::deadline(Self::TIMEOUT_SECONDS);
        let by = &input.execution;
        let job = match ctx.jobs.held(&input.job_id, input.attempt, by).await {
            Err(WorkerError::ClaimLost(why)) => return already_ended(ctx, &input, why).await,
            held => held?,
        };
        // A recovery that we took over from may have begun to launch the next attempt.
        let job = undo(ctx, job, &input.execution, Launch::Unknown, until).await?;
        let job = spares::let_go(ctx, job, by).await?;
        // Whoever ends the job from here on must not find the word of before the reboot.
        let repaired = input.recoveries.iter().filter(|r| r.recovered);
        let repaired: Vec<InstanceId> = repaired.map(|r| r.instance.clone()).collect();
        note_verdicts(ctx, &input.job_id, &repaired, REPAIRED).await?;
        let mut ranks = ctx.jobs.ranks(&input.job_id, input.attempt).await?;
        let settings = ctx.settings.of_job(&job.policies);
        let running = stop(ctx, &settings, &mut ranks, until).await?;
        if !running.is_empty() {
            let running: Vec<RunningTask> = ranks
                .iter()
                .filter(|r| running.contains(&r.task_arn))
                .map(|r| RunningTask {
                    rank: r.rank,
                    instance: r.instance_id.clone(),
                    task: r.task_arn.clone(),
                })
                .collect();
            return Ok(StopSiblingsOutcome::StillStopping {
                running_tasks: running.len(),
                running: running.into_iter().take(NAMED).collect(),
            });
        }
        let exits = exits(&settings, &ranks);
        let by_user = exits
            .iter()
            .find(|(_, exit)| **exit == Exit::StoppedByUser)
            .map(|(rank, _)| *rank);
        if job.status == JobStatus::UserStopped || by_user.is_some() {
            let key = RankKey {
                job_id: input.job_id.clone(),
                attempt: input.attempt,
                rank: by_user.or(job.failed_rank).unwrap_or_default(),
            };
            let Write::Done(job) = ctx.jobs.user_stop(&key, by).await? else {
                return Err(WorkerError::ClaimLost(format!(
                    "this execution does not hold job {} any more",
                    input.job_id
                )));
            };
            let failure = user_stop::end(ctx, &job, &ranks, by).await?;
            return Ok(StopSiblingsOutcome::StoppedByUser { failure });
        }
        let asked = ranks.iter().find(|rank| {
            exits.get(&rank.rank) == Some(&Exit::Abnormal)
                && rank
                    .end(&settings)
                    .is_some_and(|end| end.policy(&settings) == ExitPolicy::Fail)
        });
        if let Some(rank) = asked {
            let end = rank.end(&settings);
            return Ok(StopSiblingsOutcome::NotToRecover {
                failure: Failure {
                    decided_by: end.map(|end| end.decided_by(&settings, &job.policies)),
                    ..Failure::of_rank(rank)
                },
            });
        }
        let progress = i64::from(settings.progress_minutes) * 60;
        let which = match job.swapped_in_vain(progress) {
            true => InstancesToCheck::All,
            false => settings.instances_to_check,
        };
        let mut to_check = instances_to_check(which, &job, &ranks, &exits);
        to_check.retain(|s| input.recoveries.iter().all(|r| r.instance != s.instance));
        let holder = Holder {
            execution: &input.execution,
            job_id: &input.job_id,
            attempt: input.attempt,
        };
        let to_check = prepare(ctx, &holder, &ranks, &to_check).await?;
        Ok(StopSiblingsOutcome::Stopped { to_check })
    }
}

/// What an earlier call of ours has ended: its answer was lost.
async fn already_ended(
    ctx: &Context,
    input: &StopSiblingsInput,
    why: String,
) -> Result<StopSiblingsOutcome, WorkerError> {
    let found = ctx.jobs.get(&input.job_id).await?;
    let ours = found
        .filter(|job| job.attempt == input.attempt && user_stop::ended_by(job, &input.execution));
    let Some(job) = ours else {
        return Err(WorkerError::ClaimLost(why));
    };
    let ranks = ctx.jobs.ranks(&input.job_id, input.attempt).await?;
    let failure = user_stop::end(ctx, &job, &ranks, &input.execution).await?;
    Ok(StopSiblingsOutcome::StoppedByUser { failure })
}

/// Stops every rank that is not known to have stopped, and answers with those that may still run. How a rank ended is
/// written down as soon as it is seen: ECS forgets a stopped task after an hour, and the next call goes on with the rest.
async fn stop(
    ctx: &Context,
    settings: &Settings,
    ranks: &mut [RankRecord],
    until: Instant,
) -> Result<BTreeSet<TaskArn>, WorkerError> {
    let start = Instant::now();
    let watch_until = until.min(start + WATCH);
    let may_run = ranks
        .iter()
        .filter(|rank| rank.status == RankStatus::Running)
        .map(|rank| rank.task_arn.clone());
    let mut stopping = Stopping::new(&ctx.fleet, "another rank of the job failed", may_run);
    while !stopping.left().is_empty() {
        let look = stopping.look(until).await?;
        let ends: BTreeMap<TaskArn, Ended> =
            look.ended.into_iter().map(|e| (e.task(), e)).collect();
        let mut changed = Vec::with_capacity(ends.len());
        for rank in &mut *ranks {
            if let Some(end) = ends.get(&rank.task_arn) {
                rank.note_end(end.task_end().as_ref(), settings);
                changed.push(rank.clone());
            }
        }
        ctx.jobs.put_ranks(&changed).await?;
        if let Some(trouble) = look.trouble {
            return Err(trouble);
        }
        if stopping.left().is_empty() || Instant::now() >= watch_until {
            break;
        }
        let pause = (start.elapsed() / POLL_SHARE).clamp(*POLL.start(), *POLL.end());
        let left = u32::try_from(stopping.left().len()).unwrap_or(u32::MAX);
        sleep(pause + POLL_PER_TASK * left).await;
    }
    Ok(stopping.left().clone())
}

/// How every rank ended that ECS told of: what a call before this one saw is in the rank's item.
fn exits(settings: &Settings, ranks: &[RankRecord]) -> BTreeMap<u32, Exit> {
    ranks
        .iter()
        .filter_map(|rank| Some((rank.rank, rank.end(settings)?.classify(settings))))
        .collect()
}

/// Which instances to check, each once, in the ranks' order.
fn instances_to_check(
    which: InstancesToCheck,
    job: &JobRecord,
    ranks: &[RankRecord],
    exits: &BTreeMap<u32, Exit>,
) -> Vec<Suspect> {
    let mut seen = BTreeSet::new();
    ranks
        .iter()
        .filter(|r| {
            which == InstancesToCheck::All
                || job.failed_rank == Some(r.rank)
                || exits.get(&r.rank).is_some_and(|e| e.is_suspect())
                // torchrun waits as long as ECS does: being killed accuses nobody, and clears nobody.
                || (exits.get(&r.rank) == Some(&Exit::StoppedByUs) && r.exit_code == Some(KILLED))
        })
        .filter_map(|r| {
            let instance = r.instance_id.clone()?;
            seen.insert(instance.clone())
                .then(|| Suspect::new(instance, r.rank))
        })
        .collect()
}
