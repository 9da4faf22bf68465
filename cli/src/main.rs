//! `gpu-recovery`: the command line. Each subcommand has a module of its own.

mod account;
mod commands;
mod drill;
mod files;
mod graph;
mod history;
mod output;

use commands::{
    doctor, explain, graph as draw, hand, replay, sandbox, shell, status, submit, watch,
};

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
    Sandbox(Box<sandbox::Arguments>),
    Graph(Box<draw::Arguments>),
    Explain(Box<explain::Arguments>),
    Submit(Box<submit::Submit>),
    Adopt(Box<submit::Adopt>),
    Status(Box<status::Arguments>),
    Watch(Box<watch::Arguments>),
    Replay(Box<replay::Arguments>),
    Release(Box<hand::Release>),
    Quarantine(Box<hand::Quarantine>),
    Doctor(Box<doctor::Arguments>),
    Completions(shell::Completions),
    Man(shell::Pages),
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
    /// It was not done because it could do harm: exit code 3.
    #[error("refused: {0}")]
    Refused(String),
}

impl Failure {
    /// The exit code.
    fn code(&self) -> u8 {
        match self {
            Self::Broken(_) => 1,
            Self::BadInput(_) => 2,
            Self::Refused(_) => 3,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    let done = match cli.command {
        Command::Drill(arguments) => drill::run(&arguments).map(|well| u8::from(!well)),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Graph(arguments) => draw::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Submit(arguments) => submit::submit(&arguments),
        Command::Adopt(arguments) => submit::adopt(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Release(arguments) => hand::release(&arguments),
        Command::Quarantine(arguments) => hand::quarantine(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments),
        Command::Man(arguments) => shell::pages(&arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(failure.code())
        }
    }
}
