//! The cluster and the job of a scenario.

use super::spec::{Holder, Scenario};
use crate::{
    cloud::{Cloud, TRAINING},
    ecs::{Behaviour, Container, NewInstance, TaskDefinition, TaskFacts, TaskKind},
    kernel,
    promises::attempts,
    ssm::{PROBE, REBOOT},
    stand_by::stand_by,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};
use workers::{
    desk::submit::{Submission, SubmitError, submit},
    ids::{InstanceId, JobId, Pool},
    records::launch::{ContainerOverrides, LaunchSpec, Overrides},
};

/// The drills' job.
pub const JOB: &str = "llama-7b";
const OTHER_JOB: &str = "embeddings";
const OTHER_FAMILY: &str = "embed";

/// The id of a scenario's node.
pub fn instance_id(scenario: &Scenario, node: u32) -> String {
    let kind = if scenario.hybrid { "mi" } else { "i" };
    format!("{kind}-0f3a9c5d7e{node:07x}")
}

/// The ids of the jobs: the one that is drilled first.
pub fn jobs(scenario: &Scenario) -> Vec<String> {
    let instances = scenario.instances.iter();
    let shared = instances.filter(|(_, spec)| spec.shared_with_another_job);
    let shared = shared.map(|(node, _)| *node);
    let occupied = scenario.actions.iter().filter_map(|action| action.occupy);
    let others = shared.chain(occupied).map(other_job);
    [JOB.to_owned()].into_iter().chain(others).collect()
}

/// Adds the instances and lets their tasks behave as the scenario says.
pub fn furnish(cloud: &Cloud, scenario: &Scenario) {
    for node in 0..scenario.nodes + scenario.spares {
        let id = instance_id(scenario, node);
        cloud.fleet.add_instance(NewInstance::p5(&id));
        if node >= scenario.nodes {
            stand_by(cloud, &id, Pool::default().as_str());
        }
        if let Some(spec) = scenario.instances.get(&node) {
            cloud.fleet.set_reboot_outcome(&id, spec.reboot.into());
            cloud.fleet.set_ssm_agent(&id, spec.ssm.into());
            cloud.fleet.change_host(&id, |host| {
                host.login = spec.holder == Some(Holder::Login);
                host.orphan = spec.holder == Some(Holder::Orphan);
                host.gpus_after_reboot = spec.gpus_after_reboot;
            });
            cloud.ssm.set_fate(PROBE, &id, (&spec.orders.probe).into());
            cloud
                .ssm
                .set_fate(REBOOT, &id, (&spec.orders.reboot).into());
        }
    }
    if scenario.sidecar {
        let mut training = TaskDefinition::new(TRAINING, TaskKind::Job, 8);
        training.containers.push(Container::new("log-router"));
        cloud.fleet.define(training);
    }
    cloud.fleet.on_job_task(behaviour_of(scenario));
}

/// What the tasks of the scenario's job do.
pub fn behaviour_of(
    scenario: &Scenario,
) -> impl Fn(&TaskFacts) -> Behaviour + Send + Sync + 'static {
    let (scenario, attempts) = (scenario.clone(), attempts([JOB]));
    // Each rank's tasks so far: its launches, wherever they were.
    let launches: Mutex<BTreeMap<u32, BTreeSet<String>>> = Mutex::default();
    move |task| {
        let rank = task.environment.get("RANK").and_then(|r| r.parse().ok());
        let attempt = task.started_by.as_ref().and_then(|s| attempts.get(s));
        match (task.family.as_str(), rank, attempt) {
            (TRAINING, Some(rank), Some((_, attempt))) => {
                let mut launches = launches.lock().unwrap_or_else(PoisonError::into_inner);
                let tasks = launches.entry(rank).or_default();
                tasks.insert(task.task_arn.clone());
                scenario.behaviour(rank, *attempt, tasks.len() as u32)
            }
            _ => Behaviour::default(),
        }
    }
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
        policies: workers::settings::JobPolicies::default(),
    };
    submit(&context, &job).await?;
    for (node, _) in others {
        let other = Submission {
            job_id: JobId::new(other_job(*node)),
            ranks: vec![(
                InstanceId::new(instance_id(scenario, *node)),
                LaunchSpec {
                    task_definition: OTHER_FAMILY.to_owned(),
                    ..LaunchSpec::default()
                },
            )],
            recovery_attempts: None,
            policies: workers::settings::JobPolicies::default(),
        };
        submit(&context, &other).await?;
    }
    Ok(())
}

fn other_job(node: u32) -> String {
    format!("{OTHER_JOB}-{node}")
}

/// Starts another job on a node, by a launcher that heeds neither marks nor records; false when ECS does not place it.
pub async fn occupy(cloud: &Cloud, scenario: &Scenario, node: u32) -> Result<bool, SubmitError> {
    let other = Submission {
        job_id: JobId::new(other_job(node)),
        ranks: vec![(InstanceId::new(instance_id(scenario, node)), training(0, 1))],
        recovery_attempts: None,
        policies: workers::settings::JobPolicies::default(),
    };
    match submit(&cloud.lambda.context("launcher"), &other).await {
        Ok(_) => Ok(true),
        Err(SubmitError::NotPlaced(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets the GPUs go bad: the job would not start on some of them.
pub fn break_gpus(cloud: &Cloud, scenario: &Scenario) {
    for (node, spec) in &scenario.instances {
        let id = instance_id(scenario, *node);
        cloud.fleet.set_gpu_health(&id, spec.gpu.into());
    }
}

/// Lets the kernels log and the drivers ask, once, when the first rank has ended.
pub fn log_at_first_end(cloud: &Cloud, scenario: &Scenario) {
    let hosts = scenario.instances.iter().map(|(node, spec)| kernel::Host {
        id: instance_id(scenario, *node),
        lines: spec.kernel.iter().map(|l| (l.before, l.xid)).collect(),
        action: spec.driver_action,
    });
    kernel::log_at_first_end(cloud, hosts.collect());
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
