//! NotifyOperators: tells by SNS what happened, what was found, what was done and what to do next.

use super::{
    check_message, claim_job::Failure, relaunch_job::RelaunchJobOutcome, stop_siblings::RunningTask,
};
use crate::{
    Context, Settings, Step, WorkerError,
    context::parse_time,
    decisions::{
        console::execution_link,
        diagnosis::{Check, Reason, Recovery, Verdict},
        findings,
        message::{Body, Message, Severity, cut, duration, subject},
    },
    ids::{ExecutionArn, JobId},
};
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
    /// The cause of RelaunchJob's last error, when the job was not placed again.
    pub not_placed: Option<String>,
    /// Tasks that did not stop.
    pub stuck: Vec<RunningTask>,
    pub checks: Vec<Check>,
    pub recoveries: Vec<Recovery>,
    pub relaunch: Option<RelaunchJobOutcome>,
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

/// From so many recoveries of a job in 24 hours on, the message says so.
const OFTEN: u32 = 3;

/// The message; `now` in seconds since the Unix epoch.
fn compose(input: &NotifyOperatorsInput, settings: &Settings, now: i64) -> Message {
    let took = parse_time(&input.started_at).map(|start| (now - start).max(0));
    if input.reason == Reason::Checked {
        return check_message::compose(input, settings, took);
    }
    let (event, severity, word) = match input.reason {
        Reason::Recovered => ("JobRecovered", Severity::Info, "RECOVERED"),
        Reason::EndedAndTold => ("RankEnded", Severity::Error, "ENDED"),
        Reason::UserStopped | Reason::UserStoppedRank => ("JobStopped", Severity::Info, "STOPPED"),
        _ => ("JobFailed", Severity::Error, "FAILED"),
    };
    let took_words = took.map_or(String::new(), |s| format!(" after {}", duration(s)));
    let (job, rank) = (&input.job_id, input.failure.rank);
    let headline = match (input.reason, &input.relaunch) {
        (Reason::EndedAndTold, _) => format!(
            "Rank {rank} of job {job} {}; the policies say to tell it only.",
            how_it_ended(&input.failure)
        ),
        (Reason::UserStopped, _) => format!(
            "Job {job} is USER_STOPPED: an operator stopped rank {rank}, and the others were stopped too."
        ),
        (Reason::UserStoppedRank, _) => format!(
            "Job {job} is USER_STOPPED: an operator stopped rank {rank}; its other ranks run on, and no recovery looks after them."
        ),
        (
            Reason::Recovered,
            Some(RelaunchJobOutcome::Relaunched {
                attempt,
                ranks,
                recoveries_in_a_day,
                ..
            }),
        ) => {
            let often = if *recoveries_in_a_day >= OFTEN {
                format!(" It is its recovery number {recoveries_in_a_day} in 24 hours.")
            } else {
                String::new()
            };
            format!(
                "Job {job} runs again as attempt {attempt}: all {ranks} ranks run{took_words}.{often}"
            )
        }
        (reason, _) => format!("Job {job} is FAILED{took_words}: {}.", reason.words()),
    };
    let mut body = Body::new(&headline);
    body.section("What happened", &what_happened(input));
    body.section("What the check found", &what_was_found(input, settings));
    body.section("What was done", &what_was_done(input));
    body.section("What to do next", &what_to_do(input, settings));
    body.section("Where to look", &where_to_look(input, settings));
    let subject = subject(&format!(
        "[gpu-recovery] {word} {}: rank {}, {}",
        input.job_id,
        input.failure.rank,
        input.reason.words()
    ));
    Message {
        subject,
        body: body.finish(),
        attributes: attributes(input, settings, event, severity, took),
    }
}

