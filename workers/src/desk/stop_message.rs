//! What the operators are told of a job that one of them has stopped.

use super::stop::Stopped;
use crate::{
    Context, WorkerError,
    aws::{history::Event, topic::Topic},
    decisions::message::{Body, Message, Severity, subject},
    ids::JobId,
    records::event::{About, What},
};

/// Tells it, unless that was done before: the event in the job's history says so. It is written last, so that a call that
/// dies half way tells twice rather than never.
///
/// # Errors
/// When SNS or DynamoDB does not take it; to repeat it is safe.
pub async fn tell(
    ctx: &Context,
    topic: &Topic,
    job: &JobId,
    stopped: &Stopped,
    who: &str,
    why: &str,
) -> Result<(), WorkerError> {
    let about = About::Job(job);
    let known = ctx.history.of(about, 0).await?;
    let by_hand = |what: What, who: &Option<String>| what == What::Stopped && who.is_some();
    if known.iter().any(|event| by_hand(event.what, &event.who)) {
        return Ok(());
    }
    topic
        .publish(&message(&ctx.settings.cluster, job, stopped, who, why))
        .await?;
    let event = Event {
        about,
        what: What::Stopped,
        detail: why,
        of_job: None,
    };
    ctx.history.note_by_hand(event, who).await
}

fn message(cluster: &str, job: &JobId, stopped: &Stopped, who: &str, why: &str) -> Message {
    let mut body = Body::new(&format!("Job {job} is USER_STOPPED: {who} stopped it."));
    body.section("Why", &[why.to_owned()]);
    let mut done = vec![format!(
        "{} of {} ranks were stopped, and {} instances are free.",
        stopped.ranks as usize - stopped.left.len(),
        stopped.ranks,
        stopped.freed.len()
    )];
    done.extend(stopped.left.iter().map(|(rank, instance)| {
        let place = instance.as_ref();
        let place = place.map_or("an unknown instance", |id| id.as_str());
        format!("Rank {rank} on {place} does not stop.")
    }));
    body.section("What was done", &done);
    let mut next = Vec::new();
    if !stopped.left.is_empty() {
        next.push(format!(
            "Repeat gpu-recovery stop {job}, or take the instance out of service: gpu-recovery quarantine INSTANCE --reason '...'"
        ));
    }
    next.push(format!(
        "When it is to go on: gpu-recovery submit --again {job} NEWID"
    ));
    body.section("What to do next", &next);
    let severity = match stopped.left.is_empty() {
        true => Severity::Info,
        false => Severity::Error,
    };
    Message {
        subject: subject(&format!("[gpu-recovery] STOPPED {job}: by {who}")),
        body: body.finish(),
        attributes: vec![
            ("event", "JobStopped".into()),
            ("severity", severity.as_str().into()),
            ("job_id", job.to_string()),
            ("reason", "UserStopped".into()),
            ("cluster", cluster.to_owned()),
        ],
    }
}
