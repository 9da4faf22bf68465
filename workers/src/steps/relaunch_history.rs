//! What RelaunchJob adds to the history.

use super::relaunch_job::{RelaunchJobInput, RelaunchJobOutcome};
use crate::{
    Context, WorkerError,
    aws::history::Event,
    records::event::{About, What},
};

/// Adds what has become of the job, and that its instances are repaired.
pub(super) async fn note(
    ctx: &Context,
    input: &RelaunchJobInput,
    outcome: &RelaunchJobOutcome,
) -> Result<(), WorkerError> {
    for instance in &input.instances {
        let event = Event {
            about: About::Instance(instance),
            what: What::Repaired,
            detail: "rebooted, and healthy since",
            of_job: Some(&input.job_id),
        };
        ctx.history.note(event, &input.execution).await?;
    }
    let (what, detail) = match outcome {
        RelaunchJobOutcome::Relaunched { attempt, .. } => (
            What::Recovered,
            format!(
                "runs as attempt {attempt}{}{}",
                rebooted(input),
                moved(input)
            ),
        ),
        RelaunchJobOutcome::StoppedByUser { failure } => (
            What::Stopped,
            format!(
                "an operator stopped rank {} while it started again",
                failure.rank
            ),
        ),
    };
    let event = Event {
        about: About::Job(&input.job_id),
        what,
        detail: &detail,
        of_job: None,
    };
    ctx.history.note(event, &input.execution).await
}

fn moved(input: &RelaunchJobInput) -> String {
    match input.places.as_slice() {
        [] => String::new(),
        [one] => format!("; rank {} moved to spare {}", one.rank, one.instance),
        many => format!("; {} ranks moved to spares", many.len()),
    }
}

fn rebooted(input: &RelaunchJobInput) -> String {
    match input.instances.as_slice() {
        [] => String::new(),
        [one] => format!("; rebooted {one}"),
        many => format!("; rebooted {} instances", many.len()),
    }
}
