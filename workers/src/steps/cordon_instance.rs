//! CordonInstance: takes a faulty instance for a reboot and sets it DRAINING; refuses what is not ours to reboot.

use super::{
    hung_check::hung,
    in_use::{Ours, in_use},
};
use crate::{
    Context, Step, WorkerError,
    aws::{history::Event, instances::Hold, jobs::RankKey},
    context::parse_time,
    decisions::{diagnosis::End, probe::gpu_set},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{
        InstanceRecord, InstanceStatus, JobStatus,
        event::{About, What},
    },
};
use aws_sdk_ecs::types::ContainerInstance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct CordonInstance;

/// How long a fault counts.
const MONTH_SECONDS: i64 = 30 * 24 * 3600;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CordonInstanceInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub instance: InstanceId,
    pub rank: u32,
    /// The job runs on a spare already: this execution holds the instance, and the job no more.
    #[serde(default)]
    pub beside: bool,
    /// A task of the job does not stop on it: the reboot is what ends it.
    #[serde(default)]
    pub stuck: bool,
    /// When the execution was started, RFC 3339: what it has found is younger.
    pub started_at: String,
    /// The check's exit code, if it came to one.
    pub exit_code: Option<i32>,
    /// What makes it faulty where there is none.
    #[serde(default)]
    pub end: Option<End>,
    /// How the check ended.
    #[serde(default)]
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum CordonInstanceOutcome {
    /// DRAINING, empty, and held by this execution.
    Cordoned {
        instance: InstanceId,
        /// The GPUs of its registration, as the probe tells a set; `?:-` when ECS names none.
        gpus: String,
        /// Another recovery has rebooted it since this execution was started: what this one has found is no evidence.
        rebooted_since: bool,
    },
    /// Not to be rebooted; it was not changed.
    Refused { refusal: Refusal, detail: String },
}

/// Why an instance is not rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Refusal {
    /// Another recovery, still running, holds it.
    HeldByAnother,
    /// A task of another job runs on it.
    RunsAnotherJob,
    /// A task of this very job still runs on it.
    RunsThisJob,
    /// A task of no job holds a GPU of it.
    Occupied,
    /// The check's task did not run for as long as it may, or was not heard of: that it did not end in time is no fault.
    CheckNeverRan,
    /// An operator set it DRAINING.
    CordonedByOperator,
    /// Faulty for the MAX_FAULTS_PER_MONTH-th time in 30 days.
    FaultLimit,
    Quarantined,
    /// The cluster does not know it, or its id is not what the job's record says.
    NotInCluster,
}

impl Refusal {
    /// Reads what the definition makes of a refusal, `RunsAnotherJob: task … runs on it`: the refusal and its detail.
    pub fn of(text: &str) -> Option<(Self, &str)> {
        let (name, detail) = text.split_once(": ")?;
        let refusal = serde_json::from_value(name.into()).ok()?;
        Some((refusal, detail))
    }
}

