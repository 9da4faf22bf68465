//! The replay itself.

use super::assess::{Assessment, Way};
use crate::{
    Failure,
    account::{Desk, refused},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use workers::{error::code_of, ids::ExecutionArn};

/// What was done.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum Done {
    Redriven,
    Started {
        execution: ExecutionArn,
    },
    /// The same replay was started before.
    Already {
        execution: ExecutionArn,
    },
}

/// Names of executions have at most 80 characters.
const NAME: usize = 80;

/// Replays as assessed; `None` when nothing is to be done or it is refused.
///
/// # Errors
/// When Step Functions refuses.
pub async fn replay(desk: &Desk, found: &Assessment, force: bool) -> Result<Option<Done>, Failure> {
    let way = match found.way {
        Way::Refuse if force && found.redrivable => Way::Redrive,
        Way::Refuse if force => Way::StartAnew,
        way => way,
    };
    match way {
        Way::Nothing | Way::Refuse => Ok(None),
        Way::Redrive => redrive(desk, found).await.map(Some),
        Way::StartAnew => start(desk, found).await.map(Some),
    }
}

async fn redrive(desk: &Desk, found: &Assessment) -> Result<Done, Failure> {
    let arn = found.execution.as_str();
    desk.sfn
        .redrive_execution()
        .execution_arn(arn)
        .send()
        .await
        .map(|_| Done::Redriven)
        .map_err(refused("states:RedriveExecution", arn))
}

/// One execution has one replay of this kind: its name is made from the original's, so that a second call finds the first.
async fn start(desk: &Desk, found: &Assessment) -> Result<Done, Failure> {
    let arn = found.execution.as_str();
    let input = found.input.as_deref().unwrap_or_default();
    let Ok(Value::Object(mut event)) = serde_json::from_str(input) else {
        return Err(Failure::Broken(format!(
            "execution {arn} has no event as its input: it cannot be started anew"
        )));
    };
    event.insert("replayOf".to_owned(), json!(arn));
    let name = name(found.execution.name());
    let started = desk
        .sfn
        .start_execution()
        .state_machine_arn(&found.machine)
        .name(&name)
        .input(Value::Object(event).to_string())
        .send()
        .await;
    match started {
        Ok(started) => Ok(Done::Started {
            execution: ExecutionArn::new(started.execution_arn),
        }),
        Err(error) if code_of(&error) == "ExecutionAlreadyExists" => Ok(Done::Already {
            execution: replay_of(&found.execution),
        }),
        Err(error) => Err(refused("states:StartExecution", arn)(error)),
    }
}

/// The execution that is an execution's replay, started or not.
pub fn replay_of(original: &ExecutionArn) -> ExecutionArn {
    let arn = original.as_str();
    let (prefix, _) = arn.rsplit_once(':').unwrap_or((arn, ""));
    ExecutionArn::new(format!("{prefix}:{}", name(original.name())))
}

/// The name of an execution's replay: `replay-of-` and the name; a long one is cut and told apart by its digest.
fn name(original: &str) -> String {
    let name = format!("replay-of-{original}");
    if name.chars().count() <= NAME {
        return name;
    }
    let digest = workers::aws::launch_names::digest(original, 8);
    let kept: String = name.chars().take(NAME - 1 - digest.len()).collect();
    format!("{kept}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_replays_name_fits_and_tells_long_names_apart() {
        assert_eq!(name("e-1"), "replay-of-e-1");
        let (one, other) = (
            name(&format!("{}1", "x".repeat(79))),
            name(&format!("{}2", "x".repeat(79))),
        );
        assert_eq!((one.len(), other.len()), (80, 80));
        assert_ne!(one, other);
    }
}
