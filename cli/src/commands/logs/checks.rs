//! The health checks that a recovery ran on an instance.

use super::{Log, streams::streams};
use crate::{
    Failure,
    account::Desk,
    history::{
        self,
        path::{Path, Visit},
    },
};
use serde_json::Value;
use workers::{
    ids::{ExecutionArn, InstanceId, TaskArn},
    records::event::About,
};

/// Those of the recovery at work on the instance's job, else of the last one that wrote of the instance.
///
/// # Errors
/// When AWS fails, or none is known.
pub async fn of(
    desk: &Desk,
    instance: &InstanceId,
    container: Option<&str>,
) -> Result<Vec<Log>, Failure> {
    let none = || {
        Failure::Broken(format!(
            "no health check of {instance} is known; `gpu-recovery history {instance}` tells what is, and `gpu-recovery \
             recoveries` lists the recoveries"
        ))
    };
    let execution = recovery_of(desk, instance).await?.ok_or_else(none)?;
    let events = history::of_execution(&desk.sfn, execution.as_str()).await?;
    let path = Path::of(&events);
    let mut logs = Vec::new();
    for visit in path.visits.iter().filter(|visit| is_of(visit, instance)) {
        let Some(task) = task_of(visit) else {
            continue;
        };
        let definition = visit.parameters["TaskDefinition"].as_str();
        let (streams, elsewhere) = streams(desk, &task, definition, container).await?;
        logs.push(Log {
            about: format!(
                "{} at {}",
                visit.name,
                history::date_and_clock(visit.entered)
            ),
            task,
            instance_id: Some(instance.clone()),
            streams,
            elsewhere,
        });
    }
    match logs.is_empty() {
        true => Err(none()),
        false => Ok(logs),
    }
}

async fn recovery_of(desk: &Desk, instance: &InstanceId) -> Result<Option<ExecutionArn>, Failure> {
    let context = &desk.context;
    let record = context.instances.get(instance).await?;
    if let Some(job) = record.and_then(|record| record.job_id)
        && let Some(job) = context.jobs.get(&job).await?
        && job.holder.is_some()
    {
        return Ok(job.holder);
    }
    let events = context.history.of(About::Instance(instance), 0).await?;
    Ok(events.into_iter().rev().find_map(|event| event.execution))
}

/// A check of the instance.
fn is_of(visit: &Visit, instance: &InstanceId) -> bool {
    let check = ["RunDcgm", "VerifyGpus"].contains(&visit.name.as_str());
    check && visit.instance() == Some(instance.as_str())
}

/// The task of a check: Step Functions tells it when it has started it (TaskSubmitted holds RunTask's answer).
fn task_of(visit: &Visit) -> Option<TaskArn> {
    let arn: &Value = &visit.submitted["Tasks"][0]["TaskArn"];
    arn.as_str()?.parse().ok()
}
