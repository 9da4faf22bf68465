//! What `gpu-recovery sandbox` promises: the program itself, in processes of its own, over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod endpoint;
mod kept;
mod page;
mod runbook;
mod words;

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gpu-recovery");

/// The program, without what the environment of the tests says of an account.
fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars() {
        let of_an_account = ["AWS_", "ECS_", "SNS_", "STATE_MACHINE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if of_an_account || ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"].contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    command.env("COLUMNS", "100");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A directory of its own for a test.
fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// A sandbox that runs, and what it says to export.
struct Sandbox {
    child: Child,
    exported: Vec<(String, String)>,
    answered_after: Duration,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Sandbox {
    /// Starts one on a free port, with these arguments beside.
    fn start(arguments: &[&str]) -> Self {
        let begun = Instant::now();
        let mut child = program()
            .args(["sandbox", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut exported = Vec::new();
        for line in lines.by_ref() {
            let line = line.expect("UTF-8");
            let line = line.trim().split(';').next().unwrap_or_default().to_owned();
            if let Some(pairs) = line.strip_prefix("export ") {
                let pairs = pairs.split(' ').filter_map(|pair| pair.split_once('='));
                exported.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            if line.contains("STATE_MACHINE_ARN") {
                break;
            }
        }
        // A pipe that nobody reads would hold it up.
        thread::spawn(move || lines.for_each(drop));
        let mut sandbox = Self {
            child,
            exported,
            answered_after: begun.elapsed(),
        };
        if sandbox.exported.len() < 7 {
            drop(sandbox.child.kill());
            let mut why = String::new();
            let mut errors = sandbox.child.stderr.take().unwrap();
            errors.read_to_string(&mut why).unwrap();
            panic!("{arguments:?}: {:?}: {why}", sandbox.exported);
        }
        sandbox
    }

    fn port(&self) -> u16 {
        let (_, url) = &self.exported[0];
        url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Runs a command of the program on it.
    fn run(&self, arguments: &[&str]) -> Output {
        let exported = self.exported.iter().cloned();
        let done = program().envs(exported).args(arguments).output();
        done.expect("the program runs")
    }

    /// The same; what it wrote when it went well.
    fn well(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        let (out, errors) = (text(&done.stdout), text(&done.stderr));
        assert!(done.status.success(), "{arguments:?}: {out}{errors}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.well(arguments)).expect("JSON and nothing else")
    }

    fn job(&self) -> Value {
        self.json(&["status", "llama-7b", "--json"])
    }

    /// Lets time pass until it fits.
    fn until(&self, fits: impl Fn(&Self) -> bool) {
        for _ in 0..300 {
            if fits(self) {
                return;
            }
            self.well(&["sandbox", "time", "pass", "30s"]);
        }
        panic!("it never came: {}", self.job());
    }

    /// Ends it by this signal; how long that took.
    #[cfg(unix)]
    fn end(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill runs").success());
        let status = self.child.wait().unwrap();
        (status.code(), begun.elapsed())
    }
}
