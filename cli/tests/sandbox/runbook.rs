//! The runbook's commands, as printed, in a shell, against a sandbox.

use super::*;

/// Commands, and the world that the comment before them names.
type Block = (&'static str, Vec<&'static str>);

fn blocks() -> Vec<Block> {
    let text = include_str!("../../../docs/runbook.md");
    let mut blocks = Vec::new();
    let mut world = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.strip_prefix("<!-- simulated: ") {
            world = named.strip_suffix(" -->");
        } else if line == "```sh" {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let world = world.take().expect("each block names its world");
            blocks.push((world, block.filter(|line| !line.is_empty()).collect()));
        }
    }
    blocks
}

/// The instance that the runbook's commands name is node 1 of two.
const NODES: [&str; 3] = ["--paused", "--nodes", "2"];

/// A recovery that waits for its instance to come back.
fn recovering() -> Sandbox {
    let sandbox = Sandbox::start(&NODES);
    sandbox.well(&["sandbox", "time", "pass", "2m"]);
    sandbox.well(&["sandbox", "do", "break-gpu", "1"]);
    sandbox.until(|sandbox| {
        sandbox
            .well(&["status", "llama-7b"])
            .contains("WaitForInstanceActive")
    });
    sandbox
}

/// A recovery that has ended after this.
fn over(deed: &[&str]) -> Sandbox {
    let sandbox = Sandbox::start(&NODES);
    sandbox.well(&["sandbox", "time", "pass", "2m"]);
    sandbox.well(&[&["sandbox", "do"], deed].concat());
    sandbox.until(|sandbox| sandbox.job()["status"] == "FAILED");
    sandbox.well(&["sandbox", "time", "pass", "1m"]);
    sandbox
}

fn world(name: &str) -> Sandbox {
    match name {
        "running" => {
            let sandbox = Sandbox::start(&NODES);
            sandbox.well(&["sandbox", "time", "pass", "2m"]);
            sandbox
        }
        "idle" => {
            let sandbox = Sandbox::start(&[&NODES[..], &["--free", "2"]].concat());
            sandbox.well(&["sandbox", "time", "pass", "2m"]);
            sandbox
        }
        "recovering" => recovering(),
        "aborted" => {
            let sandbox = recovering();
            // A minute until the shutdown begins, and a little more.
            sandbox.well(&["sandbox", "time", "pass", "90s"]);
            sandbox.well(&["sandbox", "do", "abort-execution"]);
            sandbox.well(&["sandbox", "time", "pass", "30s"]);
            sandbox
        }
        "failed" => over(&["end-rank", "1"]),
        "quarantined" => over(&["break-gpu", "1", "--gpu", "isolate"]),
        other => panic!("the runbook names an unknown world: {other}"),
    }
}

impl Sandbox {
    /// The ARN of its newest execution, as the AWS CLI would find it; empty without any.
    fn execution(&self) -> String {
        let (_, machine) = self.exported.last().unwrap();
        let body = serde_json::json!({ "stateMachineArn": machine }).to_string();
        let answer = self.post("AWSStepFunctions.ListExecutions", &body);
        let executions = answer["executions"].as_array().unwrap();
        // The one that did the work is the oldest.
        let first = executions.last();
        first.map_or_else(String::new, |first| {
            first["executionArn"].as_str().unwrap().to_owned()
        })
    }

    fn post(&self, target: &str, body: &str) -> Value {
        use std::io::Write;
        let port = self.port();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Amz-Target: {target}\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Runs a line in a shell.
    fn shell(&self, line: &str, execution: &str, directory: &PathBuf) -> Output {
        let tools = PathBuf::from(PROGRAM);
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        shell
            .args(["-c", line])
            .current_dir(directory)
            .env_remove("AWS_PROFILE")
            .envs(self.exported.iter().cloned())
            .env("EXECUTION", execution)
            .env("COLUMNS", "100")
            .env(
                "PATH",
                format!("{}:{path}", tools.parent().unwrap().display()),
            );
        shell.output().expect("bash runs")
    }
}

#[test]
fn every_command_of_the_runbook_runs_over_http() {
    let blocks = blocks();
    assert!(blocks.len() >= 8, "{blocks:?}");
    let directory = directory("runbook");
    // Each has a sandbox of its own.
    std::thread::scope(|all| {
        // They wait more than they work.
        for some in blocks.chunks(blocks.len().div_ceil(4)) {
            let directory = &directory;
            all.spawn(move || {
                for (world, lines) in some {
                    run_in(world, lines, directory);
                }
            });
        }
    });
}

fn run_in(name: &str, lines: &[&str], directory: &PathBuf) {
    let sandbox = world(name);
    let execution = match name {
        "running" | "idle" => String::new(),
        _ => sandbox.execution(),
    };
    for line in lines {
        let expected = line.split("# exits ").nth(1);
        let expected = expected.and_then(|rest| rest.split(' ').next()?.parse().ok());
        // These wait for something to happen.
        let waits = ["watch", "doctor", "stop", "check", "spare add"]
            .map(|name| format!("gpu-recovery {name}"));
        let waits = waits
            .iter()
            .any(|command| line.starts_with(command.as_str()));
        if line.starts_with("gpu-recovery check") {
            // The GPU was replaced.
            sandbox.well(&["sandbox", "do", "fix-gpu", "1"]);
        }
        if waits {
            sandbox.well(&["sandbox", "time", "go", "--speed", "600"]);
        }
        let done = sandbox.shell(line, &execution, directory);
        sandbox.well(&["sandbox", "time", "pause"]);
        let written = text(&done.stdout) + &text(&done.stderr);
        let code = done.status.code();
        assert_eq!(
            code,
            Some(expected.unwrap_or(0)),
            "{name}: {line}: {written}"
        );
        sandbox.well(&["sandbox", "time", "pass", "30s"]);
    }
}
