//! RelaunchJob: starts the next attempt, every rank on its own instance, or none.
//!
//! One try: begin (a fence), RunTask for every rank, each recorded as soon as it is started, commit. Only the commit makes
//! the tasks an attempt. A call that dies or runs out of time leaves the try to the next call, which goes on with it;
//! whatever cannot be gone on with is stopped by the next call, by FailJob or by a recovery that takes over.

use super::{
    claim_job::Failure,
    launch_plan::{Start, plan},
    partial_launch::{Launch, asked_for_none, undo},
    relaunch_history, release, spares,
    start_ranks::Launched,
    starting::{Started, all_running},
    take_places::take_places,
    user_stop,
};
use crate::{
    Context, Step, WorkerError,
    aws::{
        address::{ADDRESS, ITSELF, Master},
        fleet::FORGOTTEN_AFTER_SECONDS,
        jobs::{RankKey, Write},
        pace,
    },
    context::parse_time,
    decisions::{
        diagnosis::Place,
        exit::{Exit, TaskEnd},
    },
    error::Unplaced,
    ids::{ExecutionArn, InstanceId, JobId, TaskArn},
    records::{JobRecord, JobStatus, RankRecord},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The step.
pub struct RelaunchJob;

const DAY_SECONDS: i64 = 86_400;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelaunchJobInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    /// The attempt that failed.
    pub attempt: u32,
    /// The instances that were rebooted for it.
    pub instances: Vec<InstanceId>,
    /// The instances that an earlier check had found faulty, and whose check has passed at once.
    #[serde(default)]
    pub healthy: Vec<InstanceId>,
    /// The ranks that move, and the spares that are held for them.
    #[serde(default)]
    pub places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum RelaunchJobOutcome {
    /// Every rank runs again.
    Relaunched {
        job_id: JobId,
        /// The new attempt.
        attempt: u32,
        ranks: u32,
        /// How many recoveries the job has had in 24 hours, this one included.
        #[serde(default)]
        recoveries_in_a_day: u32,
        /// The attempt has ended since: this call comes late, as after a redrive.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        moved_on: bool,
    },
    /// An operator stopped a rank while the others started: all are stopped, the job is USER_STOPPED.
    StoppedByUser { failure: Failure },
}

impl Step for RelaunchJob {
    const NAME: &'static str = "relaunch-job";
    const STATE: Option<&'static str> = Some("RelaunchJob");
    const TIMEOUT_SECONDS: u32 = 900;
    type Input = RelaunchJobInput;
    type Outcome = RelaunchJobOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let outcome = outcome(ctx, &input).await?;
        relaunch_history::note(ctx, &input, &outcome).await?;
        // The next relaunch starts from the ranks of the new attempt.
        let before = ctx.jobs.ranks(&input.job_id, input.attempt).await?;
        ctx.jobs.let_expire(&before).await?;
        Ok(outcome)
    }
}

async fn outcome(
    ctx: &Context,
    input: &RelaunchJobInput,
) -> Result<RelaunchJobOutcome, WorkerError> {
    if let Some(job) = committed(ctx, input).await? {
        // An earlier call of ours committed, and its answer was lost.
        return Ok(relaunched(ctx, &job, input.attempt + 1));
    }
    match relaunch(ctx, input).await {
        // Or it commits just now: a call that Step Functions has given up goes on for a while.
        Err(WorkerError::ClaimLost(why)) => match committed(ctx, input).await? {
            Some(job) => Ok(relaunched(ctx, &job, input.attempt + 1)),
            None => stopped_already(ctx, input, why).await,
        },
        ended => ended,
    }
}

/// The job, when this execution has relaunched it.
async fn committed(
    ctx: &Context,
    input: &RelaunchJobInput,
) -> Result<Option<JobRecord>, WorkerError> {
    let job = ctx.jobs.get(&input.job_id).await?;
    Ok(job.filter(|job| job.was_relaunched_by(&input.execution, input.attempt + 1)))
}

