//! `status`.

use super::*;

#[tokio::test(start_paused = true)]
async fn status_shows_the_state_of_a_recovery_and_who_holds_an_instance() {
    let world = World::new().await;
    // The image is pulled first.
    world.pass(300).await;
    let calm = world.gives(0, &["status"]).await;
    has(
        &calm,
        &[
            "llama-7b IN_PROGRESS 1 2/2",
            "i-0f3a9c5d7e0000001 IN_PROGRESS ACTIVE llama-7b",
        ],
    );
    assert!(!calm.contains("Needs an operator"), "{calm}");
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    world.pass(30).await;
    let all = world.gives(0, &["status"]).await;
    has(
        &all,
        &[
            "PENDING_RESTART",
            "WaitForInstanceActive for",
            "REBOOTING DRAINING",
            "llama-7b (held) 1",
            "faulty (exit",
        ],
    );
    let job = world.gives(0, &["status", JOB]).await;
    has(
        &job,
        &[
            "RUNNING at WaitForInstanceActive since 2026-01-05",
            "STOPPED, exit 1",
        ],
    );
    let instance = world.gives(0, &["status", BAD]).await;
    has(
        &instance,
        &[
            "REBOOTING",
            "DRAINING",
            "faults 2026-01-05",
            &world.recovery().arn,
        ],
    );
    let json = world.json(&["status", "--json"]).await;
    assert_eq!(
        json["jobs"][0]["recovery"]["state"], "WaitForInstanceActive",
        "{json}"
    );
    assert_eq!(json["instances"][1]["ecs"]["status"], "DRAINING", "{json}");
    assert_eq!(json["complete"], true);
    let job = world.json(&["status", JOB, "--json"]).await;
    assert_eq!(job["ranks"][1]["instance"]["status"], "REBOOTING", "{job}");
}

#[tokio::test(start_paused = true)]
async fn a_narrow_terminal_breaks_neither_lines_nor_ids() {
    let (mut world, execution) = World::aborted().await;
    for width in [100, 72, 50, 40] {
        world.output = Output::keeping_width(width);
        for line in [
            &["status"][..],
            &["status", JOB],
            &["status", BAD],
            &["replay", JOB, "--dry-run"],
            &["explain", &execution],
        ] {
            let (code, written) = world.run(line).await;
            assert_eq!(code, 0, "{line:?}: {written}");
            for line in written.lines() {
                let fits = line.chars().count() <= width;
                // What is to be copied stays whole.
                let copied = ["arn:", "gpu-recovery ", "Execution "]
                    .iter()
                    .any(|whole| line.contains(whole));
                assert!(fits || copied, "{width} {line:?}");
            }
            let whole = written.contains(BAD) || written.contains("…");
            assert!(whole || line[0] == "replay", "{width} {line:?}: {written}");
        }
    }
    let narrow = world.run(&["status"]).await.1;
    has(
        &narrow,
        &[
            "  instance i-0f3a9c5d7e0000001\n    record      REBOOTING\n    ECS         DRAINING, agent away\n",
            "    recovery/why  ABORTED at",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn status_names_what_is_not_recorded() {
    let world = World::new().await;
    has(
        &world.gives(1, &["status", "gpt"]).await,
        &["no job gpt is recorded"],
    );
    has(
        &world.gives(1, &["status", "i-0123456789abcdef0"]).await,
        &["no instance", "--instances-table"],
    );
}

#[tokio::test(start_paused = true)]
async fn status_shows_what_no_record_says() {
    let world = World::new().await;
    world
        .cloud
        .fleet
        .add_instance(NewInstance::p5("i-0f3a9c5d7e0000009"));
    world.broken_before_its_claim().await;
    let execution = world.recovery().arn;
    let all = world.gives(0, &["status"]).await;
    has(
        &all,
        &[
            "llama-7b IN_PROGRESS 1 1/2",
            "i-0f3a9c5d7e0000009 - ACTIVE -",
            "an execution that holds no job ended FAILED at ClaimJob",
            &format!("gpu-recovery replay {execution} --dry-run"),
        ],
    );
    let json = world.json(&["status", "--json"]).await;
    assert_eq!(json["jobs"][0]["running"], 1, "{json}");
    assert_eq!(json["failedExecutions"][0]["state"], "ClaimJob", "{json}");
    assert!(json["instances"][2]["status"].is_null(), "{json}");
    let job = world.gives(0, &["status", JOB]).await;
    has(&job, &["1 of 2 tasks RUNNING", "RUNNING, but ECS: STOPPED"]);

    // A replay settles it.
    world.gives(0, &["replay", &execution]).await;
    let all = world.gives(0, &["status"]).await;
    assert!(!all.contains("holds no job"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn one_unreadable_item_does_not_hide_the_others() {
    let world = World::new().await;
    let client = &world.desk.dynamodb;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let jobs = client.put_item().table_name("hybrid-gpu-training-job");
    let jobs = jobs
        .item("job_id", text("bert"))
        .item("record", text("job"));
    jobs.send().await.expect("it is written");
    let instances = client.put_item().table_name("ecs_container_instance");
    let instances = instances.item("instance_id", text("i-0f3a9c5d7e0000002"));
    instances.send().await.expect("it is written");
    world.pass(300).await;
    let all = world.gives(0, &["status"]).await;
    has(
        &all,
        &[
            "llama-7b IN_PROGRESS 1 2/2",
            "i-0f3a9c5d7e0000001 IN_PROGRESS",
            "cannot be read and is not shown: table hybrid-gpu-training-job, item job_id=bert",
            "table ecs_container_instance, item instance_id=i-0f3a9c5d7e0000002",
        ],
    );
    let json = world.json(&["status", "--json"]).await;
    assert_eq!(
        json["unreadable"].as_array().map(Vec::len),
        Some(2),
        "{json}"
    );
}
