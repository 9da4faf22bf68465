//! ClaimJob: takes the job for this execution by one conditional write, and keeps what a relaunch needs while ECS
//! still describes the stopped tasks (about an hour: a reboot may take longer than what is left of it).

use super::{
    find::{Found, rank_of},
    release::left_running,
};
use crate::{
    Context, Settings, Step, WorkerError,
    aws::{
        events::{TaskDetail, TaskStateChange},
        fleet::end_of,
        history::Event,
        jobs::{RankKey, Write},
    },
    context::parse_time,
    decisions::{exit::TaskEnd, relaunchable},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId, TaskArn},
    records::{
        JobRecord, JobStatus, RankRecord,
        event::{About, What},
        launch::LaunchSpec,
    },
    settings::{ExitPolicy, HealthyPolicy},
};
use aws_sdk_ecs::types::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The step.
pub struct ClaimJob;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimJobInput {
    pub execution: ExecutionArn,
    pub event: TaskStateChange,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum ClaimJobOutcome {
    /// The job is this execution's.
    Claimed {
        job_id: JobId,
        attempt: u32,
        nodes: u32,
        /// How many more relaunches the job may have.
        recoveries_left: u32,
        /// The nodes of the attempt, in the order of their ranks: they are asked what happened.
        instances: Vec<InstanceId>,
        /// What follows when no GPU fault is found.
        healthy_policy: HealthyPolicy,
        failure: Failure,
    },
    /// The end is not recovered by the job's policies; the operators are to be told of it.
    Tell {
        job_id: JobId,
        attempt: u32,
        nodes: u32,
        failure: Failure,
    },
    /// The end is not recovered by the job's policies, and there is nothing to tell.
    LeftAlone { job_id: JobId, why: String },
    /// Another execution recovers the job.
    AlreadyClaimed { job_id: JobId, holder: ExecutionArn },
    /// The job has moved on: the event is late, or came twice.
    Stale { job_id: JobId, why: String },
    /// The task belongs to no job.
    NotManaged,
}

/// What started the recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    pub rank: u32,
    pub task: TaskArn,
    pub instance: Option<InstanceId>,
    pub exit_code: Option<i32>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    /// When its container ended, RFC 3339, where ECS has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The setting by which this end leads to what was done, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why the job could not be relaunched even if its GPUs were repaired.
    pub not_relaunchable: Option<String>,
}

impl Failure {
    /// What a rank's record tells.
    pub(super) fn of_rank(rank: &RankRecord) -> Self {
        Self {
            rank: rank.rank,
            task: rank.task_arn.clone(),
            instance: rank.instance_id.clone(),
            exit_code: rank.exit_code,
            stop_code: rank.stop_code.clone(),
            stopped_reason: rank.stopped_reason.clone(),
            ended_at: None,
            decided_by: None,
            not_relaunchable: None,
        }
    }
}