/// What an earlier call of ours has ended for an operator: its answer was lost.
async fn stopped_already(
    ctx: &Context,
    input: &RelaunchJobInput,
    why: String,
) -> Result<RelaunchJobOutcome, WorkerError> {
    let job = ctx.jobs.get(&input.job_id).await?;
    let Some(job) = job.filter(|job| user_stop::ended_by(job, &input.execution)) else {
        return Err(WorkerError::ClaimLost(why));
    };
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt + 1).await?;
    let settings = ctx.settings.of_job(&job.policies);
    release(ctx, &job, &input.places, &input.execution).await?;
    Ok(RelaunchJobOutcome::StoppedByUser {
        failure: user_stop::stopped_rank(&ranks, &settings, &job),
    })
}

async fn relaunch(
    ctx: &Context,
    input: &RelaunchJobInput,
) -> Result<RelaunchJobOutcome, WorkerError> {
    let RelaunchJobInput {
        execution,
        job_id,
        attempt,
        ..
    } = input;
    let until = pace::deadline(RelaunchJob::TIMEOUT_SECONDS);
    let job = ctx.jobs.held(job_id, *attempt, execution).await?;
    let ranks = ctx.jobs.ranks(job_id, *attempt).await?;
    let plan = plan(&job, &ranks, &input.places)?;
    let (job, running) = match running_so_far(ctx, &job).await? {
        Some(running) => (ctx.jobs.go_on_launching(&job, execution).await?, running),
        None => {
            let tried = job.launching || job.launch_try > 0;
            let job = undo(ctx, job, execution, Launch::Unknown, until).await?;
            if tried && let Some(why) = asked_for_none(ctx, &job).await? {
                return Err(match input.places.is_empty() {
                    true => WorkerError::NotToRecover(why),
                    false => WorkerError::NotOnSpares(why),
                });
            }
            note_verdicts(ctx, job_id, &input.healthy, "healthy (exit 0)").await?;
            note_verdicts(ctx, job_id, &input.instances, REPAIRED).await?;
            let job = ctx.jobs.begin_launch(job_id, *attempt, execution).await?;
            (job, BTreeMap::new())
        }
    };
    let ended = launch(ctx, &job, &plan, running, input, until).await;
    let (error, launch) = match ended {
        Ok(Ended::Committed(job)) => return Ok(relaunched(ctx, &job, attempt + 1)),
        Ok(Ended::StoppedByUser {
            launched,
            rank,
            end,
        }) => {
            return stopped_by_user(ctx, job, input, launched, rank, &end, until).await;
        }
        Err(ended) => ended,
    };
    match error {
        // The next call goes on with it: the client tokens make its tasks the same.
        WorkerError::AwsUnavailable(_) | WorkerError::OutOfTime(_) => Err(error),
        error => match give_up(ctx, job, execution, launch, error, until).await {
            Ok(job) => Ok(relaunched(ctx, &job, attempt + 1)),
            Err(error) => Err(note_refused(ctx, input, error).await?),
        },
    }
}

/// What the last check said of an instance that was rebooted.
pub(super) const REPAIRED: &str = "healthy after its reboot";

/// Keeps what the last check said: an earlier word may have been a bad one.
pub(super) async fn note_verdicts(
    ctx: &Context,
    job: &JobId,
    instances: &[InstanceId],
    verdict: &str,
) -> Result<(), WorkerError> {
    let noted = pace::DYNAMODB
        .each(instances, |instance| {
            ctx.instances.note_verdict(instance, job, verdict, None)
        })
        .await;
    noted.into_iter().collect()
}

