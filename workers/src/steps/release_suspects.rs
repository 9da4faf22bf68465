//! ReleaseSuspects: the end of a repair beside the running job. What was repaired, or found innocent, is free again and
//! takes over the mark of the spare that replaced it.

use crate::{
    Context, Step, WorkerError,
    aws::{history::Event, marks::pool_of},
    decisions::diagnosis::{Check, Place, Recovery},
    ids::{ExecutionArn, JobId},
    records::{
        InstanceStatus, SwapState,
        event::{About, What},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct ReleaseSuspects;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseSuspectsInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub places: Vec<Place>,
    pub checks: Vec<Check>,
    pub recoveries: Vec<Recovery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum ReleaseSuspectsOutcome {
    Released {
        /// Nodes that are free again.
        released: usize,
        /// Those that are spares now.
        spares: usize,
    },
}

impl Step for ReleaseSuspects {
    const NAME: &'static str = "release-suspects";
    const STATE: Option<&'static str> = Some("ReleaseSuspects");
    const TIMEOUT_SECONDS: u32 = 120;
    type Input = ReleaseSuspectsInput;
    type Outcome = ReleaseSuspectsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let (mut released, mut spares) = (0, 0);
        for place in input.places.iter().filter(|place| place.repair) {
            let check = input.checks.iter().find(|c| c.instance == place.instead);
            let repair = input
                .recoveries
                .iter()
                .find(|r| r.instance == place.instead);
            // What was not brought back is quarantined, or gone: of that one the hold ends here.
            if let Some(repair) = repair.filter(|repair| !repair.recovered) {
                let (suspect, job) = (&place.instead, &input.job_id);
                ctx.instances
                    .note_verdict(suspect, job, &repair.detail, None)
                    .await?;
                ctx.instances
                    .release(suspect, job, &input.execution)
                    .await?;
                continue;
            }
            let (verdict, boot) = match (repair, check) {
                (Some(_), _) => ("healthy after its reboot".to_owned(), None),
                (None, Some(check)) => (check.verdict.to_string(), check.boot_id.as_deref()),
                (None, None) => continue,
            };
            let (suspect, job) = (&place.instead, &input.job_id);
            ctx.instances
                .note_verdict(suspect, job, &verdict, boot)
                .await?;
            if repair.is_some() {
                let event = Event {
                    about: About::Instance(suspect),
                    what: What::Repaired,
                    detail: "rebooted, and healthy since",
                    of_job: Some(job),
                };
                ctx.history.note(event, &input.execution).await?;
            }
            // First the mark: a node that is free and not marked may be a new job's at once.
            if move_mark(ctx, place, job).await? {
                spares += 1;
            }
            if ctx
                .instances
                .release(suspect, job, &input.execution)
                .await?
            {
                released += 1;
            } else {
                ctx.instances
                    .keep_out(suspect, job, &input.execution)
                    .await?;
            }
        }
        ctx.jobs
            .end_swap(&input.job_id, &input.execution, state(&input))
            .await?;
        Ok(ReleaseSuspectsOutcome::Released { released, spares })
    }
}

/// In vain when the check passed on every node that was replaced: their kernels alone accused them.
fn state(input: &ReleaseSuspectsInput) -> SwapState {
    let mut suspects = Place::suspects(&input.places);
    let passed = |check: &Check| check.exit_code == Some(0);
    let innocent = suspects.all(|suspect| {
        let check = input.checks.iter().find(|c| c.instance == *suspect);
        check.is_some_and(passed)
    });
    if innocent {
        SwapState::InVain
    } else {
        SwapState::Done
    }
}

/// Moves the spare's mark to the node that it has replaced, while the spare works for the job. Afterwards it is a spare
/// again itself, or somebody else's.
async fn move_mark(ctx: &Context, place: &Place, job: &JobId) -> Result<bool, WorkerError> {
    let spare = ctx.instances.get(&place.instance).await?;
    let works = spare.is_some_and(|spare| {
        spare.job_id.as_ref() == Some(job) && spare.status != InstanceStatus::Held
    });
    let Some(marked) = ctx.fleet.container_instance(&place.arn).await? else {
        return Ok(false);
    };
    let suspect = ctx.instances.get(&place.instead).await?;
    let Some(arn) = suspect.and_then(|suspect| suspect.container_instance_arn) else {
        return Ok(false);
    };
    if !works {
        // An earlier call of ours may have died with half of it done: the spare keeps its mark, and nobody else has it.
        let own = ctx.fleet.container_instance(&arn).await?;
        if pool_of(&marked).is_some() && own.as_ref().and_then(pool_of) == pool_of(&marked) {
            ctx.fleet.unmark(&arn).await?;
        }
        return Ok(false);
    }
    // Without a mark an earlier call of ours has moved it, or an operator wants no spare here.
    let Some(pool) = pool_of(&marked) else {
        return Ok(false);
    };
    // A node that has left the cluster takes no mark, and the spare keeps its own.
    let moves = ctx.fleet.mark(&arn, &pool).await?;
    if moves {
        ctx.fleet.unmark(&place.arn).await?;
    }
    Ok(moves)
}
