//! `recoveries`: what was recovered, and what came of it.

use super::explain;
use crate::{
    Failure,
    account::{self, Account, Desk, Needs, refused},
    files,
    history::{self, path::Path},
    output::{self, Output, counted, paint, span, table::table},
};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use workers::ids::{ExecutionArn, InstanceId, JobId};

const AFTER_HELP: &str = "\
Newest first. Most executions have nothing to recover: a rank that ended well, a stop that was asked for. Those that were \
over within ten seconds are counted and not looked at. --json names each execution. Step Functions keeps executions for 90 days.

Examples:
  gpu-recovery recoveries
  gpu-recovery recoveries --since 24h
  gpu-recovery recoveries --since 30d --json | jq '[.recoveries[].seconds] | add / length'

Exit codes:
  0  listed
  1  AWS failed
  2  bad arguments; standard error says which";

/// A recovery stops a gang and starts it again: none is over so soon. Seconds.
const SHORTEST: f64 = 10.0;

/// Lists recoveries: job, outcome, how long, and the instances that were taken out of service for it.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// How far back they began, as 30m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = super::seconds)]
    since: f64,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// All of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recoveries {
    /// Newest first.
    recoveries: Vec<Recovery>,
    /// Executions that had nothing to recover.
    others: usize,
}

/// One recovery.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Recovery {
    execution: ExecutionArn,
    /// None when it broke before it found the job.
    job_id: Option<JobId>,
    /// As Step Functions says it.
    status: String,
    /// In words; none when it has not decided.
    outcome: Option<String>,
    /// Seconds since the epoch.
    began: f64,
    /// Until it ended, or until now.
    seconds: f64,
    /// Those that it took out of service, for a repair or for good.
    instances: BTreeSet<InstanceId>,
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
    let found = read(desk, arguments.since).await?;
    output.still();
    if arguments.json {
        output.raw(&files::pretty(&found)?);
    } else {
        show(output, &found);
    }
    Ok(0)
}

async fn read(desk: &Desk, since: f64) -> Result<Recoveries, Failure> {
    let machine = desk.machine().await?;
    let oldest = desk.now() - since;
    let mut found = Recoveries {
        recoveries: Vec::new(),
        others: 0,
    };
    // "Results are sorted by time, with the most recent execution first" (Step Functions API, ListExecutions).
    let mut pages = desk
        .sfn
        .list_executions()
        .state_machine_arn(&machine)
        .into_paginator()
        .items()
        .send();
    while let Some(execution) = pages.next().await {
        let execution = execution.map_err(refused("states:ListExecutions", &machine))?;
        let began = execution.start_date().as_secs_f64();
        if began < oldest {
            break;
        }
        let until = execution
            .stop_date()
            .map_or_else(|| desk.now(), |at| at.as_secs_f64());
        let well = matches!(execution.status().as_str(), "SUCCEEDED" | "RUNNING");
        if well && until - began < SHORTEST {
            found.others += 1;
            continue;
        }
        let arn = ExecutionArn::new(execution.execution_arn());
        let path = Path::of(&history::of_execution(&desk.sfn, arn.as_str()).await?);
        if path.status == "SUCCEEDED" && path.answer("ClaimJob").is_none() {
            found.others += 1;
            continue;
        }
        found
            .recoveries
            .push(Recovery::of(arn, &path, until - began));
    }
    Ok(found)
}

impl Recovery {
    fn of(execution: ExecutionArn, path: &Path, seconds: f64) -> Self {
        let cordoned = path
            .visits
            .iter()
            .filter(|visit| visit.name == "CordonInstance");
        let quarantined = path
            .visits
            .iter()
            .filter(|visit| visit.name == "QuarantineInstance");
        let instances = cordoned
            .chain(quarantined)
            .filter_map(|visit| visit.instance());
        Self {
            execution,
            job_id: explain::job(path).and_then(|job| job.parse().ok()),
            status: path.status.to_owned(),
            outcome: explain::decision(path),
            began: path.started,
            seconds,
            instances: instances.filter_map(|id| id.parse().ok()).collect(),
        }
    }

    fn outcome(&self) -> String {
        match (self.status.as_str(), &self.outcome) {
            ("SUCCEEDED", Some(outcome)) => outcome.clone(),
            ("RUNNING", _) => "under way".to_owned(),
            (status, _) => format!("{status}: gpu-recovery explain shows where"),
        }
    }
}

fn show(output: &Output, found: &Recoveries) {
    let rows = found.recoveries.iter().map(|recovery| {
        let ids: Vec<&str> = recovery.instances.iter().map(|id| id.as_str()).collect();
        let instances = match ids.len() {
            0 => "-".to_owned(),
            1 => ids.join(""),
            many => counted(many as u64, "instance"),
        };
        let job = recovery.job_id.as_ref();
        vec![
            history::date_and_clock(recovery.began),
            job.map_or("-".to_owned(), ToString::to_string),
            recovery.outcome(),
            span(recovery.seconds),
            instances,
        ]
    });
    let head = ["began", "job", "outcome", "took", "taken out"];
    table(output, head, &[2], rows.collect());
    if found.recoveries.is_empty() {
        output.line("no recovery");
    }
    if found.others > 0 {
        let others = counted(found.others as u64, "other execution");
        let text = format!("{others} had nothing to recover");
        output.line(&format!("  {}", paint(output::DIM, text)));
    }
}