impl Step for ClaimJob {
    const NAME: &'static str = "claim-job";
    const STATE: Option<&'static str> = Some("ClaimJob");
    const TIMEOUT_SECONDS: u32 = 120;
    type Input = ClaimJobInput;
    type Outcome = ClaimJobOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let detail = &input.event.detail;
        let key = match rank_of(ctx, detail).await? {
            Found::NotManaged => return Ok(ClaimJobOutcome::NotManaged),
            Found::OlderAttempt { key, job } => {
                return Ok(ClaimJobOutcome::Stale {
                    why: format!(
                        "the rank is of attempt {}, the job is in attempt {}",
                        key.attempt, job.attempt
                    ),
                    job_id: key.job_id,
                });
            }
            Found::Current { key, job } => {
                let settings = ctx.settings.of_job(&job.policies);
                if job.status == JobStatus::UserStopped {
                    left_running(ctx, &key, &job, &detail.end(), &input.execution).await?;
                    return Ok(stale(&key, &job));
                }
                match detail.end().policy(&settings) {
                    ExitPolicy::Recover | ExitPolicy::Fail => key,
                    policy => {
                        return leave(ctx, key, &job, detail, policy, &input.execution).await;
                    }
                }
            }
        };
        let job = match claim(ctx, &key, &detail.end(), &input.execution).await? {
            Claim::Ours(job) => job,
            Claim::Outcome(outcome) => return Ok(*outcome),
        };
        let settings = ctx.settings.of_job(&job.policies);
        let (ranks, tasks) = keep_launches(ctx, &settings, &job, key.rank, &detail.end()).await?;
        let recorded = ranks.len();
        if recorded < job.nodes as usize && detail.may_be_unrecorded(ctx.clock.epoch_seconds()) {
            // The claim is kept: whoever launched the job writes the other ranks just now.
            return Err(WorkerError::NotSettledYet(format!(
                "{recorded} of job {}'s {} ranks are recorded yet",
                job.job_id, job.nodes
            )));
        }
        let not_relaunchable = ranks
            .iter()
            .find(|r| r.launch.is_none() || r.instance_id.is_none())
            .map(|r| {
                format!(
                    "ECS no longer describes rank {}'s task {}",
                    r.rank, r.task_arn
                )
            })
            .or_else(|| {
                ranks
                    .iter()
                    .find(|r| needs_network(r, &tasks))
                    .map(|r| {
                        format!(
                            "rank {}'s task uses awsvpc, and its item has no launch.network: ECS does not tell the \
                             security groups, the launcher must record them",
                            r.rank
                        )
                    })
            })
            .or_else(|| {
                ranks.iter().find_map(|rank| {
                    let why = relaunchable::hindrance(tasks.get(&rank.task_arn)?)?;
                    Some(format!("rank {}: {why}", rank.rank))
                })
            })
            .or_else(|| {
                (ranks.len() != job.nodes as usize).then(|| {
                    format!(
                        "{} of the job's {} ranks are recorded",
                        ranks.len(),
                        job.nodes
                    )
                })
            });
        let ended_at = detail
            .stopped_at
            .as_deref()
            .and_then(parse_time)
            .unwrap_or_else(|| ctx.clock.epoch_seconds());
        let attempts = job.attempts_with(running_since(&job, &tasks), ended_at);
        let job = ctx
            .jobs
            .note_attempts(&job, &input.execution, &attempts)
            .await?;
        let allowed = job
            .recovery_attempts
            .unwrap_or(ctx.settings.recovery_attempts);
        let progress = i64::from(ctx.settings.progress_minutes) * 60;
        let recoveries_left = if not_relaunchable.is_some() {
            0
        } else {
            allowed.saturating_sub(job.relaunches_in_vain(progress))
        };
        let failed = ranks.iter().find(|r| r.rank == key.rank);
        Ok(ClaimJobOutcome::Claimed {
            attempt: job.attempt,
            nodes: job.nodes,
            recoveries_left,
            instances: nodes_of(&ranks),
            healthy_policy: settings.healthy_policy,
            failure: Failure {
                not_relaunchable,
                ..failure_of(key.rank, failed, detail, &settings, &job)
            },
            job_id: key.job_id,
        })
    }
}

fn failure_of(
    rank: u32,
    record: Option<&RankRecord>,
    detail: &TaskDetail,
    settings: &Settings,
    job: &JobRecord,
) -> Failure {
    let end = detail.end();
    Failure {
        rank,
        task: detail.task_arn.clone(),
        instance: record.and_then(|r| r.instance_id.clone()),
        exit_code: end.exit_code(settings),
        stop_code: detail.stop_code.clone(),
        stopped_reason: end.words(settings),
        ended_at: detail.ended_at().map(str::to_owned),
        decided_by: Some(end.decided_by(settings, &job.policies)),
        not_relaunchable: None,
    }
}

