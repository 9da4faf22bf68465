//! Contracts: every worker has one input and one outcome type, each with a JSON Schema, checked at run time.

use crate::{Context, WorkerError, error::Violation};
use futures::future::BoxFuture;
use jsonschema::Validator;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::future::Future;
use tracing::{Instrument, Span, field::Empty};

/// One step of the flow.
pub trait Step: 'static {
    /// The worker's name: its Lambda function's handler and name, its schemas' file names.
    const NAME: &'static str;
    /// The state in the console graph that calls it; `None` for a worker that EventBridge calls.
    const STATE: Option<&'static str>;
    /// The function's time-out. The state's own `TimeoutSeconds` is longer, so that a worker is gone before the state
    /// machine calls it again.
    const TIMEOUT_SECONDS: u32 = 60;
    type Input: DeserializeOwned + JsonSchema + Send;
    type Outcome: Serialize + JsonSchema + Send;

    /// Does the step. Safe to call again with the same input, however far an earlier call came.
    fn handle(
        ctx: &Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Outcome, WorkerError>> + Send;
}

/// A [`Step`] with its types erased: what the Lambda wiring, the simulator and the schema files need.
pub struct Worker {
    pub name: &'static str,
    pub state: Option<&'static str>,
    pub timeout_seconds: u32,
    pub input_schema: Value,
    pub outcome_schema: Value,
    validator: Validator,
    handle: for<'a> fn(&'a Context, Value) -> BoxFuture<'a, Result<Value, WorkerError>>,
}

impl Worker {
    pub fn of<S: Step>() -> Self {
        let input_schema = schema_of::<S::Input>();
        Self {
            name: S::NAME,
            state: S::STATE,
            timeout_seconds: S::TIMEOUT_SECONDS,
            validator: jsonschema::validator_for(&input_schema)
                .expect("schemars generates valid schemas"),
            input_schema,
            outcome_schema: schema_of::<S::Outcome>(),
            handle: |ctx, input| Box::pin(run::<S>(ctx, input)),
        }
    }

    /// Checks the input against the schema before anything else, then does the step.
    ///
    /// # Errors
    /// [`WorkerError::InvalidInput`] with every violation, or whatever the step reports.
    pub async fn invoke(&self, ctx: &Context, input: Value) -> Result<Value, WorkerError> {
        let span = self.span(&input);
        async {
            let answer = match self.check(&input) {
                Ok(()) => (self.handle)(ctx, input).await,
                Err(error) => Err(error),
            };
            match &answer {
                Ok(outcome) => tracing::info!(outcome = outcome["outcome"].as_str(), "done"),
                Err(error) => tracing::error!(error = error.name(), cause = %error, "failed"),
            }
            answer
        }
        .instrument(span)
        .await
    }

    /// What every log line of the invocation carries. A worker that gets an event finds its job on the way.
    fn span(&self, input: &Value) -> Span {
        let span = tracing::info_span!(
            "worker",
            worker = self.name,
            execution = Empty,
            job = Empty,
            attempt = Empty,
            instance = Empty
        );
        for (field, pointer) in [
            ("execution", "/execution"),
            ("execution", "/detail/executionArn"),
            ("job", "/jobId"),
            ("instance", "/instance"),
            ("instance", "/detail/ec2InstanceId"),
            ("instance", "/detail/instance-id"),
        ] {
            if let Some(text) = input.pointer(pointer).and_then(Value::as_str) {
                span.record(field, text);
            }
        }
        if let Some(attempt) = input["attempt"].as_u64() {
            span.record("attempt", attempt);
        }
        span
    }

    /// Every violation of the input schema, each with its JSON pointer.
    pub fn check(&self, input: &Value) -> Result<(), WorkerError> {
        let violations: Vec<Violation> = self
            .validator
            .iter_errors(input)
            .map(|e| Violation {
                pointer: e.instance_path().to_string(),
                message: shorten(e.to_string()),
            })
            .collect();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(WorkerError::InvalidInput(violations))
        }
    }
}

async fn run<S: Step>(ctx: &Context, input: Value) -> Result<Value, WorkerError> {
    let input = serde_json::from_value(input).map_err(|e| {
        WorkerError::InvalidInput(vec![Violation {
            pointer: String::new(),
            message: e.to_string(),
        }])
    })?;
    let outcome = S::handle(ctx, input).await?;
    serde_json::to_value(outcome)
        .map_err(|e| WorkerError::CorruptRecord(format!("the outcome cannot be written: {e}")))
}

/// A violation quotes the value; a long one would bury the rest of the message.
fn shorten(mut message: String) -> String {
    const CHARACTERS: usize = 300;
    if let Some((at, _)) = message.char_indices().nth(CHARACTERS) {
        message.truncate(at);
        message.push_str("...");
    }
    message
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
