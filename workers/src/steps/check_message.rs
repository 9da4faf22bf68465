//! The message about an instance that an operator had checked.

use super::notify_operators::{
    NotifyOperatorsInput, attributes, next::where_to_look, outcome::Kind,
};
use crate::{
    Settings,
    decisions::{
        findings, instance_check,
        message::{Body, Message, subject},
        words::{clock, date},
    },
};

/// The message; `took` in seconds, if that is known.
pub(super) fn compose(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    took: Option<i64>,
) -> Message {
    let failure = &input.failure;
    let Some(instance) = &failure.instance else {
        return out_of_service(input, settings, took, "the instance", "it is not known");
    };
    match instance_check::word(instance, &input.checks, &input.recoveries) {
        Ok(verdict) => in_service(input, settings, took, instance.as_str(), &verdict),
        Err(why) => out_of_service(input, settings, took, instance.as_str(), &why),
    }
}

fn in_service(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    took: Option<i64>,
    instance: &str,
    verdict: &str,
) -> Message {
    let next = vec!["Nothing: jobs can be placed on it.".into()];
    Message {
        subject: subject(&format!("[gpu-recovery] CHECKED {instance}: {verdict}")),
        body: body(
            input,
            settings,
            &format!("{instance} is in service: {verdict}."),
            &next,
        ),
        attributes: attributes(input, settings, Kind::Checked, took),
    }
}

fn out_of_service(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    took: Option<i64>,
    instance: &str,
    why: &str,
) -> Message {
    let next = vec![
        "Repair it, or give it back; it gets no job meanwhile.".into(),
        "When it is repaired:".into(),
        format!("gpu-recovery check {instance}"),
    ];
    Message {
        subject: subject(&format!("[gpu-recovery] QUARANTINED {instance}: {why}")),
        body: body(
            input,
            settings,
            &format!("{instance} is out of service: {why}."),
            &next,
        ),
        attributes: attributes(input, settings, Kind::Quarantined, took),
    }
}

fn body(
    input: &NotifyOperatorsInput,
    settings: &Settings,
    headline: &str,
    next: &[String],
) -> String {
    let mut body = Body::new(headline);
    body.section("What happened", &asked_for(input));
    body.section(
        "What the check found",
        &findings::lines(&input.checks, settings, &input.execution),
    );
    body.section("What to do next", next);
    body.section("Where to look", &where_to_look(input));
    body.finish()
}

fn asked_for(input: &NotifyOperatorsInput) -> Vec<String> {
    let words = input.failure.stopped_reason.as_deref().unwrap_or_default();
    let at = &input.started_at;
    vec![format!("{} {}: a check was {words}.", date(at), clock(at))]
}
