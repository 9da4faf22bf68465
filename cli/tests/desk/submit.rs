//! `submit` and `adopt`.

use super::*;
use workers::{aws::address::ADDRESS, records::launch::LaunchSpec};

const BERT: [&str; 6] = [
    "submit",
    "bert",
    "--task-definition",
    "train",
    "--nodes",
    "2",
];

#[tokio::test(start_paused = true)]
async fn a_job_is_submitted_to_free_instances_and_can_be_recovered() {
    let world = World::new().await;
    for nth in 2..5 {
        world
            .cloud
            .fleet
            .add_instance(NewInstance::p5(&format!("i-0f3a9c5d7e{nth:07x}")));
    }
    let line = ["quarantine", "i-0f3a9c5d7e0000003", "--reason", "fan"];
    world.gives(0, &line).await;
    world
        .gives(0, &["release", "i-0f3a9c5d7e0000003", "--force"])
        .await;
    world.gives(0, &line).await;
    let submit = [&BERT[..], &["--master-addr", "10.0.0.2"]].concat();
    let more = [
        "--env",
        "PEER=tcp://{master_addr}:1234/{rank}",
        "--tag",
        "team=vision",
    ];
    let dry = world
        .gives(0, &[&submit[..], &more, &["--dry-run"]].concat())
        .await;
    has(
        &dry,
        &[
            "job bert of 2 ranks would be started",
            "rank 0 i-0f3a9c5d7e0000002 MASTER_ADDR=10.0.0.2 PEER=tcp://10.0.0.2:1234/0 RANK=0 WORLD_SIZE=2",
            "rank 1 i-0f3a9c5d7e0000004",
        ],
    );
    has(
        &world.gives(1, &["status", "bert"]).await,
        &["no job bert is recorded"],
    );
    assert_eq!(world.gives(0, &[&submit[..], &more].concat()).await, "bert");
    let job = world.json(&["status", "bert", "--json"]).await;
    assert_eq!(job["status"], "IN_PROGRESS", "{job}");
    assert_eq!(
        job["ranks"][1]["instanceId"], "i-0f3a9c5d7e0000004",
        "{job}"
    );
    has(
        &world.gives(1, &submit).await,
        &["2 instances are asked for, 0 are free"],
    );
    let again = [
        "submit",
        "bert",
        "--task-definition",
        "train",
        "--instances",
        "i-0f3a9c5d7e0000003",
    ];
    has(
        &world.gives(3, &again).await,
        &["refused: the job was not started: i-0f3a9c5d7e0000003 is QUARANTINED"],
    );
    world
        .gives(0, &["release", "i-0f3a9c5d7e0000003", "--force"])
        .await;
    has(
        &world.gives(1, &again).await,
        &["job id bert is in the table already"],
    );
    let task = world
        .cloud
        .fleet
        .tasks()
        .into_iter()
        .find(|task| task["startedBy"] == started_by(&JobId::new("bert"), 1).as_str());
    let arn = task.expect("it runs")["taskArn"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    world.pass(120).await;
    world.cloud.fleet.kill_process(&arn, Some(1));
    world.until(|world| world.history_has("ClaimJob")).await;
    has(
        &world.gives(4, &["watch", "bert"]).await,
        &[
            "FAILED bert after 2 min: rank",
            "exited with code 1, no GPU fault found",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn where_an_attribute_says_the_address_of_rank_0_each_launch_is_told_it() {
    let world = World::new().await;
    for nth in 2..4 {
        let node = format!("i-0f3a9c5d7e{nth:07x}");
        world.cloud.fleet.add_instance(NewInstance::p5(&node));
        let address = format!("10.0.0.{nth}");
        world.cloud.fleet.set_attribute(&node, ADDRESS, &address);
    }
    let dry = world.gives(0, &[&BERT[..], &["--dry-run"]].concat()).await;
    has(
        &dry,
        &[
            "rank 1 i-0f3a9c5d7e0000003 MASTER_ADDR=10.0.0.2 RANK=1 WORLD_SIZE=2 GPU_RECOVERY_ATTEMPT=1",
        ],
    );
    world.gives(0, &BERT).await;
    let job = started_by(&JobId::new("bert"), 1);
    let tasks = world.cloud.fleet.tasks().into_iter();
    let tasks: Vec<String> = tasks
        .filter(|task| task["startedBy"] == job.as_str())
        .map(|task| task["overrides"].to_string())
        .collect();
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        assert!(
            task.contains(r#"{"name":"MASTER_ADDR","value":"10.0.0.2"}"#),
            "{task}"
        );
    }
    // On the record it stays open: the next launch may be elsewhere.
    let ranks = world.cloud.lambda.context("test").jobs;
    let ranks = ranks
        .ranks(&JobId::new("bert"), 1)
        .await
        .expect("they are recorded");
    assert!(
        ranks
            .iter()
            .all(|rank| rank.launch.as_ref().is_some_and(LaunchSpec::names_master))
    );
}

#[tokio::test(start_paused = true)]
async fn a_submission_that_cannot_work_is_refused_before_anything_starts() {
    let world = World::new().await;
    let tasks = world.cloud.fleet.tasks().len();
    let line = [
        "submit",
        "x",
        "--task-definition",
        "nothing",
        "--nodes",
        "1",
    ];
    has(
        &world.gives(2, &line).await,
        &["ECS does not know the task definition nothing"],
    );
    let on = [
        "submit",
        "x",
        "--task-definition",
        "train",
        "--instances",
        BAD,
    ];
    let env = ["--env", "A={master_addr}"];
    has(
        &world.gives(2, &[&on[..], &env].concat()).await,
        &["give --master-addr ADDRESS, or set the attribute gpu-recovery.address"],
    );
    has(
        &world
            .gives(2, &[&on[..], &["--container", "y"]].concat())
            .await,
        &["has no container y; it has train"],
    );
    has(
        &world.gives(3, &on).await,
        &["i-0f3a9c5d7e0000001 is IN_PROGRESS for job llama-7b"],
    );
    assert_eq!(world.cloud.fleet.tasks().len(), tasks);
}

#[tokio::test(start_paused = true)]
async fn adopted_tasks_keep_the_ranks_that_they_were_started_with() {
    let world = World::new().await;
    let mut tasks = Vec::new();
    for (nth, rank) in [(7, 1), (8, 0), (9, 0)] {
        let node = format!("i-0f3a9c5d7e{nth:07x}");
        world.cloud.fleet.add_instance(NewInstance::p5(&node));
        let fleet = &world.desk.context.fleet;
        let (id, token) = (InstanceId::new(node), format!("token-{nth}"));
        let run = fleet.run(&launch(rank), &id, &token, "somebody").await;
        let Ok(workers::aws::fleet::Run::Started(arn, _)) = run else {
            panic!("{run:?}");
        };
        tasks.push(arn.to_string());
    }
    world.pass(120).await;
    let twice = world
        .gives(1, &["adopt", "mine", "--tasks", &tasks.join(",")])
        .await;
    has(
        &twice,
        &["RANK must be 0 to 2, each once", "nothing was written"],
    );
    world
        .gives(0, &["adopt", "mine", "--tasks", &tasks[..2].join(",")])
        .await;
    let job = world.json(&["status", "mine", "--json"]).await;
    for (rank, task) in [&tasks[1], &tasks[0]].into_iter().enumerate() {
        assert_eq!(job["ranks"][rank]["task"], task.as_str(), "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_run_already_are_adopted_once() {
    let world = World::new().await;
    world
        .cloud
        .fleet
        .add_instance(NewInstance::p5("i-0f3a9c5d7e0000007"));
    let context = &world.desk.context;
    let id = InstanceId::new("i-0f3a9c5d7e0000007");
    let run = context
        .fleet
        .run(&launch(0), &id, "token", "somebody")
        .await
        .expect("it answers");
    let workers::aws::fleet::Run::Started(arn, _) = run else {
        panic!("{run:?}");
    };
    let line = ["adopt", "mine", "--tasks", arn.as_str()];
    has(
        &world.gives(1, &line).await,
        &["not RUNNING", "nothing was written"],
    );
    world.pass(120).await;
    assert_eq!(world.gives(0, &line).await, "mine");
    let job = world.json(&["status", "mine", "--json"]).await;
    assert_eq!(
        (&job["status"], &job["nodes"]),
        (&"IN_PROGRESS".into(), &1.into()),
        "{job}"
    );
    assert_eq!(job["ranks"][0]["instance"]["jobId"], "mine", "{job}");
    let line = ["adopt", "yours", "--tasks", arn.as_str()];
    has(&world.gives(1, &line).await, &["is rank 0 of job mine"]);
    world.cloud.fleet.kill_process(arn.as_str(), Some(1));
    world.pass(300).await;
    has(
        &world.gives(0, &["status", "mine"]).await,
        &["FAILED", "no GPU fault found"],
    );
}

/// ECS describes neither at a relaunch (API_RunTask, volumeConfigurations): it is said before it is needed.
#[tokio::test(start_paused = true)]
async fn a_volume_that_only_run_task_describes_is_refused_before_it_is_needed() {
    let world = World::new().await;
    let ecs = world.cloud.fleet.handler();
    let changed: Handler = Arc::new(move |operation, body| {
        let (ecs, operation) = (ecs.clone(), operation.to_owned());
        Box::pin(async move {
            let mut answer = ecs(&operation, body).await?;
            if operation == "DescribeTaskDefinition" {
                answer["taskDefinition"]["volumes"] =
                    json!([{ "name": "scratch", "configuredAtLaunch": true }]);
            }
            for task in answer["tasks"].as_array_mut().into_iter().flatten() {
                task["attachments"] = json!([{
                    "type": "AmazonElasticBlockStorage",
                    "details": [{ "name": "volumeName", "value": "scratch" }],
                }]);
            }
            Ok(answer)
        })
    });
    world.cloud.wire.register("ecs", changed);
    let names = "volume scratch is configured at launch (volumeConfigurations)";
    let submit = ["submit", "x", "--task-definition", "train", "--nodes", "1"];
    has(
        &world.gives(2, &submit).await,
        &[names, "host, Docker, EFS"],
    );
    let task = world.cloud.fleet.tasks()[0]["taskArn"].clone();
    let task = task.as_str().expect("an ARN");
    let adopt = ["adopt", "y", "--rank-variable", "NONE", "--tasks", task];
    has(
        &world.gives(1, &adopt).await,
        &[names, "nothing was written"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_is_submitted_again_as_it_was_started() {
    let world = World::new().await;
    world.pass(60).await;
    let again = ["submit", "--again", JOB, "llama-8"];
    has(
        &world.gives(3, &again).await,
        &[
            "job llama-7b is IN_PROGRESS in attempt 1",
            "gpu-recovery stop llama-7b",
        ],
    );
    has(
        &world.gives(1, &["submit", "--again", "gpt", "x"]).await,
        &["no job gpt is recorded"],
    );
    world.gives(0, &["stop", JOB]).await;
    let dry = world.gives(0, &[&again[..], &["--dry-run"]].concat()).await;
    has(
        &dry,
        &[
            "job llama-8 of 2 ranks would be started",
            "rank 1 i-0f3a9c5d7e0000001 RANK=1",
        ],
    );
    assert_eq!(world.gives(0, &again).await, "llama-8");
    let job = world.json(&["status", "llama-8", "--json"]).await;
    assert_eq!(job["status"], "IN_PROGRESS", "{job}");
    assert_eq!(job["ranks"][1]["instanceId"], BAD, "{job}");
    // Its own places are taken now, and by whom is said.
    has(
        &world.gives(3, &["submit", "--again", JOB, "llama-9"]).await,
        &[
            "i-0f3a9c5d7e0000000 is IN_PROGRESS for job llama-8",
            "give others, or --nodes",
        ],
    );
    for nth in 2..4 {
        let id = format!("i-0f3a9c5d7e{nth:07x}");
        world.cloud.fleet.add_instance(NewInstance::p5(&id));
    }
    let elsewhere = ["submit", "--again", JOB, "llama-9", "--nodes"];
    has(
        &world.gives(2, &[&elsewhere[..], &["3"]].concat()).await,
        &["the job had 2 ranks"],
    );
    world.gives(0, &[&elsewhere[..], &["2"]].concat()).await;
    let job = world.json(&["status", "llama-9", "--json"]).await;
    assert_eq!(
        job["ranks"][0]["instanceId"], "i-0f3a9c5d7e0000002",
        "{job}"
    );
}

#[test]
fn a_submission_names_a_task_definition_and_instances_or_a_job_to_repeat() {
    for line in [
        &["submit", "x"][..],
        &["submit", "x", "--nodes", "2"],
        &["submit", "x", "--task-definition", "train"],
        &["submit", "x", "--again", "y", "--task-definition", "train"],
        &["submit", "x", "--again", "y", "--env", "A=1"],
    ] {
        let parsed = Cli::try_parse_from([&["gpu-recovery"], line].concat());
        assert!(parsed.is_err(), "{line:?}");
    }
    assert!(Cli::try_parse_from(["gpu-recovery", "submit", "--again", "y", "x"]).is_ok());
}
