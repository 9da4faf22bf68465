//! `history`.

use super::*;

async fn events(world: &World, of: &str) -> Vec<Value> {
    let told = world.json(&["history", of, "--json"]).await;
    told["events"].as_array().expect("a list").clone()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["what"].as_str());
    kinds.collect::<Option<_>>().expect("texts")
}

#[tokio::test(start_paused = true)]
async fn a_recovery_stands_in_the_history_of_its_job_and_of_the_instance_that_it_repaired() {
    let world = World::new().await;
    has(
        &world.gives(0, &["history", JOB]).await,
        &["nothing is known of it"],
    );
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(120).await;
    let job = events(&world, JOB).await;
    assert_eq!(kinds(&job), ["RECOVERED"], "{job:?}");
    assert_eq!(
        job[0]["detail"],
        format!("runs as attempt 2; rebooted {BAD}")
    );
    assert_eq!(job[0]["execution"], world.recovery().arn.as_str());
    let instance = events(&world, BAD).await;
    assert_eq!(kinds(&instance), ["FAULTY", "REPAIRED"], "{instance:?}");
    assert_eq!(instance[0]["jobId"], JOB);
    let told = world.gives(0, &["history", BAD]).await;
    has(
        &told,
        &["FAULTY faulty (exit", "; job llama-7b", "REPAIRED"],
    );
    has(
        &world.gives(0, &["history", BAD, "--since", "1s"]).await,
        &["nothing is known of it"],
    );
    // Beside the job's own items, which are read as ever.
    has(&world.gives(0, &["status"]).await, &["llama-7b"]);
}

#[tokio::test(start_paused = true)]
async fn an_operators_deeds_stand_in_the_history_with_who_and_why() {
    let world = World::new().await;
    let line = ["quarantine", BAD, "--reason", "ECC errors", "--by", "ada"];
    world.gives(0, &line).await;
    world.pass(60).await;
    let line = [
        "release", BAD, "--force", "--reason", "replaced", "--by", "bob",
    ];
    world.gives(0, &line).await;
    let events = events(&world, BAD).await;
    assert_eq!(kinds(&events), ["QUARANTINED", "RELEASED"], "{events:?}");
    assert_eq!(
        (&events[0]["who"], &events[0]["detail"]),
        (&json!("ada"), &json!("ECC errors"))
    );
    assert_eq!(events[1]["who"], "bob");
    assert_eq!(events[1]["execution"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_explained_and_has_no_history_of_its_own() {
    let arn = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1";
    let error = Cli::try_parse_from(["gpu-recovery", "history", arn]).err();
    let error = error.expect("it is refused").to_string();
    assert!(error.contains("gpu-recovery explain"), "{error}");
}
