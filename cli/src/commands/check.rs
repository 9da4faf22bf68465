//! `check`: has one instance checked, and repaired or released, by the state machine.

use super::watch;
use crate::{
    Failure,
    account::{self, Account, Desk, Needs, refused},
    history::path::Path,
    output::{self, Output, paint},
};
use clap::Args;
use workers::{
    ids::{ExecutionArn, InstanceId},
    steps::{claim_instance::CheckRequest, end_check::EndCheckOutcome},
};

const AFTER_HELP: &str = "\
Starts the state machine for this instance alone: the probe, the GPU health check, and, where it is faulty and a reboot can \
help, the reboot and the check again. An instance that passes is AVAILABLE and ACTIVE in ECS; one that does not is \
quarantined. It is how a quarantined or unchecked instance comes back. It is refused while a job, a recovery or a task that \
holds a GPU is on the instance, and when an operator set it DRAINING in ECS. The operators' topic is told what came of it.

Examples:
  gpu-recovery check i-0f3a9c5d7e0000003 --reason 'GPU 5 replaced, ticket 4711'
  gpu-recovery check i-0f3a9c5d7e0000003 --detach

Exit codes:
  0  it is in service; or, with --detach, the check was started
  1  AWS failed, or the execution ended badly: an operator is needed
  2  bad arguments; standard error says which
  3  refused; the reason is given
  4  it did not pass, and is quarantined or gone
  130  Ctrl-C: it was looked at, and goes on";

/// Exit code of an instance that did not pass.
const NOT_PASSED: u8 = 4;

/// Checks an instance, and repairs it or puts it back into service.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The instance's id.
    instance: InstanceId,

    /// Why; it is kept and told.
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,

    /// Who; the user's name when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Starts it and does not wait; the execution's ARN is printed.
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    manner: watch::Manner,

    #[command(flatten)]
    account: Account,
}

/// Checks.
///
/// # Errors
/// When AWS fails, or it is refused.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let execution = start(arguments, desk).await?;
    if arguments.detach {
        output.raw(execution.as_str());
        return Ok(0);
    }
    output.progress("asking AWS");
    let path = watch::follow(desk, output, &execution, &arguments.manner).await?;
    output.line("");
    ended(&path, &arguments.instance, &execution, output)
}

async fn start(arguments: &Arguments, desk: &Desk) -> Result<ExecutionArn, Failure> {
    let id = &arguments.instance;
    desk.place(id).await?;
    let request = CheckRequest {
        instance: id.clone(),
        by: arguments.by.clone().unwrap_or_else(account::whoami),
        reason: arguments.reason.clone(),
    };
    let machine = desk.machine().await?;
    let started = desk
        .sfn
        .start_execution()
        .state_machine_arn(&machine)
        .name(format!("check-{id}-{}", desk.now()))
        .input(request.event().to_string())
        .send()
        .await
        .map_err(refused("states:StartExecution", &machine))?;
    Ok(ExecutionArn::new(started.execution_arn))
}

/// What came of it.
fn ended(
    path: &Path,
    id: &InstanceId,
    execution: &ExecutionArn,
    output: &Output,
) -> Result<u8, Failure> {
    if let Some(answer) = path.answer("ClaimInstance")
        && answer["outcome"] == "Refused"
    {
        let why = answer["why"].as_str().unwrap_or_default();
        return Err(Failure::Refused(format!("{id} was not checked: {why}")));
    }
    let answer = path
        .answer("EndCheck")
        .filter(|_| path.status == "SUCCEEDED");
    let outcome = answer.and_then(|answer| serde_json::from_value(answer.clone()).ok());
    let (code, style, text) = match outcome {
        Some(EndCheckOutcome::InService { verdict, .. }) => {
            (0, output::GOOD, format!("{id} is in service: {verdict}"))
        }
        Some(EndCheckOutcome::OutOfService { why, .. }) => (
            NOT_PASSED,
            output::BAD,
            format!("{id} is out of service: {why}"),
        ),
        None => {
            return Err(Failure::Broken(format!(
                "the check ended {} and {id} is out of service until it goes on; next: gpu-recovery replay {execution} --dry-run",
                path.status
            )));
        }
    };
    output.text("", &paint(style, text));
    Ok(code)
}
