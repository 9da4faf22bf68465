//! How a task ended: `workers::exit`, on recorded events and on any.

use proptest::prelude::*;
use tests::fixtures;
use workers::{
    Settings,
    aws::events::TaskStateChange,
    decisions::exit::{Exit, OUR_STOP, TaskEnd},
};

fn settings_with(pairs: &[(&str, &str)]) -> Settings {
    let get = |name: &str| {
        let own = pairs
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_owned());
        own.or_else(|| match name {
            "SNS_TOPIC_ARN" => Some("arn:aws:sns:us-east-1:123456789012:t".to_owned()),
            "TRAINING_JOB_TABLE_NAME"
            | "CONTAINER_INSTANCE_TABLE_NAME"
            | "ECS_CLUSTER_NAME"
            | "DCGM_HEALTH_CHECK_TASK" => Some("x".to_owned()),
            _ => None,
        })
    };
    Settings::read(get).unwrap()
}

fn end_of(fixture: &str) -> TaskEnd {
    let event: TaskStateChange = serde_json::from_value(fixtures::event(fixture)).unwrap();
    event.detail.end()
}

#[test]
fn every_recorded_end_is_what_it_is() {
    let settings = settings_with(&[]);
    let expected = [
        ("task-essential-container-exit-1", Exit::Failed, Some(1)),
        (
            "task-several-containers-one-without-exit-code",
            Exit::Failed,
            Some(1),
        ),
        ("task-failed-to-start-cannot-pull", Exit::Failed, None),
        ("task-stopped-by-user", Exit::StoppedByUser, Some(137)),
        ("task-stopped-by-us", Exit::StoppedByUs, Some(143)),
        ("task-spot-termination-notice", Exit::Other, Some(143)),
        ("task-exit-0", Exit::Completed, Some(0)),
        ("task-exit-0-with-stopped-sidecar", Exit::Completed, Some(0)),
        ("task-unknown-extra-fields", Exit::Failed, Some(1)),
    ];
    let names: Vec<_> = expected
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let mut recorded = fixtures::names("task-");
    recorded.retain(|name| !names.contains(name));
    assert_eq!(
        recorded,
        Vec::<String>::new(),
        "every recorded end is expected here"
    );
    for (name, exit, code) in expected {
        let end = end_of(name);
        assert_eq!(
            (end.classify(&settings), end.exit_code(&settings)),
            (exit, code),
            "{name}"
        );
    }
}

#[test]
fn a_named_training_container_alone_counts() {
    let settings = settings_with(&[("TRAINING_CONTAINER_NAME", "trainer")]);
    let several = end_of("task-several-containers-one-without-exit-code");
    assert_eq!(several.classify(&settings), Exit::Failed);
    let other = settings_with(&[("TRAINING_CONTAINER_NAME", "metrics")]);
    assert_eq!(several.classify(&other), Exit::Other, "it has no exit code");
}

#[test]
fn the_code_shown_is_the_one_that_failed() {
    let settings = settings_with(&[]);
    for (codes, shown) in [
        (&[139, 1][..], 1),
        (&[0, 139], 139),
        (&[143, 139], 139),
        (&[139, 2], 139),
        (&[143, 0], 0),
        (&[143, 137], 143),
    ] {
        let container = |code: &i32| ("any".to_owned(), Some(*code));
        let end = TaskEnd {
            stop_code: Some("EssentialContainerExited".to_owned()),
            stopped_reason: None,
            containers: codes.iter().map(container).collect(),
        };
        assert_eq!(end.exit_code(&settings), Some(shown), "{codes:?}");
    }
}

#[test]
fn a_rank_that_ended_badly_by_itself_is_a_suspect() {
    for (exit, suspect) in [
        (Exit::Failed, true),
        (Exit::Other, true),
        (Exit::Completed, false),
        (Exit::StoppedByUser, false),
        (Exit::StoppedByUs, false),
    ] {
        assert_eq!(exit.is_suspect(), suspect, "{exit:?}");
    }
}

fn code() -> impl Strategy<Value = Option<i32>> {
    let usual = prop::sample::select(vec![0, 1, 2, 134, 137, 139, 143, 255]);
    prop::option::of(prop_oneof![usual, 0..=255])
}

