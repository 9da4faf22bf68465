//! NotifyOperators: tells by SNS what happened, what was found, what was done and what to do next.

mod body;
pub(super) mod next;
pub mod outcome;

use super::{
    check_message, claim_job::Failure, relaunch_job::RelaunchJobOutcome, stop_siblings::RunningTask,
};
use crate::{
    Context, Settings, Step, WorkerError,
    context::parse_time,
    decisions::{
        diagnosis::{Check, Place, Reason, Recovery, Verdict},
        findings,
        message::{Body, Message, cut, subject},
        words::error_message,
    },
    ids::{ExecutionArn, JobId},
    settings::HealthyPolicy,
};
use outcome::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The step.
pub struct NotifyOperators;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotifyOperatorsInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    /// The attempt that failed.
    pub attempt: u32,
    /// When the execution started: RFC 3339.
    pub started_at: String,
    pub nodes: u32,
    pub failure: Failure,
    pub reason: Reason,
    /// What the job's policies say of healthy GPUs, and how many relaunches it had left: none of a job that was not to be
    /// recovered.
    #[serde(default)]
    pub healthy_policy: Option<HealthyPolicy>,
    #[serde(default)]
    pub recoveries_left: Option<u32>,
    /// The cause of RelaunchJob's last error, when the job was not placed again.
    pub not_placed: Option<String>,
    /// Tasks that did not stop.
    pub stuck: Vec<RunningTask>,
    pub checks: Vec<Check>,
    pub recoveries: Vec<Recovery>,
    pub relaunch: Option<RelaunchJobOutcome>,
    /// The ranks that have moved to spares.
    #[serde(default)]
    pub places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum NotifyOperatorsOutcome {
    Notified { message_id: String, subject: String },
}

impl Step for NotifyOperators {
    const NAME: &'static str = "notify-operators";
    const STATE: Option<&'static str> = Some("NotifyOperators");
    type Input = NotifyOperatorsInput;
    type Outcome = NotifyOperatorsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let message = compose(&input, &ctx.settings, ctx.clock.epoch_seconds());
        let message_id = ctx.topic.publish(&message).await?;
        Ok(NotifyOperatorsOutcome::Notified {
            message_id,
            subject: message.subject,
        })
    }
}

/// The message; `now` in seconds since the Unix epoch.
fn compose(input: &NotifyOperatorsInput, settings: &Settings, now: i64) -> Message {
    let kind = Kind::of(input.reason);
    let took = seconds_since(input, now);
    if input.reason == Reason::Checked {
        return check_message::compose(input, settings, took);
    }
    let mut body = Body::new(&body::headline(input, took));
    body.section("What happened", &body::what_happened(input));
    body.section(
        "What the check found",
        &findings::lines(&input.checks, settings, &input.execution),
    );
    body.section("What was done", &body::what_was_done(input));
    body.section("What to do next", &next::what_to_do(input, settings));
    body.section("Where to look", &next::where_to_look(input));
    Message {
        subject: subject(&outcome::subject(input, took)),
        body: body.finish(),
        attributes: attributes(input, settings, kind, took),
    }
}

/// What a subscription filters on, and the facts for programs.
pub(super) fn attributes(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    kind: Kind,
    took: Option<i64>,
) -> Vec<(&'static str, String)> {
    vec![
        ("event", kind.event().into()),
        ("severity", kind.severity().as_str().into()),
        ("job_id", input.job_id.to_string()),
        ("attempt", input.attempt.to_string()),
        ("rank", input.failure.rank.to_string()),
        ("reason", format!("{:?}", input.reason)),
        ("cluster", settings.cluster.clone()),
        ("execution", input.execution.to_string()),
        ("facts", facts_that_fit(input, took)),
    ]
}

/// Seconds since the rank ended, or since the execution began where ECS has not told that.
fn seconds_since(input: &NotifyOperatorsInput, now: i64) -> Option<i64> {
    let ended = input.failure.ended_at.as_deref().and_then(parse_time);
    let from = ended.or_else(|| parse_time(&input.started_at))?;
    Some((now - from).max(0))
}

fn seconds_between(from: &str, to: &str) -> Option<i64> {
    Some((parse_time(to)? - parse_time(from)?).max(0))
}

