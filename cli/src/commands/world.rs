//! The operators' commands on a simulated account, in virtual time.

use super::{doctor, explain, graph, hand, replay, status, submit as submits, watch};
use crate::{
    Cli, Command, Failure,
    account::Desk,
    output::{Output, columns},
};
use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser;
use serde_json::{Value, json};
use simulator::{
    cloud::{Cloud, CloudOptions, TRAINING},
    ecs::{Behaviour, GpuHealth, NewInstance},
    faults::Fault,
    sns::Subscription,
    stepfunctions::{Definition, ExecutionStatus, ExecutionView},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;
use workers::{
    Settings,
    context::Clients,
    ids::{InstanceId, JobId},
    launch::{ContainerOverrides, LaunchSpec, Overrides},
    launch_names::started_by,
    records::{InstanceStatus, JobStatus},
    submit::{Submission, submit},
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
        let published = cloud
            .stepfunctions
            .publish(&cloud.state_machine_arn, "live");
        published.expect("the machine is there");
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

    /// A world in which a person has stopped the recovery while it waited for the instance.
    async fn aborted() -> (Self, String) {
        let world = Self::new().await;
        world
            .until(|world| world.history_has("WaitForInstanceActive"))
            .await;
        world.pass(30).await;
        let execution = world.recovery().arn;
        let stopped = world
            .cloud
            .stepfunctions
            .stop(&execution, Some("StoppedByOperator"), None);
        stopped.expect("it runs");
        world.pass(30).await;
        (world, execution)
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
        let done = match &cli.command {
            Command::Status(arguments) => status::at(arguments, desk, output).await,
            Command::Replay(arguments) => replay::at(arguments, desk, output).await,
            Command::Doctor(arguments) => doctor::at(arguments, desk, output).await,
            Command::Submit(arguments) => submits::submit_at(arguments, desk, output).await,
            Command::Adopt(arguments) => submits::adopt_at(arguments, desk, output).await,
            Command::Watch(arguments) => watch::at(arguments, desk, output).await,
            Command::Release(arguments) => hand::put_back(arguments, desk, output).await,
            Command::Quarantine(arguments) => hand::take_out(arguments, desk, output).await,
            Command::Explain(arguments) => explain::at(arguments, desk, output).await,
            Command::Graph(arguments) => graph::at(arguments, desk).await,
            _ => panic!("{line:?} needs no account"),
        };
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

#[tokio::test(start_paused = true)]
async fn status_shows_the_state_of_a_recovery_and_who_holds_an_instance() {
    let world = World::new().await;
    let calm = world.gives(0, &["status"]).await;
    has(
        &calm,
        &[
            "llama-7b IN_PROGRESS 1 2",
            "i-0f3a9c5d7e0000001 IN_PROGRESS ACTIVE llama-7b",
        ],
    );
    assert!(!calm.contains("Needs a person"), "{calm}");
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    world.pass(30).await;
    let all = world.gives(0, &["status"]).await;
    has(
        &all,
        &[
            "PENDING_RESTART",
            "WaitForInstanceActive for",
            "REBOOTING DRAINING",
            "faulty (DCGM exit 226)",
        ],
    );
    let job = world.gives(0, &["status", JOB]).await;
    has(
        &job,
        &[
            "RUNNING at WaitForInstanceActive since 2026-01-05",
            "STOPPED, exit 1",
        ],
    );
    let instance = world.gives(0, &["status", BAD]).await;
    has(
        &instance,
        &[
            "REBOOTING",
            "DRAINING",
            "reboots 2026-01-05",
            &world.recovery().arn,
        ],
    );
    let json = world.json(&["status", "--json"]).await;
    assert_eq!(
        json["jobs"][0]["recovery"]["state"], "WaitForInstanceActive",
        "{json}"
    );
    assert_eq!(json["instances"][1]["ecs"]["status"], "DRAINING", "{json}");
    assert_eq!(json["complete"], true);
    let job = world.json(&["status", JOB, "--json"]).await;
    assert_eq!(job["ranks"][1]["instance"]["status"], "REBOOTING", "{job}");
}

#[tokio::test(start_paused = true)]
async fn a_narrow_terminal_breaks_neither_lines_nor_ids() {
    let (mut world, execution) = World::aborted().await;
    for width in [100, 72, 50, 40] {
        world.output = Output::keeping_width(width);
        for line in [
            &["status"][..],
            &["status", JOB],
            &["status", BAD],
            &["replay", JOB, "--dry-run"],
            &["explain", &execution],
        ] {
            let (code, written) = world.run(line).await;
            assert_eq!(code, 0, "{line:?}: {written}");
            for line in written.lines() {
                let fits = columns(line) <= width;
                // What is to be copied stays whole.
                let copied = ["arn:", "gpu-recovery ", "Execution "]
                    .iter()
                    .any(|whole| line.contains(whole));
                assert!(fits || copied, "{width} {line:?}");
            }
            let whole = written.contains(BAD) || written.contains("…");
            assert!(whole || line[0] == "replay", "{width} {line:?}: {written}");
        }
    }
    let narrow = world.run(&["status"]).await.1;
    has(
        &narrow,
        &[
            "  instance i-0f3a9c5d7e0000001\n    record      REBOOTING\n    ECS         DRAINING, agent away\n",
            "    recovery/why  ABORTED at",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn status_names_what_is_not_recorded() {
    let world = World::new().await;
    has(
        &world.gives(1, &["status", "gpt"]).await,
        &["no job gpt is recorded"],
    );
    has(
        &world.gives(1, &["status", "i-0123456789abcdef0"]).await,
        &["no instance", "--instances-table"],
    );
}

#[tokio::test(start_paused = true)]
async fn watch_follows_a_recovery_to_its_end_and_exits_with_it() {
    let world = World::new().await;
    has(
        &world.gives(1, &["watch", JOB]).await,
        &["no execution is at work on job llama-7b"],
    );
    world.until(|world| world.history_has("StopSiblings")).await;
    let seen = world.gives(0, &["watch", JOB]).await;
    has(
        &seen,
        &[
            "ClaimJob claimed job llama-7b",
            "WaitForInstanceActive",
            "RelaunchJob",
            "SUCCEEDED: recovered, runs as attempt 2",
        ],
    );
    let again = world.gives(0, &["watch", &world.recovery().arn]).await;
    has(&again, &["SUCCEEDED: recovered"]);
}

#[tokio::test(start_paused = true)]
async fn watch_tells_a_stopped_recovery_by_its_exit_code() {
    let (world, execution) = World::aborted().await;
    let seen = world.gives(1, &["watch", &execution]).await;
    has(
        &seen,
        &["ABORTED: a person is needed", "gpu-recovery replay"],
    );
}

#[tokio::test(start_paused = true)]
async fn explain_tells_what_the_records_say_now_apart_from_what_happened() {
    let (world, execution) = World::aborted().await;
    has(
        &world.gives(0, &["explain", &execution]).await,
        &[
            "ABORTED, a person is needed",
            "Now, at 2026-01-05",
            "Job llama-7b is PENDING_RESTART in attempt 1, held by this execution",
            "i-0f3a9c5d7e0000001 is REBOOTING, held by this execution",
        ],
    );
    let release = [
        "release", BAD, "--force", "--reason", "given up", "--by", "ada",
    ];
    world.gives(0, &release).await;
    has(
        &world.gives(0, &["explain", &execution]).await,
        &["i-0f3a9c5d7e0000001 is AVAILABLE; released by ada at 2026-01-05"],
    );
    let json = world.json(&["explain", &execution, "--json"]).await;
    assert_eq!(json["now"]["job"]["heldBy"], "thisExecution", "{json}");
    assert_eq!(json["now"]["instances"][0]["status"], "AVAILABLE", "{json}");
    let markdown = world.run(&["explain", &execution, "--markdown"]).await.1;
    has(
        &markdown,
        &["\nNow, at 2026", "\n- Job llama-7b is PENDING\\_RESTART"],
    );

    // The story is told when the tables cannot be read.
    let line = ["explain", &execution, "--json"];
    world
        .cloud
        .wire
        .faults()
        .set_plan(|call| match call.action {
            "GetItem" => Fault::Fail {
                code: "AccessDeniedException".to_owned(),
                status: 400,
                message: "not authorized".to_owned(),
            },
            _ => Fault::Proceed,
        });
    let json = world.json(&line).await;
    assert!(
        json["now"].is_null() && json["moments"].is_array(),
        "{json}"
    );
}

#[tokio::test(start_paused = true)]
async fn explain_says_when_a_job_was_recovered_again_since() {
    let world = World::new().await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    let execution = world.recovery().arn;
    let told = world.gives(0, &["explain", &execution]).await;
    has(
        &told,
        &[
            "Job llama-7b is IN_PROGRESS in attempt 2.",
            "i-0f3a9c5d7e0000001 is IN_PROGRESS for job llama-7b.",
        ],
    );
    let jobs = world
        .desk
        .dynamodb
        .update_item()
        .table_name("hybrid-gpu-training-job");
    let later = jobs
        .key("job_id", AttributeValue::S(JOB.to_owned()))
        .key("record", AttributeValue::S("job".to_owned()))
        .update_expression("SET attempt = :n")
        .expression_attribute_values(":n", AttributeValue::N("3".to_owned()))
        .send()
        .await;
    later.expect("it is written");
    let told = world.gives(0, &["explain", &execution]).await;
    has(
        &told,
        &["in attempt 3 (it was recovered again since this recovery left it in attempt 2)"],
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_drawn_in_the_definition_that_it_ran() {
    let (world, execution) = World::aborted().await;
    let changed = simulator::cloud::RECOVERY.replace("\"StopSiblings\"", "\"StopOthers\"");
    let substitutions = simulator::cloud::substitutions(&BTreeMap::new()).expect("defaults");
    let changed = Definition::parse(&changed, &substitutions).expect("a definition");
    let service = &world.cloud.stepfunctions;
    let machine = service.create_state_machine("gpu-recovery", changed);
    let drawn = async |execution: &str| {
        let file = std::env::temp_dir().join(format!("own-{}.svg", std::process::id()));
        let file = file.to_str().expect("UTF-8");
        world.gives(0, &["graph", execution, "-o", file]).await;
        let drawn = std::fs::read_to_string(file).expect("it was written");
        std::fs::remove_file(file).expect("it is there");
        drawn
    };
    let old = drawn(&execution).await;
    assert!(old.contains("data-state=\"StopSiblings\""), "{old}");
    let task = json!({ "detail": { "lastStatus": "STOPPED", "containers": [] } });
    let started = service.start(&machine, Some("new"), task);
    let new = drawn(&started.expect("it starts")).await;
    assert!(new.contains("data-state=\"StopOthers\""), "{new}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_redrives_and_is_safe_to_repeat() {
    let (world, execution) = World::aborted().await;
    has(
        &world.gives(0, &["status"]).await,
        &["Needs a person", "gpu-recovery replay llama-7b --dry-run"],
    );
    let dry = world.gives(0, &["replay", JOB, "--dry-run"]).await;
    has(
        &dry,
        &[
            "ABORTED at 2026-01-05",
            "WaitForInstanceActive of i-0f3a9c5d7e0000001",
            "redrive: it goes on where it stands",
            "nothing was done (--dry-run)",
        ],
    );
    assert_eq!(world.recovery().status, ExecutionStatus::Aborted);
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["redriven", "gpu-recovery watch arn:"],
    );
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["nothing to do: it runs"],
    );
    has(
        &world.gives(0, &["watch", JOB]).await,
        &["SUCCEEDED: recovered, runs as attempt 2"],
    );
    world.job_is(JobStatus::InProgress, 2).await;
    has(
        &world.gives(1, &["replay", JOB]).await,
        &["no execution holds it"],
    );
    has(
        &world.gives(3, &["replay", &execution]).await,
        &["it SUCCEEDED"],
    );
    assert_eq!(
        world
            .cloud
            .fleet
            .instance(BAD)
            .expect("it is there")
            .reboots,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_replay_refuses_to_reboot_an_instance_that_was_given_away() {
    let (world, execution) = World::aborted().await;
    let refused = world.gives(3, &["release", BAD]).await;
    has(
        &refused,
        &["held by a recovery that ended badly", &execution, "--force"],
    );
    has(
        &world.gives(0, &["release", BAD, "--force"]).await,
        &["is AVAILABLE, and ACTIVE in ECS"],
    );
    let refused = world.gives(3, &["replay", JOB]).await;
    has(
        &refused,
        &["refused", "holds it no more: it must not be rebooted"],
    );
    assert_eq!(world.recovery().status, ExecutionStatus::Aborted);
    let json: Value =
        serde_json::from_str(&world.run(&["replay", JOB, "--json", "--dry-run"]).await.1)
            .expect("JSON");
    assert_eq!(json[0]["way"], "refuse", "{json}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_never_starts_a_job_twice() {
    let (world, execution) = World::aborted().await;
    world.gives(0, &["replay", &execution]).await;
    world.gives(0, &["watch", &execution]).await;
    world.job_is(JobStatus::InProgress, 2).await;
    // Forced, it starts anew from the same event, and the worker's own condition ends it.
    has(
        &world.gives(0, &["replay", &execution, "--force"]).await,
        &["started arn:", "replay-of-"],
    );
    world.pass(120).await;
    world.job_is(JobStatus::InProgress, 2).await;
    has(
        &world.gives(0, &["replay", &execution, "--force"]).await,
        &["replayed before"],
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_redriven_is_started_anew_from_its_event() {
    let (world, execution) = World::aborted().await;
    world.pass(15 * 24 * 3600).await;
    let dry = world.gives(0, &["replay", JOB, "--dry-run"]).await;
    has(
        &dry,
        &["start anew", "Execution redrivable period exceeded"],
    );
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["started arn:", "replay-of-"],
    );
    world.pass(20).await;
    has(
        &world.gives(0, &["replay", &execution]).await,
        &["its replay runs"],
    );
    let executions = world.cloud.stepfunctions.executions();
    let replay = executions
        .iter()
        .find(|e| e.name.starts_with("replay-of-"))
        .expect("it was started");
    assert_eq!(replay.input["replayOf"], execution);
    assert_eq!(replay.input["detail-type"], "ECS Task State Change");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failed_executions_is_replayed_at_once() {
    let world = World::new().await;
    world
        .cloud
        .wire
        .faults()
        .set_plan(|call| match call.action {
            "Publish" => Fault::Fail {
                code: "AuthorizationError".to_owned(),
                status: 403,
                message: "not authorized to perform SNS:Publish".to_owned(),
            },
            _ => Fault::Proceed,
        });
    world
        .until(|world| world.history_has("NotifyOperators"))
        .await;
    world.pass(300).await;
    assert_eq!(world.recovery().status, ExecutionStatus::Failed);
    let dry = world
        .gives(0, &["replay", "--all-failed", "--dry-run"])
        .await;
    has(
        &dry,
        &[
            "NotifyOperators",
            "AuthorizationError",
            "1 execution ended badly: 0 replayed",
        ],
    );
    world.cloud.wire.faults().set_plan(|_| Fault::Proceed);
    has(
        &world
            .gives(0, &["replay", "--all-failed", "--since", "1d"])
            .await,
        &["redriven", "1 replayed, 0 refused"],
    );
    world.pass(60).await;
    assert_eq!(world.recovery().status, ExecutionStatus::Succeeded);
    has(
        &world.gives(0, &["replay", "--all-failed"]).await,
        &["0 executions ended badly"],
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_quarantined_and_released_by_hand_with_who_and_why() {
    let world = World::new().await;
    let line = ["quarantine", BAD, "--reason", "ECC errors", "--by", "ada"];
    has(
        &world.gives(0, &line).await,
        &[
            "QUARANTINED, and DRAINING in ECS",
            "its task of job llama-7b goes on",
        ],
    );
    assert_eq!(world.ecs_status(), "DRAINING");
    has(
        &world.gives(0, &line).await,
        &["QUARANTINED already: ECC errors (ada)"],
    );
    has(
        &world.gives(0, &["status", BAD]).await,
        &["because ECC errors (ada)", "quarantined by ada"],
    );
    let line = ["release", BAD, "--reason", "replaced", "--by", "bob"];
    has(
        &world.gives(0, &line).await,
        &["is AVAILABLE, and ACTIVE in ECS; it was QUARANTINED (ECC errors (ada))"],
    );
    assert_eq!(
        (world.instance_status().await, world.ecs_status().as_str()),
        (InstanceStatus::Available, "ACTIVE")
    );
    has(&world.gives(0, &line).await, &["AVAILABLE already"]);
    has(
        &world.gives(0, &["status", BAD]).await,
        &["released by bob", "replaced"],
    );
    has(
        &world.gives(1, &["release", "i-0123456789abcdef0"]).await,
        &["no instance i-0123456789abcdef0 is recorded"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_running_recovery_is_not_disturbed_by_hand() {
    let world = World::new().await;
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    for line in [
        &["release", BAD, "--force"][..],
        &["quarantine", BAD, "--reason", "x"],
    ] {
        has(
            &world.gives(3, line).await,
            &["held by a recovery that runs", "gpu-recovery watch arn:"],
        );
    }
    assert_eq!(world.instance_status().await, InstanceStatus::Rebooting);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_submitted_to_free_instances_and_can_be_recovered() {
    let world = World::new().await;
    for nth in 2..5 {
        world
            .cloud
            .fleet
            .add_instance(NewInstance::p5(&format!("i-0f3a9c5d7e{nth:07x}")));
    }
    let line = ["quarantine", "i-0f3a9c5d7e0000003", "--reason", "fan"];
    world.gives(0, &line).await;
    world.gives(0, &["release", "i-0f3a9c5d7e0000003"]).await;
    world.gives(0, &line).await;
    let submit = [
        "submit",
        "bert",
        "--task-definition",
        "train",
        "--nodes",
        "2",
        "--master-addr",
        "10.0.0.2",
    ];
    let more = [
        "--env",
        "PEER=tcp://{master_addr}:1234/{rank}",
        "--tag",
        "team=vision",
    ];
    let dry = world
        .gives(0, &[&submit[..], &more, &["--dry-run"]].concat())
        .await;
    has(
        &dry,
        &[
            "job bert of 2 ranks would be started",
            "rank 0 i-0f3a9c5d7e0000002 MASTER_ADDR=10.0.0.2 PEER=tcp://10.0.0.2:1234/0 RANK=0 WORLD_SIZE=2",
            "rank 1 i-0f3a9c5d7e0000004",
        ],
    );
    has(
        &world.gives(1, &["status", "bert"]).await,
        &["no job bert is recorded"],
    );
    assert_eq!(world.gives(0, &[&submit[..], &more].concat()).await, "bert");
    let job = world.json(&["status", "bert", "--json"]).await;
    assert_eq!(job["status"], "IN_PROGRESS", "{job}");
    assert_eq!(
        job["ranks"][1]["instanceId"], "i-0f3a9c5d7e0000004",
        "{job}"
    );
    has(
        &world.gives(1, &submit).await,
        &["2 instances are asked for, 0 are free"],
    );
    let again = [
        "submit",
        "bert",
        "--task-definition",
        "train",
        "--instances",
        "i-0f3a9c5d7e0000003",
    ];
    has(
        &world.gives(1, &again).await,
        &["job id bert is in the table already"],
    );
    let task = world
        .cloud
        .fleet
        .tasks()
        .into_iter()
        .find(|task| task["startedBy"] == started_by(&JobId::new("bert"), 1).as_str());
    let arn = task.expect("it runs")["taskArn"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    world.pass(120).await;
    world.cloud.fleet.kill_process(&arn, Some(1));
    world.until(|world| world.history_has("ClaimJob")).await;
    has(
        &world.gives(4, &["watch", "bert"]).await,
        &["SUCCEEDED: FAILED: the GPUs are healthy"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_submission_that_cannot_work_is_refused_before_anything_starts() {
    let world = World::new().await;
    let tasks = world.cloud.fleet.tasks().len();
    let line = [
        "submit",
        "x",
        "--task-definition",
        "nothing",
        "--nodes",
        "1",
    ];
    has(
        &world.gives(2, &line).await,
        &["ECS does not know the task definition nothing"],
    );
    let on = [
        "submit",
        "x",
        "--task-definition",
        "train",
        "--instances",
        BAD,
    ];
    let env = ["--env", "A={master_addr}"];
    has(
        &world.gives(2, &[&on[..], &env].concat()).await,
        &["give --master-addr"],
    );
    has(
        &world
            .gives(2, &[&on[..], &["--container", "y"]].concat())
            .await,
        &["has no container y; it has train"],
    );
    assert_eq!(world.cloud.fleet.tasks().len(), tasks);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_run_already_are_adopted_once() {
    let world = World::new().await;
    world
        .cloud
        .fleet
        .add_instance(NewInstance::p5("i-0f3a9c5d7e0000007"));
    let context = &world.desk.context;
    let id = InstanceId::new("i-0f3a9c5d7e0000007");
    let run = context
        .fleet
        .run(&launch(0), &id, "token", "somebody")
        .await
        .expect("it answers");
    let workers::fleet::Run::Started(arn) = run else {
        panic!("{run:?}");
    };
    let line = ["adopt", "mine", "--tasks", arn.as_str()];
    has(
        &world.gives(1, &line).await,
        &["not RUNNING", "nothing was written"],
    );
    world.pass(120).await;
    assert_eq!(world.gives(0, &line).await, "mine");
    let job = world.json(&["status", "mine", "--json"]).await;
    assert_eq!(
        (&job["status"], &job["nodes"]),
        (&"IN_PROGRESS".into(), &1.into()),
        "{job}"
    );
    assert_eq!(job["ranks"][0]["instance"]["jobId"], "mine", "{job}");
    let line = ["adopt", "yours", "--tasks", arn.as_str()];
    has(&world.gives(1, &line).await, &["is rank 0 of job mine"]);
    world.cloud.fleet.kill_process(arn.as_str(), Some(1));
    world.pass(300).await;
    has(
        &world.gives(0, &["status", "mine"]).await,
        &["FAILED", "healthy"],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_finds_a_good_deployment_good() {
    let world = World::new().await;
    let topic = world.desk.context.settings.topic_arn.clone();
    let found = world.gives(0, &["doctor", "--topic", &topic]).await;
    has(
        &found,
        &[
            "well the table hybrid-gpu-training-job has its keys",
            "well the table hybrid-gpu-training-job has the index task_arn-index",
            "well the table ecs_container_instance has its keys",
            "well the state machine gpu-recovery is this version's",
            "well the state machine works on the cluster gpu-training, with the health check dcgm-health-check",
            "well dcgm-health-check fits the 2 instances",
            "well the alias live is version 1, which is this version's",
            "well every agent of the cluster is connected",
            "well the topic has 1 confirmed subscription",
            "well an execution went through ClaimJob and found nothing to do",
            "look not checked from here: the rules are there and enabled aws events list-rules",
            "--target-arn arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery:live",
            "--filters Key=tag:gpu-recovery-cluster,Values=gpu-training",
            "aws iam simulate-principal-policy --policy-source-arn arn:aws:iam::123456789012:role/",
        ],
    );
    assert_eq!(
        found.matches(" not checked from here: ").count(),
        6,
        "{found}"
    );
    assert_eq!(world.cloud.stepfunctions.executions().len(), 1);
    let found = world.json(&["doctor", "--no-execution", "--json"]).await;
    let by_hand = &found.as_array().expect("findings")[found.as_array().map_or(0, Vec::len) - 1];
    assert!(
        by_hand["check"]
            .as_str()
            .is_some_and(|command| command.starts_with("aws iam ")),
        "{by_hand}"
    );
    assert!(found.as_array().is_some_and(|all| all.len() > 6), "{found}");
    assert_eq!(world.cloud.stepfunctions.executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn doctor_tells_what_the_alias_runs_from_what_the_machine_is() {
    let world = World::new().await;
    let line = ["doctor", "--no-execution"];
    let changed = simulator::cloud::RECOVERY.replace("\"StopSiblings\"", "\"StopOthers\"");
    let substitutions = simulator::cloud::substitutions(&BTreeMap::new()).expect("defaults");
    let changed = Definition::parse(&changed, &substitutions).expect("a definition");
    let service = &world.cloud.stepfunctions;
    service.create_state_machine("gpu-recovery", changed);
    let found = world.gives(0, &line).await;
    let differs = "not this version's: they differ at /States/";
    has(
        &found,
        &[
            &format!("look the state machine gpu-recovery is {differs}"),
            "well the alias live is version 1, which is this version's",
        ],
    );
    let published = service.publish(&world.cloud.state_machine_arn, "live");
    published.expect("the machine is there");
    let found = world.gives(0, &line).await;
    has(
        &found,
        &[
            &format!("look the alias live is version 2, which is {differs}"),
            "aws stepfunctions update-state-machine-alias",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_goes_by_the_settings_that_are_deployed() {
    let settings = [
        ("RECOVERABLE_EXIT_CODES", "77,78"),
        ("TRAINING_CONTAINER_NAME", "train"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cloud = Cloud::new(CloudOptions {
        settings: BTreeMap::from(settings),
        ..CloudOptions::default()
    });
    let cloud = cloud.await.expect("an account");
    let mut world = World {
        desk: desk(&cloud, None),
        cloud,
        output: Output::keeping(),
    };
    // The operator was told nothing of them, and something else of the cluster.
    let told = &mut world.desk.context.settings;
    let mut own = Settings::clone(told);
    own.recoverable_exit_codes = vec![1];
    own.training_container_name = None;
    own.cluster = "other".to_owned();
    *told = own.into();
    has(
        &world.gives(1, &["doctor"]).await,
        &[
            "bad the state machine recovers the jobs of the cluster gpu-training, not of other",
            "well an execution went through ClaimJob and found nothing to do",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_says_when_nothing_is_published_and_nobody_is_told() {
    let cloud = Cloud::new(CloudOptions::default())
        .await
        .expect("an account");
    // The state machine is found by its name.
    let world = World {
        desk: desk(&cloud, None),
        cloud,
        output: Output::keeping(),
    };
    let topic = world.desk.context.settings.topic_arn.clone();
    let line = ["doctor", "--no-execution", "--topic", &topic];
    has(
        &world.gives(1, &line).await,
        &[
            "well the state machine gpu-recovery is this version's",
            "look the state machine has no alias live, which the template's rules start",
            "bad nobody gets the messages: the topic has no confirmed subscription",
            "look the cluster gpu-training has no ACTIVE instance",
        ],
    );
    let missing = format!("{topic}-none");
    let line = ["doctor", "--no-execution", "--topic", &missing];
    has(
        &world.gives(0, &line).await,
        &["NotFound", "Topic does not exist"],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_names_what_is_not_well_with_its_mend() {
    let world = World::new().await;
    world.cloud.fleet.disconnect_agent(BAD, None);
    world.pass(5).await;
    world
        .cloud
        .wire
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            ("claim-job", _) => Fault::Fail {
                code: "AccessDeniedException".to_owned(),
                status: 400,
                message: "not authorized".to_owned(),
            },
            _ => Fault::Proceed,
        });
    let line = [
        "doctor",
        "--dcgm-task",
        "nothing",
        "--instances-table",
        "none",
    ];
    let found = world.gives(1, &line).await;
    has(
        &found,
        &[
            "look the state machine's health check is dcgm-health-check, not nothing give --dcgm-task",
            "bad ECS does not know the task definition nothing",
            "i-0f3a9c5d7e0000001",
            "bad the dry execution ended FAILED",
            "AccessDeniedException",
        ],
    );
}

/// The runbook's blocks of commands, each with the world that the comment before it names.
fn runbook() -> Vec<(String, Vec<String>)> {
    let text = include_str!("../../../docs/runbook.md");
    let mut blocks = Vec::new();
    let mut world = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.strip_prefix("<!-- simulated: ") {
            world = named.strip_suffix(" -->");
        } else if line == "```sh" {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let commands = block
                .filter(|line| line.starts_with("gpu-recovery "))
                .map(str::to_owned)
                .collect();
            let world = world.take().expect("each block names its world");
            blocks.push((world.to_owned(), commands));
        }
    }
    blocks
}

/// The words of a command line: single and double quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[tokio::test(start_paused = true)]
async fn every_command_of_the_runbook_does_what_it_says() {
    let blocks = runbook();
    assert!(blocks.len() >= 8, "{blocks:?}");
    let directory = std::env::temp_dir();
    for (name, commands) in blocks {
        let (world, execution) = match name.as_str() {
            "aborted" => World::aborted().await,
            "running" => (World::new().await, String::new()),
            "recovering" => {
                let world = World::new().await;
                world
                    .until(|world| world.history_has("WaitForInstanceActive"))
                    .await;
                let execution = world.recovery().arn;
                (world, execution)
            }
            "failed" => {
                let world = World::new().await;
                world.cloud.fleet.set_gpu_health(BAD, GpuHealth::Healthy);
                world
                    .until(|world| world.history_has("NotifyOperators"))
                    .await;
                world.pass(60).await;
                let execution = world.recovery().arn;
                (world, execution)
            }
            "quarantined" => {
                let world = World::new().await;
                world.cloud.fleet.set_gpu_health(BAD, GpuHealth::Isolate);
                world
                    .until(|world| world.history_has("NotifyOperators"))
                    .await;
                world.pass(60).await;
                let execution = world.recovery().arn;
                (world, execution)
            }
            "idle" => {
                let world = World::new().await;
                for nth in 2..4 {
                    let id = format!("i-0f3a9c5d7e{nth:07x}");
                    world.cloud.fleet.add_instance(NewInstance::p5(&id));
                }
                (world, String::new())
            }
            other => panic!("the runbook names an unknown world: {other}"),
        };
        for command in commands {
            let expected = command.split("# exits ").nth(1);
            let expected = expected.and_then(|rest| rest.split(' ').next()?.parse().ok());
            let line: Vec<String> = words(&command)
                .into_iter()
                .skip(1)
                .map(|word| word.replace("$EXECUTION", &execution))
                .map(
                    |word| match word.ends_with(".svg") || word.ends_with(".png") {
                        true => directory.join(&word).display().to_string(),
                        false => word,
                    },
                )
                .collect();
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let (code, written) = world.run(&line).await;
            assert_eq!(code, expected.unwrap_or(0), "{name}: {command}: {written}");
            world.pass(30).await;
        }
    }
}

#[test]
fn wrong_names_are_refused_before_aws_is_asked() {
    for (line, says) in [
        (&["status", "no job"][..], "is no job id"),
        (&["replay", BAD], "give the job that it works for"),
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
