//! Classify reads an event as the workers read the task: the JSONata of the definition beside `workers::decisions::exit`.

use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::{
    cloud::RECOVERY,
    stepfunctions::{Definition, Host, StepFunctions},
};
use std::{collections::BTreeMap, sync::Arc};
use tests::ends;
use workers::{
    Settings,
    decisions::exit::{Exit, TaskEnd},
};

/// The state alone; each way out is an end of its name.
fn classify(container: &str) -> Definition {
    let recovery: Value = serde_json::from_str(RECOVERY).unwrap();
    let mut states = json!({ "Classify": recovery["States"]["Classify"] });
    for next in [
        "NothingToDo",
        "RecordUserStop",
        "RecordCompletion",
        "ClaimJob",
        "ClaimInstance",
    ] {
        states[next] = json!({ "Type": "Succeed" });
    }
    let machine = json!({ "QueryLanguage": "JSONata", "StartAt": "Classify", "States": states });
    let values = BTreeMap::from([("TrainingContainerName".to_owned(), container.to_owned())]);
    Definition::parse(&machine.to_string(), &values).unwrap()
}

fn event(end: &TaskEnd) -> Value {
    let without_nulls = |mut value: Value| {
        value
            .as_object_mut()
            .unwrap()
            .retain(|_, member| !member.is_null());
        value
    };
    let containers: Vec<Value> = end
        .containers
        .iter()
        .map(|c| {
            without_nulls(json!({
                "name": c.name,
                "exitCode": c.exit_code,
                "reason": c.reason,
                "gpuIds": c.has_gpus.then_some(["GPU-0"]),
            }))
        })
        .collect();
    json!({ "detail": without_nulls(json!({
        "stopCode": end.stop_code, "stoppedReason": end.stopped_reason, "containers": containers,
    })) })
}

/// Which way the state takes.
fn way(machine: Definition, end: &TaskEnd) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let none = Arc::new(|_| unreachable!("there is no task"));
        let stepfunctions = StepFunctions::new(Host::new(none));
        let arn = stepfunctions.create_state_machine("classify", machine);
        let execution = stepfunctions.start(&arn, None, event(end)).unwrap();
        let ended = stepfunctions.finished(&execution).await.unwrap();
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
        let history = stepfunctions.history(&execution);
        let mut entered = history
            .iter()
            .filter_map(|e| e["stateEnteredEventDetails"]["name"].as_str());
        entered.next_back().unwrap().to_owned()
    })
}

fn settings(container: &str) -> Settings {
    Settings::read(|name| {
        let value = match name {
            "TRAINING_JOB_TABLE_NAME" => "jobs",
            "CONTAINER_INSTANCE_TABLE_NAME" => "instances",
            "ECS_CLUSTER_NAME" => "training",
            "DCGM_HEALTH_CHECK_TASK" => "dcgm",
            "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
            "TRAINING_CONTAINER_NAME" => container,
            _ => return None,
        };
        Some(value.to_owned())
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_definition_and_the_workers_read_every_end_alike(end in ends::end(), container in prop::sample::select(vec!["", "trainer", "absent"])) {
        let expected = match end.classify(&settings(container)) {
            Exit::StoppedByUs => "NothingToDo",
            Exit::StoppedByUser => "RecordUserStop",
            Exit::Completed => "RecordCompletion",
            Exit::Abnormal => "ClaimJob",
        };
        prop_assert_eq!(way(classify(container), &end), expected);
    }
}
