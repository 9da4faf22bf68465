//! Bad input: whatever comes in, never a panic; an error that names the field; nothing written.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use simulator::{
    cloud::{RECOVERY, substitutions},
    optimized,
    scenario::{PlayOptions, Scenario, builtin, names, play},
    stepfunctions::{Definition, Mocks},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use tests::{World, fixtures};
use workers::{Worker, WorkerError};

/// So many cases of each kind, a quarter of them without optimized code; FUZZ_CASES says another number for a longer run.
fn cases(of_the_gate: u32) -> u32 {
    let default = if optimized() {
        of_the_gate
    } else {
        of_the_gate / 4
    };
    std::env::var("FUZZ_CASES").map_or(default, |n| n.parse().expect("FUZZ_CASES is a number"))
}

fn check<S: Strategy>(count: u32, strategy: &S, test: impl Fn(S::Value)) {
    let config = Config {
        cases: cases(count),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let ended = runner.run(strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = ended {
        panic!("{error}");
    }
}

/// Any JSON, with what JSON texts of AWS are made of among it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        Just(json!("")),
        Just(json!("arn:aws:ecs:us-east-1:123456789012:task/c/1")),
        Just(json!("9999-99-99T99:99:99Z")),
        Just(json!("{% $x %}")),
        ".{0,40}".prop_map(Value::from),
        Just(json!("x".repeat(5000))),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z-]{0,12}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// One change of a JSON: the place is taken modulo what is there.
#[derive(Debug, Clone)]
enum Edit {
    Replace(usize, Value),
    Remove(usize),
    Add(usize, String, Value),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (any::<usize>(), any_json()).prop_map(|(at, value)| Edit::Replace(at, value)),
        2 => any::<usize>().prop_map(Edit::Remove),
        1 => (any::<usize>(), "[a-z]{1,8}", any_json()).prop_map(|(at, name, value)| Edit::Add(at, name, value)),
    ]
}

fn places(value: &Value, at: String, found: &mut Vec<String>) {
    found.push(at.clone());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (nth, value) in list.iter().enumerate() {
                places(value, format!("{at}/{nth}"), found);
            }
        }
        _ => {}
    }
}

