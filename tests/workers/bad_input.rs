//! Inputs that break a worker's schema: every violation is named with its JSON pointer, and nothing is touched.

use serde_json::{Value, json};
use tests::{JOB, World, fixtures, instance_id};
use workers::{WorkerError, error::Violation};

const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1";
const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/gpu-training/0123456789abcdef";

/// A valid input of every worker, with every member that its schema knows.
fn samples() -> Vec<(&'static str, Value)> {
    let event = json!({ "detail": {
        "taskArn": TASK,
        "createdAt": "2026-01-05T03:00:00.000Z",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": [{ "name": "trainer", "exitCode": 1 }],
    }});
    let with_event = json!({ "execution": EXECUTION, "event": event });
    let job = json!({ "execution": EXECUTION, "jobId": JOB, "attempt": 1 });
    let and = |base: &Value, more: Value| {
        let mut all = base.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let on = and(&job, json!({ "instance": instance_id(1), "rank": 1 }));
    let check = json!({ "instance": instance_id(1), "rank": 1, "exitCode": 226, "verdict": "faulty", "detail": "x" });
    let recovery =
        json!({ "instance": instance_id(1), "rank": 1, "recovered": true, "detail": "x" });
    let place = json!({
        "rank": 1, "instance": instance_id(2), "instead": instance_id(1), "repair": true,
        "arn": "arn:aws:ecs:us-east-1:123456789012:container-instance/gpu-training/2",
    });
    let failure = json!({
        "rank": 1, "task": TASK, "instance": instance_id(1), "exitCode": 1, "stopCode": "x", "stoppedReason": "x",
        "notRelaunchable": "x",
    });
    vec![
        ("claim-job", with_event.clone()),
        ("record-completion", with_event.clone()),
        ("record-user-stop", with_event),
        (
            "claim-instance",
            json!({
                "execution": job["execution"],
                "request": { "instance": instance_id(1), "by": "ann", "reason": "GPU 5 replaced" },
            }),
        ),
        (
            "end-check",
            and(
                &job,
                json!({ "instance": instance_id(1), "checks": [], "recoveries": [] }),
            ),
        ),
        ("stop-siblings", job.clone()),
        (
            "name-suspects",
            and(
                &job,
                json!({
                    "ended": [{ "instance": instance_id(1), "rank": 1 }],
                    "answers": [format!("{} probe1 x", instance_id(1))],
                    "askedAt": 1_000_000,
                }),
            ),
        ),
        (
            "cordon-instance",
            and(
                &on,
                json!({ "exitCode": 226, "startedAt": "2026-01-05T03:00:00.000Z" }),
            ),
        ),
        (
            "await-instance",
            and(
                &on,
                json!({ "commandId": "c-1", "proven": false, "taskToken": "t-1" }),
            ),
        ),
        ("uncordon-instance", on.clone()),
        (
            "quarantine-instance",
            and(&on, json!({ "reason": "still faulty" })),
        ),
        (
            "relaunch-job",
            and(&job, json!({ "instances": [instance_id(1)] })),
        ),
        (
            "hold-spares",
            and(
                &job,
                json!({
                    "suspects": [{ "instance": instance_id(1), "rank": 1 }], "repair": true,
                }),
            ),
        ),
        (
            "release-suspects",
            json!({
                "execution": EXECUTION, "jobId": JOB, "places": [place], "checks": [check], "recoveries": [recovery],
            }),
        ),
        (
            "fail-job",
            and(
                &job,
                json!({ "reason": "NoRecoveryLeft", "checks": [check], "recoveries": [recovery] }),
            ),
        ),
        (
            "notify-operators",
            and(
                &job,
                json!({
                    "startedAt": "2026-01-05T03:00:00.000Z", "nodes": 8, "failure": failure, "reason": "NoRecoveryLeft",
                    "notPlaced": "x", "stuck": [{ "rank": 1, "instance": instance_id(1), "task": TASK }],
                    "checks": [check], "recoveries": [recovery],
                    "relaunch": { "outcome": "Relaunched", "jobId": JOB, "attempt": 2, "ranks": 8 },
                }),
            ),
        ),
        (
            "instance-events",
            fixtures::event("command-invocation-success"),
        ),
        ("look-for-lost-stops", json!({})),
        (
            "notify-failed-execution",
            json!({ "detail": {
                "executionArn": EXECUTION, "status": "FAILED", "input": "{}", "error": "x", "cause": "x",
            }}),
        ),
    ]
}

/// The pointers of everything in a value, itself excluded.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(n, v)| (n.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let at = format!("{at}/{name}");
        found.push(at.clone());
        pointers(value, &at, found);
    }
}

fn all_pointers(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    pointers(value, "", &mut found);
    found
}

/// What the worker answers to a bad input, which must not have made it call AWS.
async fn violations(w: &World, worker: &str, input: Value) -> Vec<Violation> {
    let before = w.wire().calls().len();
    let error = w.call(worker, input.clone()).await;
    let Err(WorkerError::InvalidInput(violations)) = error else {
        panic!("{worker} took {input}: {error:?}");
    };
    assert_eq!(w.wire().calls().len(), before, "{worker} called AWS");
    violations
}

/// Where a schema offers alternatives, the violation is the whole's.
fn is_named(worker: &str, found: &str, pointer: &str) -> bool {
    let alternatives = worker == "instance-events" || pointer.starts_with("/relaunch/");
    found == pointer || (alternatives && pointer.starts_with(found))
}

