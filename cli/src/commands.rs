//! The operators' commands: one module each.

pub mod check;
pub mod doctor;
pub mod explain;
pub mod graph;
pub mod hand;
pub mod history;
pub mod logs;
pub mod recoveries;
pub mod replay;
pub mod sandbox;
pub mod shell;
pub mod spare;
pub mod status;
pub mod stop;
pub mod submit;
pub mod watch;

use crate::{
    Failure,
    account::{self, Account, Desk, Named},
    history as told,
};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;
use workers::ids::ExecutionArn;

/// An execution whose history is told.
#[derive(Args)]
pub struct Told {
    /// ARN of the execution, or the id of a job: the recovery at work on it, else its last one.
    #[arg(value_name = "EXECUTION|JOB", value_parser = account::recovery, conflicts_with = "history")]
    pub name: Option<Named>,

    /// Reads the history from this file instead of Step Functions, as `drill --history FILE` and
    /// `aws stepfunctions get-execution-history` write it; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,

    #[command(flatten)]
    pub account: Account,
}

impl Told {
    /// The events of the file, oldest first; `None` when none is named.
    ///
    /// # Errors
    /// When it cannot be read, or is no history.
    pub fn of_file(&self) -> Result<Option<Vec<Value>>, Failure> {
        self.history.as_deref().map(told::of_file).transpose()
    }

    /// The execution that is named, or is meant by the job that is; `None` when a file is told.
    ///
    /// # Errors
    /// When no execution is known of the job.
    pub async fn execution(&self, desk: &Desk) -> Result<Option<ExecutionArn>, Failure> {
        Ok(match &self.name {
            Some(Named::Execution(execution)) => Some(execution.clone()),
            Some(Named::Job(job)) => Some(desk.recovery_of(job).await?),
            Some(Named::Instance(_)) | None => None,
        })
    }

    /// The events of the execution, or else of the file.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(
        &self,
        desk: &Desk,
        execution: Option<&ExecutionArn>,
    ) -> Result<Option<Vec<Value>>, Failure> {
        match execution {
            Some(execution) => told::of_execution(&desk.sfn, execution.as_str())
                .await
                .map(Some),
            None => self.of_file(),
        }
    }
}

/// A time as `90s`, `30m`, `24h`, `7d`, in seconds.
///
/// # Errors
/// When it is none.
pub fn seconds(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' is no time; give a number and s, m, h or d, as 24h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: f64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let unit = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86400.0,
        _ => return Err(wrong()),
    };
    if number > 0.0 {
        Ok(number * unit)
    } else {
        Err(wrong())
    }
}
