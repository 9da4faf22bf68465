//! `doctor`: checks a deployment before it is needed.

mod alias;
mod by_hand;
mod check;
mod cluster;
mod same;

use crate::{
    Failure,
    account::{self, Account, Desk, Needs},
    files,
    output::{self, Output, paint},
};
use alias::Live;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

const AFTER_HELP: &str = "\
It changes nothing, but starts one execution with an event of a task that belongs to no job: it goes through Classify \
and ClaimJob and ends with nothing to do. --no-execution leaves that out.

What this program has no SDK for (rules, roles, Systems Manager) it does not check: it prints the command of the AWS CLI \
that does, with what is to be seen and the fix.

Examples:
  gpu-recovery doctor --topic arn:aws:sns:us-east-1:123456789012:gpu-recovery
  gpu-recovery doctor --no-execution --json

Exit codes:
  0  nothing is bad
  1  something is bad; its fix is beside it; or AWS gave no answer
  2  bad arguments; standard error says which";

/// Checks a deployment before it is needed; each finding comes with its fix.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Task definition of the health check.
    #[arg(
        long,
        env = "DCGM_HEALTH_CHECK_TASK",
        value_name = "NAME",
        default_value = "dcgm-health-check",
        hide_env_values = true
    )]
    dcgm_task: String,

    /// The operators' topic.
    #[arg(
        long,
        env = "SNS_TOPIC_ARN",
        value_name = "ARN",
        hide_env_values = true
    )]
    topic: Option<String>,

    /// Starts no execution.
    #[arg(long)]
    no_execution: bool,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// How good a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Well,
    /// To be looked at, or not checked from here.
    Look,
    Bad,
}

/// One thing that was checked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    level: Level,
    what: String,
    /// Of what is not checked from here: the one command that checks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn well(what: impl Into<String>) -> Self {
        Self {
            level: Level::Well,
            what: what.into(),
            check: None,
            fix: None,
        }
    }

    fn look(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Look,
            what: what.into(),
            check: None,
            fix: Some(fix.into()),
        }
    }

    fn by_hand(what: &str, check: String, fix: impl Into<String>) -> Self {
        Self {
            check: Some(check),
            ..Self::look(format!("not checked from here: {what}"), fix)
        }
    }

    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Bad,
            what: what.into(),
            check: None,
            fix: Some(fix.into()),
        }
    }
}

/// Checks.
///
/// # Errors
/// When the account cannot be used.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let settings = &desk.context.settings;
    let mut found = Vec::new();
    output.progress("looking at the tables");
    check::reached(desk, &settings.training_job_table).await?;
    found.extend(check::jobs_table(desk, &settings.training_job_table).await);
    found.extend(check::instances_table(desk, &settings.container_instance_table).await);
    output.progress("looking at the state machine");
    let machine = desk.machine().await.map(|arn| check::unqualified(&arn));
    let mut start = None;
    match &machine {
        Ok(machine) => {
            let (findings, starts) = state_machine(desk, machine, &arguments.dcgm_task).await;
            found.extend(findings);
            start = starts;
        }
        Err(error) => found.push(Finding::bad(
            error.to_string(),
            "deploy infra/, or name the machine",
        )),
    }
    output.progress("looking at the cluster");
    found.extend(cluster::cluster(desk, &arguments.dcgm_task).await);
    output.progress("looking at the topic");
    found.push(check::topic(desk, arguments.topic.as_deref()).await);
    if let (Some(start), false) = (start, arguments.no_execution) {
        output.progress("waiting for an execution with nothing to do");
        found.push(check::execution(desk, &start.arn, &start.values).await);
    }
    found.extend(by_hand::checks(desk, machine.ok().as_deref(), &arguments.dcgm_task).await);
    output.still();
    if arguments.json {
        output.raw(&files::pretty(&found)?);
    } else {
        show(output, &found);
    }
    Ok(u8::from(found.iter().any(|f| f.level == Level::Bad)))
}

/// What is found of the state machine and its aliases, and what the rules start: the alias, or, without one, the
/// machine.
async fn state_machine(desk: &Desk, machine: &str, task: &str) -> (Vec<Finding>, Option<Live>) {
    let deployed = match check::deployed(desk, machine).await {
        Ok(deployed) => deployed,
        Err(error) => return (vec![Finding::bad(error.to_string(), "deploy infra/")], None),
    };
    let mut found = vec![check::machine(&deployed)];
    let aliases = alias::aliases(desk, machine).await;
    found.extend(aliases.found);
    let start = aliases.live.unwrap_or_else(|| Live {
        arn: machine.to_owned(),
        values: deployed.values,
    });
    found.extend(check::settings(desk, &start.values, task));
    (found, Some(start))
}

fn show(output: &Output, found: &[Finding]) {
    for finding in found {
        let (style, word) = match finding.level {
            Level::Well => (output::GOOD, "well"),
            Level::Look => (output::WARNING, "look"),
            Level::Bad => (output::BAD, "bad "),
        };
        output.text(&format!("{}  ", paint(style, word)), &finding.what);
        if let Some(check) = &finding.check {
            // Whole, so that it can be copied.
            output.line(&format!("      {check}"));
        }
        if let Some(fix) = &finding.fix {
            output.text("      ", fix);
        }
    }
}
