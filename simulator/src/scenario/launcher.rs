//! The cluster and the job of a scenario.

use super::spec::{Holder, Scenario};
use crate::{
    cloud::{Cloud, TRAINING},
    ecs::{Behaviour, Container, NewInstance, TaskDefinition, TaskFacts, TaskKind},
    promises::attempts,
    ssm::{PROBE, REBOOT},
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};
use workers::{
    desk::submit::{Submission, SubmitError, submit},
    ids::{InstanceId, JobId},
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
    let others = shared.map(|(node, _)| format!("{OTHER_JOB}-{node}"));
    [JOB.to_owned()].into_iter().chain(others).collect()
}

/// Adds the instances and lets their tasks behave as the scenario says.
pub fn furnish(cloud: &Cloud, scenario: &Scenario) {
    for node in 0..scenario.nodes {
        let id = instance_id(scenario, node);
        cloud.fleet.add_instance(NewInstance::p5(&id));
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
    move |task| {
        let rank = task.environment.get("RANK").and_then(|r| r.parse().ok());
        let attempt = task.started_by.as_ref().and_then(|s| attempts.get(s));
        match (task.family.as_str(), rank, attempt) {
            // A rank stays on its instance: its launches are those of its family there.
            (TRAINING, Some(rank), Some((_, attempt))) => {
                scenario.behaviour(rank, *attempt, task.starts_on_instance)
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
            job_id: JobId::new(format!("{OTHER_JOB}-{node}")),
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

/// Lets the GPUs go bad: the job would not start on some of them.
pub fn break_gpus(cloud: &Cloud, scenario: &Scenario) {
    for (node, spec) in &scenario.instances {
        let id = instance_id(scenario, *node);
        cloud.fleet.set_gpu_health(&id, spec.gpu.into());
    }
}

/// Lets the kernels log and the drivers ask, once, when the first rank has ended.
pub fn log_at_first_end(cloud: &Cloud, scenario: &Scenario) {
    let (fleet, clock, scenario) = (cloud.fleet.clone(), cloud.clock, scenario.clone());
    let logged = AtomicBool::new(false);
    cloud.bus.on_put(move |event| {
        let ended = event["detail-type"] == "ECS Task State Change"
            && event["detail"]["lastStatus"] == "STOPPED";
        if !ended || logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = clock.now();
        for (node, spec) in &scenario.instances {
            let mut lines: Vec<_> = spec.kernel.iter().collect();
            lines.sort_by_key(|line| std::cmp::Reverse(line.before));
            let lines = lines.into_iter().map(|line| (now - line.before, line.xid));
            fleet.change_host(&instance_id(&scenario, *node), |host| {
                host.kernel.extend(lines);
                host.action = spec.driver_action;
            });
        }
    });
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