impl Step for CordonInstance {
    const NAME: &'static str = "cordon-instance";
    const STATE: Option<&'static str> = Some("CordonInstance");
    type Input = CordonInstanceInput;
    type Outcome = CordonInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        if !input.beside {
            let why = format!(
                "instance {} of rank {} is faulty",
                input.instance, input.rank
            );
            let status = JobStatus::PendingRestart;
            ctx.jobs
                .advance(&input.job_id, input.attempt, &input.execution, status, &why)
                .await?;
        }
        let key = RankKey {
            job_id: input.job_id.clone(),
            attempt: input.attempt,
            rank: input.rank,
        };
        let rank = ctx.jobs.rank(&key).await?;
        let Some(arn) = rank
            .filter(|r| r.instance_id.as_ref() == Some(&input.instance))
            .and_then(|r| r.container_instance_arn)
        else {
            let detail = format!(
                "rank {} of the job did not run on {}",
                input.rank, input.instance
            );
            return Ok(refuse(Refusal::NotInCluster, detail));
        };
        let now = ctx.clock.epoch_seconds();
        let before = ctx.instances.get(&input.instance).await?;
        let forbidden = match &before {
            Some(record) => refusal_of(ctx, record, &input, now).await?,
            None if input.beside => {
                let detail = "not held by this execution".to_owned();
                return Ok(refuse(Refusal::HeldByAnother, detail));
            }
            None => too_often(ctx, &[], now),
        };
        if let Some(refusal) = forbidden {
            return Ok(refusal);
        }
        let held_already = before.as_ref().is_some_and(|r| {
            r.holder.as_ref() == Some(&input.execution) && r.status == InstanceStatus::Rebooting
        });
        let ours = Ours {
            job: &input.job_id,
            may_run: input.stuck,
        };
        // Nothing has changed yet. A hold of ours, left by a call that died, is undone below.
        let used = async {
            match held_already {
                true => Ok(None),
                false => in_use(ctx, &arn, &ours).await,
            }
        };
        let found = ours_to_drain(ctx, &input.instance, &arn, before.as_ref());
        let (found, used) = futures::join!(found, used);
        let registered = match found? {
            Ok(registered) => registered,
            Err(refusal) => return Ok(refusal),
        };
        let gpus = gpus_of(&registered);
        if !held_already && let Some(refusal) = no_fault(ctx, &arn, &input).await? {
            return Ok(refusal);
        }
        if let Some((refusal, detail)) = used? {
            return Ok(refuse(refusal, detail));
        }
        let mut earlier = before
            .as_ref()
            .map(|r| r.faults.clone())
            .unwrap_or_default();
        let this = if held_already { earlier.pop() } else { None }.unwrap_or(now);
        let started = parse_time(&input.started_at).unwrap_or(now);
        let rebooted_since = earlier.iter().any(|at| *at > started);
        let faults: Vec<i64> = earlier
            .iter()
            .copied()
            .filter(|at| now - at < MONTH_SECONDS)
            .chain([this])
            .collect();
        let verdict = input.exit_code.map_or_else(
            || format!("faulty ({})", input.detail),
            |code| format!("faulty (exit {code})"),
        );
        let held = ctx
            .instances
            .hold(Hold {
                instance: &input.instance,
                arn: &arn,
                job: &input.job_id,
                by: &input.execution,
                previous: before
                    .as_ref()
                    .and_then(|r| Some((r.holder.as_ref()?, r.updated_at.as_str()))),
                gpus: gpus.as_deref(),
                verdict: &verdict,
                faults: &faults,
            })
            .await?;
        if held.is_none() {
            let detail = "another recovery took it at the same moment".to_owned();
            return Ok(refuse(Refusal::HeldByAnother, detail));
        }
        ctx.fleet.drain(&arn).await?;
        // Only now can nothing new be placed on it: what is there now is all there will be.
        if let Some((refusal, detail)) = in_use(ctx, &arn, &ours).await? {
            ctx.fleet.activate(&arn).await?;
            ctx.instances
                .let_go(&input.instance, &input.execution, &earlier)
                .await?;
            return Ok(refuse(refusal, detail));
        }
        let event = Event {
            about: About::Instance(&input.instance),
            what: What::Faulty,
            detail: &verdict,
            of_job: Some(&input.job_id),
        };
        ctx.history.note(event, &input.execution).await?;
        Ok(CordonInstanceOutcome::Cordoned {
            instance: input.instance,
            gpus: gpus.unwrap_or_else(|| UNKNOWN_GPUS.to_owned()),
            rebooted_since,
        })
    }
}

fn refuse(refusal: Refusal, detail: String) -> CordonInstanceOutcome {
    CordonInstanceOutcome::Refused { refusal, detail }
}

