//! EndCheck: puts an instance that an operator had checked into service, if it passed; one that did not is quarantined by
//! then.

use super::release;
use crate::{
    Context, Step, WorkerError,
    aws::history::Event,
    decisions::{
        diagnosis::{Check, Recovery},
        instance_check,
    },
    ids::{ExecutionArn, InstanceId, JobId},
    records::{
        JobStatus,
        event::{About, What},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct EndCheck;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndCheckInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub instance: InstanceId,
    pub checks: Vec<Check>,
    pub recoveries: Vec<Recovery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum EndCheckOutcome {
    /// In service: AVAILABLE.
    InService {
        instance: InstanceId,
        verdict: String,
    },
    /// It did not pass.
    OutOfService { instance: InstanceId, why: String },
}

impl Step for EndCheck {
    const NAME: &'static str = "end-check";
    const STATE: Option<&'static str> = Some("EndCheck");
    type Input = EndCheckInput;
    type Outcome = EndCheckOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let word = instance_check::word(&input.instance, &input.checks, &input.recoveries);
        let (status, detail) = match &word {
            Ok(verdict) => (JobStatus::Complete, verdict),
            Err(why) => (JobStatus::Failed, why),
        };
        let job = ctx.jobs.get(&input.job_id).await?;
        let ended_already = job.is_some_and(|job| job.check && job.has_ended());
        if !ended_already {
            ctx.jobs
                .held(&input.job_id, input.attempt, &input.execution)
                .await?;
            // A node that was quarantined works for nobody any more: its word stays.
            let boot = input.checks.first().and_then(|c| c.boot_id.as_deref());
            let boot = boot.filter(|_| input.recoveries.is_empty());
            ctx.instances
                .note_verdict(&input.instance, &input.job_id, detail, boot)
                .await?;
            ctx.jobs
                .end_check(
                    &input.job_id,
                    input.attempt,
                    &input.execution,
                    status,
                    detail,
                )
                .await?;
        }
        let ranks = ctx.jobs.ranks(&input.job_id, input.attempt).await?;
        release::ended(ctx, &ranks, &input.job_id, &input.execution).await?;
        let event = Event {
            about: About::Instance(&input.instance),
            what: What::Checked,
            detail,
            of_job: Some(&input.job_id),
        };
        ctx.history.note(event, &input.execution).await?;
        // An operator may have wanted it out of service meanwhile.
        let record = ctx.instances.get(&input.instance).await?;
        let kept_out = record.and_then(|record| record.quarantine_reason);
        let instance = input.instance;
        Ok(match (word, kept_out) {
            (Ok(verdict), None) => EndCheckOutcome::InService { instance, verdict },
            (Ok(_), Some(why)) | (Err(why), _) => EndCheckOutcome::OutOfService { instance, why },
        })
    }
}