/// What a subscription filters on, and the facts for programs.
pub(super) fn attributes(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    event: &str,
    severity: Severity,
    took: Option<i64>,
) -> Vec<(&'static str, String)> {
    vec![
        ("event", event.into()),
        ("severity", severity.as_str().into()),
        ("job_id", input.job_id.to_string()),
        ("attempt", input.attempt.to_string()),
        ("rank", input.failure.rank.to_string()),
        ("reason", format!("{:?}", input.reason)),
        ("cluster", settings.cluster.clone()),
        ("execution", input.execution.to_string()),
        ("facts", facts_that_fit(input, took)),
    ]
}

fn what_happened(input: &NotifyOperatorsInput) -> Vec<String> {
    let failure = &input.failure;
    let place = failure
        .instance
        .as_ref()
        .map_or(String::new(), |i| format!(" on {i}"));
    let how = how_it_ended(failure);
    let mut lines = vec![format!(
        "{} rank {} of {}{place} {how} in attempt {}.",
        input.started_at, failure.rank, input.nodes, input.attempt
    )];
    if let Some(reason) = &failure.stopped_reason {
        let code = failure.stop_code.as_deref().unwrap_or("no stop code");
        lines.push(format!("ECS says: {reason} ({code})"));
    }
    lines.push(format!("Task: {}", failure.task));
    lines.extend(input.stuck.iter().map(|task| {
        let place = task
            .instance
            .as_ref()
            .map_or(String::new(), |i| format!(" on {i}"));
        format!("Rank {}{place} did not stop: {}", task.rank, task.task)
    }));
    lines
}

fn how_it_ended(failure: &Failure) -> String {
    match (failure.exit_code, failure.stop_code.as_deref()) {
        (_, Some("UserInitiated")) => "was stopped by an operator".to_owned(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some("TaskFailedToStart")) => "did not start".to_owned(),
        (None, _) => "ended without an exit code".to_owned(),
    }
}

fn what_was_found(input: &NotifyOperatorsInput, settings: &Settings) -> Vec<String> {
    let (healthy, others): (Vec<&Check>, Vec<&Check>) = input
        .checks
        .iter()
        .partition(|c| c.verdict == Verdict::Healthy);
    let mut lines: Vec<String> = others
        .iter()
        .map(|check| findings::line(check, settings, &input.execution))
        .collect();
    match healthy.as_slice() {
        [] => {}
        [one] => lines.push(format!("{} (rank {}): healthy", one.instance, one.rank)),
        many => lines.push(format!("{} instances: healthy", many.len())),
    }
    lines
}

fn what_was_done(input: &NotifyOperatorsInput) -> Vec<String> {
    let mut lines = Vec::new();
    if input.reason == Reason::EndedAndTold {
        lines.push(
            "Nothing: the job's other ranks were not stopped, and it stays IN_PROGRESS.".into(),
        );
        lines.push("Ends of its other ranks within ten minutes are told with this one.".into());
        return lines;
    }
    if input.reason == Reason::UserStoppedRank {
        lines.push(
            "Nothing: PERSON_STOP is leave, or the stop's reason begins with keep-others.".into(),
        );
        return lines;
    }
    if input.reason == Reason::TasksNotStopped {
        lines.push(
            "Every task of the job was told to stop; nothing was checked or rebooted.".into(),
        );
    } else {
        lines.push("Every task of the job was stopped.".into());
    }
    lines.extend(input.recoveries.iter().map(|r| {
        let end = if r.recovered {
            "in service again"
        } else {
            "not recovered"
        };
        format!("{} (rank {}): {end} - {}", r.instance, r.rank, r.detail)
    }));
    match input.reason {
        Reason::Recovered
        | Reason::EndedAndTold
        | Reason::UserStopped
        | Reason::UserStoppedRank
        | Reason::Checked => {}
        Reason::TasksNotStopped => lines.push(
            "The instances of tasks that do not stop are quarantined: DRAINING, and no job gets them.".into(),
        ),
        Reason::RelaunchNotPlaced | Reason::RelaunchDidNotStart => {
            lines.push("The ranks that ECS had placed were stopped again.".into());
        }
        Reason::CheckInDoubt => {
            lines.push(
                "No instance was rebooted or quarantined: the check itself is in doubt.".into(),
            );
        }
        Reason::NoGpuFault => lines.push("Nothing was rebooted.".into()),
        Reason::NoRecoveryLeft => {}
        Reason::AskedByTrainer => lines.push(match &input.not_placed {
            // While it was relaunched.
            Some(why) => format!(
                "{}. All ranks were stopped again.",
                error_message(why)
            ),
            None => "Nothing was checked, rebooted or relaunched.".into(),
        }),
        Reason::InstancesNotRecovered => {}
    }
    lines
}

