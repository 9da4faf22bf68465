//! What `gpu-recovery drill` promises to who calls it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

const RECOVERY: &str = include_str!("../../statemachine/recovery.asl.json");

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-recovery"));
    for name in ["CARGO", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("COLUMNS", "80").arg("drill");
    command
}

fn drill(arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn drill_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = program()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(input.as_bytes())
        .expect("it reads its input");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else")
}

/// A file of its own for a test.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the file can be written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Refused: exit code 2, all of `says` on standard error, nothing on standard output, and no Rust in it.
fn refused(output: &Output, says: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(code(output), 2, "{error}");
    assert_eq!(text(&output.stdout), "", "{error}");
    for part in says {
        assert!(error.contains(part), "'{part}' is not in: {error}");
    }
    for debug in ["Some(", "Err(", "Error {", "panicked"] {
        assert!(!error.contains(debug), "{error}");
    }
}

#[test]
fn a_drill_tells_the_whole_recovery() {
    let output = drill(&[]);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 0, "{shown}");
    assert_eq!(text(&output.stderr), "");
    let in_order = [
        "gpu-fault: One rank dies on a bad GPU",
        "8 nodes, EC2 instances, seed 1",
        "claimed job llama-7b attempt 1",
        "all stopped; 1 instance to check",
        "DCGM exit 1",
        "ReadVerdict          faulty",
        "CheckGpus                1 faulty",
        "cordoned (DRAINING)",
        "reboot command sent",
        "back after",
        "VerifyGpus             DCGM exit 0: healthy",
        "job llama-7b runs as attempt 2, all 8 ranks",
        "told the operators: RECOVERED llama-7b",
        "SUCCEEDED after",
        "Instances",
        "i-0f3a9c5d7e0000003",
        "Job",
        "IN_PROGRESS",
        "Notifications",
        "[gpu-recovery] RECOVERED llama-7b",
        "What the check found",
        "Summary",
        "notice",
        "stop",
        "diagnose",
        "reboot",
        "verify",
        "relaunch",
        "own overhead",
        "state transitions",
        "Lambda invocations",
        "AWS API calls",
        "ecs:RunTask",
        "Estimated cost",
        "RECOVERED llama-7b in 13 min: rebooted i-0f3a9c5d7e0000003 (rank 3)",
        "drill --list",
    ];
    let mut rest = shown.as_str();
    for part in in_order {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("'{part}' is not in its place:\n{shown}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_but_for_links_and_names() {
    for columns in [50, 80] {
        let output = program()
            .env("COLUMNS", columns.to_string())
            .output()
            .expect("it runs");
        for line in text(&output.stdout).lines() {
            let whole_word = line.split_whitespace().any(|word| word.len() > 30);
            assert!(
                line.chars().count() <= columns || whole_word,
                "{columns}: {line}"
            );
        }
    }
}

#[test]
fn a_scenario_that_ends_as_it_says_exits_0_whatever_came_of_the_job() {
    for (name, end) in [
        (
            "application-fault",
            "FAILED llama-7b after 2 min: rank 3 exited with code 1, no GPU fault found",
        ),
        ("clean-completion", "complete: job llama-7b ended well"),
        (
            "user-stop",
            "STOPPED llama-7b: an operator stopped rank 0, the other rank was stopped too",
        ),
        ("hybrid-instance", "mi-0f3a9c5d7e0000003"),
        ("person-aborts-then-redrives", "ABORTED after"),
    ] {
        let output = drill(&[name]);
        let shown = text(&output.stdout);
        assert_eq!(code(&output), 0, "{shown}");
        assert!(shown.contains(end), "{shown}");
    }
}

#[test]
fn a_scenario_that_ends_otherwise_exits_1_and_says_what_is_not_met() {
    let scenario = "
name: wrong
about: It expects what does not come.
nodes: 2
others: { exits: { after: 1m, code: 0 } }
expect: { job: FAILED, attempt: 1, notifications: [] }
";
    let output = drill_with_input(&["--scenario", "-"], scenario);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 1, "{shown}");
    assert!(
        shown.contains("✗ It did not end as the scenario says:"),
        "{shown}"
    );
    assert!(
        shown.contains(r#"expected "FAILED", found "COMPLETE""#),
        "{shown}"
    );
    let report = drill_with_input(&["--scenario", "-", "--json"], scenario);
    assert_eq!(code(&report), 1);
    assert_eq!(json_of(&report)["passed"], false);
}

#[test]
fn the_list_has_every_scenario_with_its_line() {
    let output = drill(&["--list"]);
    assert_eq!(code(&output), 0);
    let shown = text(&output.stdout);
    for scenario in simulator::scenario::builtins().expect("they are well-formed") {
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{} ", scenario.name)));
        let begin: String = scenario.about.chars().take(20).collect();
        assert!(
            line.is_some_and(|line| line.contains(&begin)),
            "{}: {shown}",
            scenario.name
        );
    }
}

#[test]
fn the_json_report_has_the_figures_and_nothing_else() {
    let output = drill(&["--json", "--seed", "7"]);
    assert_eq!(code(&output), 0);
    let report = json_of(&output);
    assert_eq!(report["scenario"], "gpu-fault");
    assert_eq!(report["seed"], 7);
    assert_eq!(report["passed"], true);
    assert_eq!(report["job"]["status"], "IN_PROGRESS");
    assert_eq!(report["instances"].as_array().map(Vec::len), Some(8));
    assert_eq!(
        report["notifications"][0]["attributes"]["event"],
        "JobRecovered"
    );
    assert!(
        report["phases"]["total"]
            .as_f64()
            .is_some_and(|total| total > 60.0)
    );
    assert!(
        report["calls"]["ecs:RunTask"]
            .as_u64()
            .is_some_and(|calls| calls >= 8)
    );
    assert!(
        report["stateTransitions"]
            .as_u64()
            .is_some_and(|number| number > 10)
    );
    assert_eq!(report["cost"].as_array().map(Vec::len), Some(6));
}

#[test]
fn what_was_not_done_takes_no_time() {
    let report = json_of(&drill(&["instance-never-returns", "--json"]));
    assert!(
        report["phases"]["reboot"]
            .as_f64()
            .is_some_and(|reboot| reboot > 600.0)
    );
    for phase in ["verify", "relaunch"] {
        assert_eq!(report["phases"][phase], 0.0, "{phase}");
    }
}

#[test]
fn the_history_has_the_shape_of_get_execution_history() {
    let path = file("history.json", "");
    let output = drill(&["--history", &path]);
    assert_eq!(code(&output), 0);
    assert!(
        text(&output.stdout).contains("Summary"),
        "the report is shown as well"
    );
    let written: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("it is there")).expect("JSON");
    let alone = drill(&["--history", "-"]);
    assert_eq!(
        json_of(&alone),
        written,
        "- writes the same, and nothing else"
    );
    let events = written["events"].as_array().expect("events");
    assert_eq!(events[0]["type"], "ExecutionStarted");
    assert_eq!(events[events.len() - 1]["type"], "ExecutionSucceeded");
}

