//! What the workers' answers say in words: each outcome in one place, in all the forms in which it is told.

mod instance;
mod job;

use crate::drill::words::{Tone, Words};
use instance::{
    claim_instance, cordon_instance, end_check, hold_spares, name_suspects, quarantine_instance,
    release_suspects, uncordon_instance,
};
use job::{claim_job, fail_job, record_completion, record_user_stop, relaunch_job, stop_siblings};
use serde::de::DeserializeOwned;
use serde_json::Value;
use workers::{
    contract::Step,
    steps::{
        claim_instance::ClaimInstance,
        claim_job::ClaimJob,
        cordon_instance::CordonInstance,
        end_check::EndCheck,
        fail_job::FailJob,
        hold_spares::HoldSpares,
        name_suspects::NameSuspects,
        notify_operators::{NotifyOperators, NotifyOperatorsOutcome},
        quarantine_instance::QuarantineInstance,
        record_completion::RecordCompletion,
        record_user_stop::RecordUserStop,
        relaunch_job::RelaunchJob,
        release_suspects::ReleaseSuspects,
        stop_siblings::StopSiblings,
        uncordon_instance::UncordonInstance,
    },
};

/// An outcome in words.
#[derive(Debug)]
pub struct Told {
    /// For a line that names the state and the instance.
    pub short: Words,
    /// For a story; `{}` stands for the instance.
    pub sentence: String,
    /// What is decided by it, in the words of the message to the operators.
    pub decision: Option<String>,
}

impl Told {
    fn new(tone: Tone, short: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            short: Words::new(tone, short),
            sentence: sentence.into(),
            decision: None,
        }
    }

    fn plain(short: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::new(Tone::Plain, short, sentence)
    }

    fn mattering(mut self) -> Self {
        self.short.matters = true;
        self
    }

    fn deciding(mut self, decision: impl Into<String>) -> Self {
        self.decision = Some(decision.into());
        self
    }

    fn too_late(why: &str) -> Self {
        Self::plain(
            format!("too late: {why}"),
            format!("the event came too late, so nothing was done: {why}"),
        )
    }

    fn no_job() -> Self {
        Self::plain(
            "the task belongs to no job",
            "the task belongs to no job, so nothing was done",
        )
    }
}

/// What a worker answered; it is named as its function is, or as its state. None when it is no worker, or no answer of it.
pub fn of(worker: &str, payload: &Value) -> Option<Told> {
    let answer = (worker, payload);
    told::<ClaimJob, _>(answer, claim_job)
        .or_else(|| told::<ClaimInstance, _>(answer, claim_instance))
        .or_else(|| told::<StopSiblings, _>(answer, stop_siblings))
        .or_else(|| told::<NameSuspects, _>(answer, name_suspects))
        .or_else(|| told::<HoldSpares, _>(answer, hold_spares))
        .or_else(|| told::<ReleaseSuspects, _>(answer, release_suspects))
        .or_else(|| told::<CordonInstance, _>(answer, cordon_instance))
        .or_else(|| told::<UncordonInstance, _>(answer, uncordon_instance))
        .or_else(|| told::<QuarantineInstance, _>(answer, quarantine_instance))
        .or_else(|| told::<RelaunchJob, _>(answer, relaunch_job))
        .or_else(|| told::<EndCheck, _>(answer, end_check))
        .or_else(|| told::<FailJob, _>(answer, fail_job))
        .or_else(|| told::<NotifyOperators, _>(answer, notify_operators))
        .or_else(|| told::<RecordCompletion, _>(answer, record_completion))
        .or_else(|| told::<RecordUserStop, _>(answer, record_user_stop))
}

fn told<S, O>((worker, payload): (&str, &Value), tell: impl FnOnce(O) -> Told) -> Option<Told>
where
    S: Step<Outcome = O>,
    O: DeserializeOwned,
{
    let named = worker == S::NAME || S::STATE == Some(worker);
    let read = || serde_json::from_value(payload.clone()).ok();
    named.then(read).flatten().map(tell)
}

fn notify_operators(outcome: NotifyOperatorsOutcome) -> Told {
    let NotifyOperatorsOutcome::Notified { subject, .. } = outcome;
    let subject = subject.trim_start_matches("[gpu-recovery] ");
    Told::plain(
        format!("told the operators: {subject}"),
        format!("the operators were told: {subject}"),
    )
}
