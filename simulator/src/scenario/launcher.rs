//! The cluster and the job of a scenario.

use super::spec::Scenario;
use crate::{
    cloud::{Cloud, TRAINING},
    ecs::{Behaviour, NewInstance, TaskDefinition, TaskKind},
};
use serde_json::Value;
use std::collections::BTreeMap;
use workers::{
    ids::{InstanceId, JobId},
    launch::{ContainerOverrides, LaunchSpec, Overrides},
    launch_names::started_by,
    submit::{Submission, SubmitError, submit},
};

/// The drills' job.
pub const JOB: &str = "llama-7b";
const OTHER_JOB: &str = "embeddings";
const OTHER_FAMILY: &str = "embed";
/// A scenario is over long before a job is relaunched so often.
const MAX_ATTEMPTS: u32 = 100;

/// The id of a scenario's node.
pub fn instance_id(scenario: &Scenario, node: u32) -> String {
    let kind = if scenario.hybrid { "mi" } else { "i" };
    format!("{kind}-0f3a9c5d7e{node:07x}")
}

/// The `startedBy` of each attempt of the job.
pub fn attempts() -> BTreeMap<String, u32> {
    let job = JobId::new(JOB);
    (1..=MAX_ATTEMPTS)
        .map(|attempt| (started_by(&job, attempt), attempt))
        .collect()
}

/// The rank that a task is, as ECS describes it.
pub fn rank_of(task: &Value) -> Option<u32> {
    let environment = &task["overrides"]["containerOverrides"][0]["environment"];
    let entries = environment.as_array()?;
    let rank = entries.iter().find(|entry| entry["name"] == "RANK")?;
    rank["value"].as_str()?.parse().ok()
}

/// Adds the instances and lets their tasks behave as the scenario says.
pub fn furnish(cloud: &Cloud, scenario: &Scenario) {
    for node in 0..scenario.nodes {
        let id = instance_id(scenario, node);
        cloud.fleet.add_instance(NewInstance::p5(&id));
        if let Some(spec) = scenario.instances.get(&node) {
            cloud.fleet.set_reboot_outcome(&id, spec.reboot.into());
            cloud.fleet.set_ssm_agent(&id, spec.ssm.into());
        }
    }
    let (scenario, attempts) = (scenario.clone(), attempts());
    cloud.fleet.on_job_task(move |task| {
        let rank = task.environment.get("RANK").and_then(|r| r.parse().ok());
        let attempt = task.started_by.as_ref().and_then(|s| attempts.get(s));
        match (task.family.as_str(), rank, attempt) {
            (TRAINING, Some(rank), Some(attempt)) => scenario.behaviour(rank, *attempt),
            _ => Behaviour::default(),
        }
    });
}

/// Starts the job, and the other jobs that share instances with it.
///
/// # Errors
/// As [`submit`]'s.
pub async fn launch(cloud: &Cloud, scenario: &Scenario) -> Result<(), SubmitError> {
    let context = cloud.lambda.context("launcher");
    let others = scenario
        .instances
        .iter()
        .filter(|(_, spec)| spec.shared_with_another_job);
    cloud
        .fleet
        .define(TaskDefinition::new(OTHER_FAMILY, TaskKind::Job, 0));
    let ranks = (0..scenario.nodes)
        .map(|rank| {
            (
                InstanceId::new(instance_id(scenario, rank)),
                training(rank, scenario.nodes),
            )
        })
        .collect();
    let job = Submission {
        job_id: JobId::new(JOB),
        ranks,
        recovery_attempts: None,
    };
    submit(&context, &job).await?;
    for (node, _) in others {
        let other = Submission {
            job_id: JobId::new(format!("{OTHER_JOB}-{node}")),
            ranks: vec![(
                InstanceId::new(instance_id(scenario, *node)),
                LaunchSpec {
                    task_definition: OTHER_FAMILY.to_owned(),
                    ..LaunchSpec::default()
                },
            )],
            recovery_attempts: None,
        };
        submit(&context, &other).await?;
    }
    Ok(())
}

/// Lets the GPUs go bad: the job would not start on some of them.
pub fn break_gpus(cloud: &Cloud, scenario: &Scenario) {
    for (node, spec) in &scenario.instances {
        let id = instance_id(scenario, *node);
        cloud.fleet.set_gpu_health(&id, spec.gpu.into());
    }
}

/// How a rank of a drill's job is launched.
pub fn training(rank: u32, nodes: u32) -> LaunchSpec {
    let environment = [
        ("RANK", rank.to_string()),
        ("WORLD_SIZE", nodes.to_string()),
        ("MASTER_ADDR", "10.0.0.10".to_owned()),
    ];
    LaunchSpec {
        task_definition: TRAINING.to_owned(),
        overrides: Some(Overrides {
            container_overrides: vec![ContainerOverrides {
                name: TRAINING.to_owned(),
                environment: environment
                    .map(|(name, value)| (name.to_owned(), value))
                    .to_vec(),
                ..ContainerOverrides::default()
            }],
            ..Overrides::default()
        }),
        tags: BTreeMap::from([("team".to_owned(), "research".to_owned())]),
        ..LaunchSpec::default()
    }
}
