//! The cluster and the jobs of a plan.

use super::plan::{Job, Later, Plan};
use crate::{
    cloud::{Cloud, TRAINING},
    ecs::{Behaviour, NewInstance, Run, TaskDefinition, TaskFacts, TaskKind},
    promises::{Attempts, attempts},
    ssm::{PROBE, REBOOT},
    stand_by::stand_by,
};
use std::collections::BTreeMap;
use workers::{
    desk::submit::{Submission, SubmitError, submit},
    ids::{InstanceId, JobId, Pool},
    records::launch::{ContainerOverrides, LaunchSpec, Overrides},
};

/// Adds the instances and lets the jobs' tasks behave as the plan says. `jobs` holds those to come, too.
pub(super) fn furnish(cloud: &Cloud, plan: &Plan, jobs: &[Job]) {
    for gpus in [4, 0] {
        cloud
            .fleet
            .define(TaskDefinition::new(&family(gpus), TaskKind::Job, gpus));
    }
    for node in &plan.nodes {
        cloud.fleet.add_instance(NewInstance::p5(&node.id));
        cloud.fleet.set_reboot_outcome(&node.id, node.reboot);
        cloud.fleet.set_ssm_agent(&node.id, node.ssm);
        cloud.ssm.set_fate(PROBE, &node.id, node.orders.0);
        cloud.ssm.set_fate(REBOOT, &node.id, node.orders.1);
    }
    for spare in &plan.spares {
        stand_by(cloud, &plan.nodes[*spare].id, Pool::default().as_str());
    }
    let attempts = attempts(jobs.iter().map(|job| job.id.as_str()));
    let jobs: BTreeMap<String, Job> = jobs.iter().map(|j| (j.id.clone(), j.clone())).collect();
    cloud
        .fleet
        .on_job_task(move |task| behaviour(task, &attempts, &jobs).unwrap_or_default());
}

fn behaviour(
    task: &TaskFacts,
    attempts: &Attempts,
    jobs: &BTreeMap<String, Job>,
) -> Option<Behaviour> {
    let (job, attempt) = attempts.get(task.started_by.as_ref()?)?;
    let job = jobs.get(job)?;
    let rank: usize = task.environment.get("RANK")?.parse().ok()?;
    let run = if *attempt == 1 {
        job.ranks.get(rank)?.clone()
    } else {
        match &job.later {
            Later::RunsOn => Run::Forever,
            Later::Completes(after) => Run::Exits {
                after: *after,
                code: 0,
            },
            Later::FailsAgain {
                rank: other,
                after,
                code,
            } if rank == *other => Run::Exits {
                after: *after,
                code: *code,
            },
            Later::DoesNotStart { rank: other } if rank == *other => Run::NotStarted {
                reason: "CannotPullContainerError: pull access denied".to_owned(),
            },
            Later::ByLaunch(runs) => {
                // A rank stays on its instance, and no other job's task of this family comes there.
                let nth = task.starts_on_instance.checked_sub(2)? as usize;
                let run = runs.get(&rank).and_then(|runs| runs.get(nth));
                run.cloned().unwrap_or(Run::Forever)
            }
            Later::FailsAgain { .. } | Later::DoesNotStart { .. } => Run::Forever,
        }
    };
    Some(Behaviour {
        run,
        on_sigterm: job.on_sigterm,
        ..Behaviour::default()
    })
}

fn family(gpus: usize) -> String {
    match gpus {
        8 => TRAINING.to_owned(),
        n => format!("{TRAINING}-{n}"),
    }
}

/// Starts a job.
///
/// # Errors
/// As [`submit`]'s.
pub(super) async fn launch(cloud: &Cloud, plan: &Plan, job: &Job) -> Result<(), SubmitError> {
    let context = cloud.lambda.context("launcher");
    let family = family(job.gpus);
    let ranks = job.nodes.iter().enumerate().map(|(rank, node)| {
        let environment = [("RANK", rank.to_string()), ("JOB", job.id.clone())];
        let overrides = ContainerOverrides {
            name: family.clone(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            ..ContainerOverrides::default()
        };
        let launch = LaunchSpec {
            task_definition: family.clone(),
            overrides: Some(Overrides {
                container_overrides: vec![overrides],
                ..Overrides::default()
            }),
            ..LaunchSpec::default()
        };
        (InstanceId::new(plan.nodes[*node].id.as_str()), launch)
    });
    let submission = Submission {
        job_id: JobId::new(job.id.as_str()),
        ranks: ranks.collect(),
        recovery_attempts: job.recovery_attempts,
        policies: workers::settings::JobPolicies::default(),
    };
    submit(&context, &submission).await.map(drop)
}