#[tokio::test(start_paused = true)]
async fn every_worker_has_a_sample_and_takes_it() {
    let w = World::new().await;
    let names: Vec<_> = samples().iter().map(|(name, _)| *name).collect();
    for worker in workers::all() {
        assert!(
            names.contains(&worker.name),
            "{} has no sample",
            worker.name
        );
    }
    for (name, sample) in samples() {
        w.worker(name)
            .check(&sample)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_of_the_wrong_type_is_named_by_its_pointer() {
    let w = World::new().await;
    for (worker, sample) in samples() {
        for pointer in all_pointers(&sample) {
            if worker == "instance-events" && !known_event_member(&pointer) {
                continue;
            }
            for wrong in [json!({ "wrong": true }), json!([[]]), json!(-1.5)] {
                let mut bad = sample.clone();
                let place = bad.pointer_mut(&pointer).unwrap();
                if std::mem::discriminant(place) == std::mem::discriminant(&wrong)
                    && !place.is_number()
                {
                    continue;
                }
                *place = wrong;
                let found = violations(&w, worker, bad).await;
                assert!(
                    found.iter().any(|v| is_named(worker, &v.pointer, &pointer)),
                    "{worker} {pointer}: {found:?}"
                );
            }
        }
    }
}

/// Members of an event that the worker reads; the others may be whatever AWS makes of them.
fn known_event_member(pointer: &str) -> bool {
    matches!(
        pointer,
        "/detail-type"
            | "/detail"
            | "/detail/command-id"
            | "/detail/instance-id"
            | "/detail/status"
    )
}

#[tokio::test(start_paused = true)]
async fn a_missing_member_is_named_with_the_object_that_lacks_it() {
    let w = World::new().await;
    for (worker, sample) in samples() {
        for name in sample.as_object().unwrap().keys() {
            if worker == "instance-events" && !known_event_member(&format!("/{name}")) {
                continue;
            }
            let mut bad = sample.clone();
            bad.as_object_mut().unwrap().remove(name);
            let optional = w.worker(worker).check(&bad).is_ok();
            if optional {
                assert!(
                    matches!(
                        name.as_str(),
                        "notPlaced" | "relaunch" | "exitCode" | "commandId" | "askedAt"
                    ),
                    "{worker} does without {name}"
                );
                continue;
            }
            let found = violations(&w, worker, bad).await;
            assert!(
                found.iter().any(|v| v.pointer.is_empty()),
                "{worker} {name}: {found:?}"
            );
            if worker != "instance-events" {
                assert!(
                    found.iter().any(|v| v.message.contains(name.as_str())),
                    "{worker} {name}: {found:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_no_version_of_the_definition_passes_is_refused_but_events_may_grow() {
    let w = World::new().await;
    for (worker, mut sample) in samples() {
        sample["unheardOf"] = json!(1);
        if matches!(
            worker,
            "instance-events" | "notify-failed-execution" | "look-for-lost-stops"
        ) {
            w.worker(worker).check(&sample).unwrap();
        } else {
            let found = violations(&w, worker, sample).await;
            assert!(found[0].message.contains("unheardOf"), "{found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_ids_are_refused_where_they_come_in() {
    let w = World::new().await;
    for (pointer, wrong) in [
        ("/execution", "e-1"),
        ("/jobId", "-x"),
        ("/jobId", ""),
        ("/jobId", "a/b"),
        ("/instance", "i-XYZ"),
        ("/instance", "ip-10-0-0-1"),
        ("/taskToken", ""),
    ] {
        let (worker, mut sample) = samples()
            .into_iter()
            .find(|(name, _)| *name == "await-instance")
            .unwrap();
        *sample.pointer_mut(pointer).unwrap() = json!(wrong);
        let found = violations(&w, worker, sample).await;
        assert_eq!(found[0].pointer, pointer);
    }
    let (worker, mut sample) = samples().remove(0);
    sample["event"]["detail"]["taskArn"] = json!("arn:aws:ecs:us-east-1:123456789012:service/x");
    assert_eq!(
        violations(&w, worker, sample).await[0].pointer,
        "/event/detail/taskArn"
    );
}

#[tokio::test(start_paused = true)]
async fn all_violations_are_told_at_once_and_shortly() {
    let w = World::new().await;
    let bad = json!({ "execution": 1, "jobId": "x".repeat(5000), "attempt": "one", "instance": [], "rank": -1 });
    let found = violations(&w, "uncordon-instance", bad).await;
    let told = WorkerError::InvalidInput(found).to_string();
    for pointer in ["/execution", "/jobId", "/attempt", "/instance", "/rank"] {
        assert!(
            told.contains(&format!("{pointer}: ")),
            "{pointer} not in {told}"
        );
    }
    assert!(told.len() < 1500, "{}", told.len());
}

#[tokio::test(start_paused = true)]
async fn every_recorded_event_fits_the_worker_that_takes_it() {
    let w = World::new().await;
    let workers_of = |name: &str| -> &[&str] {
        match name.split('-').next().unwrap() {
            "task" => &["claim-job", "record-completion", "record-user-stop"],
            "instance" | "command" => &["instance-events"],
            "execution" => &["notify-failed-execution"],
            _ => &[],
        }
    };
    let mut taken = 0;
    for name in fixtures::names("") {
        for worker in workers_of(&name) {
            let event = fixtures::event(&name);
            let input = if name.starts_with("task") {
                json!({ "execution": EXECUTION, "event": event })
            } else {
                event
            };
            w.worker(worker)
                .check(&input)
                .unwrap_or_else(|e| panic!("{worker} {name}: {e}"));
            // And the worker reads it: of no job of ours, it is left alone.
            let outcome = w
                .call(worker, input)
                .await
                .unwrap_or_else(|e| panic!("{worker} {name}: {e}"));
            assert!(outcome["outcome"].is_string());
            taken += 1;
        }
    }
    assert_eq!(taken, 10 * 3 + 7 + 2);
}