fn edit(mut value: Value, edits: &[Edit]) -> Value {
    for edit in edits {
        let mut all = Vec::new();
        places(&value, String::new(), &mut all);
        match edit {
            Edit::Replace(at, new) => {
                if let Some(place) = value.pointer_mut(&all[at % all.len()]) {
                    *place = new.clone();
                }
            }
            Edit::Add(at, name, new) => {
                if let Some(Value::Object(members)) = value.pointer_mut(&all[at % all.len()]) {
                    members.insert(name.clone(), new.clone());
                }
            }
            Edit::Remove(at) => {
                let place = &all[at % all.len()];
                if let Some((parent, name)) = place.rsplit_once('/') {
                    match value.pointer_mut(parent) {
                        Some(Value::Object(members)) => {
                            members.remove(&name.replace("~1", "/").replace("~0", "~"));
                        }
                        Some(Value::Array(list)) => {
                            if let Ok(nth) = name.parse::<usize>() {
                                list.remove(nth);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    value
}

/// What the state machine and the rules really pass to each worker, from whole recoveries.
fn real_inputs() -> BTreeMap<String, Vec<Value>> {
    let found: Arc<Mutex<BTreeMap<String, Vec<Value>>>> = Arc::default();
    for name in [
        "check-by-hand",
        "spare-takes-over",
        "gpu-fault",
        "fault-persists-after-reboot",
        "user-stop",
        "clean-completion",
    ] {
        let seen = found.clone();
        let options = PlayOptions {
            observer: Some(Arc::new(move |_, _, event| {
                let scheduled = event["taskScheduledEventDetails"]["parameters"].as_str();
                let parameters: Value = scheduled
                    .and_then(|text| serde_json::from_str(text).ok())
                    .unwrap_or_default();
                if let Some(function) = parameters["FunctionName"].as_str() {
                    let worker = function.rsplit("gpu-recovery-").next().unwrap_or_default();
                    let mut seen = seen.lock().expect("nobody panics here");
                    let inputs = seen.entry(worker.to_owned()).or_default();
                    if inputs.len() < 3 {
                        inputs.push(parameters["Payload"].clone());
                    }
                }
            })),
            ..PlayOptions::default()
        };
        let scenario = builtin(name)
            .expect("it is built in")
            .expect("it can be read");
        play(
            &scenario.with_nodes(4).expect("4 nodes are enough"),
            &options,
        )
        .expect("it can be played");
    }
    let mut inputs = found.lock().expect("nobody panics here").clone();
    for (worker, prefixes) in [
        ("instance-events", &["command-invocation", "instance-"][..]),
        ("notify-failed-execution", &["execution-"]),
        ("look-for-lost-stops", &["scheduled-"]),
    ] {
        let names = prefixes.iter().flat_map(|prefix| fixtures::names(prefix));
        inputs.insert(
            worker.to_owned(),
            names.map(|name| fixtures::event(&name)).collect(),
        );
    }
    // Task events as AWS sends them, for the workers that parse one.
    for name in fixtures::names("task-") {
        for worker in ["claim-job", "record-completion", "record-user-stop"] {
            let list = inputs.entry(worker.to_owned()).or_default();
            let mut input = list.first().cloned().unwrap_or_default();
            input["event"] = fixtures::event(&name);
            list.push(input);
        }
    }
    inputs
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// A refusal names every place, the places are there (or their parents are), and nothing was called.
fn refused_well(input: &Value, error: &WorkerError, calls: usize) {
    let WorkerError::InvalidInput(violations) = error else {
        return;
    };
    assert!(!violations.is_empty(), "no violation for {input}");
    assert_eq!(calls, 0, "calls were made with {input}");
    for violation in violations {
        let parent = violation
            .pointer
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let there = input.pointer(&violation.pointer).or(input.pointer(parent));
        assert!(there.is_some(), "{} is not in {input}", violation.pointer);
        assert!(!violation.message.is_empty(), "no message for {input}");
    }
}

#[test]
fn a_bad_input_of_any_worker_is_refused_by_its_field_and_nothing_is_written() {
    let inputs = real_inputs();
    let workers: BTreeMap<&str, Worker> = workers::all().into_iter().map(|w| (w.name, w)).collect();
    assert_eq!(
        inputs.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        workers.keys().copied().collect::<BTreeSet<_>>(),
        "every worker has real inputs"
    );
    let all: Vec<(String, Value)> = inputs
        .into_iter()
        .flat_map(|(worker, list)| list.into_iter().map(move |input| (worker.clone(), input)))
        .collect();
    let strategy = (
        0..all.len(),
        prop_oneof![
            9 => prop::collection::vec(any_edit(), 0..4).prop_map(Ok),
            1 => any_json().prop_map(Err),
        ],
    );
    check(400, &strategy, |(nth, change)| {
        let (worker, real) = &all[nth];
        let input = match change {
            Ok(edits) => edit(real.clone(), &edits),
            Err(any) => any,
        };
        runtime().block_on(async {
            let world = World::new().await;
            let before = world.wire().calls().len();
            if let Err(error) = world.call(worker, input.clone()).await {
                refused_well(&input, &error, world.wire().calls().len() - before);
                assert!(!error.to_string().is_empty());
            }
        });
    });
}

/// DynamoDB's JSON of something that an operator may have typed.
fn any_attribute() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        ".{0,20}".prop_map(|text| json!({ "S": text })),
        any::<i32>().prop_map(|number| json!({ "N": number.to_string() })),
        Just(json!({ "N": "4294967296" })),
        Just(json!({ "N": "-1" })),
        Just(json!({ "N": "1.5" })),
        any::<bool>().prop_map(|yes| json!({ "BOOL": yes })),
        Just(json!({ "NULL": true })),
        Just(json!({ "M": {} })),
        Just(json!({ "M": { "x": { "S": "y" } } })),
        Just(json!({ "L": [{ "N": "1" }, { "S": "two" }] })),
        Just(json!({ "NS": ["7", "99"] })),
        Just(json!({ "SS": ["a"] })),
        Just(json!({ "S": "COMPLETE" })),
        Just(json!({ "S": "QUARANTINED" })),
    ]
}

const JOB_FIELDS: [&str; 14] = [
    "status",
    "attempt",
    "nodes",
    "holder",
    "failed_rank",
    "reason",
    "done_ranks",
    "recovery_attempts",
    "launch_try",
    "launching",
    "relaunched_by",
    "failed_by",
    "created_at",
    "updated_at",
];
const RANK_FIELDS: [&str; 10] = [
    "attempt",
    "rank",
    "task_arn",
    "instance_id",
    "container_instance_arn",
    "status",
    "exit_code",
    "stop_code",
    "launch",
    "launch_try",
];
const INSTANCE_FIELDS: [&str; 12] = [
    "status",
    "container_instance_arn",
    "job_id",
    "holder",
    "cordoned",
    "faults",
    "gpus",
    "command_id",
    "task_token",
    "waiting_since",
    "last_verdict",
    "quarantine_reason",
];

#[test]
fn a_record_edited_by_hand_is_named_and_never_a_panic() {
    let strategy = (
        0..JOB_FIELDS.len() + RANK_FIELDS.len() + INSTANCE_FIELDS.len(),
        any_attribute(),
    );
    check(80, &strategy, |(field, value)| {
        // DynamoDB itself takes nothing but text for the index's key.
        let by_index = RANK_FIELDS.get(field.wrapping_sub(JOB_FIELDS.len())) == Some(&"task_arn");
        if by_index && value["S"].as_str().is_none_or(str::is_empty) {
            return;
        }
        runtime().block_on(async {
            let world = World::with_job(2).await;
            let recovery = world.claim_and_cordon(1).await;
            let name = if let Some(name) = JOB_FIELDS.get(field) {
                world.edit_job(tests::JOB, "job", name, value.clone()).await;
                name
            } else if let Some(name) = RANK_FIELDS.get(field - JOB_FIELDS.len()) {
                world
                    .edit_job(tests::JOB, "attempt#00001#rank#00001", name, value.clone())
                    .await;
                name
            } else {
                let name = &INSTANCE_FIELDS[field - JOB_FIELDS.len() - RANK_FIELDS.len()];
                world
                    .edit_instance(&tests::instance_id(1), name, value.clone())
                    .await;
                name
            };
            let check = json!({
                "instance": tests::instance_id(1), "rank": 1, "exitCode": 226, "verdict": "faulty", "detail": ""
            });
            let steps = [
                ("stop-siblings", recovery.input(json!({}))),
                ("cordon-instance", recovery.cordon(1)),
                ("uncordon-instance", recovery.on(1, json!({}))),
                ("quarantine-instance", recovery.on(1, json!({ "reason": "a test" }))),
                ("relaunch-job", recovery.input(json!({ "instances": [] }))),
                (
                    "fail-job",
                    recovery.input(json!({ "reason": "NoRecoveryLeft", "checks": [check], "recoveries": [] })),
                ),
            ];
            for (worker, input) in steps {
                // What it comes to depends on the edit; a panic or a hang fails the test.
                match world.call(worker, input).await {
                    Err(WorkerError::CorruptRecord(why)) => {
                        assert!(
                            why.contains("table ") || why.contains("by hand"),
                            "{worker}, {name} = {value}: {why}"
                        );
                    }
                    Err(WorkerError::AwsUnavailable(why)) => {
                        panic!("{worker}, {name} = {value}: {why}")
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        });
    });
}

/// A text with pieces cut out, doubled or replaced.
fn any_cut() -> impl Strategy<Value = Vec<(usize, usize, String)>> {
    prop::collection::vec((any::<usize>(), 0..40_usize, "[ -~\n]{0,12}"), 1..4)
}

fn cut(text: &str, cuts: &[(usize, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, length, new) in cuts {
        let at = at % (characters.len() + 1);
        let end = (at + length).min(characters.len());
        characters.splice(at..end, new.chars());
    }
    characters.into_iter().collect()
}

#[test]
fn a_bad_scenario_file_is_refused_by_its_place() {
    let texts: Vec<String> = names()
        .map(|name| {
            let path = format!(
                "{}/../simulator/scenarios/{name}.yaml",
                env!("CARGO_MANIFEST_DIR")
            );
            std::fs::read_to_string(path).expect("the scenario is there")
        })
        .collect();
    check(3000, &(0..texts.len(), any_cut()), |(nth, cuts)| {
        if let Err(error) = Scenario::parse("mine.yaml", &cut(&texts[nth], &cuts)) {
            let told = error.to_string();
            assert!(told.starts_with("mine.yaml: ") && told.len() > 15, "{told}");
        }
    });
}

#[test]
fn a_bad_definition_is_refused_by_its_pointer_and_line() {
    let substitutions = substitutions(&BTreeMap::new()).expect("the defaults are settings");
    let real: Value = serde_json::from_str(RECOVERY).expect("the definition is JSON");
    let refused = |text: &str| {
        if let Err(errors) = Definition::parse(text, &substitutions) {
            assert!(!errors.0.is_empty());
            for error in errors.0 {
                assert!(error.line >= 1 && !error.message.is_empty(), "{error}");
            }
        }
    };
    check(150, &prop::collection::vec(any_edit(), 1..4), |edits| {
        refused(&edit(real.clone(), &edits).to_string());
    });
    check(100, &any_cut(), |cuts| refused(&cut(RECOVERY, &cuts)));
}

#[test]
fn a_bad_mock_file_is_refused_by_its_line() {
    let real = json!({
        "StateMachines": { "Recovery": { "TestCases": { "Healthy": { "ClaimJob": "Claimed" } } } },
        "MockedResponses": {
            "Claimed": {
                "0": { "Return": { "outcome": "Claimed" } },
                "1-2": { "Throw": { "Error": "AwsUnavailable", "Cause": "no" } }
            }
        }
    });
    let text = serde_json::to_string_pretty(&real).expect("JSON can be written");
    let refused = |text: &str| {
        if let Err(errors) = Mocks::parse(text) {
            assert!(!errors.0.is_empty());
            assert!(errors.0.iter().all(|e| e.starts_with("line ")), "{errors}");
        }
    };
    check(1000, &prop::collection::vec(any_edit(), 1..4), |edits| {
        refused(
            &serde_json::to_string_pretty(&edit(real.clone(), &edits))
                .expect("JSON can be written"),
        );
    });
    check(1000, &any_cut(), |cuts| refused(&cut(&text, &cuts)));
}
