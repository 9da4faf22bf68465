//! `gpu-recovery`: the command line. Each subcommand has a module of its own.

mod drill;
// Drawn in a test for now; its command comes later.
#[cfg(test)]
mod graph;
mod output;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Recovers GPU training jobs on Amazon ECS by itself.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Drill(drill::Arguments),
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the user gave cannot be used: exit code 2.
    #[error("{0}")]
    BadInput(String),
    /// Something else went wrong: exit code 1.
    #[error("{0}")]
    Broken(String),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    let done = match cli.command {
        Command::Drill(arguments) => drill::run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            output::error(&failure);
            match failure {
                Failure::BadInput(_) => ExitCode::from(2),
                Failure::Broken(_) => ExitCode::from(1),
            }
        }
    }
}
