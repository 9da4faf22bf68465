//! RelaunchJob: starts the next attempt, every rank on its own instance, or none.
//!
//! One try: begin (a fence), RunTask for every rank, record the ranks, commit. Only the commit makes the tasks an
//! attempt; whatever was started without it is stopped by the next try, by FailJob or by a recovery that takes over.

use super::partial_launch::undo;
use crate::{
    Context, Step, WorkerError,
    fleet::Run,
    ids::{ExecutionArn, InstanceId, JobId, TaskArn},
    launch::LaunchSpec,
    launch_names::{client_token, started_by},
    pace,
    records::{InstanceStatus, JobRecord, RankRecord, RankStatus, rank_key},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct RelaunchJob;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelaunchJobInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    /// The attempt that failed.
    pub attempt: u32,
    /// The instances that were rebooted for it.
    pub instances: Vec<InstanceId>,
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
    },
}

impl Step for RelaunchJob {
    const NAME: &'static str = "relaunch-job";
    const STATE: Option<&'static str> = Some("RelaunchJob");
    const TIMEOUT_SECONDS: u32 = 900;
    type Input = RelaunchJobInput;
    type Outcome = RelaunchJobOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        if let Some(job) = committed(ctx, &input).await? {
            // An earlier call of ours committed, and its answer was lost.
            return Ok(relaunched(&job));
        }
        match relaunch(ctx, &input).await {
            // Or it commits just now: a call that Step Functions has given up goes on for a while.
            Err(WorkerError::ClaimLost(why)) => match committed(ctx, &input).await? {
                Some(job) => Ok(relaunched(&job)),
                None => Err(WorkerError::ClaimLost(why)),
            },
            ended => ended.map(|job| relaunched(&job)),
        }
    }
}

/// The job, when this execution has relaunched it.
async fn committed(
    ctx: &Context,
    input: &RelaunchJobInput,
) -> Result<Option<JobRecord>, WorkerError> {
    let job = ctx.jobs.get(&input.job_id).await?;
    Ok(job.filter(|job| {
        job.relaunched_by.as_ref() == Some(&input.execution) && job.attempt == input.attempt + 1
    }))
}

async fn relaunch(ctx: &Context, input: &RelaunchJobInput) -> Result<JobRecord, WorkerError> {
    let RelaunchJobInput {
        execution,
        job_id,
        attempt,
        ..
    } = input;
    let job = ctx.jobs.held(job_id, *attempt, execution).await?;
    let job = undo(ctx, job, execution).await?;
    let ranks = ctx.jobs.ranks(job_id, *attempt).await?;
    let plan = plan(&job, &ranks)?;
    for instance in &input.instances {
        let verdict = "healthy after its reboot (DCGM exit 0)";
        ctx.instances
            .note_verdict(instance, job_id, verdict)
            .await?;
    }
    let job = ctx.jobs.begin_launch(job_id, *attempt, execution).await?;
    let mut started = Vec::with_capacity(plan.len());
    match launch(ctx, &job, &plan, execution, &mut started).await {
        Ok(job) => Ok(job),
        Err(error) => give_up(ctx, job, execution, &started, error).await,
    }
}

fn relaunched(job: &JobRecord) -> RelaunchJobOutcome {
    RelaunchJobOutcome::Relaunched {
        job_id: job.job_id.clone(),
        attempt: job.attempt,
        ranks: job.nodes,
    }
}

/// One rank to start.
#[derive(Debug, Clone, PartialEq)]
struct Start {
    old: RankRecord,
    instance: InstanceId,
    launch: LaunchSpec,
}

/// Every rank with its instance and launch, or a clear word why not.
fn plan(job: &JobRecord, ranks: &[RankRecord]) -> Result<Vec<Start>, WorkerError> {
    let complete = ranks.len() == job.nodes as usize
        && ranks.iter().enumerate().all(|(i, r)| r.rank as usize == i);
    if !complete {
        return Err(WorkerError::CorruptRecord(format!(
            "job {}: {} of {} ranks are recorded for attempt {}; mend the rank items by hand",
            job.job_id,
            ranks.len(),
            job.nodes,
            job.attempt
        )));
    }
    ranks
        .iter()
        .map(|rank| {
            let known = rank.instance_id.clone().zip(rank.launch.clone());
            let (instance, launch) = known.ok_or_else(|| {
                WorkerError::CorruptRecord(format!(
                    "job {}: rank {} has no instance_id or no launch; mend the item {} by hand",
                    job.job_id, rank.rank, rank.record
                ))
            })?;
            Ok(Start {
                old: rank.clone(),
                instance,
                launch,
            })
        })
        .collect()
}

/// `started` takes the tasks, also those of a launch that fails.
async fn launch(
    ctx: &Context,
    job: &JobRecord,
    plan: &[Start],
    by: &ExecutionArn,
    started: &mut Vec<TaskArn>,
) -> Result<JobRecord, WorkerError> {
    let next = job.attempt + 1;
    let started_by = started_by(&job.job_id, next);
    let answers = pace::ECS_MODIFY
        .patiently(plan.iter().collect(), |start| {
            let token = client_token(&job.job_id, next, job.launch_try, start.old.rank);
            let started_by = &started_by;
            async move {
                ctx.fleet
                    .run(&start.launch, &start.instance, &token, started_by)
                    .await
            }
        })
        .await;
    started.extend(answers.iter().filter_map(|answer| match answer {
        Ok(Run::Started(task)) => Some(task.clone()),
        _ => None,
    }));
    let mut ranks = Vec::with_capacity(plan.len());
    let mut not_placed = Vec::new();
    for (start, answer) in plan.iter().zip(answers) {
        match answer? {
            Run::Started(task) => ranks.push(next_rank(start, job, task)),
            Run::NotPlaced(why) => not_placed.push(format!(
                "rank {} on {}: {why}",
                start.old.rank, start.instance
            )),
        }
    }
    if !not_placed.is_empty() {
        return Err(WorkerError::NotPlaced(in_short(&not_placed)));
    }
    ctx.jobs.put_launched(&ranks).await?;
    // Before the commit: once the attempt is current, its next failure must find no hold of ours.
    pace::DYNAMODB
        .each(&ranks, |rank| async {
            match &rank.instance_id {
                Some(instance) => {
                    let arn = rank.container_instance_arn.as_ref();
                    let status = InstanceStatus::InProgress;
                    ctx.instances
                        .assign(instance, arn, &job.job_id, Some(by), status)
                        .await
                }
                None => Ok(false),
            }
        })
        .await
        .into_iter()
        .collect::<Result<Vec<bool>, WorkerError>>()?;
    ctx.jobs.commit_launch(job, by).await
}

