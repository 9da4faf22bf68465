//! What must hold of single scenarios beyond what their files say.

use super::played;
use simulator::{
    plan::Master,
    scenario::{PlayOptions, Report, Scenario, builtin, play},
};
use workers::records::{JobStatus, RankStatus};

#[test]
fn a_relaunch_starts_every_rank_where_and_as_it_was() {
    let report = played("gpu-fault");
    assert_eq!(report.ranks.len(), 8);
    for rank in &report.ranks {
        let instance = rank.instance_id.as_ref().unwrap().as_str();
        assert!(
            instance.ends_with(&format!("{:07x}", rank.rank)),
            "rank {} on {instance}",
            rank.rank
        );
        assert_eq!(rank.status, RankStatus::Running);
        let launch = rank.launch.as_ref().unwrap();
        let overrides = launch.overrides.as_ref().unwrap();
        let environment = &overrides.container_overrides[0].environment;
        assert!(environment.contains(&("RANK".to_owned(), rank.rank.to_string())));
        assert_eq!(launch.tags["team"], "research");
    }
    assert!(
        report
            .instances
            .iter()
            .all(|i| i.status.as_deref() == Some("IN_PROGRESS"))
    );
    assert!(report.instances.iter().all(|i| i.ecs_status == "ACTIVE"));
}

fn rank_0_fails(master: Master) -> Report {
    let mut scenario = builtin("rank-0-moves").unwrap().unwrap();
    scenario.master = master;
    play(&scenario, &PlayOptions::default()).unwrap()
}

/// The promises' watch compares what each rank is told with where rank 0 is.
#[test]
fn rank_0_moves_with_a_network_interface_of_its_task_too() {
    let report = rank_0_fails(Master::OfTask);
    assert!(
        report.passed,
        "{:#?} {:#?}",
        report.unmet, report.broken_promises
    );
    let launch = report.ranks[1].launch.as_ref().unwrap();
    assert!(
        launch.network.is_some() && launch.names_master(),
        "{launch:?}"
    );
}

#[test]
fn rank_0_keeps_its_place_where_the_others_know_an_address_that_was_given_once() {
    let report = rank_0_fails(Master::Fixed);
    assert!(
        report.broken_promises.is_empty(),
        "{:#?}",
        report.broken_promises
    );
    let first = report.ranks[0].instance_id.as_ref().unwrap().as_str();
    assert!(first.ends_with("0000000"), "{first}");
    assert_eq!(report.instances[0].reboots, 1);
}

#[test]
fn the_message_of_a_recovery_says_what_was_done() {
    let report = played("gpu-fault");
    let message = &report.notifications[0].message;
    for words in [
        "Job llama-7b runs again as attempt 2, 12 min 55 s after rank 3 ended: all 8 ranks are RUNNING.",
        "03:10:07 UTC: rank 3 of 8 on i-0f3a9c5d7e0000003 exited with code 1 in attempt 1; ECS told us 1 s later.",
        "Policy: exit code 1 is in RECOVERABLE_EXIT_CODES.",
        "i-0f3a9c5d7e0000003 (rank 3): faulty (exit 1: a GPU error that a reboot may fix",
        "i-0f3a9c5d7e0000003 (rank 3): rebooted, DCGM healthy; back in service",
    ] {
        assert!(message.contains(words), "{words} not in:\n{message}");
    }
}

#[test]
fn a_refused_instance_is_left_alone_and_named() {
    let report = played("another-jobs-instance");
    let instance = &report.instances[3];
    assert_eq!(
        (instance.ecs_status.as_str(), instance.reboots),
        ("DRAINING", 0)
    );
    let message = &report.notifications[0].message;
    assert!(message.contains("NOT rebooted: task arn:"), "{message}");
    assert!(message.contains("of job embeddings-3 runs on it. Its GPU is still faulty"));
}

#[test]
fn of_many_failing_ranks_one_execution_takes_the_job() {
    let report = played("all-ranks-fail-at-once");
    let at_work = report
        .executions
        .iter()
        .filter(|e| e.path.iter().any(|s| s == "StopSiblings"))
        .count();
    assert_eq!(at_work, 1);
    assert!(report.executions.len() >= 8);
    assert!(report.executions.iter().all(|e| e.status == "SUCCEEDED"));
}

#[test]
fn a_throttled_recovery_was_really_throttled() {
    assert!(played("throttled-api").throttled > 0);
}

#[test]
fn a_completed_job_frees_its_instances() {
    let report = played("clean-completion");
    assert_eq!(report.job.status, JobStatus::Complete);
    assert_eq!(report.job.done_ranks.len(), 8);
    assert!(
        report
            .instances
            .iter()
            .all(|i| i.status.as_deref() == Some("AVAILABLE"))
    );
    assert!(
        report
            .ranks
            .iter()
            .all(|r| r.status == RankStatus::Complete)
    );
}

#[test]
fn the_wait_for_an_instance_that_never_returns_ends_at_its_bound() {
    let report = played("instance-never-returns");
    let recovery = report.recovery().unwrap();
    let took = recovery.stopped.unwrap() - recovery.started;
    // REBOOT_TIMEOUT_SECONDS (1,800 s) for the order and once more for EC2, and the rest of the flow.
    assert!((3600.0..4500.0).contains(&took), "{took}");
    assert!(
        report.notifications[0]
            .message
            .contains("no new boot id within 1800 s of the reboot by EC2")
    );
}

#[test]
fn the_example_of_the_scenario_page_ends_as_it_says() {
    let page = include_str!("../../docs/scenarios.md");
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let scenario = Scenario::parse("docs/scenarios.md", example).unwrap();
    let report = play(&scenario, &PlayOptions::default()).unwrap();
    assert!(
        report.passed,
        "{:?} {:?}",
        report.unmet, report.broken_promises
    );
}