/// What the instance's record forbids.
async fn refusal_of(
    ctx: &Context,
    record: &InstanceRecord,
    input: &CordonInstanceInput,
    now: i64,
) -> Result<Option<CordonInstanceOutcome>, WorkerError> {
    if record.status == InstanceStatus::Quarantined {
        let reason = record
            .quarantine_reason
            .as_deref()
            .unwrap_or("no reason kept");
        let detail = format!("quarantined: {reason}");
        return Ok(Some(refuse(Refusal::Quarantined, detail)));
    }
    match &record.holder {
        // It was counted when it was cordoned; one that is only kept was not.
        Some(holder) if *holder == input.execution && record.held_since.is_none() => {
            return Ok(None);
        }
        Some(holder) if *holder == input.execution => {}
        // Beside the job nothing but its hold gives it a say.
        holder if input.beside => {
            let detail = match holder {
                Some(holder) => format!("held by execution {holder}"),
                None => "not held by this execution any more".to_owned(),
            };
            return Ok(Some(refuse(Refusal::HeldByAnother, detail)));
        }
        // This execution holds the job: a hold of another one for it is void.
        Some(_) if record.job_id.as_ref() == Some(&input.job_id) => {}
        Some(holder)
            if ctx
                .executions
                .may_run(holder, &record.updated_at, now)
                .await? =>
        {
            let detail = format!("held by execution {holder}");
            return Ok(Some(refuse(Refusal::HeldByAnother, detail)));
        }
        _ => {}
    }
    Ok(too_often(ctx, &record.faults, now))
}

/// Refuses an instance whose fault at hand is one too many.
fn too_often(ctx: &Context, before: &[i64], now: i64) -> Option<CordonInstanceOutcome> {
    let recent = before.iter().filter(|at| now - **at < MONTH_SECONDS);
    let faults = recent.count() + 1;
    (faults >= ctx.settings.max_faults_per_month as usize).then(|| {
        let times = if faults == 1 { "time" } else { "times" };
        let detail = format!("faulty {faults} {times} within 30 days");
        refuse(Refusal::FaultLimit, detail)
    })
}

/// That a check did not end in time is a fault only if it hung.
async fn no_fault(
    ctx: &Context,
    arn: &ContainerInstanceArn,
    input: &CordonInstanceInput,
) -> Result<Option<CordonInstanceOutcome>, WorkerError> {
    if input.end != Some(End::TimedOut) || hung(ctx, arn).await? {
        return Ok(None);
    }
    let detail = "unchecked: the check's task did not run, or was not heard of, in time";
    Ok(Some(refuse(Refusal::CheckNeverRan, detail.to_owned())))
}

/// What the probe says where nvidia-smi does not answer.
const UNKNOWN_GPUS: &str = "?:-";

/// The GPUs that the ECS agent registered: those of a time when the node was well, because an agent that finds other
/// resources than it has registered does not come up.
fn gpus_of(registered: &ContainerInstance) -> Option<String> {
    let resources = registered.registered_resources().iter();
    let mut gpus = resources.filter(|resource| resource.name() == Some("GPU"));
    let uuids = gpus.next()?.string_set_value();
    (!uuids.is_empty()).then(|| gpu_set(uuids.iter().map(String::as_str)))
}

/// The instance as ECS knows it, or what forbids the drain.
async fn ours_to_drain(
    ctx: &Context,
    instance: &InstanceId,
    arn: &ContainerInstanceArn,
    record: Option<&InstanceRecord>,
) -> Result<Result<ContainerInstance, CordonInstanceOutcome>, WorkerError> {
    let Some(found) = ctx.fleet.container_instance(arn).await? else {
        let detail = format!("the cluster does not know {arn}");
        return Ok(Err(refuse(Refusal::NotInCluster, detail)));
    };
    if found.ec2_instance_id() != Some(instance.as_str()) {
        let detail = format!("{arn} is not {instance}");
        return Ok(Err(refuse(Refusal::NotInCluster, detail)));
    }
    let ours = record.is_some_and(|r| r.cordoned);
    Ok(match found.status() {
        Some("ACTIVE") => Ok(found),
        Some("DRAINING") if ours => Ok(found),
        Some("DRAINING") => {
            let detail = "an operator set it DRAINING".to_owned();
            Err(refuse(Refusal::CordonedByOperator, detail))
        }
        // A deregistered instance can be described for a while.
        other => {
            let detail = format!("{arn} is {}", other.unwrap_or("of unknown status"));
            Err(refuse(Refusal::NotInCluster, detail))
        }
    })
}
