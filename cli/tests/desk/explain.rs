//! `explain`.

use super::*;

#[tokio::test(start_paused = true)]
async fn explain_tells_what_the_records_say_now_apart_from_what_happened() {
    let (world, execution) = World::aborted().await;
    has(
        &world.gives(0, &["explain", &execution]).await,
        &[
            "EXECUTION ABORTED llama-7b: waiting for i-0f3a9c5d7e0000001 to come back from its reboot",
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
    world.refuse("GetItem", "AccessDeniedException", 400);
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

#[tokio::test(start_paused = true)]
async fn a_recovery_is_found_by_its_job_while_it_runs_and_after() {
    let (world, execution) = World::aborted().await;
    let by_arn = world.gives(0, &["explain", &execution]).await;
    assert_eq!(world.gives(0, &["explain", JOB]).await, by_arn);
    world.gives(0, &["replay", JOB]).await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    let told = world.gives(0, &["explain", JOB]).await;
    has(&told, &["RECOVERED llama-7b in "]);
    let followed = world.gives(0, &["watch", JOB]).await;
    has(&followed, &["RECOVERED llama-7b in "]);
    let nobody = world.gives(1, &["explain", "gpt"]).await;
    has(&nobody, &["no job gpt is recorded"]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_and_the_redrive_after_it_are_both_told() {
    let (world, execution) = World::aborted().await;
    world.gives(0, &["replay", JOB]).await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    let told = world.gives(0, &["explain", &execution]).await;
    has(
        &told,
        &[
            "The execution ended ABORTED at WaitForInstanceActive after",
            "An operator redrove it",
            "The execution ended SUCCEEDED after",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_broke_before_it_found_the_job_names_the_task() {
    let world = World::new().await;
    world.broken_before_its_claim().await;
    let told = world.gives(0, &["explain", &world.recovery().arn]).await;
    has(&told, &["EXECUTION FAILED task ", ": taking the job"]);
    assert!(!told.contains("no job"), "{told}");
    let nothing = world.gives(1, &["explain", JOB]).await;
    has(
        &nothing,
        &["no execution is or was at work on job llama-7b"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_of_an_execution_has_its_path_its_story_and_what_the_records_say() {
    let (world, execution) = World::aborted().await;
    let file = std::env::temp_dir().join(format!("explained-{}.html", std::process::id()));
    let name = file.to_str().expect("UTF-8");
    world.gives(0, &["explain", JOB, "--html", name]).await;
    let page = std::fs::read_to_string(&file).expect("it was written");
    std::fs::remove_file(&file).expect("it is there");
    let (_, after) = page.split_once(r#"id="film">"#).expect("a film");
    let (film, _) = after.split_once("</script>").expect("its end");
    let film: Value = serde_json::from_str(film).expect("JSON");
    let name = execution.rsplit(':').next().expect("a name");
    let shown = &film["scene"]["executions"][name];
    assert_eq!(shown["status"], "ABORTED", "{shown}");
    let visits = shown["visits"].as_object().expect("states");
    let cut = visits
        .values()
        .find(|visit| visit["s"] == "WaitForInstanceActive");
    let cut = cut.expect("it stood there");
    assert_eq!((&cut["k"], &cut["n"]), (&json!("aborted"), &json!(BAD)));
    has(
        &film.to_string(),
        &[
            "EXECUTION ABORTED llama-7b: waiting for i-0f3a9c5d7e0000001 to come back from its reboot",
            "held by this execution",
            "was cordoned",
        ],
    );
    // What the states were given stays out of a file that is handed on.
    assert!(!film.to_string().contains("containerOverrides"), "{film}");
}
