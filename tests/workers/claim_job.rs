//! ClaimJob.

use futures::future::join_all;
use serde_json::{Value, json};
use simulator::{
    cloud::TRAINING,
    ecs::{Container, NewInstance, TaskDefinition, TaskKind},
    faults::Fault,
};
use std::sync::Arc;
use tests::{
    JOB, World,
    faults::{calls_of, ends_the_same_after_any_fault},
    instance_id, launch, settings,
};
use workers::{
    WorkerError,
    desk::submit::{Submission, submit},
    ids::{InstanceId, JobId},
    records::{
        JobStatus,
        launch::{LaunchSpec, Network},
        rank_key,
    },
};

fn input(execution: &str, event: &Value) -> Value {
    json!({ "execution": execution, "event": event })
}

async fn job_of_three() -> World {
    World::with_job(3).await
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_takes_the_job_and_says_what_failed() {
    let w = job_of_three().await;
    let claim = w.claim(1).await;
    assert_eq!(claim.claimed["jobId"], JOB);
    assert_eq!(claim.claimed["nodes"], 3);
    assert_eq!(claim.claimed["recoveriesLeft"], 1);
    let failure = &claim.claimed["failure"];
    assert_eq!(failure["rank"], 1);
    assert_eq!(failure["instance"], instance_id(1));
    assert_eq!(failure["task"], w.task(1).await);
    assert_eq!(
        (&failure["exitCode"], &failure["stopCode"]),
        (&json!(1), &json!("EssentialContainerExited"))
    );
    assert_eq!(failure["notRelaunchable"], Value::Null);
    let job = w.job_record().await;
    assert_eq!(job.status, JobStatus::PendingHealthcheck);
    assert_eq!(job.holder, Some(World::arn(&claim.execution)));
    assert_eq!((job.attempt, job.failed_rank), (1, Some(1)));
    let ranks = w.ranks(1).await;
    assert_eq!(ranks[1].exit_code, Some(1));
    assert_eq!(ranks[0].exit_code, None);
}

#[tokio::test(start_paused = true)]
async fn a_claim_reads_whole_batches_however_large_the_job_is() {
    let w = World::with_job(120).await;
    w.claim(119).await;
    let calls = calls_of(&w, "claim-job");
    let count = |action: &str| calls.iter().filter(|c| c.action == action).count();
    assert_eq!(count("DescribeTasks"), 2);
    assert_eq!(count("DescribeContainerInstances"), 2);
    assert_eq!(count("BatchWriteItem"), 5);
    assert_eq!(count("Scan"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_keeps_how_every_rank_was_started() {
    let w = job_of_three().await;
    for rank in 0..3 {
        // A launcher that records the task alone.
        w.edit_job(JOB, &rank_key(1, rank), "launch", Value::Null)
            .await;
        w.edit_job(JOB, &rank_key(1, rank), "instance_id", Value::Null)
            .await;
        w.edit_job(
            JOB,
            &rank_key(1, rank),
            "container_instance_arn",
            Value::Null,
        )
        .await;
    }
    let claim = w.claim(2).await;
    assert_eq!(claim.claimed["failure"]["instance"], instance_id(2));
    for (nth, rank) in w.ranks(1).await.into_iter().enumerate() {
        let kept = rank.launch.expect("the launch is kept");
        assert!(
            kept.task_definition.ends_with(":task-definition/train:1"),
            "{}",
            kept.task_definition
        );
        let started = launch(nth);
        assert_eq!(
            kept,
            LaunchSpec {
                task_definition: kept.task_definition.clone(),
                ..started
            }
        );
        assert_eq!(rank.instance_id, Some(InstanceId::new(instance_id(nth))));
        let arn = w.cloud.fleet.instance(&instance_id(nth)).unwrap().arn;
        assert_eq!(rank.container_instance_arn.unwrap().as_str(), arn);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_simultaneous_claims_one_wins() {
    let w = World::with_job(8).await;
    let mut events = Vec::new();
    for rank in 0..8 {
        events.push(w.exit(rank, 1).await);
    }
    let executions: Vec<String> = (0..1000).map(|_| w.running_execution()).collect();
    let calls = executions
        .iter()
        .zip(events.iter().cycle())
        .map(|(execution, event)| w.call("claim-job", input(execution, event)));
    let answers = join_all(calls).await;
    let job = w.job_record().await;
    let mut winners = Vec::new();
    for (execution, answer) in executions.iter().zip(answers) {
        let answer = answer.expect("a claim does not fail");
        if answer["outcome"] == "Claimed" {
            winners.push(World::arn(execution));
        } else {
            assert_eq!(answer["outcome"], "AlreadyClaimed");
            assert_eq!(answer["holder"], job.holder.as_ref().unwrap().as_str());
        }
    }
    assert_eq!(winners, [job.holder.unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_event_changes_nothing_and_names_the_holder() {
    let w = job_of_three().await;
    let claim = w.claim(1).await;
    let before = w.job_record().await;
    let event = w.stop_event(&w.task(1).await);
    let other = w.running_execution();
    let answer = w
        .outcome("claim-job", input(&other, &event), "AlreadyClaimed")
        .await;
    assert_eq!(answer["holder"], claim.execution);
    assert_eq!(w.job_record().await, before);
    // The holder's own repeated call is answered as the first one was.
    let again = w
        .outcome("claim-job", input(&claim.execution, &event), "Claimed")
        .await;
    assert_eq!(again, claim.claimed);
}

#[tokio::test(start_paused = true)]
async fn a_second_failing_rank_does_not_take_the_job_from_a_running_execution() {
    let w = job_of_three().await;
    let claim = w.claim(1).await;
    let event = w.exit(0, 1).await;
    let answer = w
        .outcome(
            "claim-job",
            input(&w.running_execution(), &event),
            "AlreadyClaimed",
        )
        .await;
    assert_eq!(answer["holder"], claim.execution);
    assert_eq!(w.job_record().await.failed_rank, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_ended_executions_job_is_taken_over() {
    let w = job_of_three().await;
    let claim = w.claim(1).await;
    w.end(&claim.execution);
    let event = w.exit(0, 1).await;
    let taker = w.running_execution();
    let answer = w
        .outcome("claim-job", input(&taker, &event), "Claimed")
        .await;
    assert_eq!(answer["failure"]["rank"], 0);
    assert_eq!(w.job_record().await.holder, Some(World::arn(&taker)));
    // The one that lost it has no say any more.
    let lost = w
        .call("stop-siblings", claim.input(json!({})))
        .await
        .unwrap_err();
    assert_eq!(lost.name(), "ClaimLost");
}

#[tokio::test(start_paused = true)]
async fn of_two_take_overs_at_once_one_wins() {
    let w = job_of_three().await;
    let claim = w.claim(1).await;
    w.end(&claim.execution);
    let event = w.exit(0, 1).await;
    let takers = [w.running_execution(), w.running_execution()];
    let answers = join_all(takers.iter().map(|e| w.call("claim-job", input(e, &event)))).await;
    let outcomes: Vec<_> = answers.into_iter().map(|a| a.unwrap()).collect();
    let holder = w.job_record().await.holder.unwrap();
    for (taker, outcome) in takers.iter().zip(&outcomes) {
        let won = holder == World::arn(taker);
        assert_eq!(
            outcome["outcome"],
            if won { "Claimed" } else { "AlreadyClaimed" }
        );
    }
    assert!(takers.iter().any(|t| holder == World::arn(t)));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_waits_for_its_redrive_keeps_its_job_and_a_forgotten_one_does_not() {
    for (answer, outcome) in [
        (Ok(json!({ "status": "PENDING_REDRIVE" })), "AlreadyClaimed"),
        (Err("ExecutionDoesNotExist"), "Claimed"),
    ] {
        let w = job_of_three().await;
        w.claim(1).await;
        let event = w.exit(0, 1).await;
        let other = w.running_execution();
        w.pass(600).await;
        let answer = Arc::new(answer.map_err(|code| simulator::wire::ApiError::new(code, "")));
        w.wire().register(
            "states",
            Arc::new(move |_, body| {
                let answer = (*answer).clone().map(|status: Value| {
                    let mut described = status;
                    described["executionArn"] = body["executionArn"].clone();
                    described["stateMachineArn"] = json!("arn");
                    described["startDate"] = json!(0);
                    described
                });
                Box::pin(async move { answer })
            }),
        );
        w.outcome("claim-job", input(&other, &event), outcome).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_step_functions_does_not_show_yet_keeps_its_job() {
    let w = job_of_three().await;
    w.claim(1).await;
    let event = w.exit(0, 1).await;
    let other = w.running_execution();
    w.wire().register(
        "states",
        Arc::new(|_, _| {
            let unknown = simulator::wire::ApiError::new("ExecutionDoesNotExist", "");
            Box::pin(async move { Err(unknown) })
        }),
    );
    let before = w.job_record().await;
    let error = w
        .call("claim-job", input(&other, &event))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "NotSettledYet", "{error}");
    assert_eq!(w.job_record().await, before);
    w.pass(600).await;
    w.outcome("claim-job", input(&other, &event), "Claimed")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_event_of_an_older_attempt_is_stale() {
    let w = job_of_three().await;
    let recovery = w.claim_and_stop(1).await;
    let late = w.stop_event(&w.task(1).await);
    w.outcome(
        "relaunch-job",
        recovery.input(json!({ "instances": [] })),
        "Relaunched",
    )
    .await;
    let before = w.job_record().await;
    let answer = w
        .outcome("claim-job", input(&w.running_execution(), &late), "Stale")
        .await;
    assert_eq!(
        answer["why"],
        "the rank is of attempt 1, the job is in attempt 2"
    );
    assert_eq!(w.job_record().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_is_not_claimed() {
    for status in ["COMPLETE", "FAILED", "USER_STOPPED"] {
        let w = job_of_three().await;
        let event = w.exit(1, 1).await;
        w.edit_job(JOB, "job", "status", json!({ "S": status }))
            .await;
        let answer = w
            .outcome("claim-job", input(&w.running_execution(), &event), "Stale")
            .await;
        assert_eq!(answer["why"], format!("the job is {status} already"));
        assert_eq!(w.job_record().await.holder, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_no_job_is_left_alone_once_it_is_old_enough_to_be_recorded() {
    let w = World::new().await;
    w.instances(1);
    let body = json!({ "cluster": w.cloud.settings.cluster, "taskDefinition": TRAINING });
    let started = w.cloud.fleet.api("RunTask", &body).unwrap();
    let task = started["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    w.pass(30).await;
    let event = w.exit_task(&task, Some(1)).await;
    let young = w
        .call("claim-job", input(&w.running_execution(), &event))
        .await
        .unwrap_err();
    assert_eq!(young.name(), "NotSettledYet");
    w.pass(60).await;
    w.outcome(
        "claim-job",
        input(&w.running_execution(), &event),
        "NotManaged",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rank_that_is_recorded_before_its_job_is_not_settled_yet() {
    let w = job_of_three().await;
    let event = w.exit(1, 1).await;
    w.delete_job_record(JOB, "job").await;
    let error = w
        .call("claim-job", input(&w.running_execution(), &event))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "NotSettledYet");
    assert!(
        error
            .to_string()
            .contains("rank 1 of job llama-7b is recorded"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_of_an_attempt_being_launched_is_noted_for_its_relaunch() {
    let w = job_of_three().await;
    let event = w.exit(1, 1).await;
    // The task is of attempt 2, which is not committed.
    w.edit_job(
        JOB,
        &rank_key(1, 1),
        "task_arn",
        json!({ "S": "arn:aws:ecs:us-east-1:123456789012:task/c/other" }),
    )
    .await;
    for (name, value) in [
        ("task_arn", event["detail"]["taskArn"].clone()),
        ("attempt", json!("2")),
        ("rank", json!("1")),
    ] {
        let tagged = if name != "task_arn" {
            json!({ "N": value })
        } else {
            json!({ "S": value })
        };
        w.edit_job(JOB, &rank_key(2, 1), name, tagged).await;
    }
    w.edit_job(JOB, "job", "status", json!({ "S": "RESTARTING" }))
        .await;
    w.edit_job(JOB, "job", "launching", json!({ "BOOL": true }))
        .await;
    // RelaunchJob reads it before it commits, and decides.
    w.outcome("claim-job", input(&w.running_execution(), &event), "Stale")
        .await;
    assert_eq!(w.job_record().await.launch_ended, [1].into());
    w.edit_job(JOB, "job", "status", json!({ "S": "FAILED" }))
        .await;
    w.outcome("claim-job", input(&w.running_execution(), &event), "Stale")
        .await;
}

/// A job of two awsvpc tasks.
async fn awsvpc_job(network: Option<Network>) -> World {
    let w = World::new().await;
    w.cloud.fleet.define(TaskDefinition {
        family: "train-vpc".to_owned(),
        kind: TaskKind::Job,
        awsvpc: true,
        containers: vec![Container::new("train").with_gpus(8)],
    });
    w.instances(2);
    let started = Network {
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
        assign_public_ip: false,
    };
    let launch = |rank| LaunchSpec {
        task_definition: "train-vpc".to_owned(),
        network: Some(started.clone()),
        ..launch(rank)
    };
    let ranks = (0..2)
        .map(|rank| (InstanceId::new(instance_id(rank)), launch(rank)))
        .collect();
    let submission = Submission {
        job_id: JobId::new(JOB),
        ranks,
        recovery_attempts: Some(5),
        policies: workers::settings::JobPolicies::default(),
    };
    submit(&w.context("launcher"), &submission).await.unwrap();
    if network.is_none() {
        for rank in 0..2 {
            w.edit_job(JOB, &rank_key(1, rank), "launch", Value::Null)
                .await;
        }
    }
    w.pass(90).await;
    w
}

#[tokio::test(start_paused = true)]
async fn an_awsvpc_job_without_recorded_network_is_not_relaunched() {
    let w = awsvpc_job(None).await;
    let claim = w.claim(1).await;
    assert_eq!(claim.claimed["recoveriesLeft"], 0);
    let why = claim.claimed["failure"]["notRelaunchable"]
        .as_str()
        .unwrap();
    assert!(
        why.contains("uses awsvpc, and its item has no launch.network"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_awsvpc_job_keeps_the_network_that_its_launcher_recorded() {
    let w = awsvpc_job(Some(Network::default())).await;
    let claim = w.claim(1).await;
    assert_eq!(claim.claimed["recoveriesLeft"], 5);
    let kept = w.ranks(1).await[0].launch.clone().unwrap().network.unwrap();
    assert_eq!(
        (kept.subnets, kept.security_groups),
        (vec!["subnet-1".to_owned()], vec!["sg-1".to_owned()])
    );
}

/// RunTask would need the volume's settings (API_RunTask, volumeConfigurations), and ECS does not describe them.
#[tokio::test(start_paused = true)]
async fn a_task_whose_volume_was_configured_at_launch_is_not_relaunched_and_the_reason_names_it() {
    let w = job_of_three().await;
    w.change_answers("DescribeTasks", |answer| {
        for task in answer["tasks"].as_array_mut().into_iter().flatten() {
            task["attachments"] = json!([{
                "type": "AmazonElasticBlockStorage",
                "details": [{ "name": "volumeName", "value": "scratch" }],
            }]);
        }
    });
    let claim = w.claim(1).await;
    assert_eq!(claim.claimed["recoveriesLeft"], 0);
    let why = claim.claimed["failure"]["notRelaunchable"]
        .as_str()
        .unwrap();
    assert!(
        why.starts_with("rank 0: volume scratch is configured at launch (volumeConfigurations)"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_tasks_ecs_has_forgotten_is_relaunchable_by_its_records_alone() {
    for (recorded, left) in [(true, 1), (false, 0)] {
        let w = job_of_three().await;
        let event = w.exit(1, 1).await;
        if !recorded {
            w.edit_job(JOB, &rank_key(1, 1), "launch", Value::Null)
                .await;
        }
        w.pass(2 * 3600).await;
        let claim = w.claim_with(event).await;
        assert_eq!(claim.claimed["recoveriesLeft"], left);
        let why = claim.claimed["failure"]["notRelaunchable"].as_str();
        assert_eq!(
            why.is_some_and(|w| w.contains("ECS no longer describes rank 1's task")),
            !recorded
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_with_unrecorded_ranks_is_not_relaunched() {
    let w = job_of_three().await;
    w.delete_job_record(JOB, &rank_key(1, 0)).await;
    w.pass(600).await;
    let claim = w.claim(1).await;
    assert_eq!(claim.claimed["recoveriesLeft"], 0);
    assert_eq!(
        claim.claimed["failure"]["notRelaunchable"],
        "2 of the job's 3 ranks are recorded"
    );
}

/// The launcher writes them just now: to go on with those that are there would give up a job that can be recovered.
#[tokio::test(start_paused = true)]
async fn a_claim_waits_for_the_ranks_that_are_being_recorded_and_keeps_the_job_meanwhile() {
    let w = job_of_three().await;
    let other = w.ranks(1).await.remove(0);
    w.delete_job_record(JOB, &other.record).await;
    let event = w.exit(1, 1).await;
    let input = input(&w.running_execution(), &event);
    let error = w.call("claim-job", input.clone()).await.unwrap_err();
    assert_eq!(error.name(), "NotSettledYet");
    assert!(error.to_string().contains("2 of job llama-7b's 3 ranks"));
    w.context("launcher")
        .jobs
        .put_ranks(&[other])
        .await
        .unwrap();
    let claimed = w.outcome("claim-job", input, "Claimed").await;
    assert_eq!(claimed["recoveriesLeft"], 1);
}

/// ECS may throttle a submission for minutes, and `submit` records the tasks when the last of them is started.
#[tokio::test(start_paused = true)]
async fn a_task_that_submit_has_started_waits_ten_minutes_for_its_record() {
    let w = job_of_three().await;
    let ranks = w.ranks(1).await;
    for rank in &ranks {
        w.delete_job_record(JOB, &rank.record).await;
    }
    w.pass(300).await;
    w.cloud
        .fleet
        .kill_process(ranks[1].task_arn.as_str(), Some(1));
    w.pass(15).await;
    let event = w.stop_event(ranks[1].task_arn.as_str());
    let input = input(&w.running_execution(), &event);
    let error = w.call("claim-job", input.clone()).await.unwrap_err();
    assert_eq!(error.name(), "NotSettledYet");
    w.pass(300).await;
    w.outcome("claim-job", input, "NotManaged").await;
}

#[tokio::test(start_paused = true)]
async fn a_jobs_own_number_of_recoveries_counts_before_the_setting() {
    for (setting, own, left) in [
        ("0", None, 0),
        ("3", None, 3),
        ("3", Some("1"), 1),
        ("0", Some("2"), 2),
    ] {
        let w = World::with(settings(&[("RECOVERY_ATTEMPTS", setting)])).await;
        w.job(2).await;
        if let Some(own) = own {
            w.edit_job(JOB, "job", "recovery_attempts", json!({ "N": own }))
                .await;
        }
        assert_eq!(
            w.claim(0).await.claimed["recoveriesLeft"],
            left,
            "{setting} {own:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hybrid_node_is_known_by_its_own_id() {
    let w = World::new().await;
    let node = "mi-0123456789abcdef0";
    w.cloud.fleet.add_instance(NewInstance::p5(node));
    w.submit(JOB, [node.to_owned()]).await.unwrap();
    w.pass(90).await;
    assert_eq!(w.claim(0).await.claimed["failure"]["instance"], node);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_aws_names_the_call_and_nothing_is_taken() {
    let w = job_of_three().await;
    let event = w.exit(1, 1).await;
    let before = w.job_record().await;
    let execution = w.running_execution();
    for (code, status, name) in [
        ("AccessDeniedException", 400, "AwsRejected"),
        ("ThrottlingException", 400, "AwsUnavailable"),
        ("InternalServerError", 500, "AwsUnavailable"),
    ] {
        w.wire()
            .faults()
            .set_plan(move |call| match (call.role(), call.action) {
                ("claim-job", "UpdateItem") => Fault::Fail {
                    code: code.to_owned(),
                    status,
                    message: "no".to_owned(),
                },
                _ => Fault::Proceed,
            });
        let error = w
            .call("claim-job", input(&execution, &event))
            .await
            .unwrap_err();
        assert_eq!(error.name(), name);
        let (WorkerError::AwsRejected(failure) | WorkerError::AwsUnavailable(failure)) = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            (failure.call, failure.code.as_str()),
            ("dynamodb:UpdateItem", code)
        );
    }
    assert_eq!(w.job_record().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_claim_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault("claim-job", || async {
        let w = World::with_job(2).await;
        let event = w.exit(1, 1).await;
        let execution = w.running_execution();
        (w, input(&execution, &event))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_take_over_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault("claim-job", || async {
        let w = World::with_job(2).await;
        let claim = w.claim(1).await;
        w.end(&claim.execution);
        let event = w.exit(0, 1).await;
        let execution = w.running_execution();
        (w, input(&execution, &event))
    })
    .await;
}