fn what_to_do(input: &NotifyOperatorsInput, settings: &Settings) -> Vec<String> {
    let back_in_service =
        "Each quarantined instance, once it is repaired: gpu-recovery check INSTANCE".to_owned();
    let again = "Then start the job again with your launcher, under a new job id.".to_owned();
    let mut lines = match input.reason {
        Reason::Recovered => vec![
            "Nothing now.".into(),
            format!(
                "An instance that is faulty {} times within 30 days is quarantined instead of rebooted.",
                settings.max_faults_per_month
            ),
        ],
        Reason::NoGpuFault => vec![
            format!(
                "Read the log of rank {}: the GPUs passed DCGM; look at code, data, network and host.",
                input.failure.rank
            ),
            "HEALTHY_POLICY=relaunch (or submit --healthy-policy relaunch) relaunches such a job in place, within its budget.".into(),
            again,
        ],
        Reason::AskedByTrainer => vec![
            match input.not_placed {
                Some(_) => "Read the log of that rank: its trainer says why.".into(),
                None => format!("Read the log of rank {}: its trainer says why.", input.failure.rank),
            },
            again,
        ],
        Reason::UserStopped => vec![
            "Nothing now: its instances are free, nothing was checked or relaunched.".into(),
            "Start the job again with your launcher, under a new job id, when it is to go on.".into(),
        ],
        Reason::UserStoppedRank => vec![
            "Look after the job's other tasks: when one ends, its instance is released, and no more is done.".into(),
        ],
        Reason::EndedAndTold => vec![
            format!("Read the log of rank {}.", input.failure.rank),
            "Stop the job's other tasks, if they cannot go on without it.".into(),
            "OTHER_EXIT_POLICY=recover (or submit --on-exit CODE=recover) recovers such a job.".into(),
        ],
        // It has a message of its own.
        Reason::Checked => vec![],
        Reason::NoRecoveryLeft => vec![
            "The instances are back in service.".into(),
            again,
        ],
        Reason::CheckInDoubt => vec![
            format!(
                "Look at what the instances share first: the task definition {}, its image, the driver, the registry.",
                settings.dcgm_health_check_task
            ),
            again,
        ],
        Reason::InstancesNotRecovered => vec![
            "Look at each instance that was not recovered, above; the reason says what stands in the way.".into(),
            back_in_service,
            again,
        ],
        Reason::TasksNotStopped => vec![
            "See whether the hosts of those tasks live: a dead host's tasks stay RUNNING in ECS for ever.".into(),
            "Terminate a dead host or deregister it by force; its GPUs are not free before that.".into(),
            again,
        ],
        Reason::RelaunchDidNotStart => vec![
            format!("ECS said: {}", error_message(input.not_placed.as_deref().unwrap_or_default())),
            "It was started again before it was given up; START_TIMEOUT_SECONDS bounds the wait.".into(),
            again,
        ],
        Reason::RelaunchNotPlaced => vec![
            format!("ECS said: {}", error_message(input.not_placed.as_deref().unwrap_or_default())),
            "Free what is missing on those instances.".into(),
            again,
        ],
    };
    if input
        .checks
        .iter()
        .any(|c| c.verdict == Verdict::Misconfigured)
    {
        lines.push(
            "Set right what the check calls misconfigured, above; its report names the setting. Those instances are in service.".into(),
        );
    }
    if let Some(why) = &input.failure.not_relaunchable {
        lines.push(format!(
            "The job could not be relaunched in any case: {why}."
        ));
    }
    lines
}