#[test]
fn one_seed_is_one_drill_to_the_byte() {
    for arguments in [
        ["gpu-fault", "--seed", "3"],
        ["duplicate-and-late-events", "--seed", "3"],
    ] {
        let (first, second) = (drill(&arguments), drill(&arguments));
        assert_eq!(text(&first.stdout), text(&second.stdout));
    }
    assert_ne!(
        drill(&["--seed", "3"]).stdout,
        drill(&["--seed", "4"]).stdout
    );
}

#[test]
fn small_and_large_jobs_are_played() {
    for (nodes, says) in [("1", "its only rank"), ("64", "63 instances unaffected")] {
        let output = drill(&["--nodes", nodes]);
        let shown = text(&output.stdout);
        assert_eq!(code(&output), 0, "{shown}");
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert!(words.join(" ").contains(says), "{shown}");
    }
}

#[test]
fn many_executions_and_checks_are_told_in_counts() {
    let output = drill(&["all-ranks-fail-at-once", "--nodes", "32"]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("31 instances: DCGM exit 0: healthy"),
        "{shown}"
    );
    assert!(
        shown.contains("stop events (of the job's other ranks)"),
        "{shown}"
    );
    assert!(shown.lines().count() < 260, "{shown}");
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let escapes = |output: &Output| output.stdout.contains(&b'\x1b');
    assert!(!escapes(&drill(&["clean-completion"])), "a pipe");
    assert!(escapes(&drill(&["clean-completion", "--color", "always"])));
    assert!(!escapes(&drill(&["clean-completion", "--color", "never"])));
    let with = |name, value| {
        program()
            .arg("clean-completion")
            .env(name, value)
            .output()
            .expect("the program runs")
    };
    assert!(!escapes(&with("NO_COLOR", "1")));
    assert!(
        escapes(&with("CLICOLOR_FORCE", "1")),
        "the convention of other programs"
    );
    let plain = text(&drill(&["clean-completion"]).stdout);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!plain.contains(control), "a pipe gets plain lines");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = program()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let cases: [(&[&str], &[&str]); 13] = [
        (&["gpu-falt"], &["gpu-falt", "similar", "gpu-fault"]),
        (&["--nodes", "0"], &["--nodes", "1..=1024"]),
        (&["--nodes", "1025"], &["--nodes", "1..=1024"]),
        (&["--seed", "x"], &["--seed"]),
        (
            &["isolate", "--scenario", "x.yaml"],
            &["NAME", "--scenario"],
        ),
        (&["--list", "--json"], &["--list", "--json"]),
        (
            &["--json", "--history", "-"],
            &["both want standard output"],
        ),
        (&["--input", "x.json"], &["--definition"]),
        (&["--test-case", "x"], &["--mocks"]),
        (&["--mocks", "x.json"], &["--definition"]),
        (
            &[
                "gpu-fault",
                "--mocks",
                "m",
                "--input",
                "i",
                "--definition",
                "d",
            ],
            &["NAME", "--input"],
        ),
        (
            &["--scenario", "-", "--definition", "-"],
            &["only one file can be -"],
        ),
        (
            &["two-bad-instances", "--nodes", "1"],
            &["two-bad-instances", "at least"],
        ),
    ];
    for (arguments, says) in cases {
        refused(&drill(arguments), says);
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_named_with_the_reason() {
    refused(
        &drill(&["--scenario", "nowhere.yaml"]),
        &["nowhere.yaml: No such file"],
    );
    refused(
        &drill(&["--definition", "nowhere.json"]),
        &["nowhere.json: No such file"],
    );
    refused(
        &drill(&["--history", "/nowhere/h.json"]),
        &["/nowhere/h.json cannot be written: No such file"],
    );
    let directory = env!("CARGO_TARGET_TMPDIR");
    refused(
        &drill(&["--scenario", directory]),
        &[directory, "directory"],
    );
}

#[test]
fn a_bad_scenario_is_one_error_that_names_the_place() {
    let base = "name: x\nabout: y\nexpect: { job: FAILED, attempt: 1, notifications: [] }\n";
    let play = |more: &str| drill_with_input(&["--scenario", "-"], &format!("{base}{more}\n"));
    refused(
        &play("nodess: 4"),
        &[
            "standard input: unknown field",
            "line 4",
            "unknown field `nodess`",
            "expected one of",
        ],
    );
    refused(&play("nodes: many"), &["expected a whole number at line 4"]);
    refused(
        &play("others: { exits: { after: soon, code: 1 } }"),
        &["line 4", "write it like 90s"],
    );
    refused(
        &play("nodes: 2\ninstances: { 7: { gpu: isolate } }"),
        &["instances names 7", "at least 8"],
    );
    refused(
        &play("settings: { STOP_ROUNDS: often }"),
        &["standard input", "STOP_ROUNDS", "whole number"],
    );
    refused(
        &play("settings: { STOP_ROUND: 3 }"),
        &[
            "standard input",
            "no setting is called STOP_ROUND (did you mean 'STOP_ROUNDS'?)",
        ],
    );
    let path = file("bad.yaml", "name: [");
    refused(&drill(&["--scenario", &path]), &["bad.yaml: ", "line 1"]);
}

#[test]
fn a_bad_definition_is_refused_with_every_fault_in_it() {
    let bad = RECOVERY.replace(r#""Next": "JobClaimed?""#, r#""Next": "JobClaimed""#);
    let path = file("bad-next.asl.json", &bad);
    refused(
        &drill(&["--definition", &path]),
        &[
            "bad-next.asl.json",
            "line",
            "/States/ClaimJob",
            "JobClaimed",
        ],
    );
    let path = file("no.asl.json", "{");
    refused(
        &drill(&["--definition", &path]),
        &["no.asl.json: line 1", "no JSON"],
    );
}

#[test]
fn a_scenario_is_played_with_another_definition() {
    let renamed = RECOVERY.replace("WaitForStop", "PauseForStop");
    let path = file("renamed.asl.json", &renamed);
    let output = drill(&["--definition", &path, "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let without_notice =
        RECOVERY.replace(r#""Next": "NotifyOperators""#, r#""Next": "NothingToDo""#);
    let path = file("silent.asl.json", &without_notice);
    refused(&drill(&["--definition", &path]), &["NotifyOperators"]);
}

/// The recovery with a state that calls a function which is not deployed yet, before the relaunch.
fn with_a_new_state() -> String {
    const BEFORE: &str = r#""Next": "RelaunchJob""#;
    assert!(RECOVERY.contains(BEFORE), "something leads to the relaunch");
    let flow = RECOVERY.replace(BEFORE, r#""Next": "AskScheduler""#);
    let mut flow: Value = serde_json::from_str(&flow).expect("JSON");
    flow["States"]["AskScheduler"] = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": { "FunctionName": "${AskSchedulerFunctionArn}", "Payload": "{% $states.input %}" },
        "Output": "{% $states.input %}",
        "Next": "RelaunchJob",
    });
    file("new-state.asl.json", &flow.to_string())
}

#[test]
fn a_new_state_is_mocked_beside_the_real_workers() {
    let flow = with_a_new_state();
    refused(
        &drill(&["--definition", &flow]),
        &[
            "new-state.asl.json",
            "no substitution is given for ${AskSchedulerFunctionArn}",
            "is played with --mocks",
        ],
    );
    let answer = json!({ "0": { "Return": { "Payload": { "free": true } } } });
    let refusal = json!({ "0": { "Throw": { "Error": "NoRoom", "Cause": "the queue is full" } } });
    let mocks = json!({
        "StateMachines": { "recovery": { "TestCases": {
            "Free": { "AskScheduler": "Free" },
            "Full": { "AskScheduler": "Full" },
        } } },
        "MockedResponses": { "Free": answer, "Full": refusal },
    });
    let mocks = file("new-state-mocks.json", &mocks.to_string());
    let play = |more: &[&str]| drill(&[&["--definition", &flow, "--mocks", &mocks], more].concat());
    refused(&play(&[]), &["new-state-mocks.json", "one of Free, Full"]);
    let free = play(&["--test-case", "Free"]);
    let shown = text(&free.stdout);
    assert_eq!(code(&free), 0, "{shown}{}", text(&free.stderr));
    assert!(shown.contains("AskScheduler"), "{shown}");
    assert!(shown.contains("✓ RECOVERED llama-7b in "), "{shown}");
    let warned = text(&free.stderr);
    assert!(warned.contains("${AskSchedulerFunctionArn}"), "{warned}");
    let full = play(&["--test-case", "Full", "--json"]);
    assert_eq!(code(&full), 1);
    let failed = &json_of(&full)["executions"];
    assert!(failed.to_string().contains("NoRoom"), "{failed}");
}

#[test]
fn that_a_changed_flow_has_another_path_than_the_built_in_one_is_a_note_and_no_failure() {
    let mut flow: Value = serde_json::from_str(RECOVERY).expect("JSON");
    flow["States"]["GpusHealthy?"]["Default"] = json!("LookTwice");
    flow["States"]["LookTwice"] = json!({ "Type": "Pass", "Next": "FailJob" });
    let flow = file("look-twice.asl.json", &flow.to_string());
    let played = drill(&["application-fault", "--definition", &flow]);
    let shown = text(&played.stdout);
    assert_eq!(code(&played), 0, "{shown}{}", text(&played.stderr));
    let note = "Note: path: after GpusHealthy? expected FailJob, found LookTwice";
    assert!(shown.contains(note), "{shown}");
}

#[test]
fn a_definition_is_played_with_an_input_alone_until_a_task_needs_an_answer() {
    let (flow, input) = (flow(), file("alone.json", "{}"));
    let output = drill(&["--definition", &flow, "--input", &input]);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 1, "{shown}");
    assert!(
        shown.contains("nothing answers the state 'Claim': give it a mock"),
        "{shown}"
    );
    let pass = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Double",
        "States": { "Double": { "Type": "Pass", "Output": "{% 2 * $states.input.number %}", "End": true } },
    });
    let pass = file("pass.asl.json", &pass.to_string());
    let input = file("number.json", r#"{ "number": 21 }"#);
    let output = drill(&["--definition", &pass, "--input", &input, "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert_eq!(json_of(&output)["testCases"][0]["output"], 42);
}

/// A flow of a claim, a choice, and a check of two instances.
fn flow() -> String {
    let flow = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Claim",
        "States": {
            "Claim": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": { "FunctionName": "${ClaimJobFunctionArn}", "Payload": "{% $states.input %}" },
                "Output": "{% $states.result.Payload %}",
                "Retry": [{ "ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 2 }],
                "Next": "Claimed?",
            },
            "Claimed?": {
                "Type": "Choice",
                "Choices": [{ "Condition": "{% $states.input.outcome = 'Claimed' %}", "Next": "Checks" }],
                "Default": "NotOurs",
            },
            "Checks": {
                "Type": "Map",
                "Items": [1, 2],
                "ItemProcessor": {
                    "StartAt": "Check",
                    "States": { "Check": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::ecs:runTask.sync",
                        "Arguments": { "Cluster": "c", "TaskDefinition": "dcgm" },
                        "End": true,
                    } },
                },
                "End": true,
            },
            "NotOurs": { "Type": "Fail", "Error": "NotClaimed", "Cause": "another execution has it" },
        },
    });
    file("flow.asl.json", &flow.to_string())
}

fn mocks(name: &str) -> String {
    let mocks = json!({
        "StateMachines": { "Flow": { "TestCases": {
            "Checked": { "Claim": "ThrottledOnce", "Check": "Healthy" },
            "Foreign": { "Claim": "Foreign" },
        } } },
        "MockedResponses": {
            "ThrottledOnce": {
                "0": { "Throw": { "Error": "Lambda.TooManyRequestsException", "Cause": "slow down" } },
                "1": { "Return": { "Payload": { "outcome": "Claimed" } } },
            },
            "Foreign": { "0": { "Return": { "Payload": { "outcome": "NotManaged" } } } },
            "Healthy": { "0-1": { "Return": { "Containers": [{ "ExitCode": 0 }] } } },
        },
    });
    file(name, &mocks.to_string())
}

#[test]
fn mocked_test_cases_are_played_and_each_is_told() {
    let (flow, mocks, input) = (flow(), mocks("mocks.json"), file("input.json", "{}"));
    let all = ["--definition", &flow, "--input", &input, "--mocks", &mocks];
    let output = drill(&all);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 1, "one of them FAILED: {shown}");
    for part in [
        "Test case Checked",
        "retry 1",
        "slow down",
        "item 1: DCGM exit 0: healthy",
        "Test case Foreign",
        "the task belongs to no job",
        "✓ SUCCEEDED  Checked",
        "✗ FAILED     Foreign",
        "NotClaimed: another execution has it",
    ] {
        assert!(shown.contains(part), "'{part}' is not in:\n{shown}");
    }
    for name in ["Checked", "Flow#Checked"] {
        let one = drill(&[&all[..], &["--test-case", name, "--json"]].concat());
        assert_eq!(code(&one), 0);
        let report = json_of(&one);
        assert_eq!(report["passed"], true);
        assert_eq!(
            report["testCases"][0]["output"][1]["Containers"][0]["ExitCode"],
            0
        );
    }
    let history = drill(&[&all[..], &["--test-case", "Foreign", "--history", "-"]].concat());
    assert_eq!(code(&history), 1);
    let events = json_of(&history);
    let last = events["events"]
        .as_array()
        .and_then(|events| events.last())
        .expect("events");
    assert_eq!(last["executionFailedEventDetails"]["error"], "NotClaimed");
}

#[test]
fn bad_mocks_and_inputs_are_refused() {
    let (flow, mocks, input) = (
        flow(),
        mocks("good-mocks.json"),
        file("good-input.json", "{}"),
    );
    let play = |mocks: &str, input: &str, more: &[&str]| {
        drill(
            &[
                &["--definition", &flow, "--input", input, "--mocks", mocks],
                more,
            ]
            .concat(),
        )
    };
    refused(
        &play(&mocks, &input, &["--test-case", "Chekced"]),
        &[
            "good-mocks.json",
            "Chekced",
            "expected one of Checked, Foreign",
        ],
    );
    refused(&play(&mocks, &input, &["--history", "-"]), &["--test-case"]);
    let bad = file(
        "bad-mocks.json",
        r#"{ "StateMachines": {}, "MockedResponses": { "A": { "0": { "Retrun": 1 } } } }"#,
    );
    refused(
        &play(&bad, &input, &[]),
        &[
            "bad-mocks.json: line 1",
            "/MockedResponses/A/0",
            "Return or Throw",
        ],
    );
    let none = file(
        "no-mocks.json",
        r#"{ "StateMachines": {}, "MockedResponses": {} }"#,
    );
    refused(
        &play(&none, &input, &[]),
        &["no-mocks.json", "no test case"],
    );
    let bad = file("bad-input.json", "{\n\"a\": 1,\n}");
    refused(
        &play(&mocks, &bad, &[]),
        &["bad-input.json: no JSON", "line 3"],
    );
}

#[test]
fn the_help_shows_examples_and_exit_codes() {
    let output = drill(&["--help"]);
    assert_eq!(code(&output), 0);
    let help = text(&output.stdout);
    for part in [
        "Examples:",
        "--list",
        "Exit codes:",
        "MockConfigFile.json",
        "--history",
    ] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn a_bad_day_is_drawn_from_its_seed() {
    let output = drill(&["--chaos", "--seed", "7"]);
    assert_eq!(code(&output), 0);
    let told = text(&output.stdout);
    assert!(told.starts_with("Seed 7\n"), "{told}");
    assert!(told.ends_with("No promise was broken.\n"), "{told}");
    for rust in ["{", "::", "Some(", "None", "Exits"] {
        assert!(!told.contains(rust), "{rust} is Rust's word: {told}");
    }
    assert_eq!(told, text(&drill(&["--chaos", "--seed", "7"]).stdout));
    let report = json_of(&drill(&["--chaos", "--seed", "7", "--json"]));
    assert_eq!(report["seed"], 7);
    refused(&drill(&["--chaos", "gpu-fault"]), &["--chaos"]);
}

/// The film that a page holds.
fn film(page: &str) -> Value {
    let (_, after) = page.split_once(r#"id="film">"#).expect("a film");
    let (film, _) = after.split_once("</script>").expect("its end");
    serde_json::from_str(film).expect("JSON")
}

#[test]
fn a_page_shows_the_whole_drill_and_the_drill_is_the_same_as_without() {
    let page = file("drill.html", "");
    let plain = drill(&["--json", "--nodes", "8"]);
    let filmed = drill(&["--json", "--nodes", "8", "--html", &page]);
    assert_eq!(text(&plain.stdout), text(&filmed.stdout));

    let html = fs::read_to_string(&page).expect("the page");
    assert!(html.len() < 500_000, "{} bytes", html.len());
    let film = film(&html);
    assert_eq!(film["title"], "drill gpu-fault");
    let executions = film["scene"]["executions"].as_object().expect("executions");
    let recovery = executions.values().next().expect("the recovery");
    assert_eq!(recovery["status"], "SUCCEEDED");
    let visits = recovery["visits"].as_object().expect("states");
    for state in ["ClaimJob", "RunDcgm", "RebootInstance", "RelaunchJob"] {
        assert!(visits.values().any(|visit| visit["s"] == state), "{state}");
    }
    let frames = film["frames"].as_array().expect("frames");
    let rebooting =
        |frame: &Value| frame[1]["nodes"]["i-0f3a9c5d7e0000003"]["status"] == "REBOOTING";
    assert!(frames.iter().any(rebooting));
    let told = |frame: &Value| {
        frame[1]["messages"]["0"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("llama-7b"))
    };
    assert!(frames.iter().any(told));
}

#[test]
fn a_job_of_1024_nodes_has_a_page_no_larger_than_a_mail_takes() {
    let page = file("drill-1024.html", "");
    let done = drill(&["--json", "--nodes", "1024", "--html", &page]);
    assert_eq!(code(&done), 0, "{}", text(&done.stderr));
    let html = fs::read_to_string(&page).expect("the page");
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    let film = film(&html);
    let first = film["frames"][0][1]["nodes"].as_object().expect("nodes");
    assert_eq!(first.len(), 1024);
}

#[test]
fn a_page_goes_to_a_file_and_of_a_scenario_only() {
    refused(&drill(&["--html", "-"]), &["give --html a file"]);
    refused(
        &drill(&["--html", "/no/such/place.html"]),
        &["/no/such/place.html cannot be written"],
    );
    refused(&drill(&["--chaos", "--html", "x.html"]), &["--html"]);
}

/// A line without the time at its beginning, which moves with every call that a step makes.
fn untimed(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with('+') => rest.trim_start_matches([' ', '└']),
        _ => line,
    }
}

#[test]
fn the_readme_shows_lines_that_the_drill_prints_in_their_order() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```text\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let output = program().env("COLUMNS", "120").output().unwrap();
    let printed = text(&output.stdout);
    let mut printed = printed.lines().map(untimed);
    let mut count = 0;
    for line in shown.lines().filter(|line| *line != "...") {
        let line = untimed(line);
        assert!(
            printed.any(|p| p == line),
            "the drill prints no \"{line}\" there"
        );
        count += 1;
    }
    assert!(count > 5, "{count} lines");
}
