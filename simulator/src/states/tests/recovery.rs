//! The real definition, played with mocks.

use super::support::cloud;
use crate::{
    cloud::{RECOVERY, substitutions},
    stepfunctions::{Definition, ExecutionStatus, ExecutionView, Mocks, StepFunctions},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn definition() -> Definition {
    let substitutions = substitutions(&BTreeMap::new()).unwrap();
    Definition::parse(RECOVERY, &substitutions).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_deployed_definition_is_read_without_a_warning() {
    assert_eq!(definition().warnings(), []);
}

async fn play(mocks: Value) -> (StepFunctions, ExecutionView) {
    let responses = mocks.as_object().unwrap().iter();
    let named: Value = responses
        .map(|(state, _)| (state.clone(), json!(state)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let config = json!({ "StateMachines": { "R": { "TestCases": { "C": named } } }, "MockedResponses": mocks });
    let runner = Mocks::parse(&config.to_string())
        .unwrap()
        .runner("R", "C", &definition())
        .unwrap();
    let (sfn, _) = cloud(runner);
    let arn = sfn.create_state_machine("recovery", definition());
    let event = json!({ "detail": { "stopCode": "EssentialContainerExited", "containers": [ { "name": "train", "exitCode": 1 } ] } });
    let arn = sfn.start(&arn, None, event).unwrap();
    let view = sfn.finished(&arn).await.unwrap();
    (sfn, view)
}

fn payload(value: Value) -> Value {
    json!({ "0": { "Return": { "ExecutedVersion": "$LATEST", "Payload": value, "StatusCode": 200 } } })
}

fn probe(boot: &str) -> Value {
    let line = format!("probe1 {boot} 90000 ?:- none - - full none\n");
    json!({ "Return": { "Status": "Success", "StandardOutputContent": line } })
}

fn mocks() -> Value {
    let dcgm = json!({ "Containers": [ { "ExitCode": 1 } ], "StoppedReason": "Essential container in task exited" });
    json!({
        "ClaimJob": payload(json!({
            "outcome": "Claimed", "jobId": "j", "attempt": 1, "nodes": 2, "recoveriesLeft": 3, "instances": ["i-1"], "failure": {} })),
        "OrderProbe": { "0": { "Return": { "Command": { "CommandId": "p" } } } },
        "ListAnswers": { "0": { "Return": { "CommandInvocations": [ { "InstanceId": "i-1", "Status": "Success",
            "CommandPlugins": [ { "Output": "probe1 x\n" } ] } ] } } },
        "NameSuspects": payload(json!({ "outcome": "Named", "answered": 1, "accused": 0, "spares": 0, "toCheck": [ { "instance": "i-1", "rank": 0 } ] })),
        "StopSiblings": payload(json!({ "outcome": "Stopped", "running": [], "toCheck": [ { "instance": "i-1", "rank": 0 } ] })),
        "RunDcgm": { "0": { "Throw": { "Error": "States.TaskFailed", "Cause": dcgm.to_string() } } },
        "CordonInstance": payload(json!({ "outcome": "Cordoned", "instance": "i-1", "gpus": "?:-", "rebootedSince": false })),
        "AskNode": { "0-1": { "Return": { "Command": { "CommandId": "p" } } } },
        "ReadAnswer": { "0": probe("4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09"), "1": probe("00000000-1111-2222-3333-444444444444") },
        "RebootInstance": { "0": { "Return": { "Command": { "CommandId": "c" } } } },
        "WaitForInstanceActive": { "0": { "Return": { "back": false } } },
        "UncordonInstance": payload(json!({})),
        "VerifyGpus": { "0": { "Return": { "Containers": [ { "ExitCode": 0 } ] } } },
        "RelaunchJob": payload(json!({ "outcome": "Relaunched", "attempt": 2 })),
        "FailJob": payload(json!({ "outcome": "Failed" })),
        "NotifyOperators": payload(json!({ "outcome": "Notified" })),
        "QuarantineInstance": payload(json!({})),
    })
}

fn entered(sfn: &StepFunctions, arn: &str) -> Vec<String> {
    let events = sfn.history(arn);
    let names = events
        .iter()
        .filter_map(|event| event["stateEnteredEventDetails"]["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_faulty_instance_is_rebooted_and_the_job_relaunched() {
    let (sfn, view) = play(mocks()).await;
    assert_eq!(
        (view.status, &view.cause),
        (ExecutionStatus::Succeeded, &None)
    );
    assert_eq!(
        entered(&sfn, &view.arn),
        [
            "Classify",
            "ClaimJob",
            "JobClaimed?",
            "ProbeNodes",
            "OrderProbe",
            "StopSiblings",
            "AllStopped?",
            "WaitForNodes",
            "HearNodes",
            "ListAnswers",
            "AllHeard?",
            "NameSuspects",
            "SparesFirst?",
            "CheckGpus",
            "WaitTurn",
            "CheckGroup",
            "RunDcgm",
            "ReadVerdict",
            "CheckAgain?",
            "GpusHealthy?",
            "RecoverInstances",
            "RebootHelps?",
            "CordonInstance",
            "Cordoned?",
            "AskNode",
            "NodeAnswered?",
            "WaitForAnswer",
            "ReadAnswer",
            "NodeAnswered?",
            "RebootInstance",
            "WaitForInstanceActive",
            "InstanceActive?",
            "AskNode",
            "NodeAnswered?",
            "WaitForAnswer",
            "ReadAnswer",
            "NodeAnswered?",
            "UncordonInstance",
            "VerifyGpus",
            "InstancesRecovered?",
            "RelaunchJob",
            "NotifyOperators",
            "RepairBeside?",
            "NothingToDo",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_that_says_nothing_fails_the_job_and_tells() {
    let mut mocks = mocks();
    mocks["RunDcgm"] =
        json!({ "0-1": { "Throw": { "Error": "States.TaskFailed", "Cause": "no JSON" } } });
    let (sfn, view) = play(mocks).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    let states = entered(&sfn, &view.arn);
    assert_eq!(
        states[states.len() - 8..],
        [
            "RecoverInstances",
            "RebootHelps?",
            "QuarantineInstance",
            "InstancesRecovered?",
            "FailJob",
            "NotifyOperators",
            "RepairBeside?",
            "NothingToDo"
        ]
    );
}
