//! What holders of task tokens call.

use super::{ApiError, StepFunctions, failure::Failure, tokens::WaitingTask};

impl StepFunctions {
    /// Completes the task that waits for the token; `output` is JSON.
    ///
    /// # Errors
    /// `InvalidToken`, `TaskTimedOut` when the task is over, `InvalidOutput`.
    pub fn send_task_success(&self, token: &str, output: &str) -> Result<(), ApiError> {
        let result = serde_json::from_str(output).map_err(|error| {
            ApiError::new("InvalidOutput", format!("Invalid Output: '{error}'"))
        })?;
        self.0.tokens.tell(token, Ok(result))
    }

    /// Fails the task that waits for the token. Without error or cause the state's error output has null there.
    ///
    /// # Errors
    /// `InvalidToken`, `TaskTimedOut` when the task is over.
    pub fn send_task_failure(
        &self,
        token: &str,
        error: Option<&str>,
        cause: Option<&str>,
    ) -> Result<(), ApiError> {
        self.0.tokens.tell(token, Err(Failure::told(error, cause)))
    }

    /// Reports that the task that waits for the token goes on.
    ///
    /// # Errors
    /// `InvalidToken`, `TaskTimedOut` when the task is over.
    pub fn send_task_heartbeat(&self, token: &str) -> Result<(), ApiError> {
        self.0.tokens.beat(token)
    }

    /// The tasks that wait for their token now, in the order in which they began to.
    pub fn waiting(&self) -> Vec<WaitingTask> {
        self.0.tokens.waiting()
    }
}