fn end() -> impl Strategy<Value = TaskEnd> {
    let stop_code = prop::option::of(prop::sample::select(vec![
        "EssentialContainerExited",
        "UserInitiated",
        "TaskFailedToStart",
        "TerminationNotice",
        "SpotInterruption",
        "ServiceSchedulerInitiated",
    ]));
    let reason = prop::option::of(prop_oneof![
        "[a-zA-Z :.-]{0,40}",
        Just(format!("{OUR_STOP} another rank of the job failed")),
    ]);
    let container = (
        prop::sample::select(vec!["trainer", "log-router", "metrics"]),
        code(),
    );
    (stop_code, reason, prop::collection::vec(container, 0..5)).prop_map(
        |(code, reason, containers)| TaskEnd {
            stop_code: code.map(str::to_owned),
            stopped_reason: reason,
            containers: containers
                .into_iter()
                .map(|(name, code)| (name.to_owned(), code))
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_containers_does_not_matter(end in end(), turn in 0..5usize) {
        let settings = settings_with(&[]);
        let mut turned = end.clone();
        let by = turn.min(turned.containers.len());
        turned.containers.rotate_left(by);
        prop_assert_eq!(end.classify(&settings), turned.classify(&settings));
        turned.containers.reverse();
        prop_assert_eq!(end.classify(&settings), turned.classify(&settings));
    }

    #[test]
    fn a_recoverable_code_anywhere_is_a_failure_unless_someone_stopped_the_task(end in end(), recoverable in "1|42|1,134") {
        let settings = settings_with(&[("RECOVERABLE_EXIT_CODES", &recoverable)]);
        let any = end.containers.iter().filter_map(|(_, c)| *c).any(|c| settings.recoverable_exit_codes.contains(&c));
        let stopped = matches!(end.classify(&settings), Exit::StoppedByUs | Exit::StoppedByUser);
        if any && !stopped {
            prop_assert_eq!(end.classify(&settings), Exit::Failed);
            let shown = end.exit_code(&settings).unwrap();
            prop_assert!(settings.recoverable_exit_codes.contains(&shown), "shown: {}", shown);
        }
    }

    #[test]
    fn other_containers_do_not_matter_when_the_training_container_is_named(end in end(), others in prop::collection::vec(code(), 0..4)) {
        let settings = settings_with(&[("TRAINING_CONTAINER_NAME", "trainer")]);
        let mut alone = end.clone();
        alone.containers.retain(|(name, _)| name == "trainer");
        let mut more = alone.clone();
        more.containers.extend(others.into_iter().map(|code| ("other".to_owned(), code)));
        for same in [&end, &more] {
            prop_assert_eq!(same.classify(&settings), alone.classify(&settings));
            prop_assert_eq!(same.exit_code(&settings), alone.exit_code(&settings));
        }
    }

    #[test]
    fn our_own_stop_is_never_a_failure_nor_a_persons(end in end(), why in ".{0,30}") {
        let settings = settings_with(&[]);
        let ours = TaskEnd { stopped_reason: Some(format!("{OUR_STOP}{why}")), ..end };
        prop_assert_eq!(ours.classify(&settings), Exit::StoppedByUs);
        prop_assert!(!ours.classify(&settings).is_suspect());
    }

    #[test]
    fn a_persons_stop_is_never_a_failure(end in end()) {
        let settings = settings_with(&[]);
        let theirs = TaskEnd { stop_code: Some("UserInitiated".to_owned()), ..end };
        prop_assert!(matches!(theirs.classify(&settings), Exit::StoppedByUser | Exit::StoppedByUs));
    }

    #[test]
    fn a_completion_has_a_zero_and_nothing_that_failed(end in end()) {
        let settings = settings_with(&[]);
        if end.classify(&settings) == Exit::Completed {
            let codes: Vec<i32> = end.containers.iter().filter_map(|(_, c)| *c).collect();
            prop_assert!(codes.contains(&0));
            prop_assert!(codes.iter().all(|c| [0, 137, 143].contains(c)), "{:?}", codes);
            prop_assert_eq!(end.exit_code(&settings), Some(0));
        }
    }
}
