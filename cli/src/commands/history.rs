//! `history`: what happened to a job or an instance, as the workers and the operators have written it down.

use super::seconds;
use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs},
    files, history,
    output::{Output, table::table},
};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use workers::{
    context::parse_time,
    ids::{ExecutionArn, JobId},
    records::event::{About, EventRecord, What},
};

const AFTER_HELP: &str = "\
Of a job: RECOVERED, FAILED, STOPPED, and ENDED (a rank's end that was told and no more). Of an instance: FAULTY, \
REPAIRED, QUARANTINED, RELEASED. Each with the execution or the operator. Events are kept for 90 days.

Examples:
  gpu-recovery history llama-7b
  gpu-recovery history i-0f3a9c5d7e0000003 --since 90d
  gpu-recovery explain EXECUTION                   the whole story of one of them

Exit codes:
  0  told, also when nothing happened
  1  AWS failed
  2  bad arguments; standard error says which";

/// Lists what happened to a job or an instance.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The id of a job, or of an instance.
    #[arg(value_name = "JOB|INSTANCE", value_parser = account::recorded)]
    name: Named,

    /// How far back, as 90s, 30m, 24h, 30d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds)]
    since: f64,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// What `history --json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// Oldest first.
    events: Vec<Event>,
}

/// One event.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Event {
    /// RFC 3339.
    at: String,
    what: What,
    detail: String,
    /// The job for which an instance worked.
    job_id: Option<JobId>,
    execution: Option<ExecutionArn>,
    /// The operator who did it.
    who: Option<String>,
}

/// Lists.
///
/// # Errors
/// When AWS does not answer.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Nothing, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("asking AWS");
    let about = match &arguments.name {
        Named::Instance(id) => About::Instance(id),
        Named::Job(id) => About::Job(id),
        Named::Execution(_) => return Err(Failure::BadInput("give a job or an instance".into())),
    };
    let since = (desk.now() - arguments.since) as i64;
    let found = desk.context.history.of(about, since).await?;
    output.still();
    let events = Events {
        events: found.into_iter().map(Event::of).collect(),
    };
    if arguments.json {
        output.raw(&files::pretty(&events)?);
    } else {
        show(output, &events.events);
    }
    Ok(0)
}

impl Event {
    fn of(record: EventRecord) -> Self {
        Self {
            at: record.at,
            what: record.what,
            detail: record.detail,
            job_id: record.of_job,
            execution: record.execution,
            who: record.who,
        }
    }

    /// Who or what did it.
    fn by(&self) -> String {
        let execution = self.execution.as_ref().map(|arn| arn.name().to_owned());
        self.who.clone().or(execution).unwrap_or_default()
    }
}

fn show(output: &Output, events: &[Event]) {
    if events.is_empty() {
        output.line("nothing is known of it in this time");
        return;
    }
    let rows = events.iter().map(|event| {
        let at = parse_time(&event.at).map_or(0.0, |at| at as f64);
        let job = event.job_id.as_ref();
        let job = job.map_or(String::new(), |job| format!("; job {job}"));
        vec![
            history::date_and_clock(at),
            event.what.to_string(),
            format!("{}{job}", event.detail),
            event.by(),
        ]
    });
    let head = ["when", "what", "detail", "by"];
    table(output, head, &[2], rows.collect());
}