/// Notes the places that did not take their rank: another one is looked for. A launch on spares that fails is not tried
/// again on the same ones.
async fn note_refused(
    ctx: &Context,
    input: &RelaunchJobInput,
    error: WorkerError,
) -> Result<WorkerError, WorkerError> {
    let in_place = input.places.is_empty();
    let refused = match &error {
        WorkerError::NotPlaced(unplaced) => unplaced.instances.clone(),
        WorkerError::NotStarted(_) if !in_place => not_started_on(ctx, input).await?,
        WorkerError::PullThrottled(_) | WorkerError::NotToRecover(_) if !in_place => Vec::new(),
        _ => return Ok(error),
    };
    if !refused.is_empty() {
        let (job, by) = (&input.job_id, &input.execution);
        let job = ctx.jobs.held(job, input.attempt, by).await?;
        ctx.jobs.refuse_places(&job, by, &refused, in_place).await?;
    }
    Ok(match in_place {
        true => error,
        false => WorkerError::NotOnSpares(error.to_string()),
    })
}

/// The spares on which a rank of the launch that was undone has ended by itself, or did not start.
async fn not_started_on(
    ctx: &Context,
    input: &RelaunchJobInput,
) -> Result<Vec<InstanceId>, WorkerError> {
    let job = ctx
        .jobs
        .held(&input.job_id, input.attempt, &input.execution)
        .await?;
    let settings = ctx.settings.of_job(&job.policies);
    let ranks = ctx.jobs.ranks(&input.job_id, input.attempt + 1).await?;
    let ended = ranks.into_iter().filter(|rank| {
        let end = rank.end(&settings);
        end.is_some_and(|end| end.classify(&settings) == Exit::Abnormal)
    });
    let spares = |id: &InstanceId| input.places.iter().any(|place| place.instance == *id);
    Ok(ended
        .filter_map(|rank| rank.instance_id)
        .filter(spares)
        .collect())
}

/// Stops the ranks that an operator's stop leaves, and lets go of the job.
async fn stopped_by_user(
    ctx: &Context,
    job: JobRecord,
    input: &RelaunchJobInput,
    launched: Launched,
    rank: u32,
    end: &TaskEnd,
    until: Instant,
) -> Result<RelaunchJobOutcome, WorkerError> {
    let by = &input.execution;
    let settings = ctx.settings.of_job(&job.policies);
    let key = RankKey {
        job_id: job.job_id.clone(),
        attempt: job.attempt + 1,
        rank,
    };
    // Written down first: the next call, if this one dies, finds who stopped it.
    let mut record = ctx.jobs.rank(&key).await?;
    if let Some(record) = &mut record {
        record.note_end(Some(end), &settings);
        ctx.jobs.put_rank_of_task(record).await?;
    }
    let job = undo(ctx, job, by, Launch::Answered(&launched.tasks()), until).await?;
    spares::leave_places(ctx, &job.job_id, &input.places, by).await?;
    let job = spares::let_go(ctx, job, by).await?;
    let key = RankKey {
        attempt: job.attempt,
        ..key
    };
    let Write::Done(job) = ctx.jobs.user_stop(&key, by).await? else {
        return Err(WorkerError::ClaimLost(format!(
            "this execution does not hold job {} any more",
            job.job_id
        )));
    };
    release(ctx, &job, &input.places, by).await?;
    Ok(RelaunchJobOutcome::StoppedByUser {
        failure: user_stop::stopped_rank(record.as_slice(), &settings, &job),
    })
}

/// Frees the instances of a job that has ended, but for those that are repaired beside it.
async fn release(
    ctx: &Context,
    job: &JobRecord,
    places: &[Place],
    by: &ExecutionArn,
) -> Result<(), WorkerError> {
    let mut ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    ranks.retain(|rank| Place::suspects(places).all(|id| rank.instance_id.as_ref() != Some(id)));
    release::ended(ctx, &ranks, &job.job_id, by).await?;
    Ok(())
}