/// SNS takes 256 KiB for body and attributes together; the body is a few ten KiB.
const FACTS_BYTES: usize = 128 * 1024;
/// How many checks and recoveries the facts list.
const LISTED: usize = 100;

/// The facts with their lists, or without them where those are too long.
fn facts_that_fit(input: &NotifyOperatorsInput, took: Option<i64>) -> String {
    let whole = facts(input, took, LISTED).to_string();
    if whole.len() <= FACTS_BYTES {
        whole
    } else {
        facts(input, took, 0).to_string()
    }
}

/// The same facts for programs. Healthy instances are counted, not listed.
fn facts(input: &NotifyOperatorsInput, took: Option<i64>, listed: usize) -> Value {
    let healthy = |c: &&Check| c.verdict == Verdict::Healthy;
    let failure = Failure {
        stopped_reason: input.failure.stopped_reason.as_deref().map(cut),
        ..input.failure.clone()
    };
    let not_placed = input.not_placed.as_deref().map(error_message);
    json!({
        "jobId": input.job_id,
        "attempt": input.attempt,
        "nodes": input.nodes,
        "reason": input.reason,
        "endedAt": input.failure.ended_at,
        "startedAt": input.started_at,
        "seconds": took,
        "failure": failure,
        "healthyInstances": input.checks.iter().filter(healthy).count(),
        "checks": input.checks.iter().filter(|c| !healthy(c)).take(listed).collect::<Vec<_>>(),
        "recoveries": input.recoveries.iter().take(listed).collect::<Vec<_>>(),
        "stuck": input.stuck,
        "notPlaced": not_placed.as_deref().map(cut),
        "relaunch": input.relaunch,
        "places": input.places.iter().take(listed).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InstanceId, TaskArn};

    fn settings() -> Settings {
        Settings::read(|name| {
            Some(
                match name {
                    "TRAINING_JOB_TABLE_NAME" => "hybrid-gpu-training-job",
                    "CONTAINER_INSTANCE_TABLE_NAME" => "ecs_container_instance",
                    "ECS_CLUSTER_NAME" => "training",
                    "DCGM_HEALTH_CHECK_TASK" => "dcgm-health-check",
                    "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
                    _ => return None,
                }
                .to_owned(),
            )
        })
        .unwrap()
    }

    fn input(reason: Reason) -> NotifyOperatorsInput {
        let instance = InstanceId::new("i-0123456789abcdef3");
        NotifyOperatorsInput {
            execution: ExecutionArn::new(
                "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1",
            ),
            job_id: JobId::new("llama-7b"),
            attempt: 1,
            started_at: "2026-01-05T03:00:00.000Z".into(),
            nodes: 8,
            failure: Failure {
                rank: 3,
                task: TaskArn::new("arn:aws:ecs:us-east-1:123456789012:task/training/abc"),
                instance: Some(instance.clone()),
                exit_code: Some(1),
                stop_code: Some("EssentialContainerExited".into()),
                stopped_reason: Some("Essential container in task exited".into()),
                ended_at: Some("2026-01-05T02:59:00.000Z".into()),
                decided_by: Some("exit code 1 is in RECOVERABLE_EXIT_CODES".into()),
                not_relaunchable: None,
            },
            reason,
            healthy_policy: None,
            recoveries_left: None,
            not_placed: None,
            stuck: vec![],
            checks: vec![Check {
                instance: instance.clone(),
                rank: 3,
                exit_code: Some(226),
                verdict: Verdict::Faulty,
                unproven: false,
                stuck: false,
                detail: String::new(),
                end: None,
                task: None,
                word: None,
                cause: None,
                age: None,
                boot_id: None,
                booted_at: None,
                gpus: None,
                held: None,
            }],
            recoveries: vec![],
            relaunch: None,
            places: vec![],
        }
    }

    const NOW: i64 = 1_767_582_000 + 1100;

    #[test]
    fn a_recovery_is_told_with_all_that_was_done() {
        let mut input = input(Reason::Recovered);
        input.recoveries = vec![Recovery {
            instance: InstanceId::new("i-0123456789abcdef3"),
            rank: 3,
            recovered: true,
            detail: "rebooted, DCGM healthy".into(),
        }];
        input.relaunch = Some(RelaunchJobOutcome::Relaunched {
            job_id: JobId::new("llama-7b"),
            attempt: 2,
            ranks: 8,
            recoveries_in_a_day: 1,
            moved_on: false,
        });
        let message = compose(&input, &settings(), NOW);
        assert_eq!(
            message.subject,
            "[gpu-recovery] RECOVERED llama-7b in 19 min: rebooted i-0123456789abcdef3 (rank 3)"
        );
        for line in [
            "Job llama-7b runs again as attempt 2, 19 min 20 s after rank 3 ended: all 8 ranks are RUNNING.",
            "2026-01-05 02:59:00 UTC: rank 3 of 8 on i-0123456789abcdef3 exited with code 1 in attempt 1; ECS told us 1 min 0 s later.",
            "Policy: exit code 1 is in RECOVERABLE_EXIT_CODES.",
            "i-0123456789abcdef3 (rank 3): faulty (exit 226",
            "i-0123456789abcdef3 (rank 3): rebooted, DCGM healthy; back in service",
            "https://us-east-1.console.aws.amazon.com/states/home",
        ] {
            assert!(
                message.body.contains(line),
                "{line} not in:\n{}",
                message.body
            );
        }
        assert!(message.attributes.contains(&("severity", "info".into())));
    }

    #[test]
    fn every_reason_says_what_to_do_and_fits_sns() {
        for reason in [
            Reason::NoGpuFault,
            Reason::CheckInDoubt,
            Reason::NoRecoveryLeft,
            Reason::InstancesNotRecovered,
            Reason::TasksNotStopped,
            Reason::RelaunchNotPlaced,
        ] {
            let message = compose(&input(reason), &settings(), NOW);
            assert!(message.subject.len() < 100 && message.subject.is_ascii());
            assert!(
                message
                    .body
                    .contains("is FAILED, 19 min 20 s after rank 3 ended: "),
                "{}",
                message.body
            );
            assert!(message.body.contains("start the job again"), "{reason:?}");
            assert!(message.attributes.len() <= 10);
            assert!(message.attributes.iter().all(|(_, v)| !v.is_empty()));
            assert!(message.attributes.contains(&("severity", "error".into())));
        }
    }

    #[test]
    fn ecs_reasons_are_read_out_of_the_lambda_error() {
        let mut input = input(Reason::RelaunchNotPlaced);
        input.not_placed = Some(
            r#"{"errorType":"NotPlaced","errorMessage":"rank 3 on i-1: RESOURCE:GPU"}"#.into(),
        );
        let message = compose(&input, &settings(), NOW);
        assert!(
            message
                .body
                .contains("The relaunch failed: rank 3 on i-1: RESOURCE:GPU")
        );
        let (_, facts) = message
            .attributes
            .iter()
            .find(|(n, _)| *n == "facts")
            .unwrap();
        let facts: Value = serde_json::from_str(facts).unwrap();
        assert_eq!(facts["notPlaced"], "rank 3 on i-1: RESOURCE:GPU");
        assert_eq!(facts["seconds"], 1160);
    }

    #[test]
    fn a_trainer_that_asks_for_no_recovery_during_a_relaunch_is_named() {
        let mut input = input(Reason::AskedByTrainer);
        let before = compose(&input, &settings(), NOW).body;
        assert!(before.contains("Nothing was rebooted or relaunched."));
        input.not_placed = Some(
            r#"{"errorType":"NotToRecover","errorMessage":"rank 6 ended with exit code 93"}"#
                .into(),
        );
        let body = compose(&input, &settings(), NOW).body;
        assert!(body.contains("During the relaunch, rank 6 ended with exit code 93."));
        assert!(!body.contains("Nothing was rebooted"), "{body}");
    }

    #[test]
    fn the_largest_job_fits_into_one_message() {
        let mut input = input(Reason::InstancesNotRecovered);
        let check = Check {
            detail: "x".repeat(200),
            ..input.checks[0].clone()
        };
        input.checks = vec![check; 1024];
        input.recoveries = vec![
            Recovery {
                instance: InstanceId::new("i-0123456789abcdef3"),
                rank: 3,
                recovered: false,
                detail: "y".repeat(300),
            };
            1024
        ];
        let message = compose(&input, &settings(), NOW);
        let size: usize = message.body.len()
            + message
                .attributes
                .iter()
                .map(|(n, v)| n.len() + v.len() + 6)
                .sum::<usize>();
        assert!(size < 256 * 1024, "{size}");
    }
}
