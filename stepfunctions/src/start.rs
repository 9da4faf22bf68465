//! StartExecution and StopExecution.

use super::{
    ApiError, StepFunctions,
    dice::Dice,
    execution::{Execution, ExecutionStatus},
    history::{Details, Failed},
    json::Json,
};
use serde_json::Value;
use std::sync::Arc;

impl StepFunctions {
    /// Starts an execution; the answer is its ARN. The machine's ARN may end in a version or an alias. Without a name it
    /// gets a UUID. Runs in the tokio runtime that this is called in.
    ///
    /// # Errors
    /// `InvalidArn`, `StateMachineDoesNotExist`, `InvalidName`, `InvalidExecutionInput`, and `ExecutionAlreadyExists`
    /// unless an execution of the same name and input runs: then that one is the answer
    /// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>).
    pub fn start(
        &self,
        machine_arn: &str,
        name: Option<&str>,
        input: Value,
    ) -> Result<String, ApiError> {
        let machine = self.machine(machine_arn)?;
        let name = name.map_or_else(|| self.0.dice.uuid(), str::to_owned);
        check_name(&name)?;
        let input = Json::new(input);
        if input.too_large() {
            let message =
                "Invalid State Machine Execution Input: input is larger than 262144 bytes";
            return Err(ApiError::new("InvalidExecutionInput", message));
        }
        let arn = self
            .0
            .host
            .arn("execution", &format!("{}:{name}", machine.name));
        if let Ok(known) = self.execution(&arn) {
            let same = known.input.value() == input.value();
            return if same && known.status() == ExecutionStatus::Running {
                Ok(arn)
            } else {
                let message = format!("Execution Already Exists: '{arn}'");
                Err(ApiError::new("ExecutionAlreadyExists", message))
            };
        }
        let now = self.0.host.now();
        let dice = Dice::new(self.0.host.seed, &arn);
        let qualifier = (machine_arn != machine.arn).then(|| machine_arn.to_owned());
        let execution = Execution::new(arn.clone(), &name, qualifier, machine, input, now, dice);
        let execution = Arc::new(execution);
        self.0
            .state()
            .executions
            .insert(execution.arn.clone(), execution.clone());
        let details = Details::ExecutionStarted {
            input: execution.input.text().clone(),
        };
        let id = execution.record().append(now, 0, details);
        self.begin(&execution, id);
        Ok(arn)
    }

    fn begin(&self, execution: &Arc<Execution>, id: u64) {
        self.0.tell(execution, id);
        self.0.announce(execution);
        self.0.run(execution);
    }

    /// Stops an execution: it is ABORTED, and what it runs is cancelled. One that has ended stays as it is.
    ///
    /// # Errors
    /// `ExecutionDoesNotExist`.
    pub fn stop(
        &self,
        execution_arn: &str,
        error: Option<&str>,
        cause: Option<&str>,
    ) -> Result<(), ApiError> {
        let execution = self.execution(execution_arn)?;
        let failed = Failed {
            error: error.map(Into::into),
            cause: cause.map(Into::into),
        };
        let details = Details::ExecutionAborted(failed);
        self.0
            .close(&execution, ExecutionStatus::Aborted, 0, details, None);
        if let Some(run) = execution.record().run.take() {
            run.abort();
        }
        Ok(())
    }
}

/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>
fn check_name(name: &str) -> Result<(), ApiError> {
    const FORBIDDEN: &str = "<>{}[]?*\"#%\\^|~`$&,;:/";
    let fits = (1..=80).contains(&name.chars().count())
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || FORBIDDEN.contains(c));
    if fits {
        Ok(())
    } else {
        Err(ApiError::new(
            "InvalidName",
            format!("Invalid Name: '{name}'"),
        ))
    }
}