/// Writes an end down that the job's policies leave alone, and says whether the operators are to be told. The ends that
/// follow one that was told within ten minutes are told with it.
async fn leave(
    ctx: &Context,
    key: RankKey,
    job: &JobRecord,
    detail: &TaskDetail,
    policy: ExitPolicy,
    by: &ExecutionArn,
) -> Result<ClaimJobOutcome, WorkerError> {
    if job.status != JobStatus::InProgress {
        return Ok(stale(&key, job));
    }
    let settings = ctx.settings.of_job(&job.policies);
    let mut record = ctx.jobs.rank(&key).await?;
    if let Some(rank) = &mut record {
        rank.note_end(Some(&detail.end()), &settings);
        ctx.jobs.put_rank_of_task(rank).await?;
    }
    if policy == ExitPolicy::Ignore {
        // An operator may have stopped another rank since the job was read.
        if let Some(now) = ctx.jobs.get(&key.job_id).await?
            && left_running(ctx, &key, &now, &detail.end(), by).await?
        {
            return Ok(stale(&key, &now));
        }
        return Ok(ClaimJobOutcome::LeftAlone {
            job_id: key.job_id,
            why: "the job's policies ignore this end".to_owned(),
        });
    }
    match ctx.jobs.tell(&key, by).await? {
        Write::Done(job) => {
            let event = Event {
                about: About::Job(&key.job_id),
                what: What::Ended,
                detail: &format!(
                    "rank {}; the policies say to tell of it and no more",
                    key.rank
                ),
                of_job: None,
            };
            ctx.history.note(event, by).await?;
            Ok(ClaimJobOutcome::Tell {
                attempt: job.attempt,
                nodes: job.nodes,
                failure: failure_of(key.rank, record.as_ref(), detail, &settings, &job),
                job_id: key.job_id,
            })
        }
        Write::Refused(Some(job))
            if job.status == JobStatus::InProgress && job.attempt == key.attempt =>
        {
            Ok(ClaimJobOutcome::LeftAlone {
                job_id: key.job_id,
                why: "the operators were told of another rank's end within the last ten minutes"
                    .to_owned(),
            })
        }
        Write::Refused(Some(job)) => {
            left_running(ctx, &key, &job, &detail.end(), by).await?;
            Ok(stale(&key, &job))
        }
        Write::Refused(None) => Ok(ClaimJobOutcome::NotManaged),
    }
}

/// Each node once, in the order of the ranks.
fn nodes_of(ranks: &[RankRecord]) -> Vec<InstanceId> {
    let mut seen = BTreeSet::new();
    let nodes = ranks.iter().filter_map(|rank| rank.instance_id.as_ref());
    nodes.filter(|id| seen.insert(*id)).cloned().collect()
}

enum Claim {
    Ours(Box<JobRecord>),
    Outcome(Box<ClaimJobOutcome>),
}

async fn claim(
    ctx: &Context,
    key: &RankKey,
    end: &TaskEnd,
    by: &ExecutionArn,
) -> Result<Claim, WorkerError> {
    let found = match ctx.jobs.claim(key, by, None).await? {
        Write::Done(job) => return Ok(Claim::Ours(job)),
        Write::Refused(found) => found,
    };
    let Some(job) = found else {
        return Ok(Claim::Outcome(Box::new(ClaimJobOutcome::NotManaged)));
    };
    let of_this_attempt = job.holder.clone().filter(|_| job.attempt == key.attempt);
    let Some(holder) = of_this_attempt else {
        left_running(ctx, key, &job, end, by).await?;
        return Ok(Claim::Outcome(Box::new(stale(key, &job))));
    };
    if holder == *by {
        return Ok(Claim::Ours(job));
    }
    let now = ctx.clock.epoch_seconds();
    if ctx
        .executions
        .is_running(&holder, &job.updated_at, now)
        .await?
    {
        return Ok(Claim::Outcome(Box::new(ClaimJobOutcome::AlreadyClaimed {
            job_id: key.job_id.clone(),
            holder,
        })));
    }
    // The holder failed or was stopped half way: nobody else will finish this job.
    Ok(match ctx.jobs.claim(key, by, Some(&holder)).await? {
        Write::Done(job) => Claim::Ours(job),
        // The answer to this very write was lost, and the SDK sent it again.
        Write::Refused(Some(now)) if now.holder.as_ref() == Some(by) => Claim::Ours(now),
        Write::Refused(Some(now)) => Claim::Outcome(Box::new(match &now.holder {
            Some(other) if now.attempt == key.attempt => ClaimJobOutcome::AlreadyClaimed {
                job_id: key.job_id.clone(),
                holder: other.clone(),
            },
            _ => stale(key, &now),
        })),
        Write::Refused(None) => Claim::Outcome(Box::new(ClaimJobOutcome::NotManaged)),
    })
}

