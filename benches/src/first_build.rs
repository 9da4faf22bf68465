//! What the first `cargo run -- drill` of a clone waits for: the build from an empty target, by crate.

use crate::page::table;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Crates with a row of their own; the rest share one.
const LISTED: usize = 20;
/// Ticks of a second in /proc (proc_pid_stat(5): USER_HZ, 100 on every Linux that Rust builds for).
const TICKS: f64 = 100.0;

/// Why it was not measured.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("cargo did not build it")]
    Failed,
    #[error("cargo's report of its times cannot be read: {0}")]
    Report(&'static str),
    #[error("cargo's report of its times cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// A build.
pub struct Build {
    wall: Duration,
    /// Processor time of cargo and all that it started, in seconds.
    cpu: f64,
    /// Seconds and units of each crate.
    crates: BTreeMap<String, (f64, u32)>,
}

/// Builds what `cargo run -- drill` runs into an empty folder. Packages are fetched first: the network is not measured.
///
/// # Errors
/// When it cannot be built, or cargo does not say how long each crate took.
pub fn measure(target: &Path) -> Result<Build, BuildError> {
    let target = &std::path::absolute(target)?;
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    cargo(&["fetch", "--locked"], target)?;
    let (before, began) = (cpu_of_children()?, Instant::now());
    cargo(&["build", "--locked", "--timings"], target)?;
    let wall = began.elapsed();
    let report = fs::read_to_string(target.join("cargo-timings/cargo-timing.html"))?;
    Ok(Build {
        wall,
        cpu: cpu_of_children()? - before,
        crates: crates(&report)?,
    })
}

fn cargo(arguments: &[&str], target: &Path) -> Result<(), BuildError> {
    let done = Command::new("cargo")
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(crate::page::path(""))
        .status()?;
    if done.success() {
        Ok(())
    } else {
        Err(BuildError::Failed)
    }
}

/// Processor time of the children that have ended: fields 16 and 17, counted behind the name in brackets.
fn cpu_of_children() -> Result<f64, BuildError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = |nth: usize| -> Option<f64> { behind.split(' ').nth(nth)?.parse().ok() };
    let (user, system) = ticks(13)
        .zip(ticks(14))
        .ok_or(BuildError::Report("/proc/self/stat has no times"))?;
    Ok((user + system) / TICKS)
}

/// `const UNIT_DATA = [...];` in the page that `--timings` writes (Cargo book, "Reporting build timings"): one object for
/// each thing that was compiled or run.
fn crates(report: &str) -> Result<BTreeMap<String, (f64, u32)>, BuildError> {
    let (_, data) = report
        .split_once("const UNIT_DATA = ")
        .ok_or(BuildError::Report("it has no UNIT_DATA"))?;
    let (data, _) = data
        .split_once("\n];")
        .ok_or(BuildError::Report("UNIT_DATA does not end"))?;
    let units: Vec<Value> = serde_json::from_str(&format!("{data}\n]"))?;
    let mut crates: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    for unit in &units {
        let (Some(name), Some(seconds)) = (unit["name"].as_str(), unit["duration"].as_f64()) else {
            return Err(BuildError::Report("a unit has no name or no duration"));
        };
        let sum = crates.entry(name.to_owned()).or_default();
        sum.0 += seconds;
        sum.1 += 1;
    }
    Ok(crates)
}

impl Build {
    /// The crates that take longest, and the whole.
    pub fn table(&self) -> String {
        let mut crates: Vec<(&String, &(f64, u32))> = self.crates.iter().collect();
        crates.sort_by(|(_, one), (_, other)| other.0.total_cmp(&one.0));
        let row = |name: String, seconds: f64, units: u32| {
            vec![name, format!("{seconds:.1}"), units.to_string()]
        };
        let mut rows: Vec<Vec<String>> = crates
            .iter()
            .take(LISTED)
            .map(|(name, (seconds, units))| row(format!("`{name}`"), *seconds, *units))
            .collect();
        let rest = crates.get(LISTED..).unwrap_or_default();
        if !rest.is_empty() {
            let seconds = rest.iter().map(|(_, of)| of.0).sum();
            let units = rest.iter().map(|(_, of)| of.1).sum();
            rows.push(row(format!("{} more", rest.len()), seconds, units));
        }
        let seconds = crates.iter().map(|(_, of)| of.0).sum();
        let units = crates.iter().map(|(_, of)| of.1).sum();
        rows.push(row("**all**".to_owned(), seconds, units));
        table(&["crate", "seconds", "compiled or run"], &rows)
    }

    /// The whole, and the machine.
    pub fn summary(&self) -> String {
        let wall = self.wall.as_secs();
        format!(
            "{} min {} s from an empty target, {:.0} CPU seconds; {}.\n",
            wall / 60,
            wall % 60,
            self.cpu,
            machine()
        )
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or_else(
        |_| "rustc".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    );
    format!("{cores} cores of {model}, {rustc}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<script>
const UNIT_DATA = [
  { "i": 0, "name": "aws-sdk-ecs", "mode": "todo", "target": "", "duration": 59.2 },
  { "i": 1, "name": "libsqlite3-sys", "mode": "run-custom-build", "target": "build script (run)", "duration": 9.0 },
  { "i": 2, "name": "libsqlite3-sys", "mode": "todo", "target": "", "duration": 1.5 }
];
const CONCURRENCY_DATA = [];"#;

    #[test]
    fn a_crate_has_the_time_of_all_that_was_compiled_or_run_for_it() {
        let build = Build {
            wall: Duration::from_secs(258),
            cpu: 442.4,
            crates: crates(REPORT).unwrap(),
        };
        let table = build.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `aws-sdk-ecs` | 59.2 | 1 |",
                "| `libsqlite3-sys` | 10.5 | 2 |",
                "| **all** | 69.7 | 3 |"
            ]
        );
        assert!(
            build
                .summary()
                .starts_with("4 min 18 s from an empty target, 442 CPU seconds; ")
        );
    }

    #[test]
    fn a_report_without_its_data_is_an_error() {
        assert!(crates("<html></html>").is_err());
        assert!(crates("const UNIT_DATA = [\n{}\n];").is_err());
    }
}
