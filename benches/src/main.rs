//! `benches`: the figures of docs/benchmarks.md. Each subcommand prints tables; `--write` puts them into the page.

use benches::{cold, cost, first_build, flame::Flame, overhead, page, speed, storm};
use clap::{Parser, Subcommand};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

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
    /// Many jobs of five ranks that fail in the same second.
    Storm {
        /// Numbers of jobs.
        #[arg(default_values_t = storm::LARGE)]
        jobs: Vec<u32>,
    },
    /// Cold start, memory and size of each function, beside an empty one and one in Python; fails when a goal is missed.
    Cold {
        /// The program of all functions.
        #[arg(long, default_value = "target/lambda/bootstrap/bootstrap")]
        bootstrap: PathBuf,
        /// The empty function's binary.
        #[arg(long, default_value = "target/release/empty-lambda")]
        empty: PathBuf,
    },
    /// How many recoveries and chaos schedules the simulator plays in a second on one core, and what ministack takes for one.
    Speed {
        /// Seconds for each row.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Plays recoveries on one core and measures nothing: for a profiler to watch.
    Recoveries {
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// How long the first `cargo run -- drill` of a clone builds, by crate: from an empty folder, minutes on idle cores.
    FirstBuild {
        /// The folder; it is emptied.
        #[arg(long, default_value = "target/first-build")]
        target: PathBuf,
    },
    /// Where the time goes in what `perf script` prints of `recoveries`: the share of each part, and with --write the
    /// flame graph docs/flame.svg.
    Flame {
        /// The output of `perf script`.
        samples: PathBuf,
    },
}

/// With glibc's, a fifth of the simulator's time goes into memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
            && let Err(error) = page::write(page::BENCHMARKS, name, table)
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
            let one = cost::with_one_bad(&cost::SIZES)?;
            vec![
                ("one bad", cost::counts_table(&one)),
                (
                    "all abort",
                    cost::counts_table(&cost::with_all_aborting(&cost::SIZES)?),
                ),
                (
                    "many bad",
                    cost::counts_table(&cost::with_many_bad(&cost::SIZES)?),
                ),
                ("bill", cost::bill_table(&one)),
            ]
        }
        Command::Overhead => {
            let compared = overhead::compare(&overhead::SIZES)?;
            if write {
                overhead::picture::write(&overhead::picture::svg(&compared))?;
            }
            vec![
                ("spread", overhead::spread(&compared)),
                ("pieces", overhead::pieces_table(&compared)),
                ("designs", overhead::designs_table(&compared)),
            ]
        }
        Command::Storm { jobs } => {
            let storms: Vec<_> = jobs
                .iter()
                .map(|jobs| storm::measure(*jobs))
                .collect::<Result<_, _>>()?;
            for storm in &storms {
                for (status, jobs) in &storm.others {
                    println!("{} jobs: {jobs} are {status}", storm.jobs);
                }
                for (step, executions) in &storm.red {
                    println!("{} jobs: {executions} stand at {step}", storm.jobs);
                }
            }
            vec![
                ("storms", storm::growth_table(&storms)),
                ("throttled", storm::throttled_table(&storms)),
            ]
        }
        Command::Cold { bootstrap, empty } => {
            let measured = cold::measure(bootstrap, empty, &PathBuf::from("target"))?;
            let missed = cold::missed(&measured);
            let table = cold::starts_table(&measured);
            if !missed.is_empty() {
                return Err(format!("{table}\n{}", missed.join("\n")).into());
            }
            vec![("cold", table)]
        }
        Command::Speed { seconds } => {
            let wanted = Duration::from_secs(*seconds);
            let mut speeds = vec![
                speed::recoveries(wanted)?,
                speed::schedules(wanted)?,
                speed::calls_alone(wanted)?,
            ];
            match speed::ministack(Path::new(".")) {
                Ok(speed) => speeds.push(speed),
                Err(why) => println!("not compared with ministack: {why}\n"),
            }
            vec![("speed", speed::speed_table(&speeds))]
        }
        Command::Recoveries { seconds } => {
            speed::recoveries(Duration::from_secs(*seconds))?;
            Vec::new()
        }
        Command::FirstBuild { target } => {
            let build = first_build::measure(target)?;
            vec![("build", build.table()), ("built", build.summary())]
        }
        Command::Flame { samples } => {
            let flame = Flame::read(samples)?;
            if write {
                flame.write()?;
            }
            vec![("parts", flame.parts_table())]
        }
    })
}
