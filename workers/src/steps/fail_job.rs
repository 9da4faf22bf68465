//! FailJob: declares the job FAILED and releases its instances, but for those that are quarantined by then.

use super::{
    partial_launch::{Launch, undo},
    quarantine_instance::{Order, quarantine},
    release, spares,
    take_back::{drain_quarantined, lost_hold, take_back},
};
use crate::{
    Context, Step, WorkerError,
    aws::{history::Event, pace},
    decisions::diagnosis::{Check, Reason, Recovery, Verdict},
    ids::{ExecutionArn, JobId},
    records::event::{About, What},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct FailJob;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailJobInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub reason: Reason,
    pub checks: Vec<Check>,
    pub recoveries: Vec<Recovery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum FailJobOutcome {
    Failed {
        job_id: JobId,
        reason: Reason,
        /// Instances that are free again.
        released: usize,
    },
}

impl Step for FailJob {
    const NAME: &'static str = "fail-job";
    const STATE: Option<&'static str> = Some("FailJob");
    const TIMEOUT_SECONDS: u32 = 300;
    type Input = FailJobInput;
    type Outcome = FailJobOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let FailJobInput {
            execution,
            job_id,
            attempt,
            reason,
            ..
        } = &input;
        let found = ctx.jobs.get(job_id).await?;
        let done_already = found.is_some_and(|job| job.was_failed_by(execution, *attempt));
        if !done_already {
            let until = pace::deadline(Self::TIMEOUT_SECONDS);
            let job = ctx.jobs.held(job_id, *attempt, execution).await?;
            let job = undo(ctx, job, execution, Launch::Unknown, until).await?;
            spares::let_go(ctx, job, execution).await?;
            note_verdicts(ctx, job_id, &input.checks, &input.recoveries).await?;
            // A task that does not stop still has its node: AVAILABLE, the next job would get it.
            let ranks = ctx.jobs.ranks(job_id, *attempt).await?;
            for rank in ranks.iter().filter(|rank| rank.may_run()) {
                let Some(instance) = &rank.instance_id else {
                    continue;
                };
                // An execution that has lost the job may have named it for a repair under its task.
                if let Some(left) = lost_hold(ctx, instance, job_id, execution).await? {
                    take_back(ctx, &left).await?;
                }
                let order = Order {
                    instance,
                    job: job_id,
                    rank_arn: rank.container_instance_arn.as_ref(),
                    by: execution,
                    reason: "its task could not be stopped",
                    fault: false,
                };
                quarantine(ctx, order).await?;
            }
            ctx.jobs
                .fail(job_id, *attempt, execution, reason.words())
                .await?;
        }
        note_history(ctx, &input).await?;
        let released = release::all(ctx, job_id, *attempt, execution).await?;
        drain_quarantined(ctx, &released.left).await?;
        Ok(FailJobOutcome::Failed {
            job_id: input.job_id,
            reason: input.reason,
            released: released.free,
        })
    }
}

/// Adds to the history that the job has failed, and which of its instances are repaired all the same.
async fn note_history(ctx: &Context, input: &FailJobInput) -> Result<(), WorkerError> {
    for repaired in input.recoveries.iter().filter(|r| r.recovered) {
        let event = Event {
            about: About::Instance(&repaired.instance),
            what: What::Repaired,
            detail: &repaired.detail,
            of_job: Some(&input.job_id),
        };
        ctx.history.note(event, &input.execution).await?;
    }
    let event = Event {
        about: About::Job(&input.job_id),
        what: What::Failed,
        detail: input.reason.words(),
        of_job: None,
    };
    ctx.history.note(event, &input.execution).await
}

/// Keeps on the instances' items what the last check said.
async fn note_verdicts(
    ctx: &Context,
    job: &JobId,
    checks: &[Check],
    recoveries: &[Recovery],
) -> Result<(), WorkerError> {
    let noted = pace::DYNAMODB
        .each(checks, |check| note_verdict(ctx, job, check, recoveries))
        .await;
    noted.into_iter().collect()
}

/// Of an instance that was repaired the word after the repair.
async fn note_verdict(
    ctx: &Context,
    job: &JobId,
    check: &Check,
    recoveries: &[Recovery],
) -> Result<(), WorkerError> {
    let repaired = recoveries.iter().find(|r| r.instance == check.instance);
    let verdict = match (repaired, check.exit_code) {
        (Some(repaired), _) if repaired.recovered => {
            format!("{} now: {}", Verdict::Healthy, repaired.detail)
        }
        (Some(repaired), _) => repaired.detail.clone(),
        (None, Some(code)) => format!("{} (exit {code})", check.verdict),
        (None, None) => format!("{} (no exit code)", check.verdict),
    };
    // A repair is another boot.
    let boot = check.boot_id.as_deref().filter(|_| repaired.is_none());
    ctx.instances
        .note_verdict(&check.instance, job, &verdict, boot)
        .await
}