fn next_rank(start: &Start, job: &JobRecord, task_arn: TaskArn) -> RankRecord {
    let attempt = job.attempt + 1;
    RankRecord {
        record: rank_key(attempt, start.old.rank),
        attempt,
        launch_try: job.launch_try,
        task_arn,
        status: RankStatus::Running,
        exit_code: None,
        stop_code: None,
        stopped_reason: None,
        ..start.old.clone()
    }
}

/// Undoes what this try has started. When that fails too, `launching` stays set, and the next call undoes it.
///
/// # Errors
/// What ended the launch; unless it was committed after all, and only the answer to that was lost.
async fn give_up(
    ctx: &Context,
    job: JobRecord,
    by: &ExecutionArn,
    started: &[TaskArn],
    error: WorkerError,
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
    let Err(undoing) = undo(ctx, job, by).await else {
        return Err(error);
    };
    // Whoever fenced this call off may have looked for its tasks before it had started them.
    ctx.fleet
        .stop_all(started, "undoing a partial relaunch")
        .await?;
    Err(match undoing {
        // What ended the launch says more than what ended its undoing.
        WorkerError::AwsUnavailable(_) | WorkerError::NotSettledYet(_) => error,
        undoing => undoing,
    })
}

/// The first few reasons, and how many more there are.
fn in_short(reasons: &[String]) -> String {
    const NAMED: usize = 5;
    let mut text = reasons
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if reasons.len() > NAMED {
        text.push_str(&format!("; and {} more ranks", reasons.len() - NAMED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::JobStatus;

    fn job(nodes: u32) -> JobRecord {
        JobRecord {
            job_id: JobId::new("llama"),
            record: JobRecord::SORT_KEY.into(),
            status: JobStatus::Restarting,
            attempt: 1,
            nodes,
            holder: None,
            failed_rank: None,
            reason: None,
            done_ranks: Default::default(),
            recovery_attempts: None,
            launch_try: 0,
            launching: false,
            relaunched_by: None,
            failed_by: None,
            created_at: String::new(),
            updated_at: String::new(),
        }
    }

    fn rank(rank: u32) -> RankRecord {
        RankRecord {
            job_id: JobId::new("llama"),
            record: rank_key(1, rank),
            attempt: 1,
            rank,
            launch_try: 0,
            task_arn: TaskArn::new(format!("arn:aws:ecs:us-east-1:123456789012:task/c/{rank}")),
            instance_id: Some(InstanceId::new(format!("i-0000000{rank}"))),
            container_instance_arn: None,
            status: RankStatus::Stopped,
            exit_code: Some(1),
            stop_code: None,
            stopped_reason: None,
            launch: Some(LaunchSpec::default()),
        }
    }

    #[test]
    fn a_plan_has_every_rank_or_names_what_is_missing() {
        assert_eq!(plan(&job(2), &[rank(0), rank(1)]).unwrap().len(), 2);
        let missing = plan(&job(3), &[rank(0), rank(1)]).unwrap_err().to_string();
        assert!(missing.contains("2 of 3 ranks"), "{missing}");
        let twice = plan(&job(2), &[rank(1), rank(1)]);
        assert!(twice.is_err());
        let unknown = RankRecord {
            launch: None,
            ..rank(1)
        };
        let error = plan(&job(2), &[rank(0), unknown]).unwrap_err().to_string();
        assert!(
            error.contains("rank 1 has no instance_id or no launch"),
            "{error}"
        );
    }

    #[test]
    fn the_next_rank_keeps_place_and_launch_and_forgets_how_it_ended() {
        let ended = RankRecord {
            stop_code: Some("EssentialContainerExited".into()),
            stopped_reason: Some("Essential container in task exited".into()),
            ..rank(0)
        };
        let job = JobRecord {
            launch_try: 3,
            ..job(1)
        };
        let plan = plan(&job, &[ended]).unwrap();
        let next = next_rank(&plan[0], &job, TaskArn::new("t"));
        let expected = RankRecord {
            record: "attempt#00002#rank#00000".into(),
            attempt: 2,
            launch_try: 3,
            task_arn: TaskArn::new("t"),
            status: RankStatus::Running,
            exit_code: None,
            ..rank(0)
        };
        assert_eq!(next, expected);
    }

    #[test]
    fn five_reasons_are_named_and_the_rest_counted() {
        let reasons: Vec<String> = (0..6).map(|n| format!("rank {n}")).collect();
        assert_eq!(
            in_short(&reasons[..5]),
            "rank 0; rank 1; rank 2; rank 3; rank 4"
        );
        assert!(in_short(&reasons).ends_with("rank 4; and 1 more ranks"));
    }
}