/// Lambda's errors arrive as `{"errorType":…,"errorMessage":…}` (Lambda developer guide, rust-exceptions).
fn error_message(cause: &str) -> String {
    serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|v| v["errorMessage"].as_str().map(str::to_owned))
        .unwrap_or_else(|| cause.to_owned())
}

pub(super) fn where_to_look(input: &NotifyOperatorsInput, settings: &Settings) -> Vec<String> {
    vec![
        format!("Execution: {}", execution_link(&input.execution)),
        "This execution has ended as it should; there is nothing to redrive.".into(),
        format!(
            "Job record: aws dynamodb get-item --region {} --table-name {} --key \
             '{{\"job_id\":{{\"S\":\"{}\"}},\"record\":{{\"S\":\"job\"}}}}'",
            input.execution.region(),
            settings.training_job_table,
            input.job_id
        ),
    ]
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
        "startedAt": input.started_at,
        "seconds": took,
        "failure": failure,
        "healthyInstances": input.checks.iter().filter(healthy).count(),
        "checks": input.checks.iter().filter(|c| !healthy(c)).take(listed).collect::<Vec<_>>(),
        "recoveries": input.recoveries.iter().take(listed).collect::<Vec<_>>(),
        "stuck": input.stuck,
        "notPlaced": not_placed.as_deref().map(cut),
        "relaunch": input.relaunch,
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
                not_relaunchable: None,
            },
            reason,
            not_placed: None,
            stuck: vec![],
            checks: vec![Check {
                instance: instance.clone(),
                rank: 3,
                exit_code: Some(226),
                verdict: Verdict::Faulty,
                detail: String::new(),
                end: None,
                task: None,
                word: None,
                cause: None,
                age: None,
                boot_id: None,
                gpus: None,
                held: None,
            }],
            recoveries: vec![],
            relaunch: None,
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
        });
        let message = compose(&input, &settings(), NOW);
        assert_eq!(
            message.subject,
            "[gpu-recovery] RECOVERED llama-7b: rank 3, recovered"
        );
        for line in [
            "Job llama-7b runs again as attempt 2: all 8 ranks run after 18 min 20 s.",
            "rank 3 of 8 on i-0123456789abcdef3 ended with exit code 1 in attempt 1.",
            "i-0123456789abcdef3 (rank 3): faulty; exit 226",
            "i-0123456789abcdef3 (rank 3): in service again - rebooted, DCGM healthy",
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
                message.body.contains("is FAILED after 18 min 20 s"),
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
                .contains("ECS said: rank 3 on i-1: RESOURCE:GPU")
        );
        let (_, facts) = message
            .attributes
            .iter()
            .find(|(n, _)| *n == "facts")
            .unwrap();
        let facts: Value = serde_json::from_str(facts).unwrap();
        assert_eq!(facts["notPlaced"], "rank 3 on i-1: RESOURCE:GPU");
        assert_eq!(facts["seconds"], 1100);
    }

    #[test]
    fn a_trainer_that_asks_for_no_recovery_during_a_relaunch_is_named() {
        let mut input = input(Reason::AskedByTrainer);
        let before = compose(&input, &settings(), NOW).body;
        assert!(before.contains("Nothing was checked, rebooted or relaunched."));
        input.not_placed = Some(
            r#"{"errorType":"NotToRecover","errorMessage":"rank 6 ended with exit code 93"}"#
                .into(),
        );
        let body = compose(&input, &settings(), NOW).body;
        assert!(body.contains("rank 6 ended with exit code 93. All ranks were stopped again."));
        assert!(!body.contains("Nothing was checked"), "{body}");
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
