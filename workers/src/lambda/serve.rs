//! The Lambda wiring. One program serves every function: the function's handler says which step it is.

use crate::{
    Context, Settings, Worker, WorkerError,
    aws::clients,
    lambda::metrics::{self, Facts},
    settings::SettingsError,
    steps,
};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use std::process::ExitCode;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What Lambda sets to the function's handler (Lambda developer guide, configuration-envvars).
const HANDLER: &str = "_HANDLER";

/// What keeps a function from serving.
#[derive(Debug, thiserror::Error)]
enum CannotStart {
    #[error("the handler {named} is no worker; the function's handler is one of {known}")]
    UnknownHandler { named: String, known: String },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("the Lambda runtime ended: {0}")]
    Ended(lambda_runtime::Error),
}

/// Serves the step that the function's handler names, until Lambda ends the process. Fails at once when there is none of
/// that name, or, naming every problem, when a setting is missing.
pub fn serve() -> ExitCode {
    log_as_json();
    let handler = std::env::var(HANDLER).unwrap_or_default();
    match start(&handler) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(worker = handler, %error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

fn start(handler: &str) -> Result<(), CannotStart> {
    let worker = worker(handler)?;
    let settings = Settings::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(run(worker, settings))
        .map_err(CannotStart::Ended)
}

fn worker(handler: &str) -> Result<Worker, CannotStart> {
    steps::named(handler).ok_or_else(|| CannotStart::UnknownHandler {
        named: format!("{handler:?}"),
        known: steps::names().collect::<Vec<_>>().join(", "),
    })
}

async fn run(worker: Worker, settings: Settings) -> Result<(), lambda_runtime::Error> {
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
    let config = clients::defaults().load().await;
    Context::new(
        settings,
        clients::clients(&config),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_handler_serves_the_worker_of_its_name() {
        for name in steps::names() {
            assert_eq!(worker(name).unwrap().name, name);
        }
    }

    #[test]
    fn an_unknown_handler_is_told_every_name_that_is_known() {
        for handler in ["", "bootstrap", "claim_job", "gpu-recovery-claim-job"] {
            let error = worker(handler).err().unwrap().to_string();
            assert!(error.contains(&format!("{handler:?}")), "{error}");
            for name in steps::names() {
                assert!(error.contains(name), "{error}");
            }
        }
    }
}
