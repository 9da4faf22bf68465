//! What failed, how things stand since, and what a replay would do.

use super::act;
use crate::{
    Failure,
    account::{Desk, refused, unknown_job},
    drill::words,
    history::{
        self,
        path::{Path, Visit},
    },
};
use aws_sdk_sfn::{
    operation::describe_execution::DescribeExecutionOutput,
    types::{ExecutionRedriveStatus, ExecutionStatus},
};
use schemars::JsonSchema;
use serde::Serialize;
use workers::{
    aws::{events::TaskStateChange, jobs::RankKey},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{InstanceStatus, JobRecord},
};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// RedriveExecution.
    Redrive,
    /// A new execution from the original event.
    StartAnew,
    /// It runs already.
    Nothing,
    Refuse,
}

/// One execution, looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assessment {
    pub execution: ExecutionArn,
    /// Status, when, after how long.
    pub ended: String,
    /// Where and why it failed.
    pub failed: Option<String>,
    /// How its job stands now.
    pub job: Option<String>,
    /// How the instances stand that it was at work on.
    pub instances: Vec<String>,
    pub way: Way,
    pub why: String,
    /// The steps that run again.
    pub again: Vec<String>,
    #[serde(skip)]
    pub machine: String,
    #[serde(skip)]
    pub input: Option<String>,
    #[serde(skip)]
    pub redrivable: bool,
}

/// The execution that a replay of this job is about: the one that holds it.
///
/// # Errors
/// When nothing of the job can be replayed.
pub async fn execution_of(desk: &Desk, job: &JobId) -> Result<ExecutionArn, Failure> {
    let Some(record) = desk.context.jobs.get(job).await? else {
        return Err(unknown_job(job));
    };
    record.holder.clone().ok_or_else(|| {
        let reason = record.reason.as_deref().unwrap_or("no reason kept");
        Failure::Broken(format!(
            "job {job} is {} in attempt {} ({reason}), and no execution holds it: there is nothing to replay\n  an \
             execution that failed before it took the job is found by --all-failed",
            record.status, record.attempt
        ))
    })
}

/// Looks at an execution.
///
/// # Errors
/// When AWS does not answer.
pub async fn assess(desk: &Desk, execution: &ExecutionArn) -> Result<Assessment, Failure> {
    let described = desk
        .sfn
        .describe_execution()
        .execution_arn(execution.as_str())
        .send()
        .await
        .map_err(refused("states:DescribeExecution", execution.as_str()))?;
    let path = Path::of(&history::of_execution(&desk.sfn, execution.as_str()).await?);
    let mut found = Assessment {
        execution: execution.clone(),
        ended: ended(&described, &path),
        failed: failed(&path),
        job: None,
        instances: Vec::new(),
        way: Way::Refuse,
        why: String::new(),
        again: Vec::new(),
        machine: described
            .state_machine_alias_arn()
            .unwrap_or(described.state_machine_arn())
            .to_owned(),
        input: described.input().map(str::to_owned),
        redrivable: described.redrive_status() == Some(&ExecutionRedriveStatus::Redrivable),
    };
    match described.status() {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => {
            found.way = Way::Nothing;
            found.why = "it runs".to_owned();
            return Ok(found);
        }
        ExecutionStatus::Succeeded => {
            found.why =
                "it SUCCEEDED: its decision is made, there is nothing to go on with".to_owned();
            return Ok(found);
        }
        _ => {}
    }
    let key = key(desk, described.input()).await?;
    let job = match &key {
        Some(key) => desk.context.jobs.get(&key.job_id).await?,
        None => None,
    };
    found.job = job.as_ref().map(describe);
    if let Some(job) = &job
        && let Some(holder) = &job.holder
        && *holder == act::replay_of(execution)
        && desk.is_running(holder, &job.updated_at).await?
    {
        found.way = Way::Nothing;
        found.why = format!("its replay runs: gpu-recovery watch {holder}");
        return Ok(found);
    }
    let mut refusals = Vec::new();
    refusals.extend(of_job(desk, execution, &path, key.as_ref(), job.as_ref()).await?);
    for visit in path.standing() {
        let Some(id) = visit.instance().filter(|_| visit.item.is_some()) else {
            continue;
        };
        let (told, refusal) = of_instance(desk, execution, visit, &InstanceId::new(id)).await?;
        found.instances.push(told);
        refusals.extend(refusal);
    }
    if let Some(refusal) = refusals.into_iter().next() {
        found.why = refusal;
        return Ok(found);
    }
    if found.redrivable {
        found.way = Way::Redrive;
        found.why = "it goes on where it stands".to_owned();
        found.again = path.standing().iter().map(|visit| place(visit)).collect();
        found.again.dedup();
        found
            .again
            .push("then everything that comes after".to_owned());
    } else {
        let reason = described.redrive_status_reason();
        found.way = Way::StartAnew;
        found.why = format!(
            "Step Functions does not redrive it ({}), so a new execution starts from its event",
            reason.unwrap_or("no reason given")
        );
        found.again =
            vec!["every step from the start; the new execution takes the job over".to_owned()];
    }
    Ok(found)
}

fn ended(described: &DescribeExecutionOutput, path: &Path) -> String {
    let status = described.status().as_str();
    match described.stop_date() {
        Some(at) => format!(
            "{status} at {} after {}",
            history::date_and_clock(at.as_secs_f64()),
            crate::output::span(at.as_secs_f64() - path.started)
        ),
        None => status.to_owned(),
    }
}

