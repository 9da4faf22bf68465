//! `logs`.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_log_of_a_rank_is_named_with_the_commands_that_read_it() {
    let world = World::new().await;
    world.pass(120).await;
    let task = world.cloud.fleet.tasks().into_iter().find(|task| {
        let environment = &task["overrides"]["containerOverrides"][0]["environment"];
        environment.to_string().contains("\"1\"")
    });
    let arn = task.expect("rank 1 runs")["taskArn"].clone();
    let id = arn.as_str().unwrap().rsplit('/').next().unwrap();
    let logs = world.json(&["logs", JOB, "1", "--json"]).await;
    assert_eq!(logs["logs"][0]["task"], arn);
    let stream = &logs["logs"][0]["streams"][0];
    assert_eq!(stream["group"], "/ecs/train");
    assert_eq!(stream["stream"], format!("train/train/{id}"));
    assert_eq!(
        stream["command"],
        format!(
            "aws logs get-log-events --region us-east-1 --log-group-name /ecs/train --log-stream-name train/train/{id} \
             --start-from-head --query 'events[].[message]' --output text"
        )
    );
    let (_, told) = world.run(&["logs", JOB, "1"]).await;
    // To be copied: however narrow the terminal, on one line.
    let whole = told.lines().any(|line| line.trim() == stream["command"]);
    assert!(whole, "{told}");
    has(
        &told,
        &[
            "rank 1 of job llama-7b, attempt 1, on i-0f3a9c5d7e0000001",
            &format!("log-group/$252Fecs$252Ftrain/log-events/train$252Ftrain$252F{id}"),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_said_with_the_reason() {
    let world = World::new().await;
    world.pass(60).await;
    for (code, line, says) in [
        (1, &["logs", "gpt", "0"][..], "no job gpt is recorded"),
        (
            1,
            &["logs", JOB, "7"],
            "rank 7 of job llama-7b is not recorded for attempt 1",
        ),
        (2, &["logs", JOB], "which rank?"),
        (2, &["logs", BAD, "1"], "an instance has no ranks"),
        (
            2,
            &["logs", JOB, "1", "--container", "x"],
            "no such container; it has train",
        ),
        (
            1,
            &["logs", BAD],
            "no health check of i-0f3a9c5d7e0000001 is known",
        ),
    ] {
        has(&world.gives(code, line).await, &[says]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_reports_of_an_instances_checks_are_found_by_its_last_recovery() {
    let world = World::new().await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(120).await;
    let logs = world.json(&["logs", BAD, "--json"]).await;
    let checks = logs["logs"].as_array().expect("a list");
    assert_eq!(checks.len(), 2, "before the reboot and after it: {logs}");
    for (check, state) in checks.iter().zip(["RunDcgm", "VerifyGpus"]) {
        has(check["about"].as_str().unwrap(), &[state]);
        assert_eq!(check["instanceId"], BAD);
        let id = check["task"].as_str().unwrap().rsplit('/').next().unwrap();
        let stream = check["streams"][0]["stream"].as_str().unwrap();
        assert!(stream.ends_with(id), "{stream}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_logs_elsewhere_is_named_with_its_driver() {
    let world = World::new().await;
    let mut definition = TaskDefinition::new(TRAINING, TaskKind::Job, 8);
    definition.containers[0].log = json!({ "logDriver": "json-file" });
    let mut quiet = Container::new("quiet");
    quiet.log = json!(null);
    definition.containers.push(quiet);
    let mut unnamed = Container::new("unnamed");
    unnamed.log = json!({ "logDriver": "awslogs", "options": { "awslogs-group": "g" } });
    definition.containers.push(unnamed);
    world.cloud.fleet.define(definition);
    let line = ["stop", JOB, "--by", "ada"];
    world.gives(0, &line).await;
    world.gives(0, &["submit", "--again", JOB, "llama-8"]).await;
    world.pass(300).await;
    let told = world.gives(0, &["logs", "llama-8", "0"]).await;
    has(
        &told,
        &[
            "container train logs by the driver json-file, not to CloudWatch",
            "container quiet has no logConfiguration",
            "group g stream",
        ],
    );
}