/// The tasks of a launch that an earlier call of this execution has begun and not ended, by their ranks; `None` when
/// there is none to go on with, because none was begun, or it is being undone, or a task of it does not run any more.
async fn running_so_far(
    ctx: &Context,
    job: &JobRecord,
) -> Result<Option<BTreeMap<u32, RankRecord>>, WorkerError> {
    if !job.launching || job.undo_since.is_some() {
        return Ok(None);
    }
    let recorded: Vec<RankRecord> = ctx
        .jobs
        .ranks(&job.job_id, job.attempt + 1)
        .await?
        .into_iter()
        .filter(|rank| rank.launch_try == job.launch_try)
        .collect();
    let arns: Vec<TaskArn> = recorded.iter().map(|rank| rank.task_arn.clone()).collect();
    let tasks = ctx.fleet.tasks(&arns).await?;
    // What ECS does not describe has stopped more than an hour ago, or started a moment ago: the call before this one is
    // not that old, unless a redrive comes in between.
    let forgotten = parse_time(&job.updated_at)
        .is_none_or(|at| ctx.clock.epoch_seconds() - at >= FORGOTTEN_AFTER_SECONDS);
    let all_run = arns.iter().all(|arn| match tasks.get(arn) {
        Some(task) => {
            task.desired_status() == Some("RUNNING") && task.last_status() != Some("STOPPED")
        }
        None => !forgotten,
    });
    Ok(all_run.then(|| recorded.into_iter().map(|rank| (rank.rank, rank)).collect()))
}

fn relaunched(ctx: &Context, job: &JobRecord, attempt: u32) -> RelaunchJobOutcome {
    let runs = matches!(job.status, JobStatus::InProgress | JobStatus::Complete);
    RelaunchJobOutcome::Relaunched {
        recoveries_in_a_day: job.recoveries_since(ctx.clock.epoch_seconds() - DAY_SECONDS),
        job_id: job.job_id.clone(),
        attempt,
        ranks: job.nodes,
        moved_on: job.attempt != attempt || !runs,
    }
}

/// What a whole launch came to.
enum Ended {
    Committed(Box<JobRecord>),
    StoppedByUser {
        launched: Launched,
        rank: u32,
        end: TaskEnd,
    },
}

/// Starts the ranks that do not run yet, waits until all do, and commits.
async fn launch(
    ctx: &Context,
    job: &JobRecord,
    plan: &[Start],
    running: BTreeMap<u32, RankRecord>,
    input: &RelaunchJobInput,
    until: Instant,
) -> Result<Ended, (WorkerError, Launched)> {
    let mut launched = Launched::before(running);
    let started = start_all(ctx, job, plan, &mut launched, input, until).await;
    if let Err(error) = started {
        return Err((error, launched));
    }
    match start_and_commit(ctx, job, &launched.running, input, until).await {
        Ok(Ok(job)) => Ok(Ended::Committed(Box::new(job))),
        Ok(Err((rank, end))) => Ok(Ended::StoppedByUser {
            launched,
            rank,
            end,
        }),
        Err(error) => Err((error, launched)),
    }
}

/// Every rank on its place, and told where rank 0 is.
async fn start_all(
    ctx: &Context,
    job: &JobRecord,
    plan: &[Start],
    launched: &mut Launched,
    input: &RelaunchJobInput,
    until: Instant,
) -> Result<(), WorkerError> {
    take_places(ctx, job, plan, input).await?;
    let Some(first) = plan.first().map(|start| &start.instance) else {
        return Ok(());
    };
    let launches: Vec<_> = plan.iter().map(|start| &start.launch).collect();
    let master = Master::find(&ctx.fleet, first, &launches).await?;
    let Some(master) = master else {
        let why = format!("the others cannot be told its address, it has no attribute {ADDRESS}");
        let unplaced = Unplaced::of(vec![(0, first.clone(), why)]);
        return Err(WorkerError::NotPlaced(unplaced));
    };
    let (ahead, others) = plan.split_at(master.ahead());
    launched.start(ctx, job, ahead, Some(ITSELF), until).await?;
    let first = launched.running.get(&0).map(|rank| &rank.task_arn);
    let address = master.address(&ctx.fleet, first).await?;
    let address = address.as_deref();
    launched.start(ctx, job, others, address, until).await
}

