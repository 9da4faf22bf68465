//! Cold start, memory and size of each function, beside an empty one and one in Python, in the same run.

mod python;
mod runtime_api;

use crate::page::{table, thousands};
use flate2::{Compression, write::DeflateEncoder};
use runtime_api::Start;
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Starts of each function.
const RUNS: usize = 20;
const EMPTY: &str = "empty Rust function";

/// What may not be exceeded.
const MORE_THAN_EMPTY: Duration = Duration::from_millis(20);
const OF_PYTHON: f64 = 0.1;
const PEAK: u64 = 25_000_000;
const ZIP: u64 = 4_000_000;

/// The settings that a function needs, and what Lambda sets.
const ENVIRONMENT: [(&str, &str); 14] = [
    ("TRAINING_JOB_TABLE_NAME", "hybrid-gpu-training-job"),
    ("CONTAINER_INSTANCE_TABLE_NAME", "ecs_container_instance"),
    ("ECS_CLUSTER_NAME", "gpu-training"),
    ("DCGM_HEALTH_CHECK_TASK", "dcgm-health-check"),
    (
        "SNS_TOPIC_ARN",
        "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
    ),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "bench"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
];

/// A function that is started.
struct Subject {
    name: String,
    program: PathBuf,
    argument: Option<PathBuf>,
    /// What the program is told to be.
    handler: String,
    starts: Vec<Start>,
}

/// What came of one.
#[derive(Debug, Clone)]
pub struct Measured {
    pub name: String,
    /// The median.
    pub took: Duration,
    /// Peak resident bytes, the largest.
    pub peak: u64,
    /// Bytes of the binary and of the same deflated: what the zip holds. None of Python.
    pub size: Option<(u64, u64)>,
}

/// Starts every function 20 times, in turns, so that a busy machine tells on all of them. `bootstrap` is the program of all
/// functions; `empty` is the binary of the package `empty-lambda`.
///
/// # Errors
/// When one is missing or does not start.
pub fn measure(bootstrap: &Path, empty: &Path, target: &Path) -> io::Result<Vec<Measured>> {
    let mut subjects = vec![Subject::new(EMPTY, empty)];
    match python::install(target) {
        Ok((python, function)) => {
            let name = format!("{}, boto3", python::version(&python));
            subjects.push(Subject {
                argument: Some(function),
                ..Subject::new(&name, &python)
            });
        }
        Err(why) => println!("not compared with Python: {why}\n"),
    }
    let mut names: Vec<&str> = workers::all().iter().map(|worker| worker.name).collect();
    names.sort_unstable();
    subjects.extend(names.into_iter().map(|name| Subject::new(name, bootstrap)));
    // The first round fills the caches of the system.
    for round in 0..=RUNS {
        for subject in &mut subjects {
            let start = runtime_api::start(&mut subject.command())
                .map_err(|e| io::Error::other(format!("{}: {e}", subject.name)))?;
            if round > 0 {
                subject.starts.push(start);
            }
        }
    }
    subjects.iter().map(Subject::measured).collect()
}

impl Subject {
    fn new(name: &str, program: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            argument: None,
            handler: name.replace(' ', "-"),
            starts: Vec::new(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.argument).env_clear().envs(ENVIRONMENT);
        command.env("_HANDLER", &self.handler);
        command
    }

    fn measured(&self) -> io::Result<Measured> {
        let mut took: Vec<Duration> = self.starts.iter().map(|start| start.took).collect();
        took.sort();
        let size = match self.argument {
            None => Some(size(&self.program)?),
            Some(_) => None,
        };
        Ok(Measured {
            name: self.name.clone(),
            took: took[took.len() / 2],
            peak: self
                .starts
                .iter()
                .map(|start| start.peak)
                .max()
                .unwrap_or(0),
            size,
        })
    }
}

fn size(program: &Path) -> io::Result<(u64, u64)> {
    let binary = fs::read(program)?;
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(&binary)?;
    Ok((binary.len() as u64, deflated.finish()?.len() as u64))
}

/// One row a function; ratios are to the references of the same run.
pub fn starts_table(measured: &[Measured]) -> String {
    let python = python_of(measured).map(|p| p.took);
    let head = [
        "function",
        "first request after, ms",
        "more than empty, ms",
        "of Python",
        "peak, MB",
        "binary, MB",
        "zip, MB",
    ];
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let empty = measured[0].took;
    let rows: Vec<Vec<String>> = measured
        .iter()
        .map(|function| {
            let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
            let share = python.map(|python| function.took.as_secs_f64() / python.as_secs_f64());
            vec![
                function.name.clone(),
                milliseconds(function.took),
                milliseconds(function.took.saturating_sub(empty)),
                share.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0)),
                megabytes(function.peak),
                function
                    .size
                    .map_or_else(String::new, |(binary, _)| megabytes(binary)),
                function
                    .size
                    .map_or_else(String::new, |(_, zip)| megabytes(zip)),
            ]
        })
        .collect();
    table(&head, &rows)
}

fn python_of(measured: &[Measured]) -> Option<&Measured> {
    measured.iter().find(|function| function.size.is_none())
}

/// The goals that a function misses, in words.
pub fn missed(measured: &[Measured]) -> Vec<String> {
    let python = python_of(measured).map(|p| p.took);
    let mut missed = Vec::new();
    for function in measured.iter().skip(1) {
        let Some((_, zip)) = function.size else {
            continue;
        };
        let name = &function.name;
        if function.took > measured[0].took + MORE_THAN_EMPTY {
            missed.push(format!("{name}: more than 20 ms over the empty function"));
        }
        if python.is_some_and(|python| function.took > python.mul_f64(OF_PYTHON)) {
            missed.push(format!("{name}: more than a tenth of Python"));
        }
        if function.peak > PEAK {
            missed.push(format!("{name}: peak {} bytes", thousands(function.peak)));
        }
        if zip > ZIP {
            missed.push(format!("{name}: a zip of {} bytes", thousands(zip)));
        }
    }
    missed
}
