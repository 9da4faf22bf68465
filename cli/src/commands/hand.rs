//! `release` and `quarantine`: an operator's hand on an instance's record, by conditional writes, with who and why kept.

use crate::{
    Failure,
    account::{self, Account, Desk, Needs, OperatorsTopic},
    output::{self, Output, paint},
};
use clap::Args;
use workers::{
    aws::history::Event,
    desk::{
        hand::ByHand,
        quarantine_message::{self, OutOfService},
    },
    ids::{ContainerInstanceArn, InstanceId, TaskArn},
    records::{
        InstanceRecord, InstanceStatus,
        event::{About, What},
    },
};

const RELEASE_HELP: &str = "\
The record becomes AVAILABLE, or IN_PROGRESS where its job runs on it still, and the instance ACTIVE in ECS. It is refused while a recovery that runs holds the \
instance. Without --force it is refused, too, when one that ended badly holds it (replay that instead), and when no health check \
has passed since it was quarantined. To repeat it is safe.

Examples:
  gpu-recovery release i-0f3a9c5d7e0000003 --force --reason 'GPU 5 replaced and checked, ticket 4711'

Exit codes:
  0  released, or it was free already
  1  AWS failed, or the instance is not recorded
  2  bad arguments; standard error says which
  3  refused; the reason is given";

const QUARANTINE_HELP: &str = "\
The record becomes QUARANTINED and the instance DRAINING in ECS: nothing new is placed on it, and no recovery reboots \
it. Tasks that run on it go on. A recovery that holds the instance goes on too, and then quarantines it. The operators' topic \
is told once. To repeat it is safe.

Examples:
  gpu-recovery quarantine i-0f3a9c5d7e0000003 --reason 'ECC errors in dmesg'

Exit codes:
  0  quarantined, or it was already
  1  AWS failed, the cluster does not know the instance, or the operators could not be told
  2  bad arguments; standard error says which
  3  refused; the reason is given";

/// Puts an instance back into service.
#[derive(Args)]
#[command(after_help = RELEASE_HELP)]
pub struct Release {
    /// The instance's id.
    instance: InstanceId,

    /// Why; it is kept.
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,

    /// Who; it is kept. The user of this machine when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Releases it although a recovery that ended badly, or a job, has it, or no check has passed.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    account: Account,
}

/// Takes an instance out of service.
#[derive(Args)]
#[command(after_help = QUARANTINE_HELP)]
pub struct Quarantine {
    /// The instance's id.
    instance: InstanceId,

    /// Why; it is kept and shown by `status`.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,

    /// Who; it is kept. The user of this machine when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    topic: OperatorsTopic,

    #[command(flatten)]
    account: Account,
}

/// Releases.
///
/// # Errors
/// When AWS fails, or it is refused.
pub fn release(arguments: &Release) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        put_back(arguments, desk, output).await
    })
}