fn stale(key: &RankKey, job: &JobRecord) -> ClaimJobOutcome {
    let why = match job.status {
        JobStatus::Complete | JobStatus::Failed | JobStatus::UserStopped => {
            format!("the job is {} already", job.status)
        }
        status => format!("the job is {status} in attempt {}", job.attempt),
    };
    ClaimJobOutcome::Stale {
        job_id: key.job_id.clone(),
        why,
    }
}

/// Since when all ranks of a first attempt were RUNNING, as far as ECS still tells; else since it was submitted.
fn running_since(job: &JobRecord, tasks: &BTreeMap<TaskArn, Task>) -> Option<i64> {
    if job.attempt > 1 {
        return None;
    }
    let started: Option<Vec<i64>> = tasks
        .values()
        .map(|task| task.started_at().map(|at| at.secs()))
        .collect();
    match started {
        Some(all) if all.len() == job.nodes as usize => all.into_iter().max(),
        // A rank that ECS has forgotten ran long ago; one that never started did not run at all.
        Some(_) => parse_time(&job.created_at),
        None => None,
    }
}

/// Reads every task of the attempt and keeps on its rank's item how it was started and where it ran.
async fn keep_launches(
    ctx: &Context,
    settings: &Settings,
    job: &JobRecord,
    failed: u32,
    end: &TaskEnd,
) -> Result<(Vec<RankRecord>, BTreeMap<TaskArn, Task>), WorkerError> {
    let mut ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    let arns: Vec<TaskArn> = ranks.iter().map(|r| r.task_arn.clone()).collect();
    let tasks = ctx.fleet.tasks(&arns).await?;
    let unplaced: Vec<ContainerInstanceArn> = tasks
        .values()
        .filter_map(|t| t.container_instance_arn())
        .map(ContainerInstanceArn::new)
        .collect();
    let instances: BTreeMap<_, _> = ctx.fleet.container_instances(&unplaced).await?;
    for rank in &mut ranks {
        // What ECS has forgotten, the event still tells.
        if rank.rank == failed {
            rank.note_end(Some(end), settings);
        }
        let Some(task) = tasks.get(&rank.task_arn) else {
            continue;
        };
        let network = rank.launch.as_ref().and_then(|l| l.network.clone());
        rank.launch = Some(LaunchSpec::of(task, network).left_open_as(rank.launch.take()));
        if let Some(arn) = task.container_instance_arn().map(ContainerInstanceArn::new) {
            if let Some(id) = instances.get(&arn).and_then(|i| i.ec2_instance_id()) {
                rank.instance_id = Some(InstanceId::new(id));
            }
            rank.container_instance_arn = Some(arn);
        }
        if task.last_status() == Some("STOPPED") {
            rank.note_end(Some(&end_of(task)), settings);
        }
    }
    ctx.jobs.put_ranks(&ranks).await?;
    Ok((ranks, tasks))
}

/// True for a task with a network interface of its own whose launcher kept no network settings.
fn needs_network(rank: &RankRecord, tasks: &BTreeMap<TaskArn, Task>) -> bool {
    let awsvpc = tasks
        .get(&rank.task_arn)
        .is_some_and(relaunchable::is_awsvpc);
    awsvpc && rank.launch.as_ref().is_none_or(|l| l.network.is_none())
}
