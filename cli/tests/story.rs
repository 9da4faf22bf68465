//! What `graph` and `explain` promise to who calls them, on the histories that drills write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
    thread,
};

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-recovery"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.contains("COLOR") || name == "CARGO" {
            command.env_remove(name);
        }
    }
    command
        .env("COLUMNS", "100")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// With credentials, and an endpoint where nobody listens.
fn unanswered(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gpu-recovery"))
        .args(arguments)
        .args([
            "--endpoint-url",
            "http://127.0.0.1:9",
            "--region",
            "us-east-1",
        ])
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}

#[test]
fn an_account_that_does_not_answer_is_told_in_plain_words() {
    let arn = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:x";
    for line in [
        &["explain", arn][..],
        &["status", "--cluster", "training"],
        &["doctor", "--cluster", "training"],
    ] {
        let error = unanswered(line);
        assert!(
            error.contains("check the network, --region and --endpoint-url"),
            "{error}"
        );
        assert!(!error.contains('{'), "{error}");
        // Once is enough.
        assert_eq!(error.matches("check the network").count(), 1, "{error}");
    }
}

/// A DynamoDB on this machine that refuses everything and says whose key asked; its address.
fn dynamodb() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 8192];
            let read = stream.read(&mut request).expect("a request");
            let request = String::from_utf8_lossy(&request[..read]);
            // What asks whether this is a sandbox signs nothing.
            let key = request
                .split_once("Credential=")
                .map_or("nobody", |(_, key)| key);
            let key = key.split('/').next().expect("the key's id");
            let body = format!(
                r#"{{"__type":"x#AccessDeniedException","message":"{key} asked the own endpoint"}}"#
            );
            let head = format!(
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn a_services_own_endpoint_comes_before_that_of_all() {
    let output = Command::new(env!("CARGO_BIN_EXE_gpu-recovery"))
        .args(["status", "--cluster", "training", "--region", "us-east-1"])
        .env("AWS_ACCESS_KEY_ID", "simulated")
        .env("AWS_SECRET_ACCESS_KEY", "simulated")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ENDPOINT_URL_DYNAMODB", dynamodb())
        .output()
        .expect("the program runs");
    let error = text(&output.stderr);
    assert!(
        error.contains("simulated asked the own endpoint"),
        "{error}"
    );
}

#[test]
fn a_profile_that_is_named_wins_over_the_environment() {
    let files = [path("profiles"), path("no-credentials")];
    fs::write(
        &files[0],
        "[profile ops]\nregion = us-east-1\naws_access_key_id = OPS\naws_secret_access_key = simulated\n",
    )
    .expect("it can be written");
    fs::write(&files[1], "").expect("it can be written");
    let asked = |profile: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_gpu-recovery"))
            .args(["status", "--cluster", "training", "--profile", profile])
            .env("AWS_CONFIG_FILE", &files[0])
            .env("AWS_SHARED_CREDENTIALS_FILE", &files[1])
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", dynamodb())
            .env("AWS_ACCESS_KEY_ID", "simulated")
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .output()
            .expect("the program runs");
        (output.status.code(), text(&output.stderr))
    };
    let (code, error) = asked("ops");
    assert!(
        code == Some(1) && error.contains("OPS asked the own endpoint"),
        "{error}"
    );
    let (code, error) = asked("nosuch");
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("no AWS credentials can be used") && error.contains("nosuch"),
        "{error}"
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn well(arguments: &[&str]) -> String {
    let output = program(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    text(&output.stdout)
}

fn refused(arguments: &[&str], says: &str) {
    let output = program(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(text(&output.stdout), "");
    assert!(error.contains(says), "'{says}' is not in: {error}");
    assert!(
        !error.contains("Some(") && !error.contains("panicked"),
        "{error}"
    );
}

fn path(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// The history of a scenario's recovery, in a file.
fn history(scenario: &str, of: &str) -> String {
    let file = path(&format!("{of}-{scenario}.json"));
    let output = program(&["drill", scenario, "--history", &file, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    file
}

#[test]
fn a_picture_shows_the_path_that_an_execution_took() {
    let file = history("gpu-fault", "picture");
    let svg = well(&["graph", "--history", &file]);
    assert!(
        svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    let state = |name: &str| {
        let mark = format!(r#"data-state="{name}""#);
        let line = svg.lines().find(|line| line.contains(&mark));
        line.expect("it is drawn").to_owned()
    };
    assert!(state("RelaunchJob").contains(r#"class="succeeded""#));
    assert!(state("RunDcgm").contains("Error caught"));
    assert!(state("WaitForInstanceActive").contains("times"));
    assert!(state("FailJob").contains("unvisited"));
    assert!(
        svg.contains(r#"<g class="edge taken" data-from="RelaunchJob" data-to="NotifyOperators""#)
    );
    let mermaid = well(&["graph", "--history", &file, "--format", "mermaid"]);
    let title = "---\ntitle: 'RECOVERED llama-7b in 13 min: rebooted i-0f3a9c5d7e0000003 (rank 3) (2026-01-05 ";
    assert!(mermaid.starts_with(title), "{mermaid}");
    assert!(mermaid.contains("Error caught"), "{mermaid}");
}

#[test]
fn the_plain_picture_is_that_of_the_readme() {
    let file = path("plain.svg");
    assert_eq!(well(&["graph", "--output", &file]), "");
    let kept = include_str!("../../statemachine/recovery.svg");
    let drawn = fs::read_to_string(&file).expect("it was written");
    assert!(drawn == kept, "it is not statemachine/recovery.svg");
}

/// The first bytes of every PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

#[test]
fn a_png_goes_to_a_file_or_a_pipe_byte_by_byte() {
    let history = history("gpu-fault", "png");
    let file = path("path.png");
    assert_eq!(well(&["graph", "--history", &history, "-o", &file]), "");
    let written = fs::read(&file).expect("it was written");
    assert!(written.starts_with(PNG) && written.ends_with(b"IEND\xaeB`\x82"));
    let definition = path("png.asl.json");
    let small = r#"{ "StartAt": "Done", "States": { "Done": { "Type": "Succeed" } } }"#;
    fs::write(&definition, small).expect("it can be written");
    let line = ["graph", "--definition", &definition, "--format", "png"];
    let piped = program(&[&line[..], &["--theme", "dark"]].concat());
    assert_eq!(piped.status.code(), Some(0), "{}", text(&piped.stderr));
    assert!(piped.stdout.starts_with(PNG) && piped.stdout.ends_with(b"IEND\xaeB`\x82"));
    let light = program(&line);
    assert_ne!(light.stdout, piped.stdout);
}

#[test]
fn the_format_of_a_picture_is_what_is_asked_for_and_else_what_the_file_is_called() {
    let drawn = |name: &str, more: &[&str]| {
        let file = path(name);
        well(&[&["graph", "--output", &file], more].concat());
        text(&fs::read(&file).expect("it was written"))
    };
    assert!(drawn("a.SVG", &[]).starts_with("<svg"));
    assert!(drawn("a.mmd", &[]).starts_with("flowchart"));
    assert!(drawn("a.txt", &["--format", "svg"]).starts_with("<svg"));
    assert!(drawn("b.png", &["--format", "svg"]).starts_with("<svg"));
    refused(
        &["graph", "--format", "mermaid", "--theme", "dark"],
        "leave --theme out",
    );
}

#[test]
fn an_execution_of_another_version_is_named_with_the_fix() {
    let file = history("user-stop", "version");
    let definition = path("small.asl.json");
    let small = r#"{ "StartAt": "Done", "States": { "Done": { "Type": "Succeed" } } }"#;
    fs::write(&definition, small).expect("it can be written");
    refused(
        &["graph", "--history", &file, "--definition", &definition],
        "describe-state-machine-for-execution",
    );
}

#[test]
fn a_recovery_is_told_in_plain_sentences_with_times() {
    let file = history("gpu-fault", "told");
    let story = well(&["explain", "--history", &file]);
    for part in [
        "RECOVERED llama-7b in 13 min: rebooted i-0f3a9c5d7e0000003 (rank 3)",
        "rank 3 on i-0f3a9c5d7e0000003 of job llama-7b (attempt 1, 8 ranks) ended with exit code 1",
        "The check of i-0f3a9c5d7e0000003 (rank 3) says faulty (exit 1)",
        "its reboot is proven",
        "healthy after its reboot",
        "job llama-7b was started again as attempt 2",
        "it began 2026-01-05",
    ] {
        let flat = story.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.to_lowercase().contains(&part.to_lowercase()),
            "'{part}' is not in:\n{story}"
        );
    }
    let markdown = well(&["explain", "--history", &file, "--markdown"]);
    assert!(
        markdown.starts_with("## RECOVERED llama-7b in 13 min"),
        "{markdown}"
    );
    assert!(markdown.contains("\n- **03:"), "{markdown}");
    let json: serde_json::Value =
        serde_json::from_str(&well(&["explain", "--history", &file, "--json"])).expect("JSON");
    assert!(
        json["moments"]
            .as_array()
            .is_some_and(|moments| moments.len() > 8)
    );
}

#[test]
fn every_scenario_can_be_told_and_every_fourth_drawn() {
    let list = well(&["drill", "--list"]);
    let names = list.lines().filter(|line| !line.starts_with(' '));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 70, "{names:?}");
    let names: Vec<(usize, &str)> = names.into_iter().enumerate().collect();
    let (some, others) = names.split_at(names.len() / 2);
    thread::scope(|both| {
        both.spawn(|| some.iter().for_each(|name| can_be_told(*name)));
        others.iter().for_each(|name| can_be_told(*name));
    });
}

fn can_be_told((nth, name): (usize, &str)) {
    let file = history(name, "every");
    let story = well(&["explain", "--history", &file]);
    assert!(story.lines().count() > 4, "{name}: {story}");
    assert!(
        !story.contains("{}") && !story.contains(".."),
        "{name}: {story}"
    );
    // The picture is that of the definition; what was taken in it differs.
    if nth.is_multiple_of(4) {
        let picture = well(&["graph", "--history", &file]);
        assert!(picture.contains(" taken"), "{name}");
    }
}

#[test]
fn a_step_that_was_refused_is_not_told_as_done() {
    // An operator wants the node out of service while it reboots: UncordonInstance leaves it closed.
    let file = history("operator-drains-meanwhile", "refused");
    let story = well(&["explain", "--history", &file]);
    let flat = story.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("was quarantined: wanted out of service"),
        "{story}"
    );
    assert!(!flat.contains("was set ACTIVE again"), "{story}");
}

#[test]
fn the_same_of_many_instances_is_told_once() {
    let file = history("all-ranks-fail-at-once", "many");
    let story = well(&["explain", "--history", &file]);
    assert!(story.contains("each of 7 instances healthy"), "{story}");
    // More than one group of checks.
    let file = path("many-groups.json");
    let line = ["drill", "all-ranks-fail-at-once", "--nodes", "50", "--json"];
    well(&[&line[..], &["--history", &file]].concat());
    let story = well(&["explain", "--history", &file]);
    assert_eq!(story.matches("instances healthy").count(), 1, "{story}");
}

#[test]
fn what_cannot_be_used_is_refused_with_the_fix() {
    refused(
        &["explain"],
        "give a job, the ARN of an execution, or --history FILE",
    );
    refused(&["explain", "--history", "/nowhere.json"], "/nowhere.json");
    let file = path("no-history.json");
    fs::write(&file, "{}").expect("it can be written");
    refused(&["explain", "--history", &file], "is no execution history");
    refused(&["graph", "arn:llama-7b"], "one reads arn:aws:states:");
    refused(
        &["graph", "-o", "recovery.gif"],
        "recovery.gif does not say what to write",
    );
    let arn = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:x";
    refused(&["explain", arn], "no AWS region is set; give --region");
    refused(
        &["explain", arn, "--region", "us-east-1"],
        "no AWS credentials can be used",
    );
}

/// The options that name the account and what is deployed in it.
const ACCOUNT: [&str; 7] = [
    "profile",
    "region",
    "endpoint-url",
    "cluster",
    "jobs-table",
    "instances-table",
    "state-machine",
];

#[test]
fn every_command_has_examples_exit_codes_completions_and_a_man_page() {
    let help = well(&["--help"]);
    let commands = help.split("Commands:").nth(1).expect("it lists them");
    let commands = commands.split("Options:").next().expect("options follow");
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 11, "{help}");
    let pages = path("man");
    assert_eq!(well(&["man", &pages]), "");
    let bash = well(&["completions", "bash"]);
    for name in names {
        let help = well(&[name, "--help"]);
        assert!(
            help.contains("Examples:") && help.contains("Exit codes:"),
            "{help}"
        );
        // A heading goes on for what is declared after it.
        let account = help.split("\nAccount:\n").nth(1).unwrap_or_default();
        let strange = account
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .filter_map(|line| line.trim_start().strip_prefix("--"))
            .find(|option| !ACCOUNT.iter().any(|known| option.starts_with(known)));
        assert_eq!(strange, None, "{name}");
        assert!(
            bash.contains(&format!("gpu__recovery__subcmd__{name}"))
                || bash.contains(&format!("gpu__recovery__{name}")),
            "{name}"
        );
        let page = fs::read_to_string(format!("{pages}/gpu-recovery-{name}.1"));
        let page = page.expect("it was written");
        assert!(
            page.contains(".TH gpu") && page.contains("Exit codes"),
            "{name}: {page}"
        );
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(
            well(&["completions", shell]).contains("quarantine"),
            "{shell}"
        );
    }
    refused(&["man", "/dev/null/x"], "/dev/null/x cannot be written");
}
