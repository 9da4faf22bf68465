//! NotifyFailedExecution: fed by EventBridge when an execution ends FAILED, TIMED_OUT or ABORTED, which means that an
//! operator is needed. It stands outside the state machine, so that it speaks when the state machine can't.

use crate::{
    Context, Step, WorkerError,
    aws::{
        events::{EndedBadly, ExecutionStatusChange, TaskStateChange},
        executions::LastStep,
    },
    context::as_time,
    decisions::{
        console::execution_link,
        message::{Body, Message, Severity, cut, subject},
        standing,
        words::{clock, date, error_message},
    },
    ids::ExecutionArn,
    records::JobRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The step.
pub struct NotifyFailedExecution;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum NotifyFailedExecutionOutcome {
    Notified { message_id: String, subject: String },
}

impl Step for NotifyFailedExecution {
    const NAME: &'static str = "notify-failed-execution";
    const STATE: Option<&'static str> = None;
    type Input = ExecutionStatusChange;
    type Outcome = NotifyFailedExecutionOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let detail = &input.detail;
        // Both only add to the message: it goes out without them rather than not at all.
        let cut_off = detail.status != EndedBadly::Failed;
        let step = ctx
            .executions
            .last_step(&detail.execution_arn, cut_off)
            .await
            .unwrap_or_default();
        let job = find_job(ctx, detail.input.as_deref()).await;
        let message = compose(&input, step.as_ref(), job.as_ref(), &ctx.settings.cluster);
        let message_id = ctx.topic.publish(&message).await?;
        Ok(NotifyFailedExecutionOutcome::Notified {
            message_id,
            subject: message.subject,
        })
    }
}

async fn find_job(ctx: &Context, input: Option<&str>) -> Option<JobRecord> {
    let event: TaskStateChange = serde_json::from_str(input?).ok()?;
    let key = ctx.jobs.find_task(&event.detail.task_arn).await.ok()??;
    ctx.jobs.get(&key.job_id).await.ok()?
}

fn compose(
    event: &ExecutionStatusChange,
    step: Option<&LastStep>,
    job: Option<&JobRecord>,
    cluster: &str,
) -> Message {
    let detail = &event.detail;
    let execution = &detail.execution_arn;
    let status = match detail.status {
        EndedBadly::Failed => "FAILED",
        EndedBadly::TimedOut => "TIMED_OUT",
        EndedBadly::Aborted => "ABORTED",
    };
    let error = detail
        .error
        .as_deref()
        .or(step.and_then(|s| s.error.as_deref()));
    let cause = detail
        .cause
        .as_deref()
        .or(step.and_then(|s| s.cause.as_deref()));
    let holds = job.is_some_and(|j| j.holder.as_ref() == Some(execution));
    let severity = if holds || job.is_none() {
        Severity::Critical
    } else {
        Severity::Error
    };
    let doing = step.map_or("in a state that could not be read".to_owned(), doing);
    let whose = job.map_or("a job that could not be read".to_owned(), |j| {
        format!("job {}", j.job_id)
    });
    let mut body = Body::new(&match detail.status {
        EndedBadly::Aborted => {
            format!("An operator stopped the recovery of {whose} while it was {doing}.")
        }
        EndedBadly::Failed => format!("The recovery of {whose} broke while it was {doing}."),
        EndedBadly::TimedOut => {
            format!("The recovery of {whose} ran into its bound while it was {doing}.")
        }
    });
    body.section("What happened", &what_happened(event, step, error, cause));
    body.section("What it means", &what_it_means(step, job, holds));
    body.section(
        "What to do next",
        &what_to_do(detail.status, error, holds, execution),
    );
    body.section(
        "Where to look",
        &[
            format!("gpu-recovery explain {execution}"),
            format!("Console: {}", execution_link(execution)),
            "docs/runbook.md, \"A message says EXECUTION FAILED, TIMED_OUT or ABORTED\"".to_owned(),
        ],
    );
    let facts = json!({
        "execution": execution,
        "status": status,
        "state": step.map(|s| &s.state),
        "instance": step.and_then(|s| s.instance.as_ref()),
        "error": error,
        "cause": cause.map(cut),
        "jobId": job.map(|j| &j.job_id),
        "jobStatus": job.map(|j| j.status),
        "attempt": job.map(|j| j.attempt),
        "holdsJob": holds,
    });
    let mut attributes = vec![
        ("event", "ExecutionEndedBadly".to_owned()),
        ("severity", severity.as_str().to_owned()),
        ("status", status.to_owned()),
        ("cluster", cluster.to_owned()),
        ("execution", execution.to_string()),
        ("facts", facts.to_string()),
    ];
    if let Some(job) = job {
        attributes.push(("job_id", job.job_id.to_string()));
        attributes.push(("attempt", job.attempt.to_string()));
    }
    let of = job.map_or(String::new(), |job| format!(" {}", job.job_id));
    Message {
        subject: subject(&format!("[gpu-recovery] EXECUTION {status}{of}: {doing}")),
        body: body.finish(),
        attributes,
    }
}

fn in_words(step: &LastStep) -> Option<standing::Standing> {
    let mut before = step.before.iter();
    let ordered = before.any(|state| standing::orders_reboot(state));
    standing::of(&step.state, ordered)
}

/// `waiting for i-… to come back from its reboot`.
fn doing(step: &LastStep) -> String {
    match in_words(step) {
        Some(standing) => standing.doing(step.instance.as_deref()),
        None => format!("in state {}", step.state),
    }
}

