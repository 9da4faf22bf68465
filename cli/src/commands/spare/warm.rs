//! Pulling a job's images to a spare: the ECS agent deletes images that no task has used for an hour, unless
//! ECS_IMAGE_PULL_BEHAVIOR is prefer-cached (ECS developer guide, ecs-agent-config, automated_image_cleanup).

use super::Add;
use crate::{Failure, account::Desk, commands::submit::pick, output::Output};
use aws_sdk_ecs::types::Task;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use workers::{
    aws::fleet::{Run, end_of},
    ids::TaskArn,
    records::launch::{ContainerOverrides, LaunchSpec, Network, Overrides},
};

/// Images of tens of gigabytes take minutes.
const PATIENCE: Duration = Duration::from_secs(1800);
const POLL: Duration = Duration::from_secs(5);
/// What ECS lists the task by.
const STARTED_BY: &str = "gpu-recovery-spare";

/// Runs the task definition once on the instance, with the command `true`, and stops it as soon as its images are there:
/// how it ends says nothing, as an image may have an entry point of its own.
///
/// # Errors
/// When it cannot be placed, or an image cannot be pulled.
pub async fn pull(
    arguments: &Add,
    desk: &Desk,
    output: &Output,
    name: &str,
) -> Result<(), Failure> {
    let definition = pick::definition(desk, name).await?;
    if definition.awsvpc && arguments.subnets.is_empty() {
        return Err(Failure::BadInput(format!(
            "{name} uses awsvpc; give --subnets and --security-groups"
        )));
    }
    let id = &arguments.instance;
    let fleet = &desk.context.fleet;
    let token = format!("spare-{id}-{}", desk.context.clock.epoch_seconds());
    let launch = launch(arguments, name, &definition.containers);
    let task = match fleet.run(&launch, id, &token, STARTED_BY).await? {
        Run::Started(task, _) | Run::Ended(task) => task,
        Run::NotPlaced(why) => {
            return Err(Failure::Broken(format!(
                "{id} was not marked: ECS does not start {name} on it: {why}"
            )));
        }
    };
    output.progress(&format!("pulling the images of {name} to {id}"));
    let pulled = pulled(desk, &task).await;
    fleet.stop(&task, "its images are there").await?;
    output.still();
    pulled.map_err(|why| {
        Failure::Broken(format!(
            "{id} was not marked: {name} does not start on it: {why}"
        ))
    })
}

fn launch(arguments: &Add, name: &str, containers: &[String]) -> LaunchSpec {
    let harmless = containers.iter().map(|name| ContainerOverrides {
        name: name.clone(),
        command: vec!["true".to_owned()],
        ..ContainerOverrides::default()
    });
    LaunchSpec {
        task_definition: name.to_owned(),
        overrides: Some(Overrides {
            container_overrides: harmless.collect(),
            ..Overrides::default()
        }),
        network: (!arguments.subnets.is_empty()).then(|| Network {
            subnets: arguments.subnets.clone(),
            security_groups: arguments.security_groups.clone(),
            assign_public_ip: false,
        }),
        ..LaunchSpec::default()
    }
}

/// Waits until every image is there; else says why not.
async fn pulled(desk: &Desk, task: &TaskArn) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    loop {
        // What ECS does not show yet, or does not answer for now, is looked at again.
        let found = desk.context.fleet.tasks(std::slice::from_ref(task)).await;
        match found.ok().and_then(|mut found| found.remove(task)) {
            Some(task) if has_images(&task) => return Ok(()),
            Some(task) if task.last_status() == Some("STOPPED") => {
                let reason = end_of(&task).stopped_reason;
                return Err(reason.unwrap_or_else(|| "ECS says no reason".to_owned()));
            }
            _ if Instant::now() >= until => {
                return Err("its images are not there after 30 minutes".to_owned());
            }
            _ => sleep(POLL).await,
        }
    }
}

/// A task that came to RUNNING has pulled all it needs; one that was over at once did so, too, unless it "failed to start".
fn has_images(task: &Task) -> bool {
    let failed = task
        .stop_code()
        .is_some_and(|code| code.as_str() == "TaskFailedToStart");
    task.started_at().is_some() || (task.last_status() == Some("STOPPED") && !failed)
}
