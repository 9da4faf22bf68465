//! `gpu-recovery`: the command line. Each subcommand has a module of its own. [`main`] is the program; [`on`] runs the
//! operators' commands on an account that is there already, such as a simulated one.

mod account;
mod commands;
mod drill;
mod files;
mod graph;
mod history;
mod output;
mod page;
mod schemas;

use commands::{
    check, doctor, explain, graph as draw, hand, history as events, logs, recoveries, replay,
    sandbox, shell, spare, status, stop, submit, watch,
};

use clap::{Parser, Subcommand};
use std::process::ExitCode;

pub use account::Desk;
pub use output::Output;
pub use schemas::schemas;

/// Recovers GPU training jobs on Amazon ECS by itself.
#[derive(Parser)]
#[command(name = "gpu-recovery", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Drill(drill::Arguments),
    Sandbox(Box<sandbox::Arguments>),
    Graph(Box<draw::Arguments>),
    Explain(Box<explain::Arguments>),
    Submit(Box<submit::Submit>),
    Adopt(Box<submit::Adopt>),
    Stop(Box<stop::Arguments>),
    Status(Box<status::Arguments>),
    Watch(Box<watch::Arguments>),
    Recoveries(Box<recoveries::Arguments>),
    History(Box<events::Arguments>),
    Logs(Box<logs::Arguments>),
    Replay(Box<replay::Arguments>),
    Check(Box<check::Arguments>),
    Release(Box<hand::Release>),
    Quarantine(Box<hand::Quarantine>),
    Spare(Box<spare::Arguments>),
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
    pub fn code(&self) -> u8 {
        match self {
            Self::Broken(_) => 1,
            Self::BadInput(_) => 2,
            Self::Refused(_) => 3,
        }
    }
}

/// The program: reads its command line, and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    let done = match cli.command {
        Command::Drill(arguments) => drill::run(&arguments).map(|well| u8::from(!well)),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Graph(arguments) => draw::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Submit(arguments) => submit::submit(&arguments),
        Command::Adopt(arguments) => submit::adopt(&arguments),
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Recoveries(arguments) => recoveries::run(&arguments),
        Command::History(arguments) => events::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Release(arguments) => hand::release(&arguments),
        Command::Quarantine(arguments) => hand::quarantine(&arguments),
        Command::Spare(arguments) => spare::run(&arguments),
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

/// Runs a command that works on an account, on this one.
///
/// # Errors
/// The command's own; [`Failure::BadInput`] for one that needs no account.
pub async fn on(desk: &Desk, command: &Command, output: &Output) -> Result<u8, Failure> {
    match command {
        Command::Graph(arguments) => draw::at(arguments, desk).await,
        Command::Explain(arguments) => explain::at(arguments, desk, output).await,
        Command::Submit(arguments) => submit::submit_at(arguments, desk, output).await,
        Command::Adopt(arguments) => submit::adopt_at(arguments, desk, output).await,
        Command::Stop(arguments) => stop::at(arguments, desk, output).await,
        Command::Status(arguments) => status::at(arguments, desk, output).await,
        Command::Watch(arguments) => watch::at(arguments, desk, output).await,
        Command::Recoveries(arguments) => recoveries::at(arguments, desk, output).await,
        Command::History(arguments) => events::at(arguments, desk, output).await,
        Command::Logs(arguments) => logs::at(arguments, desk, output).await,
        Command::Replay(arguments) => replay::at(arguments, desk, output).await,
        Command::Check(arguments) => check::at(arguments, desk, output).await,
        Command::Release(arguments) => hand::put_back(arguments, desk, output).await,
        Command::Quarantine(arguments) => hand::take_out(arguments, desk, output).await,
        Command::Spare(arguments) => spare::at(arguments, desk, output).await,
        Command::Doctor(arguments) => doctor::at(arguments, desk, output).await,
        Command::Drill(_) | Command::Sandbox(_) | Command::Completions(_) | Command::Man(_) => Err(
            Failure::BadInput("this command needs no account".to_owned()),
        ),
    }
}
