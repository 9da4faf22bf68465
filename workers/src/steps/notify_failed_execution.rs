//! NotifyFailedExecution: fed by EventBridge when an execution ends FAILED, TIMED_OUT or ABORTED, which means that a
//! person is needed. It stands outside the state machine, so that it speaks when the state machine can't.

use crate::{
    Context, Step, WorkerError,
    aws::{
        events::{EndedBadly, ExecutionStatusChange, TaskStateChange},
        executions::LastStep,
    },
    decisions::{
        console::{execution_link, redrive_command},
        message::{Body, Message, Severity, subject},
    },
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
        let step = ctx
            .executions
            .last_step(&detail.execution_arn)
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
    let state = step.map_or("an unknown state", |s| s.state.as_str());
    let what = job.map_or("a job that could not be read".to_owned(), |j| {
        format!("job {}", j.job_id)
    });
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
    let mut body = Body::new(&format!(
        "The recovery of {what} ended {status} at {state}."
    ));
    let mut happened = Vec::new();
    if let Some(error) = error {
        happened.push(format!("Error: {error}"));
    }
    if let Some(cause) = cause {
        happened.push(format!("Cause: {cause}"));
    }
    body.section("What happened", &happened);
    let mut stands = Vec::new();
    if let Some(job) = job {
        let reason = job.reason.as_deref().unwrap_or("no reason kept");
        stands.push(format!(
            "Job {} is {} in attempt {} ({reason}).",
            job.job_id, job.status, job.attempt
        ));
        stands.push(if holds {
            "This execution still holds the job: nothing else recovers it.".into()
        } else {
            "This execution holds the job no more.".into()
        });
    }
    body.section("How it stands", &stands);
    body.section("What to do next", &what_to_do(detail.status, error, holds));
    body.section(
        "Where to look",
        &[
            format!("Execution: {}", execution_link(execution)),
            format!("Replay: {}", redrive_command(execution)),
        ],
    );
    let facts = json!({
        "execution": execution,
        "status": status,
        "state": step.map(|s| &s.state),
        "error": error,
        "cause": cause.map(crate::decisions::message::cut),
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
    Message {
        subject: subject(&format!(
            "[gpu-recovery] EXECUTION {status} at {state}: {what}"
        )),
        body: body.finish(),
        attributes,
    }
}

fn what_to_do(status: EndedBadly, error: Option<&str>, holds: bool) -> Vec<String> {
    let mend = match (status, error) {
        (_, Some("ClaimLost")) => {
            return vec![
                "Nothing, if another execution recovers the job: it took the job over from this one.".into(),
                "Do not redrive: this execution has no say any more, and would only fail again.".into(),
            ];
        }
        (EndedBadly::Aborted, _) => "A person stopped this execution.",
        (_, Some("InvalidInput")) => {
            "The definition and the functions are of different versions: deploy both together."
        }
        (_, Some("CorruptRecord")) => "Mend the item that the cause names by hand.",
        (_, Some("AwsRejected")) => {
            "The cause names the call that AWS refused: most often a permission, a name or a quota."
        }
        (_, Some("AwsUnavailable" | "States.Timeout")) => {
            "AWS did not answer in time; see the AWS Health Dashboard."
        }
        (EndedBadly::TimedOut, _) => "The whole recovery took too long; see where it waited.",
        _ => "See the red state and its cause in the console; its comment says what to mend.",
    };
    let mut lines = vec![mend.to_owned()];
    if holds {
        lines.push(
            "Then replay it with the command below: it goes on at the step that failed.".into(),
        );
        lines.push("A replay reboots no node twice and relaunches the job at most once.".into());
    } else {
        lines.push("A replay is harmless: it goes on only where it still may.".into());
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
            ..Default::default()
        };
        let job = job(Some(event.detail.execution_arn.as_str()));
        let message = compose(&event, Some(&step), Some(&job), "training");
        assert_eq!(
            message.subject,
            "[gpu-recovery] EXECUTION FAILED at RebootInstance: job llama-7b"
        );
        for line in [
            "Job llama-7b is PENDING_RESTART in attempt 1",
            "This execution still holds the job",
            "Replay: aws stepfunctions redrive-execution --region us-east-1 --execution-arn \
             arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1",
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
        assert!(message.body.contains("Do not redrive"), "{}", message.body);
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
                .starts_with("The recovery of a job that could not be read ended FAILED")
        );
        assert!(message.body.contains("Replay: aws stepfunctions"));
    }
}
