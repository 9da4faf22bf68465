//! `benches`: the figures of docs/benchmarks.md. Each subcommand prints tables; `--write` puts them into the page.

use benches::{cost, overhead, page};
use clap::{Parser, Subcommand};
use std::{error::Error, process::ExitCode};

/// Measures what a recovery costs and how fast it is.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli {
    /// Also write the tables into docs/benchmarks.md.
    #[arg(long, global = true)]
    write: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls, units, transitions, events, bytes, Lambda time and dollars of a recovery, by the size of the job.
    Cost,
    /// Where the time of a recovery goes, and how much of it is the system's own.
    Overhead,
}

type Tables = Vec<(&'static str, String)>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let tables = match measure(&cli.command, cli.write) {
        Ok(tables) => tables,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (name, table) in &tables {
        println!("{name}\n\n{table}");
        if cli.write
            && let Err(error) = page::write(name, table)
        {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(command: &Command, write: bool) -> Result<Tables, Box<dyn Error>> {
    Ok(match command {
        Command::Cost => {
            let rows = cost::measure_all()?;
            vec![
                ("counts", cost::counts_table(&rows)),
                ("bill", cost::bill_table(&rows)),
            ]
        }
        Command::Overhead => {
            let sizes = overhead::SIZES.into_iter();
            let compared: Vec<_> = sizes.map(overhead::compare).collect::<Result<_, _>>()?;
            if write {
                overhead::picture::write(&overhead::picture::svg(&compared))?;
            }
            vec![
                ("spread", overhead::spread(&compared)),
                ("pieces", overhead::pieces_table(&compared)),
                ("designs", overhead::designs_table(&compared)),
            ]
        }
    })
}
