//! The cluster and the jobs of a plan.

use crate::{
    cloud::{Cloud, TRAINING},
    deeds,
    ecs::{Behaviour, Container, GpuHealth, NewInstance, TaskDefinition, TaskFacts, TaskKind},
    plan::{Job, Master, Node, Plan},
    promises::attempts,
    ssm::{PROBE, REBOOT},
    stand_by::stand_by,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::sleep;
use workers::{
    aws::address::ADDRESS,
    desk::submit::{Submission, SubmitError, submit},
    ids::{InstanceId, JobId, Pool},
    records::{
        launch::{ContainerOverrides, LaunchSpec, Network, Overrides},
        master::MASTER,
    },
    settings::JobPolicies,
};

/// GPUs of a node.
pub const GPUS: usize = 8;

/// The task definition of ranks with a network interface each.
const OWN_INTERFACE: &str = "train-awsvpc";

/// Adds the instances, whose GPUs are well as yet, and lets the tasks of all jobs behave as the plan says.
pub(crate) fn furnish(cloud: &Cloud, plan: &Plan) {
    for gpus in [GPUS / 2, 0] {
        cloud
            .fleet
            .define(TaskDefinition::new(&family(gpus), TaskKind::Job, gpus));
    }
    if plan.sidecar {
        let mut training = TaskDefinition::new(TRAINING, TaskKind::Job, GPUS);
        training.containers.push(Container::new("log-router"));
        cloud.fleet.define(training);
    }
    let mut interfaces = TaskDefinition::new(OWN_INTERFACE, TaskKind::Job, GPUS);
    interfaces.awsvpc = true;
    cloud.fleet.define(interfaces);
    for (nth, node) in plan.nodes.iter().enumerate() {
        cloud.fleet.add_instance(NewInstance::p5(&node.id));
        let address = format!("10.0.{}.{}", nth / 250, nth % 250 + 1);
        cloud.fleet.set_attribute(&node.id, ADDRESS, &address);
        cloud.fleet.set_reboot_outcome(&node.id, node.reboot);
        cloud.fleet.set_ssm_agent(&node.id, node.ssm);
        cloud.ssm.set_fate(PROBE, &node.id, node.orders.0);
        cloud.ssm.set_fate(REBOOT, &node.id, node.orders.1);
        cloud.fleet.change_host(&node.id, |host| {
            host.login = node.login;
            host.orphan = node.orphan;
            host.gpus_after_reboot = node.gpus_after_reboot;
        });
    }
    for spare in &plan.spares {
        stand_by(cloud, &plan.nodes[*spare].id, Pool::default().as_str());
    }
    cloud.fleet.on_job_task(behaviour_of(&plan.all_jobs()));
    relapse(cloud, &plan.nodes);
}

/// Some GPUs are bad again some time after a reboot.
fn relapse(cloud: &Cloud, nodes: &[Node]) {
    let relapses: BTreeMap<String, Duration> = nodes
        .iter()
        .filter_map(|node| Some((node.id.clone(), node.relapses?)))
        .collect();
    if relapses.is_empty() {
        return;
    }
    let of = cloud.clone();
    cloud.fleet.on_reboot(move |node, _| {
        if let Some(after) = relapses.get(node) {
            let (cloud, node, after) = (of.clone(), node.to_owned(), *after);
            tokio::spawn(async move {
                sleep(after).await;
                deeds::go_bad(&cloud, &node, GpuHealth::FaultUntilReboot);
            });
        }
    });
}

/// What the tasks of these jobs do.
pub fn behaviour_of(jobs: &[Job]) -> impl Fn(&TaskFacts) -> Behaviour + Send + Sync + use<> {
    let attempts = attempts(jobs.iter().map(|job| job.id.as_str()));
    let jobs: BTreeMap<String, Job> = jobs.iter().map(|j| (j.id.clone(), j.clone())).collect();
    // Each rank's tasks so far: its launches, wherever they were.
    let launches: Mutex<BTreeMap<(String, usize), BTreeSet<String>>> = Mutex::default();
    let behaviour = move |task: &TaskFacts| {
        let (job, attempt) = attempts.get(task.started_by.as_ref()?)?;
        let rank: usize = task.environment.get("RANK")?.parse().ok()?;
        let mut launches = launches.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = launches.entry((job.clone(), rank)).or_default();
        tasks.insert(task.task_arn.clone());
        jobs.get(job)?.behaviour(rank, *attempt, tasks.len())
    };
    move |task| behaviour(task).unwrap_or_default()
}

/// Starts a job.
///
/// # Errors
/// As [`submit`]'s.
pub(crate) async fn launch(cloud: &Cloud, nodes: &[Node], job: &Job) -> Result<(), SubmitError> {
    let all = job.nodes.len() as u32;
    let ranks = (0..all).zip(&job.nodes).map(|(rank, node)| {
        let instance = InstanceId::new(nodes[*node].id.as_str());
        (instance, told(job.master, training(job.gpus, rank, all)))
    });
    let submission = Submission {
        job_id: JobId::new(job.id.as_str()),
        ranks: ranks.collect(),
        recovery_attempts: job.recovery_attempts,
        policies: JobPolicies::default(),
    };
    let context = cloud.lambda.context("launcher");
    submit(&context, &submission).await.map(drop)
}

/// Lets the GPUs go bad: a job would not start on some of them.
pub(crate) fn break_gpus(cloud: &Cloud, nodes: &[Node]) {
    for node in nodes {
        cloud.fleet.set_gpu_health(&node.id, node.gpu);
    }
}

/// The task definition of ranks with so many GPUs.
fn family(gpus: usize) -> String {
    match gpus {
        GPUS => TRAINING.to_owned(),
        n => format!("{TRAINING}-{n}"),
    }
}

/// A rank's launch, with what its launcher leaves open of rank 0.
fn told(master: Master, mut launch: LaunchSpec) -> LaunchSpec {
    if master == Master::OfTask {
        launch.task_definition = OWN_INTERFACE.to_owned();
        launch.network = Some(Network {
            subnets: vec!["subnet-0a1b2c3d".to_owned()],
            security_groups: vec!["sg-0a1b2c3d".to_owned()],
            assign_public_ip: false,
        });
    }
    let containers = launch.overrides.iter_mut();
    for container in containers.flat_map(|overrides| &mut overrides.container_overrides) {
        if master == Master::OfTask {
            container.name = OWN_INTERFACE.to_owned();
        }
        for (name, value) in &mut container.environment {
            if name == "MASTER_ADDR" && master != Master::Fixed {
                *value = MASTER.to_owned();
            }
        }
    }
    launch
}

/// How a rank with so many GPUs is launched.
pub fn training(gpus: usize, rank: u32, ranks: u32) -> LaunchSpec {
    let environment = [
        ("RANK", rank.to_string()),
        ("WORLD_SIZE", ranks.to_string()),
        ("MASTER_ADDR", "10.0.0.10".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    LaunchSpec {
        task_definition: family(gpus),
        overrides: Some(Overrides {
            container_overrides: vec![ContainerOverrides {
                name: family(gpus),
                environment: environment.to_vec(),
                ..ContainerOverrides::default()
            }],
            ..Overrides::default()
        }),
        tags: BTreeMap::from([("team".to_owned(), "research".to_owned())]),
        ..LaunchSpec::default()
    }
}