/// Quarantines.
///
/// # Errors
/// When AWS fails, or it is refused.
pub fn quarantine(arguments: &Quarantine) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        take_out(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn put_back(arguments: &Release, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let id = &arguments.instance;
    let context = &desk.context;
    let Some(record) = context.instances.get(id).await? else {
        return Err(Failure::Broken(format!(
            "no instance {id} is recorded, so nothing holds it; --instances-table names the table"
        )));
    };
    refuse_running(desk, &record).await?;
    let (arn, _) = desk.place(id).await?;
    if record.status == InstanceStatus::Available {
        context.fleet.activate(&arn).await?;
        output.line(&format!("{id} is AVAILABLE already, and ACTIVE in ECS"));
        return Ok(0);
    }
    if let Some(why) = taken(&record).filter(|_| !arguments.force) {
        return Err(Failure::Refused(why));
    }
    let who = arguments.by.clone().unwrap_or_else(account::whoami);
    let works = works(desk, &record).await?;
    let released = context
        .instances
        .release_by_hand(&record, works, &who, &arguments.reason)
        .await?;
    if released.is_none() {
        return Err(changed(id));
    }
    context.fleet.activate(&arn).await?;
    note(desk, What::Released, &record, &who, &arguments.reason).await;
    let was = record.quarantine_reason.as_ref();
    let was = was.map_or(String::new(), |reason| format!(" ({reason})"));
    let now = match record.job_id.as_ref().filter(|_| works) {
        Some(job) => format!("IN_PROGRESS: job {job} runs on it"),
        None => "AVAILABLE".to_owned(),
    };
    let text = format!(
        "{id} is {now}, and ACTIVE in ECS; it was {}{was}",
        record.status
    );
    output.text("", &paint(output::GOOD, text));
    Ok(0)
}

/// The same with what it works with.
pub async fn take_out(arguments: &Quarantine, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let id = &arguments.instance;
    let context = &desk.context;
    let record = context.instances.get(id).await?;
    let (arn, _) = desk.place(id).await?;
    if let Some(record) = &record
        && held_by_running(desk, record).await?
    {
        return keep_out(arguments, desk, output, record, &arn).await;
    }
    if let Some(record) = record
        .as_ref()
        .filter(|r| r.status == InstanceStatus::Quarantined)
    {
        context.fleet.drain(&arn).await?;
        let reason = record
            .quarantine_reason
            .as_deref()
            .unwrap_or("no reason kept");
        output.text("", &format!("{id} is QUARANTINED already: {reason}"));
        let hand = context.instances.by_hand(id).await?;
        let ours = |hand: &ByHand| hand.action == "quarantined" && hand.why == arguments.reason;
        if let Some(hand) = hand.filter(ours) {
            tell(arguments, desk, record, &hand.who, false).await?;
        }
        return Ok(0);
    }
    let who = arguments.by.clone().unwrap_or_else(account::whoami);
    let written = context
        .instances
        .quarantine_by_hand(id, &arn, record.as_ref(), &who, &arguments.reason)
        .await?;
    let Some(written) = written else {
        return Err(changed(id));
    };
    context.fleet.drain(&arn).await?;
    output.text(
        "",
        &paint(
            output::WARNING,
            format!("{id} is QUARANTINED, and DRAINING in ECS"),
        ),
    );
    if let Some(job) = record.as_ref().and_then(|record| record.job_id.as_ref()) {
        output.text(
            "",
            &format!("its task of job {job} goes on; that job is not relaunched here"),
        );
    }
    if let Some(holder) = record.as_ref().and_then(|record| record.holder.as_ref()) {
        output.text(
            "",
            &format!("the execution that held it, {}, had ended", holder.name()),
        );
    }
    tell(arguments, desk, &written, &who, false).await?;
    Ok(0)
}

async fn tell(
    arguments: &Quarantine,
    desk: &Desk,
    record: &InstanceRecord,
    who: &str,
    held: bool,
) -> Result<(), Failure> {
    let topic = desk.topic(&arguments.topic).await?;
    let out = OutOfService {
        instance: &record.instance_id,
        job: record.job_id.as_ref(),
        held,
        who,
        why: &arguments.reason,
    };
    quarantine_message::tell(&desk.context, &topic, out)
        .await
        .map_err(account::not_told)
}

/// A recovery at work goes on; it quarantines the instance in place of setting it ACTIVE again.
async fn keep_out(
    arguments: &Quarantine,
    desk: &Desk,
    output: &Output,
    record: &InstanceRecord,
    arn: &ContainerInstanceArn,
) -> Result<u8, Failure> {
    let id = &arguments.instance;
    let who = arguments.by.clone().unwrap_or_else(account::whoami);
    let instances = &desk.context.instances;
    let written = instances.ask_to_keep_out(record, &who, &arguments.reason);
    if written.await?.is_none() {
        return Err(changed(id));
    }
    desk.context.fleet.drain(arn).await?;
    let text = format!("{id} is DRAINING, and the recovery that holds it will quarantine it");
    output.text("", &paint(output::WARNING, text));
    tell(arguments, desk, record, &who, true).await?;
    Ok(0)
}

/// Adds the deed to the instance's history. It is done by then: that it is not written down is told, and no more.
async fn note(desk: &Desk, what: What, record: &InstanceRecord, who: &str, why: &str) {
    let event = Event {
        about: About::Instance(&record.instance_id),
        what,
        detail: why,
        of_job: record.job_id.as_ref(),
    };
    if let Err(error) = desk.context.history.note_by_hand(event, who).await {
        output::warning(&format!("it is not in the instance's history: {error}"));
    }
}

async fn held_by_running(desk: &Desk, record: &InstanceRecord) -> Result<bool, Failure> {
    match &record.holder {
        Some(holder) => Ok(desk.is_running(holder, &record.updated_at).await?),
        None => Ok(false),
    }
}

/// Whether a rank of the instance's job is on it still, as ECS says: such an instance is not free.
async fn works(desk: &Desk, record: &InstanceRecord) -> Result<bool, Failure> {
    let context = &desk.context;
    let Some(job) = &record.job_id else {
        return Ok(false);
    };
    let Some(found) = context.jobs.get(job).await? else {
        return Ok(false);
    };
    let ranks = context.jobs.ranks(job, found.attempt).await?;
    let here: Vec<TaskArn> = ranks
        .into_iter()
        .filter(|rank| rank.instance_id.as_ref() == Some(&record.instance_id))
        .map(|rank| rank.task_arn)
        .collect();
    let tasks = context.fleet.tasks(&here).await?;
    Ok(tasks
        .values()
        .any(|task| task.last_status() != Some("STOPPED")))
}

/// A recovery at work is not disturbed.
async fn refuse_running(desk: &Desk, record: &InstanceRecord) -> Result<(), Failure> {
    match &record.holder {
        Some(holder) if held_by_running(desk, record).await? => Err(Failure::Refused(format!(
            "{} is held by a recovery that runs; follow it: gpu-recovery watch {holder}",
            record.instance_id
        ))),
        _ => Ok(()),
    }
}

/// Why an instance is not simply free to be released.
fn taken(record: &InstanceRecord) -> Option<String> {
    let id = &record.instance_id;
    if let Some(holder) = &record.holder {
        return Some(format!(
            "{id} is held by a recovery that ended badly; go on with it: gpu-recovery replay {holder}\n  or release it \
             with --force: a later replay then refuses to reboot it"
        ));
    }
    match (&record.job_id, record.status) {
        (_, InstanceStatus::Quarantined) if record.last_check_passed() => None,
        (_, InstanceStatus::Quarantined) => Some(format!(
            "{id} was quarantined ({}), and no health check has passed since\n  when it is repaired: gpu-recovery check {id}; \
             --force releases it unchecked",
            record
                .quarantine_reason
                .as_deref()
                .unwrap_or("no reason kept")
        )),
        (None, _) => None,
        (Some(job), status) => Some(format!(
            "{id} is {status} for job {job}; it is freed when the job ends, or with --force"
        )),
    }
}

fn changed(id: &InstanceId) -> Failure {
    Failure::Broken(format!(
        "the record of {id} changed at the same moment, so nothing was written; look again: gpu-recovery status {id}"
    ))
}
