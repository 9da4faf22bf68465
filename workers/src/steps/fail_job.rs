//! FailJob: declares the job FAILED; healthy instances are released, faulty ones quarantined.

use super::{
    partial_launch::{Launch, undo},
    quarantine_instance::quarantine,
    record_completion::release_all,
};
use crate::{
    Context, Step, WorkerError,
    aws::pace,
    decisions::diagnosis::{Check, Reason, Recovery, Verdict},
    ids::{ExecutionArn, InstanceId, JobId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
        /// Taken out of service by this step; RecoverInstances may have quarantined others before.
        quarantined: Vec<InstanceId>,
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
        let to_quarantine = to_quarantine(*reason, &input.checks, &input.recoveries);
        let mut quarantined = Vec::new();
        if done_already {
            // An earlier call of ours declared it failed and died: the quarantine was done before that.
            quarantined.extend(
                to_quarantine
                    .iter()
                    .map(|(check, _)| check.instance.clone()),
            );
        } else {
            let until = pace::deadline(Self::TIMEOUT_SECONDS);
            let job = ctx.jobs.held(job_id, *attempt, execution).await?;
            undo(ctx, job, execution, Launch::Unknown, until).await?;
            let ranks = ctx.jobs.ranks(job_id, *attempt).await?;
            note_verdicts(ctx, job_id, &input.checks).await?;
            // Each one reads and drains its instance: what a call before this one has drained is not drained again.
            let answers = pace::ECS_READ
                .patiently(to_quarantine.iter().collect(), until, |(check, why)| {
                    let rank = ranks.iter().find(|r| r.rank == check.rank);
                    let arn = rank.and_then(|r| r.container_instance_arn.as_ref());
                    quarantine(ctx, &check.instance, arn, execution, why)
                })
                .await;
            // A task that does not stop still has its node: AVAILABLE, the next job would get it.
            for rank in ranks.iter().filter(|rank| rank.may_run()) {
                let (arn, why) = (
                    rank.container_instance_arn.as_ref(),
                    "its task could not be stopped",
                );
                if let Some(instance) = &rank.instance_id
                    && quarantine(ctx, instance, arn, execution, why).await?
                {
                    quarantined.push(instance.clone());
                }
            }
            for ((check, _), done) in to_quarantine.iter().zip(answers) {
                if done? {
                    quarantined.push(check.instance.clone());
                }
            }
            ctx.jobs
                .fail(job_id, *attempt, execution, reason.words())
                .await?;
        }
        let released = release_all(ctx, job_id, *attempt, execution).await?;
        Ok(FailJobOutcome::Failed {
            job_id: input.job_id,
            reason: input.reason,
            quarantined,
            released,
        })
    }
}

/// Keeps on the instances' items what DCGM said of those that are not healthy.
async fn note_verdicts(ctx: &Context, job: &JobId, checks: &[Check]) -> Result<(), WorkerError> {
    for check in checks.iter().filter(|c| c.verdict != Verdict::Healthy) {
        let code = check.exit_code.map_or("no exit code".to_owned(), |code| {
            format!("DCGM exit {code}")
        });
        let verdict = format!("{} ({code})", check.verdict);
        ctx.instances
            .note_verdict(&check.instance, job, &verdict)
            .await?;
    }
    Ok(())
}

/// The instances that DCGM found faulty and that RecoverInstances did not decide on, each with the reason to keep.
///
/// Too many faulty instances at once are not quarantined: the check itself is in doubt then, and a bad DCGM image must
/// not take a fleet out of service.
fn to_quarantine<'a>(
    reason: Reason,
    checks: &'a [Check],
    recoveries: &[Recovery],
) -> Vec<(&'a Check, String)> {
    if reason == Reason::TooManyFaultyInstances {
        return Vec::new();
    }
    let decided: BTreeSet<&InstanceId> = recoveries.iter().map(|r| &r.instance).collect();
    checks
        .iter()
        .filter(|check| !decided.contains(&check.instance))
        .filter_map(|check| {
            let code = check.exit_code.map_or("none".to_owned(), |c| c.to_string());
            match check.verdict {
                Verdict::Faulty => Some((check, format!("DCGM found it faulty (exit {code})"))),
                Verdict::Isolate => Some((check, format!("DCGM asks for isolation (exit {code})"))),
                Verdict::Healthy | Verdict::Inconclusive => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rank: u32, verdict: Verdict, exit_code: Option<i32>) -> Check {
        Check {
            instance: InstanceId::new(format!("i-0000000{rank}")),
            rank,
            exit_code,
            verdict,
            detail: String::new(),
        }
    }

    fn ranks_of(found: &[(&Check, String)]) -> Vec<u32> {
        found.iter().map(|(c, _)| c.rank).collect()
    }

    #[test]
    fn only_what_dcgm_found_faulty_and_nobody_decided_on_is_quarantined() {
        let checks = [
            check(0, Verdict::Healthy, Some(0)),
            check(1, Verdict::Faulty, Some(226)),
            check(2, Verdict::Isolate, Some(205)),
            check(3, Verdict::Inconclusive, None),
            check(4, Verdict::Faulty, Some(1)),
        ];
        let recovered = Recovery {
            instance: checks[4].instance.clone(),
            rank: 4,
            recovered: true,
            detail: String::new(),
        };
        let found = to_quarantine(Reason::GpuNeedsIsolation, &checks, &[recovered]);
        assert_eq!(ranks_of(&found), [1, 2]);
        assert_eq!(found[1].1, "DCGM asks for isolation (exit 205)");
    }

    #[test]
    fn a_check_that_finds_everything_faulty_takes_no_fleet_out_of_service() {
        let checks: Vec<Check> = (0..9)
            .map(|r| check(r, Verdict::Faulty, Some(226)))
            .collect();
        assert!(to_quarantine(Reason::TooManyFaultyInstances, &checks, &[]).is_empty());
        assert_eq!(to_quarantine(Reason::NoRecoveryLeft, &checks, &[]).len(), 9);
    }
}