fn what_happened(
    event: &ExecutionStatusChange,
    step: Option<&LastStep>,
    error: Option<&str>,
    cause: Option<&str>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let at = event.detail.stop_date.and_then(|at| as_time(at / 1000));
    let ended = at.map_or(String::new(), |at| {
        format!("{} {}: ", date(&at), clock(&at))
    });
    if let Some(step) = step {
        let since =
            as_time(step.since).map_or(String::new(), |since| format!(" since {}", clock(&since)));
        let others = match step.among_others {
            true => "; other instances were under way, too",
            false => "",
        };
        lines.push(format!("{ended}it stood in {}{since}{others}.", step.state));
    }
    if let Some(error) = error {
        lines.push(format!("Error: {error}"));
    }
    if let Some(cause) = cause {
        lines.push(format!("Cause: {}", error_message(cause)));
    }
    lines
}

fn what_it_means(step: Option<&LastStep>, job: Option<&JobRecord>, holds: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(job) = job {
        let reason = job.reason.as_deref();
        let reason = reason.map_or(String::new(), |why| format!(" ({why})"));
        lines.push(format!(
            "Job {} is {} in attempt {}{reason}.",
            job.job_id, job.status, job.attempt
        ));
    }
    match (holds, job) {
        (true, _) => {
            lines.extend(step.and_then(in_words).map(|s| s.means.to_owned()));
            lines.push("This execution still holds the job: nothing goes on by itself.".to_owned());
        }
        (false, Some(_)) => lines.push("This execution does not hold the job any more.".to_owned()),
        (false, None) => {}
    }
    lines
}

fn what_to_do(
    status: EndedBadly,
    error: Option<&str>,
    holds: bool,
    execution: &ExecutionArn,
) -> Vec<String> {
    let fix = match (status, error) {
        (_, Some("ClaimLost")) => {
            return vec![
                "Nothing: another recovery took the job over, or it has moved on.".to_owned(),
                "Do not replay this execution: it has no say any more, and would only fail again."
                    .to_owned(),
            ];
        }
        (EndedBadly::Aborted, _) => {
            "To go on where it stood, look first what a replay would do, then replay it:"
        }
        (_, Some("InvalidInput")) => {
            "The definition and the functions are of different versions: deploy both together. Then replay it:"
        }
        (_, Some("CorruptRecord")) => "Fix the item that the cause names, then replay it:",
        (_, Some("AwsRejected")) => {
            "The cause names the call that AWS refused: most often a permission, a name or a quota. Fix it, then replay it:"
        }
        (_, Some("AwsUnavailable" | "States.Timeout")) => {
            "AWS did not answer in time; see the AWS Health Dashboard. Then replay it:"
        }
        (EndedBadly::TimedOut, _) => "See where it waited, then replay it:",
        _ => "The comment of the red state in the console says what to fix. Then replay it:",
    };
    let mut lines = vec![
        fix.to_owned(),
        format!("gpu-recovery replay {execution} --dry-run"),
        format!("gpu-recovery replay {execution}"),
    ];
    lines.push(match holds {
        true => "A replay goes on at this step; it reboots no node twice and relaunches the job at most once.".to_owned(),
        false => "A replay is harmless: it goes on only where it still may.".to_owned(),
    });
    if status == EndedBadly::Aborted && holds {
        lines.push(
            "If it is not to go on: docs/runbook.md, \"A recovery was given up for good\"."
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{ExecutionArn, JobId},
        records::JobStatus,
    };

    fn event(error: &str) -> ExecutionStatusChange {
        serde_json::from_value(json!({ "detail": {
            "executionArn": "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1",
            "status": "FAILED",
            "input": "{}",
            "error": error,
            "cause": "{\"errorMessage\":\"no\"}",
        }}))
        .unwrap()
    }

    fn job(holder: Option<&str>) -> JobRecord {
        JobRecord {
            status: JobStatus::PendingRestart,
            holder: holder.map(ExecutionArn::new),
            failed_rank: Some(3),
            reason: Some("instance i-1 of rank 3 is faulty".into()),
            ..JobRecord::new(JobId::new("llama-7b"), 8, "")
        }
    }

    #[test]
    fn a_failed_execution_tells_where_why_and_the_exact_replay_command() {
        let event = event("AwsRejected");
        let step = LastStep {
            state: "RebootInstance".into(),
            instance: Some("i-0123456789abcdef3".into()),
            ..Default::default()
        };
        let job = job(Some(event.detail.execution_arn.as_str()));
        let message = compose(&event, Some(&step), Some(&job), "training");
        assert_eq!(
            message.subject,
            "[gpu-recovery] EXECUTION FAILED llama-7b: ordering the reboot of i-0123456789abcdef3"
        );
        for line in [
            "Job llama-7b is PENDING_RESTART in attempt 1",
            "This execution still holds the job",
            "DRAINING",
            "gpu-recovery replay arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1\n",
        ] {
            assert!(
                message.body.contains(line),
                "{line} not in:\n{}",
                message.body
            );
        }
        assert!(
            message
                .attributes
                .contains(&("severity", "critical".into()))
        );
        assert!(message.attributes.len() <= 10);
    }

    #[test]
    fn an_execution_that_lost_its_job_must_not_be_replayed() {
        let message = compose(&event("ClaimLost"), None, Some(&job(None)), "training");
        assert!(message.body.contains("Do not replay"), "{}", message.body);
        assert!(message.attributes.contains(&("severity", "error".into())));
    }

    #[test]
    fn nothing_known_is_still_a_message() {
        let mut event = event("x");
        event.detail.error = None;
        event.detail.cause = None;
        let message = compose(&event, None, None, "training");
        assert!(
            message
                .body
                .starts_with("The recovery of a job that could not be read broke while it was in a state that could not be read.")
        );
        assert!(message.body.contains("gpu-recovery replay arn:aws:states"));
    }
}