/// Where and why.
fn failed(path: &Path) -> Option<String> {
    if path.status == "RUNNING" || path.status == "SUCCEEDED" {
        return None;
    }
    let visits = path.standing();
    let places: Vec<String> = visits.iter().map(|visit| place(visit)).take(3).collect();
    let why = visits
        .iter()
        .filter(|visit| visit.unwell)
        .find_map(|visit| {
            let failed = visit.failures.last()?;
            Some(words::failure(&visit.parameters, &failed.error, &failed.cause).text)
        })
        .unwrap_or_else(|| words::named(&path.error, &path.cause));
    let why = if why.is_empty() {
        "it was cut off".to_owned()
    } else {
        why
    };
    Some(format!("{}: {why}", places.join(", ")))
}

fn place(visit: &Visit) -> String {
    match visit.instance().filter(|_| visit.item.is_some()) {
        Some(instance) => format!("{} of {instance}", visit.name),
        None => visit.name.clone(),
    }
}

async fn key(desk: &Desk, input: Option<&str>) -> Result<Option<RankKey>, Failure> {
    let event: Option<TaskStateChange> = input.and_then(|input| serde_json::from_str(input).ok());
    match event {
        Some(event) => Ok(desk.context.jobs.find_task(&event.detail.task_arn).await?),
        None => Ok(None),
    }
}

fn describe(job: &JobRecord) -> String {
    let reason = job.reason.as_deref().unwrap_or("no reason kept");
    format!(
        "{} is {} in attempt {} ({reason})",
        job.job_id, job.status, job.attempt
    )
}

/// The states that only write down or tell what is decided: to run them again harms nothing.
const HARMLESS: [&str; 4] = [
    "Classify",
    "RecordCompletion",
    "RecordUserStop",
    "NotifyOperators",
];

/// What the job's record speaks against.
async fn of_job(
    desk: &Desk,
    execution: &ExecutionArn,
    path: &Path,
    key: Option<&RankKey>,
    job: Option<&JobRecord>,
) -> Result<Option<String>, Failure> {
    let standing = path.standing();
    let at = |name: &str| standing.iter().any(|visit| visit.name == name);
    if standing
        .iter()
        .all(|visit| HARMLESS.contains(&visit.name.as_str()))
        && !standing.is_empty()
    {
        return Ok(None);
    }
    // Beside the running job nothing counts but its holds on the instances, which are looked at one by one.
    let beside = |visit: &Visit| visit.name == "RepairBeside?";
    if path.visits.iter().any(beside) {
        return Ok(None);
    }
    let (Some(key), Some(job)) = (key, job) else {
        return Ok(Some(
            "its task belongs to no job that is recorded: there is nothing to recover".to_owned(),
        ));
    };
    // An answer was lost, not the work: the worker finds that out and goes on.
    let committed = at("RelaunchJob")
        && job.relaunched_by.as_ref() == Some(execution)
        && job.attempt == key.attempt + 1;
    if committed || (at("FailJob") && job.was_failed_by(execution, key.attempt)) {
        return Ok(None);
    }
    if job.attempt != key.attempt {
        return Ok(Some(format!(
            "job {} has moved on: it is in attempt {}, the execution is about attempt {}; a replay must not start it twice",
            job.job_id, job.attempt, key.attempt
        )));
    }
    match &job.holder {
        Some(holder) if holder == execution => Ok(None),
        Some(other) if desk.is_running(other, &job.updated_at).await? => Ok(Some(format!(
            "another execution recovers job {} now: gpu-recovery watch {other}",
            job.job_id
        ))),
        Some(other) => Ok(Some(format!(
            "another execution took job {} over and ended badly, too: gpu-recovery replay {other}",
            job.job_id
        ))),
        None if at("ClaimJob") && !job.has_ended() => Ok(None),
        None => Ok(Some(format!(
            "the execution holds job {} no more, which is {}; nothing it could do counts any more",
            job.job_id, job.status
        ))),
    }
}

/// The states that reboot an instance, or wait for its reboot.
const REBOOTING: [&str; 4] = [
    "RebootInstance",
    "RebootByEc2",
    "ReadOrder",
    "WaitForInstanceActive",
];

/// How an instance stands, and what speaks against going on with it.
async fn of_instance(
    desk: &Desk,
    execution: &ExecutionArn,
    visit: &Visit,
    id: &InstanceId,
) -> Result<(String, Option<String>), Failure> {
    let context = &desk.context;
    let Some(record) = context.instances.get(id).await? else {
        return Ok((format!("{id} is not recorded"), None));
    };
    let found = match &record.container_instance_arn {
        Some(arn) => context.fleet.container_instance(arn).await?,
        None => None,
    };
    let ecs = found
        .as_ref()
        .and_then(|found| found.status())
        .unwrap_or("not in the cluster");
    let told = format!("{id} is {} in its record, {ecs} in ECS", record.status);
    // What comes before the reboot checks by itself; what comes after it reboots nothing.
    if !REBOOTING.contains(&visit.name.as_str()) {
        return Ok((told, None));
    }
    let held =
        record.holder.as_ref() == Some(execution) && record.status == InstanceStatus::Rebooting;
    if !held {
        return Ok((
            told,
            Some(format!(
                "{id} is {} and the execution holds it no more: it must not be rebooted",
                record.status
            )),
        ));
    }
    let arn = found
        .as_ref()
        .and_then(|found| found.container_instance_arn());
    if let Some(arn) = arn {
        let tasks = context
            .fleet
            .unstopped_tasks_on(&ContainerInstanceArn::new(arn))
            .await?;
        for task in tasks.keys() {
            if let Some(key) = context.jobs.find_task(task).await? {
                let refusal = format!(
                    "a task of job {} runs on {id}: it must not be rebooted",
                    key.job_id
                );
                return Ok((told, Some(refusal)));
            }
        }
    }
    Ok((told, None))
}