/// Waits until every rank runs and makes the attempt the current one; or answers with the rank that an operator stopped.
async fn start_and_commit(
    ctx: &Context,
    job: &JobRecord,
    running: &BTreeMap<u32, RankRecord>,
    input: &RelaunchJobInput,
    until: Instant,
) -> Result<Result<JobRecord, (u32, TaskEnd)>, WorkerError> {
    let by = &input.execution;
    let job = ctx.jobs.all_launched(job, by).await?;
    loop {
        match all_running(ctx, &job, running, by, until).await? {
            Started::StoppedByUser { rank, end } => return Ok(Err((rank, end))),
            Started::All { done, told } => {
                if let Some(job) = commit(ctx, &job, running, &done, &told, input).await? {
                    return Ok(Ok(job));
                }
            }
        }
    }
}

async fn commit(
    ctx: &Context,
    job: &JobRecord,
    ranks: &BTreeMap<u32, RankRecord>,
    done: &BTreeMap<u32, TaskEnd>,
    told: &BTreeSet<u32>,
    input: &RelaunchJobInput,
) -> Result<Option<JobRecord>, WorkerError> {
    let by = &input.execution;
    let settings = ctx.settings.of_job(&job.policies);
    for (rank, end) in done {
        if let Some(record) = ranks.get(rank) {
            let mut record = record.clone();
            record.note_end(Some(end), &settings);
            ctx.jobs.put_rank_of_task(&record).await?;
        }
    }
    spares::leave_places(ctx, &job.job_id, &input.places, by).await?;
    spares::let_go_all_but(ctx, job, &input.places).await?;
    let done: Vec<u32> = done.keys().copied().collect();
    let swapped = !input.places.is_empty();
    let committed = ctx.jobs.commit_launch(job, &done, told, swapped, by);
    let Some(job) = committed.await? else {
        return Ok(None);
    };
    if done.len() == job.nodes as usize {
        // Every rank has completed before the last of them was seen to run.
        ctx.jobs.complete(&job).await?;
        release(ctx, &job, &[], by).await?;
    }
    Ok(Some(job))
}

/// Undoes what this try has started. When that fails too, `launching` stays set, and the next call undoes it.
///
/// # Errors
/// What ended the launch; unless it was committed after all, and only the answer to that was lost.
async fn give_up(
    ctx: &Context,
    job: JobRecord,
    by: &ExecutionArn,
    launched: Launched,
    error: WorkerError,
    until: Instant,
) -> Result<JobRecord, WorkerError> {
    let Ok(now) = ctx.jobs.get(&job.job_id).await else {
        return Err(error);
    };
    if let Some(now) = now.filter(|now| {
        now.relaunched_by.as_ref() == Some(by)
            && now.attempt == job.attempt + 1
            && now.launch_try == job.launch_try
    }) {
        return Ok(now);
    }
    let tasks = launched.tasks();
    let known = match launched.unanswered {
        true => Launch::Unknown,
        false => Launch::Answered(&tasks),
    };
    let undoing = match undo(ctx, job, by, known, until).await {
        Ok(job) => {
            return Err(match asked_for_none(ctx, &job).await? {
                Some(why) => WorkerError::NotToRecover(why),
                None => error,
            });
        }
        Err(undoing) => undoing,
    };
    // Whoever fenced this call off may have looked for its tasks before it had started them.
    let stopped = ctx
        .fleet
        .stop_all(&tasks, "undoing a partial relaunch", until)
        .await;
    stopped.into_iter().collect::<Result<Vec<_>, _>>()?;
    // What ended the launch says more than what ended its undoing, when that only takes longer.
    let takes_longer = undoing.passes() || matches!(undoing, WorkerError::NotSettledYet(_));
    Err(if takes_longer { error } else { undoing })
}
