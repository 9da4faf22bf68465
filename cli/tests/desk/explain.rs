//! `explain`.

use super::*;

#[tokio::test(start_paused = true)]
async fn explain_tells_what_the_records_say_now_apart_from_what_happened() {
    let (world, execution) = World::aborted().await;
    has(
        &world.gives(0, &["explain", &execution]).await,
        &[
            "ABORTED, a person is needed",
            "Now, at 2026-01-05",
            "Job llama-7b is PENDING_RESTART in attempt 1, held by this execution",
            "i-0f3a9c5d7e0000001 is REBOOTING, held by this execution",
        ],
    );
    let release = [
        "release", BAD, "--force", "--reason", "given up", "--by", "ada",
    ];
    world.gives(0, &release).await;
    has(
        &world.gives(0, &["explain", &execution]).await,
        &["i-0f3a9c5d7e0000001 is AVAILABLE; released by ada at 2026-01-05"],
    );
    let json = world.json(&["explain", &execution, "--json"]).await;
    assert_eq!(json["now"]["job"]["heldBy"], "thisExecution", "{json}");
    assert_eq!(json["now"]["instances"][0]["status"], "AVAILABLE", "{json}");
    let markdown = world.run(&["explain", &execution, "--markdown"]).await.1;
    has(
        &markdown,
        &["\nNow, at 2026", "\n- Job llama-7b is PENDING\\_RESTART"],
    );

    // The story is told when the tables cannot be read.
    let line = ["explain", &execution, "--json"];
    world
        .cloud
        .wire
        .faults()
        .set_plan(|call| match call.action {
            "GetItem" => Fault::Fail {
                code: "AccessDeniedException".to_owned(),
                status: 400,
                message: "not authorized".to_owned(),
            },
            _ => Fault::Proceed,
        });
    let json = world.json(&line).await;
    assert!(
        json["now"].is_null() && json["moments"].is_array(),
        "{json}"
    );
}

#[tokio::test(start_paused = true)]
async fn explain_says_when_a_job_was_recovered_again_since() {
    let world = World::new().await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    let execution = world.recovery().arn;
    let told = world.gives(0, &["explain", &execution]).await;
    has(
        &told,
        &[
            "Job llama-7b is IN_PROGRESS in attempt 2.",
            "i-0f3a9c5d7e0000001 is IN_PROGRESS for job llama-7b.",
        ],
    );
    let jobs = world
        .desk
        .dynamodb
        .update_item()
        .table_name("hybrid-gpu-training-job");
    let later = jobs
        .key("job_id", AttributeValue::S(JOB.to_owned()))
        .key("record", AttributeValue::S("job".to_owned()))
        .update_expression("SET attempt = :n")
        .expression_attribute_values(":n", AttributeValue::N("3".to_owned()))
        .send()
        .await;
    later.expect("it is written");
    let told = world.gives(0, &["explain", &execution]).await;
    has(
        &told,
        &["in attempt 3 (it was recovered again since this recovery left it in attempt 2)"],
    );
}
