//! Any end that a task may come to, for properties.

use proptest::prelude::*;
use workers::{
    decisions::exit::{ContainerEnd, KEEP_OTHERS, OUR_STOP, TaskEnd},
    ids::{JobId, TaskArn},
    records::{RankRecord, RankStatus, rank_key},
};

pub fn code() -> impl Strategy<Value = Option<i32>> {
    let usual = prop::sample::select(vec![0, 0, 1, 2, 93, 134, 137, 139, 143, 255]);
    prop::option::of(prop_oneof![4 => usual, 1 => 0..=255])
}

fn container() -> impl Strategy<Value = ContainerEnd> {
    let name = prop::sample::select(vec!["trainer", "log-router", "metrics"]);
    let reason = prop::option::weighted(
        0.2,
        prop::sample::select(vec![
            "OutOfMemoryError: Container killed due to memory usage",
            "CannotPullContainerError: pull access denied",
        ]),
    );
    (name, code(), reason, any::<bool>()).prop_map(|(name, exit_code, reason, has_gpus)| {
        ContainerEnd {
            name: name.to_owned(),
            exit_code,
            reason: reason.map(str::to_owned),
            has_gpus,
        }
    })
}

pub fn end() -> impl Strategy<Value = TaskEnd> {
    let stop_code = prop::option::of(prop::sample::select(vec![
        "EssentialContainerExited",
        "EssentialContainerExited",
        "UserInitiated",
        "TaskFailedToStart",
        "TerminationNotice",
        "SpotInterruption",
        "ServiceSchedulerInitiated",
        "InfrastructureHealth",
        "Gone",
    ]));
    let reason = prop::option::of(prop_oneof![
        "[a-zA-Z :.-]{0,40}",
        Just(format!("{OUR_STOP} another rank of the job failed")),
        Just(format!("{KEEP_OTHERS}: I look at it")),
        Just("OutOfMemoryError: Container killed due to memory usage".to_owned()),
    ]);
    (stop_code, reason, prop::collection::vec(container(), 0..5)).prop_map(
        |(stop_code, stopped_reason, containers)| TaskEnd {
            stop_code: stop_code.map(str::to_owned),
            stopped_reason,
            containers,
        },
    )
}

/// A rank that runs.
pub fn rank() -> RankRecord {
    RankRecord {
        job_id: JobId::new("llama"),
        record: rank_key(1, 0),
        attempt: 1,
        rank: 0,
        launch_try: 0,
        task_arn: TaskArn::new("arn:aws:ecs:us-east-1:123456789012:task/c/1"),
        instance_id: None,
        container_instance_arn: None,
        status: RankStatus::Running,
        exit_code: None,
        stop_code: None,
        probe: None,
        stopped_reason: None,
        launch: None,
        expires_at: None,
    }
}
