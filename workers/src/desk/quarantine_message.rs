//! What the operators are told of an instance that one of them has taken out of service.

use crate::{
    Context, WorkerError,
    aws::{history::Event, topic::Topic},
    decisions::message::{Body, Message, Severity, subject},
    ids::{InstanceId, JobId},
    records::event::{About, What},
};

/// An instance that is out of service by an operator's hand.
#[derive(Debug, Clone, Copy)]
pub struct OutOfService<'a> {
    pub instance: &'a InstanceId,
    /// The job that has it.
    pub job: Option<&'a JobId>,
    /// A recovery is at work on it, and quarantines it when it is done.
    pub held: bool,
    pub who: &'a str,
    pub why: &'a str,
}

/// Tells it, unless that was done before: the last deed of an operator in the instance's history says so. It is written last, so that a call
/// that dies half way tells twice rather than never.
///
/// # Errors
/// When SNS or DynamoDB does not take it; to repeat it is safe.
pub async fn tell(ctx: &Context, topic: &Topic, out: OutOfService<'_>) -> Result<(), WorkerError> {
    let about = About::Instance(out.instance);
    let known = ctx.history.of(about, 0).await?;
    let by_hand = known.iter().filter(|event| event.who.is_some());
    let last = by_hand.max_by_key(|event| &event.at);
    if last.is_some_and(|event| event.what == What::Quarantined && event.detail == out.why) {
        return Ok(());
    }
    topic.publish(&message(&ctx.settings.cluster, out)).await?;
    let event = Event {
        about,
        what: What::Quarantined,
        detail: out.why,
        of_job: out.job,
    };
    ctx.history.note_by_hand(event, out.who).await
}

fn message(cluster: &str, out: OutOfService<'_>) -> Message {
    let OutOfService {
        instance, who, why, ..
    } = out;
    let mut body = Body::new(&format!("{who} took {instance} out of service."));
    body.section("Why", &[why.to_owned()]);
    let mut done = vec!["It is DRAINING in ECS: nothing new is placed on it.".to_owned()];
    if out.held {
        done.push("The recovery that holds it goes on, and then quarantines it.".to_owned());
    } else {
        done.push("It is QUARANTINED: no job gets it, and no recovery reboots it.".to_owned());
        if let Some(job) = out.job {
            done.push(format!(
                "Its task of job {job} goes on; the job is not relaunched on it."
            ));
        }
    }
    body.section("What was done", &done);
    let next = [
        "When it is repaired:".to_owned(),
        format!("gpu-recovery check {instance}"),
    ];
    body.section("What to do next", &next);
    let mut attributes = vec![
        ("event", "InstanceQuarantined".into()),
        ("severity", Severity::Info.as_str().into()),
        ("instance_id", instance.to_string()),
        ("cluster", cluster.to_owned()),
    ];
    attributes.extend(out.job.map(|job| ("job_id", job.to_string())));
    Message {
        subject: subject(&format!("[gpu-recovery] QUARANTINED {instance}: by {who}")),
        body: body.finish(),
        attributes,
    }
}
