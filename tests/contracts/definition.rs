//! Rules that the definition keeps, read off its text.

use serde_json::Value;
use simulator::cloud::RECOVERY;
use std::{collections::BTreeMap, path::PathBuf};

const TEMPLATE: &str = include_str!("../../infra/template.yaml");

/// Every state with its name, those inside Maps too.
pub fn states() -> Vec<(String, Value)> {
    fn collect(machine: &Value, found: &mut Vec<(String, Value)>) {
        for (name, state) in machine["States"].as_object().unwrap() {
            found.push((name.clone(), state.clone()));
            if state["Type"] == "Map" {
                collect(&state["ItemProcessor"], found);
            }
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(RECOVERY).unwrap(), &mut found);
    found
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn worker_state_schema_test_and_handler_carry_the_same_name() {
    let states = states();
    for worker in workers::all() {
        let snake = worker.name.replace('-', "_");
        for file in [
            format!("schemas/{}.input.json", worker.name),
            format!("schemas/{}.outcome.json", worker.name),
            format!("workers/src/steps/{snake}.rs"),
            format!("tests/workers/{snake}.rs"),
        ] {
            assert!(root(&file).exists(), "{file} is missing");
        }
        let function = format!("  {}Function:\n", pascal(worker.name));
        let handler = TEMPLATE
            .split(&function)
            .nth(1)
            .and_then(|rest| rest.split("Handler: ").nth(1))
            .and_then(|rest| rest.lines().next());
        assert_eq!(handler, Some(worker.name), "the template's {function}");
        let arn = format!("${{{}FunctionArn}}", pascal(worker.name));
        let callers: Vec<&str> = states
            .iter()
            .filter(|(_, s)| s["Arguments"]["FunctionName"] == arn.as_str())
            .map(|(name, _)| name.as_str())
            .collect();
        let expected: Vec<&str> = worker.state.into_iter().collect();
        assert_eq!(callers, expected, "states that call {}", worker.name);
    }
}

#[test]
fn every_state_says_what_it_does_and_every_task_what_to_do_if_it_is_red() {
    for (name, state) in states() {
        let comment = state["Comment"].as_str().unwrap_or_default();
        assert!(comment.len() > 20, "{name} has no Comment");
        assert!(name.len() <= 25, "{name} is too long for the graph");
        if state["Type"] == "Task" && state.get("Catch").is_none() {
            assert!(comment.contains("If red:"), "{name}: {comment}");
        }
        for way in ["Choices", "Catch"] {
            for choice in state[way].as_array().into_iter().flatten() {
                assert!(
                    choice["Comment"].is_string(),
                    "{name}: a way without a Comment: {choice}"
                );
            }
        }
    }
}

#[test]
fn every_task_has_a_time_out_and_jittered_retries() {
    for (name, state) in states() {
        if state["Type"] != "Task" {
            continue;
        }
        assert!(!state["TimeoutSeconds"].is_null(), "{name} has no time-out");
        let retries = state["Retry"].as_array().unwrap();
        assert!(!retries.is_empty(), "{name} is not retried");
        for retry in retries {
            assert!(retry["MaxAttempts"].as_u64().unwrap() > 0, "{name}");
            // Waiting for what another call is writing needs no jitter: nobody waits in step with it.
            if retry["ErrorEquals"] != serde_json::json!(["NotSettledYet"]) {
                assert_eq!(retry["JitterStrategy"], "FULL", "{name}: {retry}");
            }
        }
    }
}

/// AWS's own throttling, with a thousand jobs at once, and its short outages need no person: a worker that AWS does not
/// answer is called again for a quarter of an hour. What may be our own fault (a crash, a time-out) is told sooner.
#[test]
fn a_worker_that_aws_does_not_answer_is_called_again_for_a_quarter_of_an_hour() {
    for (name, state) in states() {
        let resource = state["Resource"].as_str().unwrap_or_default();
        if !resource.contains("lambda:invoke") {
            continue;
        }
        let retries = state["Retry"].as_array().unwrap();
        let number = |retry: &Value, member: &str| retry[member].as_f64().unwrap();
        // Full jitter: half of each pause in the mean.
        let waits = |retry: &Value| -> f64 {
            let attempts = retry["MaxAttempts"].as_i64().unwrap() as i32;
            let pause = |nth| {
                let grown =
                    number(retry, "IntervalSeconds") * number(retry, "BackoffRate").powi(nth);
                grown.min(number(retry, "MaxDelaySeconds")) / 2.0
            };
            (0..attempts).map(pause).sum()
        };
        let of = |error: &str| -> f64 {
            let retry = retries
                .iter()
                .find(|r| r["ErrorEquals"].as_array().unwrap().contains(&error.into()));
            waits(retry.unwrap_or_else(|| panic!("{name} does not retry {error}")))
        };
        assert!(of("AwsUnavailable") >= 900.0, "{name}");
        assert!(of("Runtime.ExitError") <= 180.0, "{name}");
    }
}

/// The definition language has no way to share a retrier: those of one error are equal, or differ for a reason named here.
#[test]
fn retriers_of_the_same_errors_are_equal() {
    // Each instance is checked once, a thousand of them: few tries, so that the history stays within 25,000 events. What is
    // verified after a reboot is at most MAX_FAULTY_INSTANCES.
    let differs = |name: &str, errors: &str| {
        // A question that is throttled is soon given up: nothing waits for it.
        let question = matches!(name, "OrderProbe" | "OrderSome" | "ListAnswers");
        question && errors.contains("Ssm.")
            || matches!(name, "RunDcgm")
                && (errors.contains("AmazonECS.Unknown") || errors.contains("ECS."))
    };
    let mut first: BTreeMap<String, (String, Value)> = BTreeMap::new();
    for (name, state) in states() {
        for retry in state["Retry"].as_array().into_iter().flatten() {
            let errors = retry["ErrorEquals"].to_string();
            // Beside Lambda's own, some steps call themselves again for what their worker says.
            let own = errors
                .replace(",\"States.Timeout\"", "")
                .replace(",\"NotSettledYet\"", "");
            if differs(&name, &errors) || retry["ErrorEquals"][0] == "States.Timeout" {
                continue;
            }
            let mut rest = retry.clone();
            rest["ErrorEquals"] = Value::Null;
            let (known, equal) = first.entry(own).or_insert((name.clone(), rest.clone()));
            assert_eq!(
                rest, *equal,
                "{name} and {known} retry {errors} differently"
            );
        }
    }
    assert!(first.len() < 14, "{:#?}", first.keys());
}

/// A verdict is read from a failed check in two states; ASL has no functions.
#[test]
fn the_two_readings_of_a_check_are_one() {
    let reading = |name: &str| {
        let (_, state) = states().into_iter().find(|(n, _)| n == name).unwrap();
        state["Output"].as_str().unwrap().to_owned()
    };
    assert_eq!(reading("ReadVerdict"), reading("ReadVerdictAgain"));
    assert!(reading("ReadVerdict").contains("'verdict'"));
}

#[test]
fn a_technical_error_is_never_caught_into_a_dead_end() {
    for (name, state) in states() {
        assert_ne!(
            state["Type"], "Fail",
            "{name}: nothing could be redriven after it"
        );
        for catch in state["Catch"].as_array().into_iter().flatten() {
            let all = catch["ErrorEquals"] == serde_json::json!(["States.ALL"]);
            // Whatever EC2 answers, a redrive must not reboot a node unasked; and what goes wrong with a question is no
            // answer, which no recovery fails for.
            let may = [
                "RebootByEc2",
                "AskNode",
                "ReadAnswer",
                "OrderProbe",
                "OrderSome",
                "ListAnswers",
            ]
            .contains(&name.as_str());
            assert!(!all || may, "{name} catches everything");
        }
    }
}

#[test]
fn a_worker_is_gone_before_its_state_calls_it_again() {
    for worker in workers::all() {
        let Some(state) = worker.state else { continue };
        let (_, state) = states().into_iter().find(|(n, _)| n == state).unwrap();
        let Some(bound) = state["TimeoutSeconds"].as_u64() else {
            continue; // waits for a token: the function's own time-out is minutes shorter
        };
        assert!(
            bound > u64::from(worker.timeout_seconds),
            "{}: the state gives up after {bound} s, the function after {} s",
            worker.name,
            worker.timeout_seconds
        );
    }
}

#[test]
fn the_definition_fits_step_functions_limits() {
    assert!(RECOVERY.len() < 1024 * 1024);
    assert!(states().iter().all(|(name, _)| name.len() <= 80));
}

/// An execution that is cut off says what it was doing, in words (`workers/src/decisions/standing.rs`).
#[test]
fn every_state_in_which_an_execution_can_stand_has_words() {
    for (name, state) in states() {
        if matches!(state["Type"].as_str(), Some("Task" | "Wait" | "Map")) {
            let words = workers::decisions::standing::of(&name, false);
            assert!(words.is_some(), "{name} has none: add it there");
        }
    }
}
