//! Items that an operator has edited by hand, wrongly: the error names the table, the item's key and the field.

use serde_json::{Value, json};
use tests::{JOB, World, instance_id};

/// The error of a worker that reads a corrupt record.
async fn corrupt(w: &World, worker: &str, input: Value) -> String {
    let error = w.call(worker, input.clone()).await;
    let error = error.expect_err(&format!("{worker} read it"));
    assert_eq!(error.name(), "CorruptRecord", "{error}");
    error.to_string()
}

fn assert_names(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "'{part}' not in: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_job_is_named_with_its_key_and_field() {
    for (field, value) in [
        ("status", json!({ "S": "RUNING" })),
        ("attempt", json!({ "S": "one" })),
        ("nodes", Value::Null),
        ("nodes", json!({ "S": "two" })),
        ("holder", json!({ "N": "7" })),
        ("done_ranks", json!({ "S": "0,1" })),
        ("launching", json!({ "S": "no" })),
        ("recovery_attempts", json!({ "N": "-1" })),
        ("created_at", Value::Null),
    ] {
        let w = World::with_job(2).await;
        let event = w.exit(1, 1).await;
        w.edit_job(JOB, "job", field, value).await;
        let input = json!({ "execution": w.running_execution(), "event": event });
        for worker in ["claim-job", "record-completion", "record-user-stop"] {
            let error = corrupt(&w, worker, input.clone()).await;
            let key = format!("job_id={JOB} record=job");
            assert_names(
                &error,
                &[
                    "hybrid-gpu-training-job",
                    &key,
                    field,
                    "fix the item by hand",
                ],
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_rank_is_named_with_its_key_and_field() {
    for (field, value) in [
        ("task_arn", Value::Null),
        ("rank", json!({ "S": "zero" })),
        ("status", json!({ "S": "DEAD" })),
        ("exit_code", json!({ "S": "1" })),
        ("launch", json!({ "S": "docker run" })),
        (
            "launch",
            json!({ "M": { "overrides": { "M": { "containerOverrides": { "S": "x" } } } } }),
        ),
    ] {
        let w = World::with_job(2).await;
        let recovery = w.claim(1).await;
        let record = "attempt#00001#rank#00000";
        w.edit_job(JOB, record, field, value).await;
        let error = corrupt(&w, "stop-siblings", recovery.input(json!({}))).await;
        assert_names(
            &error,
            &[
                "hybrid-gpu-training-job",
                record,
                field,
                "fix the item by hand",
            ],
        );
        let error = corrupt(
            &w,
            "relaunch-job",
            recovery.input(json!({ "instances": [] })),
        )
        .await;
        assert_names(&error, &[record, field]);
        assert_eq!(w.running_tasks().len(), 1, "nothing was stopped or started");
    }
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_instance_is_named_with_its_key_and_field() {
    for (field, value) in [
        ("status", json!({ "S": "BROKEN" })),
        ("faults", json!({ "S": "yesterday" })),
        ("waiting_since", json!({ "S": "now" })),
        ("cordoned", json!({ "S": "yes" })),
        ("updated_at", json!({ "N": "5" })),
    ] {
        let w = World::with_job(2).await;
        let recovery = w.claim_and_stop(1).await;
        w.edit_instance(&instance_id(1), field, value).await;
        let quarantine = recovery.on(1, json!({ "reason": "x" }));
        let cases = [
            ("cordon-instance", recovery.cordon(1)),
            ("uncordon-instance", recovery.on(1, json!({}))),
            ("quarantine-instance", quarantine),
        ];
        for (worker, input) in cases {
            let error = corrupt(&w, worker, input).await;
            let key = format!("instance_id={}", instance_id(1));
            assert_names(
                &error,
                &[
                    "ecs_container_instance",
                    &key,
                    field,
                    "fix the item by hand",
                ],
            );
        }
        assert_eq!(w.ecs_status(1), "ACTIVE");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rank_under_a_key_of_another_form_is_told_with_the_form_it_should_have() {
    let w = World::with_job(2).await;
    let event = w.exit(1, 1).await;
    w.delete_job_record(JOB, "attempt#00001#rank#00001").await;
    let task = event["detail"]["taskArn"].clone();
    w.edit_job(JOB, "rank-1", "task_arn", json!({ "S": task }))
        .await;
    let input = json!({ "execution": w.running_execution(), "event": event });
    let error = corrupt(&w, "claim-job", input).await;
    assert_names(
        &error,
        &[
            "hybrid-gpu-training-job",
            task.as_str().unwrap(),
            "attempt#00001#rank#00003",
        ],
    );
}
