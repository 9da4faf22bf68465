//! The Lambda wiring: what every bin in `src/bin` runs.

use crate::{
    Context, Settings, Step, Worker, WorkerError, aws,
    metrics::{self, Facts},
};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use std::process::ExitCode;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Serves one step until Lambda ends the process. Fails at once, naming every problem, when a setting is missing.
pub fn serve<S: Step>() -> ExitCode {
    log_as_json();
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(worker = S::NAME, %error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(worker = S::NAME, %error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::<S>(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(worker = S::NAME, %error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}

async fn run<S: Step>(settings: Settings) -> Result<(), lambda_runtime::Error> {
    let worker = Worker::of::<S>();
    let context = context(settings).await;
    let (worker, context) = (&worker, &context);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let facts = Facts::of(&event.payload);
        let answer = worker.invoke(context, event.payload).await;
        let cluster = &context.settings.cluster;
        let now = context.clock.epoch_seconds() * 1000;
        if let Some(line) = metrics::line(worker.name, &facts, &answer, cluster, now) {
            println!("{line}");
        }
        answer
    }))
    .await
}

/// What the worker works with, from the function's own role and region.
async fn context(settings: Settings) -> Context {
    let config = aws::defaults().load().await;
    Context::new(
        settings,
        aws::clients(&config),
        SharedTimeSource::new(SystemTimeSource::new()),
    )
}

/// One JSON object a line, with the worker's span (execution, job, attempt, instance). The level is Lambda's own
/// setting (Lambda developer guide, "Log-level filtering"); the SDK's logs, which hold requests, stay at WARN.
fn log_as_json() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::INFO);
    let targets = Targets::new()
        .with_default(Level::WARN)
        .with_target("workers", level);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .init();
}

impl From<WorkerError> for Diagnostic {
    /// The error's name is what the state machine's Retry and Catch match on.
    fn from(error: WorkerError) -> Self {
        Self {
            error_type: error.name().to_owned(),
            error_message: error.to_string(),
        }
    }
}
