//! What comes of instances.

use super::Told;
use crate::{
    drill::words::{Tone, line},
    output::counted,
};
use workers::{
    decisions::diagnosis::Place,
    steps::{
        claim_instance::ClaimInstanceOutcome, cordon_instance::CordonInstanceOutcome,
        end_check::EndCheckOutcome, hold_spares::HoldSparesOutcome,
        name_suspects::NameSuspectsOutcome, quarantine_instance::QuarantineInstanceOutcome,
        release_suspects::ReleaseSuspectsOutcome, uncordon_instance::UncordonInstanceOutcome,
    },
};

pub(super) fn claim_instance(outcome: ClaimInstanceOutcome) -> Told {
    match outcome {
        ClaimInstanceOutcome::Claimed {
            instances, failure, ..
        } => {
            let id = |other| instances.first().map_or(other, |id| id.as_str());
            let asked = failure.stopped_reason.unwrap_or_default();
            Told::plain(
                format!("took {} for a check by hand", id("it")),
                format!("{} was taken for a check, {asked}", id("the instance")),
            )
            .mattering()
        }
        ClaimInstanceOutcome::Refused { instance, why } => {
            let text = format!("{instance} was left alone: {}", line(&why));
            Told::new(Tone::Warning, text.clone(), text).deciding(format!("refused: {why}"))
        }
    }
}

pub(super) fn name_suspects(outcome: NameSuspectsOutcome) -> Told {
    let NameSuspectsOutcome::Named {
        answered,
        accused,
        to_check,
        ..
    } = outcome;
    let answered = counted(answered as u64, "node");
    let (accused, kernels) = match accused {
        0 => (
            "accused nobody".to_owned(),
            "no kernel accuses a GPU".to_owned(),
        ),
        some => (
            format!("accused {some}"),
            format!(
                "{} accused by its kernel or driver",
                counted(some as u64, "node")
            ),
        ),
    };
    let many = counted(to_check.len() as u64, "instance");
    let suspects = match to_check.as_slice() {
        [] => "no instance is to be checked".to_owned(),
        [one] => format!("the suspect is {}", one.instance),
        _ => format!("{many} are suspects"),
    };
    Told::plain(
        format!("{answered} answered and {accused}; {many} to check"),
        format!("{answered} answered the probe, {kernels}; {suspects}"),
    )
    .mattering()
}

pub(super) fn hold_spares(outcome: HoldSparesOutcome) -> Told {
    match outcome {
        HoldSparesOutcome::Held { places, .. } => {
            Told::new(Tone::Good, held(&places), held(&places))
        }
        HoldSparesOutcome::NotEnough { why } => Told::new(
            Tone::Warning,
            format!("no spare is held: {why}"),
            format!("no spare was held: {why}"),
        ),
    }
}

/// Which spares are held for which ranks.
fn held(places: &[Place]) -> String {
    match places {
        [one] => format!("spare {} is held for rank {}", one.instance, one.rank),
        many => format!("{} are held", counted(many.len() as u64, "spare")),
    }
}

pub(super) fn release_suspects(outcome: ReleaseSuspectsOutcome) -> Told {
    let ReleaseSuspectsOutcome::Released { released, spares } = outcome;
    let mut text = format!("{} free again", counted(released as u64, "instance"));
    match spares {
        0 => {}
        1 => text += ", 1 of them as a spare",
        some => text += &format!(", {some} of them as spares"),
    }
    let sentence = format!("the repair beside the job was over: {text}");
    Told::plain(text, sentence)
}

pub(super) fn cordon_instance(outcome: CordonInstanceOutcome) -> Told {
    match outcome {
        CordonInstanceOutcome::Cordoned { .. } => Told::plain(
            "cordoned (DRAINING)",
            "{} was cordoned: ECS places nothing new on it",
        ),
        CordonInstanceOutcome::Refused { refusal, detail } => {
            let refusal = serde_json::to_value(refusal).unwrap_or_default();
            let (refusal, detail) = (refusal.as_str().unwrap_or_default(), line(&detail));
            Told::new(
                Tone::Warning,
                format!("left alone, {refusal}: {detail}"),
                format!("{{}} was left alone: {detail}"),
            )
        }
    }
}

pub(super) fn uncordon_instance(outcome: UncordonInstanceOutcome) -> Told {
    let UncordonInstanceOutcome::Uncordoned { .. } = outcome;
    Told::plain(
        "ACTIVE again, still held",
        "{} was set ACTIVE again, still held for its check",
    )
}

pub(super) fn quarantine_instance(outcome: QuarantineInstanceOutcome) -> Told {
    match outcome {
        QuarantineInstanceOutcome::Quarantined { .. } => Told::new(
            Tone::Bad,
            "quarantined: DRAINING, out of service",
            "{} was quarantined",
        ),
        QuarantineInstanceOutcome::HeldByAnother { .. } => Told::new(
            Tone::Warning,
            "another recovery holds it; not changed",
            "{} is held by another recovery and was not changed",
        ),
        QuarantineInstanceOutcome::Gone { .. } => Told::new(
            Tone::Warning,
            "it has left the cluster",
            "{} has left the cluster",
        ),
    }
}

pub(super) fn end_check(outcome: EndCheckOutcome) -> Told {
    let (tone, text) = match outcome {
        EndCheckOutcome::InService { instance, verdict } => {
            (Tone::Good, format!("{instance} is in service: {verdict}"))
        }
        EndCheckOutcome::OutOfService { instance, why } => {
            let why = line(&why);
            (Tone::Bad, format!("{instance} is out of service: {why}"))
        }
    };
    Told::new(tone, text.clone(), text.clone()).deciding(text)
}
