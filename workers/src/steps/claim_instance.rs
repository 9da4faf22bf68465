//! ClaimInstance: takes one instance for a check that an operator asked for. A check is a job of its own, with one rank that
//! has ended: what guards a job's recovery guards the check.

use super::{
    claim_job::Failure,
    in_use::{Ours, in_use},
};
use crate::{
    Context, Step, WorkerError,
    aws::{jobs::Write, launch_names::digest},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId, TaskArn},
    records::{
        InstanceRecord, InstanceStatus, JobRecord, JobStatus, RankRecord, RankStatus, event,
        rank_key,
    },
    settings::HealthyPolicy,
};
use aws_sdk_ecs::types::ContainerInstance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The step.
pub struct ClaimInstance;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimInstanceInput {
    pub execution: ExecutionArn,
    pub request: CheckRequest,
}

/// What `gpu-recovery check` starts the state machine with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckRequest {
    pub instance: InstanceId,
    /// Who asks for it.
    pub by: String,
    pub reason: String,
}

impl CheckRequest {
    /// By it the state machine tells a check that is asked for from an event.
    pub const DETAIL_TYPE: &'static str = "GPU Instance Check";

    /// The execution's input, in the form of an event.
    pub fn event(&self) -> Value {
        json!({ "source": "gpu-recovery", "detail-type": Self::DETAIL_TYPE, "detail": self })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum ClaimInstanceOutcome {
    /// The instance is this execution's to check, and ACTIVE in ECS.
    Claimed {
        /// The check's own id among the jobs.
        job_id: JobId,
        attempt: u32,
        nodes: u32,
        /// None: there is nothing to relaunch.
        recoveries_left: u32,
        instances: Vec<InstanceId>,
        healthy_policy: HealthyPolicy,
        /// Where, and who asked for it.
        failure: Failure,
        /// Always true.
        by_hand: bool,
    },
    /// It is in use, or not there; nothing was changed.
    Refused { instance: InstanceId, why: String },
}

const ATTEMPT: u32 = 1;
const RANK: u32 = 0;

impl Step for ClaimInstance {
    const NAME: &'static str = "claim-instance";
    const STATE: Option<&'static str> = Some("ClaimInstance");
    type Input = ClaimInstanceInput;
    type Outcome = ClaimInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let instance = &input.request.instance;
        let check = check_id(instance, &input.execution);
        let refused = |why: String| {
            Ok(ClaimInstanceOutcome::Refused {
                instance: instance.clone(),
                why,
            })
        };
        let Some((arn, found)) = registered(ctx, instance).await? else {
            return refused("the cluster does not know it".to_owned());
        };
        let record = ctx.instances.get(instance).await?;
        // By an earlier call, whose answer was lost.
        let ours = record.as_ref().is_some_and(|r| r.is_for(&check));
        if !ours && let Some(why) = taken(ctx, record.as_ref(), &arn, &found, &check).await? {
            return refused(why);
        }
        if !ours
            && !ctx
                .instances
                .take_to_check(instance, &arn, &check, record.as_ref())
                .await?
        {
            return refused("its record changed at the same moment; look again".to_owned());
        }
        create(ctx, &input, &check, &arn).await?;
        if found.status() == Some("DRAINING") {
            ctx.fleet.activate(&arn).await?;
        }
        ctx.instances.not_cordoned(instance, &check).await?;
        Ok(ClaimInstanceOutcome::Claimed {
            attempt: ATTEMPT,
            nodes: 1,
            recoveries_left: 0,
            instances: vec![instance.clone()],
            healthy_policy: HealthyPolicy::Fail,
            failure: Failure {
                rank: RANK,
                task: no_task(&arn, &check),
                instance: Some(instance.clone()),
                exit_code: None,
                stop_code: None,
                stopped_reason: Some(asked_for(&input.request)),
                ended_at: None,
                decided_by: None,
                not_relaunchable: None,
            },
            by_hand: true,
            job_id: check,
        })
    }
}

/// The same at every call of the execution.
fn check_id(instance: &InstanceId, by: &ExecutionArn) -> JobId {
    JobId::new(format!("check-{instance}-{}", digest(by.as_str(), 4)))
}

/// What stands for the task of a check's rank, which has none: it reads like one, and an index is keyed by it.
fn no_task(arn: &ContainerInstanceArn, check: &JobId) -> TaskArn {
    let place = arn.as_str().replace(":container-instance/", ":task/");
    let cluster = place
        .rsplit_once('/')
        .map_or(place.as_str(), |(cluster, _)| cluster);
    TaskArn::new(format!("{cluster}/{check}"))
}

fn asked_for(request: &CheckRequest) -> String {
    format!("asked for by {}: {}", request.by, request.reason)
}

/// The container instance, if the cluster has it: one that was deregistered can be listed for a while.
async fn registered(
    ctx: &Context,
    instance: &InstanceId,
) -> Result<Option<(ContainerInstanceArn, ContainerInstance)>, WorkerError> {
    let found = ctx.fleet.find(instance).await?;
    Ok(found.and_then(|found| {
        let here = matches!(found.status(), Some("ACTIVE" | "DRAINING"));
        let arn = ContainerInstanceArn::new(found.container_instance_arn()?);
        here.then_some((arn, found))
    }))
}

/// Why the instance is not to be checked now.
async fn taken(
    ctx: &Context,
    record: Option<&InstanceRecord>,
    arn: &ContainerInstanceArn,
    found: &ContainerInstance,
    check: &JobId,
) -> Result<Option<String>, WorkerError> {
    if found.status() == Some("DRAINING") && !record.is_some_and(|r| r.cordoned) {
        return Ok(Some(
            "an operator set it DRAINING in ECS; set it ACTIVE first".to_owned(),
        ));
    }
    if !found.agent_connected() {
        return Ok(Some(
            "its ECS agent is not connected, so no check can start".to_owned(),
        ));
    }
    let now = ctx.clock.epoch_seconds();
    if let Some(record) = record
        && let Some(holder) = &record.holder
        && ctx
            .executions
            .may_run(holder, &record.updated_at, now)
            .await?
    {
        return Ok(Some(format!("execution {holder} holds it")));
    }
    if let Some(why) = works_for_a_job(ctx, record, now).await? {
        return Ok(Some(why));
    }
    let ours = Ours {
        job: check,
        may_run: false,
    };
    let running = in_use(ctx, arn, &ours).await?;
    Ok(running.map(|(_, detail)| detail))
}

/// A job that has not ended needs it, whatever runs on it. A check that nobody is at any more does not.
async fn works_for_a_job(
    ctx: &Context,
    record: Option<&InstanceRecord>,
    now: i64,
) -> Result<Option<String>, WorkerError> {
    let Some(job) = record.and_then(|record| record.job_id.as_ref()) else {
        return Ok(None);
    };
    let Some(job) = ctx.jobs.get(job).await?.filter(|job| !job.has_ended()) else {
        return Ok(None);
    };
    if let Some(holder) = job.holder.as_ref().filter(|_| job.check)
        && !ctx.executions.may_run(holder, &job.updated_at, now).await?
    {
        return Ok(None);
    }
    Ok(Some(format!(
        "it works for job {}, which is {}",
        job.job_id, job.status
    )))
}

/// Writes the check down as a job that this execution holds, whose one rank has ended.
async fn create(
    ctx: &Context,
    input: &ClaimInstanceInput,
    check: &JobId,
    arn: &ContainerInstanceArn,
) -> Result<(), WorkerError> {
    let expires_at = Some(event::expiry(ctx.clock.epoch_seconds()));
    let job = JobRecord {
        status: JobStatus::PendingHealthcheck,
        holder: Some(input.execution.clone()),
        failed_rank: Some(RANK),
        reason: Some(asked_for(&input.request)),
        running: None,
        check: true,
        expires_at,
        ..JobRecord::new(check.clone(), 1, &ctx.clock.rfc3339())
    };
    if let Write::Refused(found) = ctx.jobs.create(&job).await?
        && found.and_then(|found| found.holder) != job.holder
    {
        return Err(WorkerError::ClaimLost(format!(
            "check {check} has ended already"
        )));
    }
    let rank = RankRecord {
        job_id: check.clone(),
        record: rank_key(ATTEMPT, RANK),
        attempt: ATTEMPT,
        rank: RANK,
        launch_try: 1,
        task_arn: no_task(arn, check),
        instance_id: Some(input.request.instance.clone()),
        container_instance_arn: Some(arn.clone()),
        status: RankStatus::Stopped,
        exit_code: None,
        stop_code: None,
        stopped_reason: None,
        probe: None,
        launch: None,
        expires_at,
    };
    ctx.jobs.put_launched(&rank).await
}

impl InstanceRecord {
    fn is_for(&self, check: &JobId) -> bool {
        self.job_id.as_ref() == Some(check) && self.status == InstanceStatus::PendingHealthcheck
    }
}
