//! The operators' commands on a simulated account, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod doctor;
mod explain;
mod graph;
mod hand;
mod history;
mod logs;
mod recoveries;
mod replay;
mod runbook;
mod schemas;
mod spare;
mod status;
mod stop;
mod submit;
mod watch;

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser;
use gpu_recovery::{Cli, Desk, Failure, Output};
use serde_json::{Value, json};
use simulator::{
    cloud::{Cloud, CloudOptions, TRAINING},
    ecs::{Behaviour, Container, GpuHealth, NewInstance, TaskDefinition, TaskKind},
    faults::Fault,
    sns::Subscription,
    stepfunctions::{Definition, ExecutionStatus, ExecutionView},
    wire::Handler,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;
use workers::{
    Settings,
    aws::launch_names::started_by,
    context::Clients,
    desk::submit::{Submission, submit},
    ids::{InstanceId, JobId},
    records::{
        InstanceStatus, JobStatus,
        launch::{ContainerOverrides, LaunchSpec, Overrides},
    },
};

const JOB: &str = "llama-7b";
/// The instance whose GPU is bad.
const BAD: &str = "i-0f3a9c5d7e0000001";

/// An account in which a job of two nodes runs, and rank 1 fails after ten minutes, on a bad GPU.
struct World {
    cloud: Cloud,
    desk: Desk,
    output: Output,
}

fn launch(rank: usize) -> LaunchSpec {
    LaunchSpec {
        task_definition: TRAINING.to_owned(),
        overrides: Some(Overrides {
            container_overrides: vec![ContainerOverrides {
                name: TRAINING.to_owned(),
                environment: vec![("RANK".to_owned(), rank.to_string())],
                ..ContainerOverrides::default()
            }],
            ..Overrides::default()
        }),
        ..LaunchSpec::default()
    }
}

/// The operator's; the state machine is found by its name when it is not given.
fn desk(cloud: &Cloud, state_machine: Option<String>) -> Desk {
    let wire = &cloud.wire;
    let clients = Clients {
        dynamodb: wire.dynamodb("operator"),
        ecs: wire.ecs("operator"),
        sfn: wire.sfn("operator"),
        sns: wire.sns("operator"),
    };
    Desk::new(cloud.lambda.context("operator"), clients, state_machine)
}

impl World {
    async fn new() -> Self {
        let cloud = Cloud::new(CloudOptions::default())
            .await
            .expect("an account");
        let subscription = Subscription {
            protocol: "email".to_owned(),
            endpoint: "ops@example.com".to_owned(),
            confirmed: true,
        };
        let topic = cloud.lambda.context("operator").settings.topic_arn.clone();
        cloud.sns.subscribe(&topic, subscription);
        let ids: Vec<String> = (0..2).map(|nth| format!("i-0f3a9c5d7e{nth:07x}")).collect();
        for id in &ids {
            cloud.fleet.add_instance(NewInstance::p5(id));
        }
        cloud.fleet.set_gpu_health(BAD, GpuHealth::FaultUntilReboot);
        let first = started_by(&JobId::new(JOB), 1);
        cloud.fleet.on_job_task(move |task| {
            let rank = task.environment.get("RANK").map(String::as_str);
            if rank == Some("1") && task.started_by.as_ref() == Some(&first) {
                Behaviour::exits(Duration::from_secs(600), 1)
            } else {
                Behaviour::default()
            }
        });
        let job = Submission {
            job_id: JobId::new(JOB),
            ranks: ids
                .iter()
                .enumerate()
                .map(|(n, id)| (InstanceId::new(id), launch(n)))
                .collect(),
            recovery_attempts: None,
            policies: workers::settings::JobPolicies::default(),
        };
        submit(&cloud.lambda.context("launcher"), &job)
            .await
            .expect("it starts");
        let desk = desk(&cloud, Some(cloud.state_machine_arn.clone()));
        Self {
            cloud,
            desk,
            output: Output::keeping(),
        }
    }

    /// A world in which an operator has stopped the recovery while it waited for the instance.
    async fn aborted() -> (Self, String) {
        let world = Self::new().await;
        world
            .until(|world| world.history_has("WaitForInstanceActive"))
            .await;
        // A minute until the shutdown begins, and a little more.
        world.pass(90).await;
        let execution = world.recovery().arn;
        let stopped = world
            .cloud
            .stepfunctions
            .stop(&execution, Some("StoppedByOperator"), None);
        stopped.expect("it runs");
        world.pass(30).await;
        (world, execution)
    }

    /// AWS does not allow this action from now on.
    fn refuse(&self, action: &'static str, code: &'static str, status: u16) {
        self.cloud.wire.faults().set_plan(move |call| {
            if call.action != action {
                return Fault::Proceed;
            }
            Fault::Fail {
                code: code.to_owned(),
                status,
                message: "not authorized".to_owned(),
            }
        });
    }

    /// Until the recovery has FAILED because ClaimJob may not look the task up.
    async fn broken_before_its_claim(&self) {
        self.refuse("Query", "AccessDeniedException", 400);
        self.until(|_| {
            let executions = self.cloud.stepfunctions.executions();
            executions
                .first()
                .is_some_and(|execution| execution.status == ExecutionStatus::Failed)
        })
        .await;
        self.cloud.wire.faults().set_plan(|_| Fault::Proceed);
    }

    async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    async fn until(&self, fits: impl Fn(&Self) -> bool) {
        for _ in 0..4000 {
            if fits(self) {
                return;
            }
            self.pass(1).await;
        }
        panic!("it never came");
    }

    fn recovery(&self) -> ExecutionView {
        self.cloud
            .stepfunctions
            .executions()
            .into_iter()
            .next()
            .expect("it has begun")
    }

    fn history_has(&self, state: &str) -> bool {
        let executions = self.cloud.stepfunctions.executions();
        executions.first().is_some_and(|execution| {
            let events = self.cloud.stepfunctions.history(&execution.arn);
            events
                .iter()
                .any(|event| event["stateEnteredEventDetails"]["name"] == state)
        })
    }

    /// Runs a command line; its exit code, and what it wrote.
    async fn run(&self, line: &[&str]) -> (u8, String) {
        let cli = Cli::try_parse_from([&["gpu-recovery"], line].concat());
        let cli = cli.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let (desk, output) = (&self.desk, &self.output);
        let done = gpu_recovery::on(desk, &cli.command, output).await;
        let written = output.take();
        match done {
            Ok(code) => (code, written),
            Err(failure) => (failure.code(), format!("{written}{failure}")),
        }
    }

    /// The same, with this exit code; what it wrote, on one line.
    async fn gives(&self, code: u8, line: &[&str]) -> String {
        let (got, written) = self.run(line).await;
        assert_eq!(got, code, "{line:?}: {written}");
        written.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    async fn json(&self, line: &[&str]) -> Value {
        let (code, written) = self.run(line).await;
        assert_eq!(code, 0, "{line:?}: {written}");
        serde_json::from_str(&written).expect("JSON and nothing else")
    }

    async fn job_is(&self, status: JobStatus, attempt: u32) {
        let job = self.desk.context.jobs.get(&JobId::new(JOB)).await;
        let job = job.expect("it is read").expect("it is recorded");
        assert_eq!((job.status, job.attempt), (status, attempt), "{job:?}");
    }

    async fn instance_status(&self) -> InstanceStatus {
        let record = self.desk.context.instances.get(&InstanceId::new(BAD)).await;
        record.expect("it is read").expect("it is recorded").status
    }

    fn ecs_status(&self) -> String {
        self.cloud.fleet.instance(BAD).expect("it is there").status
    }
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[test]
fn wrong_names_are_refused_before_aws_is_asked() {
    for (line, says) in [
        (&["status", "no job"][..], "is no job id"),
        (
            &["replay", BAD],
            "give its job, or the execution that holds it",
        ),
        (&["replay"], "EXECUTION|JOB"),
        (
            &["replay", "--all-failed", "--since", "soon"],
            "give a number and s, m, h or d",
        ),
        (
            &["watch", "arn:aws:states:us-east-1:1:stateMachine:x"],
            "is no execution ARN",
        ),
        (&["release", "llama-7b"], "is no instance id"),
        (&["quarantine", BAD], "--reason"),
    ] {
        let error = Cli::try_parse_from([&["gpu-recovery"], line].concat()).err();
        let error = error.expect("it is refused").to_string();
        assert!(error.contains(says), "{line:?}: {error}");
    }
}

/// For `Failure::code`, which main uses, too.
#[test]
fn exit_codes_are_as_documented() {
    let text = String::new;
    assert_eq!(Failure::Broken(text()).code(), 1);
    assert_eq!(Failure::BadInput(text()).code(), 2);
    assert_eq!(Failure::Refused(text()).code(), 3);
}
