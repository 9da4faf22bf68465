//! RelaunchJob. Two calls at once: zombie.rs.

use serde_json::{Value, json};
use simulator::{
    cloud::{CloudOptions, TRAINING},
    ecs::{Container, EcsSettings, NewInstance, TaskDefinition, TaskKind},
    faults::Fault,
    throttle::Limit,
};
use std::{collections::BTreeSet, time::Duration};
use tests::{
    JOB, Recovery, World,
    faults::{calls_of, ends_the_same_after_any_fault, retry},
    instance_id, launch,
};
use workers::{
    aws::launch_names::started_by,
    desk::submit::{Submission, submit},
    ids::{InstanceId, JobId},
    records::{
        InstanceStatus, JobStatus, RankRecord, RankStatus,
        launch::{LaunchSpec, Network},
        rank_key,
    },
};

const RELAUNCH: &str = "relaunch-job";

pub fn input(recovery: &Recovery) -> Value {
    recovery.input(json!({ "instances": [] }))
}

async fn stopped_job(nodes: usize) -> (World, Recovery) {
    let w = World::with_job(nodes).await;
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

fn run_tasks(w: &World) -> usize {
    calls_of(w, RELAUNCH)
        .iter()
        .filter(|c| c.action == "RunTask")
        .count()
}

#[tokio::test(start_paused = true)]
async fn every_rank_runs_again_on_its_own_instance() {
    let (w, recovery) = stopped_job(3).await;
    let answer = w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(
        answer,
        json!({ "outcome": "Relaunched", "jobId": JOB, "attempt": 2, "ranks": 3, "recoveriesInADay": 1 })
    );
    let job = w.job_record().await;
    assert_eq!(
        (job.status, job.attempt, job.holder),
        (JobStatus::InProgress, 2, None)
    );
    assert_eq!(job.relaunched_by, Some(World::arn(&recovery.execution)));
    assert_eq!(
        (job.failed_rank, job.launching, job.launch_try),
        (None, false, 0)
    );
    let running = w.running_tasks();
    let ranks = w.ranks(2).await;
    assert_eq!((running.len(), ranks.len()), (3, 3));
    for (nth, rank) in ranks.iter().enumerate() {
        let instance = w.cloud.fleet.instance(&instance_id(nth)).unwrap();
        let task = &running[rank.task_arn.as_str()];
        assert_eq!(task["containerInstanceArn"], instance.arn);
        assert_eq!(rank.status, RankStatus::Running);
        assert_eq!(rank.instance_id, Some(InstanceId::new(instance_id(nth))));
        let record = w.instance_record(nth).await;
        assert_eq!(
            (record.status, record.holder),
            (InstanceStatus::InProgress, None)
        );
    }
    assert_eq!(
        w.ranks(1).await.len(),
        3,
        "the first attempt stays on record"
    );
}

#[tokio::test(start_paused = true)]
async fn the_ranks_of_the_attempt_before_expire_and_those_that_run_do_not() {
    let (w, recovery) = stopped_job(3).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    let expire = |ranks: Vec<RankRecord>| ranks.iter().filter(|r| r.expires_at.is_some()).count();
    assert_eq!(expire(w.ranks(1).await), 3);
    assert_eq!(expire(w.ranks(2).await), 0);
}

/// Seed 48 of the schedules that draw like the field.
#[tokio::test(start_paused = true)]
async fn promise_4_a_relaunch_that_fails_after_its_commit_is_told_also_when_the_job_has_moved_on() {
    let (w, recovery) = stopped_job(2).await;
    w.wire().faults().set_plan(|call| match call.action {
        "PutItem" if call.role() == RELAUNCH && call.nth > 2 => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "not now".to_owned(),
        },
        _ => Fault::Proceed,
    });
    let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    w.wire().faults().set_plan(|_| Fault::Proceed);
    assert_eq!(w.job_record().await.attempt, 2, "it is committed");
    // The next failure, and its recovery.
    let event = w.exit_task(&w.task_of(JOB, 2, 1).await, Some(1)).await;
    let second = w.claim_with(event).await;
    w.outcome("stop-siblings", second.input(json!({})), "Stopped")
        .await;
    let answer = w.outcome(RELAUNCH, input(&second), "Relaunched").await;
    assert_eq!(
        (answer["attempt"].clone(), answer["movedOn"].clone()),
        (json!(3), Value::Null)
    );
    // The first is redriven.
    let late = w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(
        (late["attempt"].clone(), late["movedOn"].clone()),
        (json!(2), json!(true))
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_on_a_node_that_another_recovery_holds_or_that_is_quarantined() {
    let (w, recovery) = stopped_job(3).await;
    let other =
        json!({ "S": "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:other" });
    w.edit_instance(&instance_id(0), "holder", other).await;
    w.edit_instance(&instance_id(0), "job_id", json!({ "S": "another" }))
        .await;
    w.edit_instance(&instance_id(2), "status", json!({ "S": "QUARANTINED" }))
        .await;
    let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "NotPlaced");
    let why = error.to_string();
    for refusal in ["another recovery holds it", "it is quarantined"] {
        assert!(why.contains(refusal), "{why}");
    }
    assert_eq!(run_tasks(&w), 0);
    // Whoever marked it may have died before the drain.
    let drained = w.cloud.fleet.instance(&instance_id(2)).unwrap();
    assert_eq!(drained.status, "DRAINING");
    assert_eq!(
        w.cloud.fleet.instance(&instance_id(0)).unwrap().status,
        "ACTIVE"
    );
}

#[tokio::test(start_paused = true)]
async fn every_rank_is_started_as_it_was_and_pinned() {
    let (w, recovery) = stopped_job(3).await;
    let before = w.cloud.fleet.tasks();
    let attempt = |number| json!({ "name": "GPU_RECOVERY_ATTEMPT", "value": number }).to_string();
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    for rank in w.ranks(2).await {
        let new = w.cloud.fleet.task(rank.task_arn.as_str()).unwrap();
        let old = before
            .iter()
            .find(|t| t["containerInstanceArn"] == new["containerInstanceArn"])
            .unwrap();
        for member in [
            "taskDefinitionArn",
            "overrides",
            "tags",
            "group",
            "enableExecuteCommand",
            "launchType",
        ] {
            let expected = old[member]
                .to_string()
                .replace(&attempt("1"), &attempt("2"));
            assert_eq!(new[member].to_string(), expected, "{member}");
        }
        assert!(new["overrides"].to_string().contains(&attempt("2")));
        assert_eq!(new["startedBy"], started_by(&JobId::new(JOB), 2));
    }
    let pins: BTreeSet<_> = w
        .wire()
        .calls()
        .into_iter()
        .filter(|c| c.caller.starts_with(RELAUNCH) && c.action == "RunTask")
        .map(|c| c.resource.unwrap())
        .collect();
    let wanted = (0..3).map(|nth| format!("ec2InstanceId == '{}'", instance_id(nth)));
    assert_eq!(pins, wanted.collect());
}

#[tokio::test(start_paused = true)]
async fn a_newer_revision_of_the_task_definition_is_not_used() {
    let (w, recovery) = stopped_job(2).await;
    w.cloud
        .fleet
        .define(TaskDefinition::new(TRAINING, TaskKind::Job, 4));
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    for task in w.running_tasks().values() {
        assert!(
            task["taskDefinitionArn"]
                .as_str()
                .unwrap()
                .ends_with("train:1")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn hybrid_nodes_and_networks_are_kept() {
    let w = World::new().await;
    w.cloud.fleet.define(TaskDefinition {
        family: "train-vpc".to_owned(),
        kind: TaskKind::Job,
        awsvpc: true,
        containers: vec![Container::new(TRAINING).with_gpus(8)],
    });
    let hybrid = "mi-0123456789abcdef0";
    w.instances(1);
    w.cloud.fleet.add_instance(NewInstance::p5(hybrid));
    let network = Network {
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
        assign_public_ip: true,
    };
    let vpc = LaunchSpec {
        task_definition: "train-vpc".to_owned(),
        network: Some(network),
        ..launch(0)
    };
    let ranks = vec![
        (InstanceId::new(instance_id(0)), vpc),
        (InstanceId::new(hybrid), launch(1)),
    ];
    let submission = Submission {
        job_id: JobId::new(JOB),
        ranks,
        recovery_attempts: None,
        policies: workers::settings::JobPolicies::default(),
    };
    submit(&w.context("launcher"), &submission).await.unwrap();
    w.pass(90).await;
    let recovery = w.claim_and_stop(1).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    let running = w.running_tasks();
    let ranks = w.ranks(2).await;
    let task = |rank: usize| &running[ranks[rank].task_arn.as_str()];
    assert_eq!(task(0)["attachments"][0]["details"][0]["value"], "subnet-1");
    assert_eq!(
        (&task(0)["launchType"], &task(1)["launchType"]),
        (&json!("EC2"), &json!("EXTERNAL"))
    );
    assert_eq!(
        ranks[0]
            .launch
            .as_ref()
            .unwrap()
            .network
            .as_ref()
            .unwrap()
            .security_groups,
        ["sg-1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_call_gives_the_same_answer_and_starts_nothing() {
    let (w, recovery) = stopped_job(3).await;
    let first = w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    let (started, job) = (run_tasks(&w), w.job_record().await);
    let again = w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(again, first);
    assert_eq!((run_tasks(&w), w.job_record().await), (started, job));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_ranks_are_relaunched_within_the_apis_rate() {
    let (w, recovery) = stopped_job(150).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(run_tasks(&w), 150);
    assert!(
        w.wire()
            .calls()
            .iter()
            .all(|c| c.outcome != Err("ThrottlingException".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn one_rank_that_cannot_be_placed_undoes_all_and_is_named() {
    let (w, recovery) = stopped_job(3).await;
    w.submit("other-job", [instance_id(2)]).await.unwrap();
    let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "NotPlaced");
    assert_eq!(
        error.to_string(),
        format!("rank 2 on {}: RESOURCE:GPU", instance_id(2))
    );
    w.pass(120).await;
    assert_eq!(w.running_tasks().len(), 1, "the other job's");
    let job = w.job_record().await;
    assert_eq!((job.attempt, job.launching, job.launch_try), (1, false, 1));
    assert_eq!(job.holder, Some(World::arn(&recovery.execution)));
    // The place is free again: the next try starts every rank, under new client tokens.
    w.cloud
        .fleet
        .stop(&w.task_of("other-job", 1, 0).await, "done");
    w.pass(60).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(w.running_tasks().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn many_ranks_that_cannot_be_placed_are_counted_and_five_are_named() {
    let (w, recovery) = stopped_job(9).await;
    for nth in 0..9 {
        w.cloud.fleet.disconnect_agent(&instance_id(nth), None);
    }
    let error = w
        .call(RELAUNCH, input(&recovery))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("; and 4 more ranks"), "{error}");
    assert_eq!(error.matches("AGENT").count(), 5, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_draining_instance_is_not_placed_and_nothing_is_left_running() {
    let (w, recovery) = stopped_job(2).await;
    w.set_ecs_status(0, "DRAINING");
    assert_eq!(
        w.call(RELAUNCH, input(&recovery)).await.unwrap_err().name(),
        "NotPlaced"
    );
    w.pass(120).await;
    assert!(w.running_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_run_task_start_no_second_task() {
    let (w, recovery) = stopped_job(3).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action, call.nth) {
            (RELAUNCH, "RunTask", 1..=3) => Fault::FailAfterEffect,
            _ => Fault::Proceed,
        });
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    assert_eq!(run_tasks(&w), 6, "every RunTask was sent twice");
    assert_eq!(w.running_tasks().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_any_call_leaves_one_running_attempt() {
    let calls = {
        let (w, recovery) = stopped_job(2).await;
        w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
        calls_of(&w, RELAUNCH)
    };
    for (nth, lost) in calls.iter().enumerate() {
        let (w, recovery) = stopped_job(2).await;
        let count = std::sync::atomic::AtomicUsize::new(0);
        w.wire().faults().set_plan(move |call| {
            let own = call.role() == RELAUNCH;
            if own && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == nth {
                Fault::FailAfterEffect
            } else {
                Fault::Proceed
            }
        });
        let told = format!("the answer to call {nth} ({}) is lost", lost.action);
        let answer = retry(&w, RELAUNCH, input(&recovery)).await;
        let answer = answer.unwrap_or_else(|e| panic!("{told}: {e:?}"));
        assert_eq!(answer["outcome"], "Relaunched", "{told}");
        assert_one_attempt(&w, 2, &told).await;
    }
}

/// Attempt 2 runs: its recorded tasks, no others.
pub async fn assert_one_attempt(w: &World, nodes: usize, told: &str) {
    w.pass(200).await;
    let job = w.job_record().await;
    assert_eq!(
        (job.attempt, job.status),
        (2, JobStatus::InProgress),
        "{told}"
    );
    let running: BTreeSet<String> = w.running_tasks().into_keys().collect();
    let recorded: BTreeSet<String> = w
        .ranks(2)
        .await
        .into_iter()
        .map(|r| r.task_arn.as_str().to_owned())
        .collect();
    assert_eq!(recorded.len(), nodes, "{told}");
    assert_eq!(
        running, recorded,
        "{told}: the running tasks are the recorded ones"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rank_without_a_launch_or_an_instance_is_named_and_nothing_is_started() {
    for attribute in ["launch", "instance_id"] {
        let (w, recovery) = stopped_job(2).await;
        w.edit_job(JOB, &rank_key(1, 1), attribute, Value::Null)
            .await;
        let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
        assert_eq!(error.name(), "CorruptRecord");
        assert!(
            error
                .to_string()
                .contains("rank 1 has no instance_id or no launch"),
            "{error}"
        );
        assert_eq!(run_tasks(&w), 0);
    }
    let (w, recovery) = stopped_job(2).await;
    w.delete_job_record(JOB, &rank_key(1, 1)).await;
    let error = w
        .call(RELAUNCH, input(&recovery))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 of 2 ranks are recorded"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_the_job_starts_nothing() {
    let (w, recovery) = stopped_job(2).await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    assert_eq!(
        w.call(RELAUNCH, input(&recovery)).await.unwrap_err().name(),
        "ClaimLost"
    );
    assert_eq!(run_tasks(&w), 0);
}

/// The attempt is there, but it is not ours: to say Relaunched would tell operators of a relaunch twice.
#[tokio::test(start_paused = true)]
async fn a_job_that_another_execution_has_relaunched_is_lost() {
    let (w, recovery) = stopped_job(2).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    w.edit_job(
        JOB,
        "job",
        "relaunched_by",
        json!({ "S": w.running_execution() }),
    )
    .await;
    w.edit_job(JOB, "job", "attempts", Value::Null).await;
    let before = w.running_tasks().len();
    let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert_eq!(w.running_tasks().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_relaunch_that_aws_refuses_is_undone_and_told_with_its_call() {
    let (w, recovery) = stopped_job(3).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action, call.nth) {
            (RELAUNCH, "RunTask", 2..) => Fault::Fail {
                code: "AccessDeniedException".to_owned(),
                status: 400,
                message: "no".to_owned(),
            },
            _ => Fault::Proceed,
        });
    let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    assert!(
        error
            .to_string()
            .contains("ecs:RunTask failed with AccessDeniedException"),
        "{error}"
    );
    w.pass(120).await;
    assert!(w.running_tasks().is_empty());
    assert!(!w.job_record().await.launching);
}

#[tokio::test(start_paused = true)]
async fn a_relaunch_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(RELAUNCH, || async {
        let (w, recovery) = stopped_job(2).await;
        (w, input(&recovery))
    })
    .await;
}

/// As many ranks as AWS leaves no room for within the function's time.
#[tokio::test(start_paused = true)]
async fn a_relaunch_that_runs_out_of_time_is_gone_on_with_and_starts_no_task_twice() {
    let (w, recovery) = stopped_job(60).await;
    relaunched_in_several_calls(&w, &recovery, 60).await;
}

/// The same where ECS shows a started task minutes later only (drill --chaos --seed 5001819 undid and began anew for hours).
#[tokio::test(start_paused = true)]
async fn a_relaunch_that_runs_out_of_time_is_gone_on_with_although_ecs_shows_its_tasks_late() {
    let w = World::with(slow_to_show()).await;
    w.job(60).await;
    w.pass(300).await;
    let recovery = w.claim_and_stop(1).await;
    relaunched_in_several_calls(&w, &recovery, 60).await;
}

async fn relaunched_in_several_calls(w: &World, recovery: &Recovery, nodes: usize) {
    let scarce = Limit {
        burst: 1.0,
        per_second: 0.05,
    };
    w.wire().throttle().set_limit("ecs", "RunTask", scarce);
    let mut calls = 0;
    loop {
        calls += 1;
        assert!(calls < 10, "no end");
        match w.call(RELAUNCH, input(recovery)).await {
            Ok(outcome) => {
                assert_eq!(outcome["outcome"], "Relaunched");
                break;
            }
            Err(error) => assert!(error.passes(), "{error}"),
        }
    }
    assert!(calls > 1, "the throttling is too mild");
    assert_eq!(w.job_record().await.launch_try, 0, "nothing was undone");
    assert_one_attempt(w, nodes, "in several calls").await;
}

/// An account whose ECS shows a task minutes after RunTask.
fn slow_to_show() -> CloudOptions {
    CloudOptions {
        fleet: EcsSettings {
            shown_after: Duration::from_secs(280),
            ..EcsSettings::default()
        },
        ..CloudOptions::default()
    }
}

/// A launch whose worker died half way, and one of whose tasks has ended with this code since.
async fn half_launched(code: i32) -> (World, Recovery) {
    let (w, recovery) = stopped_job(3).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action, call.nth) {
            (RELAUNCH, "PutItem", 3) => Fault::KillCaller { after_effect: true },
            _ => Fault::Proceed,
        });
    assert!(w.call_or_die(RELAUNCH, input(&recovery)).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(60).await;
    w.exit_task(&w.task_of(JOB, 2, 1).await, Some(code)).await;
    (w, recovery)
}

#[tokio::test(start_paused = true)]
async fn a_launch_with_a_task_that_has_stopped_meanwhile_is_undone_and_made_anew() {
    let (w, recovery) = half_launched(1).await;
    w.settled_outcome(RELAUNCH, input(&recovery), "Relaunched")
        .await;
    assert_one_attempt(&w, 3, "made anew").await;
}

/// Whoever undoes the launch writes down how its ranks ended: no later call starts the job again.
#[tokio::test(start_paused = true)]
async fn a_trainer_that_asks_for_no_recovery_during_a_launch_is_heard_by_the_next_call_too() {
    let (w, recovery) = half_launched(93).await;
    let mut asked = 0;
    for _ in 0..20 {
        let error = w.call(RELAUNCH, input(&recovery)).await.unwrap_err();
        match error.name() {
            "NotToRecover" => asked += 1,
            name => assert_eq!(name, "NotSettledYet", "{error}"),
        }
        if asked == 2 {
            break;
        }
    }
    assert_eq!(asked, 2, "and by every call after it");
    assert_eq!(w.running_tasks().len(), 0);
    assert_eq!(w.job_record().await.attempt, 1);
    assert_eq!(w.ranks(2).await[1].exit_code, Some(93));
}

/// RunTask has started a task, its caller dies, and the task ends before the next call asks for it again: the client token
/// then answers with the ended task (seeds 2778, 6112 and 9274 made it a rank of the new attempt).
#[tokio::test(start_paused = true)]
async fn a_task_that_ended_before_its_launch_was_gone_on_with_is_no_rank_of_the_new_attempt() {
    let (w, recovery) = stopped_job(3).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            (RELAUNCH, "RunTask") => Fault::KillCaller { after_effect: true },
            _ => Fault::Proceed,
        });
    assert!(w.call_or_die(RELAUNCH, input(&recovery)).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(60).await;
    let started: Vec<String> = w.running_tasks().into_keys().collect();
    assert!(!started.is_empty());
    for task in &started {
        w.exit_task(task, Some(1)).await;
    }
    w.settled_outcome(RELAUNCH, input(&recovery), "Relaunched")
        .await;
    assert_one_attempt(&w, 3, "made anew").await;
}

/// RunTask has started a task, its caller dies before it hears of it, and ECS lists it minutes later only.
#[tokio::test(start_paused = true)]
async fn a_task_that_ecs_does_not_list_yet_is_not_left_running_when_its_launch_is_undone() {
    let w = World::with(slow_to_show()).await;
    w.job(3).await;
    w.pass(300).await;
    let first = w.claim_and_stop(1).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            (RELAUNCH, "RunTask") => Fault::KillCaller { after_effect: true },
            _ => Fault::Proceed,
        });
    assert!(w.call_or_die(RELAUNCH, input(&first)).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    assert!(
        !w.running_tasks().is_empty(),
        "a task of the next attempt was started"
    );
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    w.settled_outcome("stop-siblings", second.input(json!({})), "Stopped")
        .await;
    w.pass(300).await;
    assert!(w.running_tasks().is_empty(), "{:?}", w.running_tasks());
}
