//! How a task ended: `workers::exit`, on recorded events and on any.

use proptest::prelude::*;
use tests::{ends, fixtures};
use workers::{
    Settings,
    aws::events::TaskStateChange,
    decisions::exit::{ContainerEnd, Exit, OUR_STOP, TaskEnd},
    settings::{ExitPolicy, JobPolicies},
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
        ("task-essential-container-exit-1", Exit::Abnormal, Some(1)),
        (
            "task-several-containers-one-without-exit-code",
            Exit::Abnormal,
            Some(1),
        ),
        ("task-failed-to-start-cannot-pull", Exit::Abnormal, None),
        ("task-stopped-by-user", Exit::StoppedByUser, Some(137)),
        ("task-stopped-by-us", Exit::StoppedByUs, Some(143)),
        ("task-spot-termination-notice", Exit::Abnormal, Some(143)),
        // Field case 06: interrupted, and exit 0 all the same.
        ("task-spot-interrupted-exit-0", Exit::Abnormal, Some(0)),
        ("task-exit-0", Exit::Completed, Some(0)),
        ("task-exit-0-with-stopped-sidecar", Exit::Completed, Some(0)),
        ("task-unknown-extra-fields", Exit::Abnormal, Some(1)),
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
    assert_eq!(several.classify(&settings), Exit::Abnormal);
    let other = settings_with(&[("TRAINING_CONTAINER_NAME", "metrics")]);
    assert_eq!(
        several.classify(&other),
        Exit::Abnormal,
        "it has no exit code"
    );
}

fn ended(code: Option<i32>) -> ContainerEnd {
    ContainerEnd {
        name: "any".to_owned(),
        exit_code: code,
        ..ContainerEnd::default()
    }
}

fn by_itself(containers: Vec<ContainerEnd>) -> TaskEnd {
    TaskEnd {
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_reason: Some("Essential container in task exited".to_owned()),
        containers,
    }
}

#[test]
fn the_code_shown_is_the_one_that_decides() {
    let settings = settings_with(&[]);
    for (codes, shown) in [
        (&[139, 1][..], 1),
        (&[1, 93], 93),
        (&[0, 139], 139),
        (&[143, 139], 139),
        (&[139, 2], 139),
        (&[143, 0], 0),
        (&[143, 137], 143),
    ] {
        let end = by_itself(codes.iter().map(|code| ended(Some(*code))).collect());
        assert_eq!(end.exit_code(&settings), Some(shown), "{codes:?}");
    }
}

#[test]
fn exit_0_is_a_completion_only_when_nothing_interrupted_or_killed_it() {
    let settings = settings_with(&[]);
    let zero = by_itself(vec![ended(Some(0))]);
    assert_eq!(zero.classify(&settings), Exit::Completed);
    // Stop codes: TaskStopCode in the service model of ECS (2014-11-13) that botocore 1.44.8 ships, and what comes next.
    for code in [
        "SpotInterruption",
        "TerminationNotice",
        "ServiceSchedulerInitiated",
        "InfrastructureHealth",
        "TaskFailedToStart",
        "SomethingNew",
    ] {
        let interrupted = TaskEnd {
            stop_code: Some(code.to_owned()),
            ..zero.clone()
        };
        assert_eq!(interrupted.classify(&settings), Exit::Abnormal, "{code}");
    }
    let killed = ContainerEnd {
        reason: Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
        ..ended(Some(0))
    };
    assert_eq!(
        by_itself(vec![killed.clone()]).classify(&settings),
        Exit::Abnormal
    );
    let beside = by_itself(vec![
        ended(Some(0)),
        ContainerEnd {
            exit_code: Some(137),
            ..killed
        },
    ]);
    assert_eq!(beside.classify(&settings), Exit::Abnormal);
    for codes in [[Some(0), Some(137)], [Some(143), Some(0)]] {
        let sidecar = by_itself(codes.map(ended).to_vec());
        assert_eq!(sidecar.classify(&settings), Exit::Completed, "{codes:?}");
    }
    for codes in [[Some(0), None], [Some(0), Some(2)], [Some(137), Some(143)]] {
        let failed = by_itself(codes.map(ended).to_vec());
        assert_eq!(failed.classify(&settings), Exit::Abnormal, "{codes:?}");
    }
}

#[test]
fn beside_a_container_with_gpus_no_other_counts() {
    let settings = settings_with(&[]);
    let trainer = |code| ContainerEnd {
        has_gpus: true,
        ..ended(code)
    };
    let killed = by_itself(vec![trainer(Some(137)), ended(Some(0))]);
    assert_eq!(killed.classify(&settings), Exit::Abnormal);
    assert_eq!(killed.exit_code(&settings), Some(137));
    let done = by_itself(vec![trainer(Some(0)), ended(Some(1)), ended(None)]);
    assert_eq!(done.classify(&settings), Exit::Completed);
}

#[test]
fn an_abnormal_end_leads_to_what_the_settings_say_of_its_code() {
    let policy = |settings: &Settings, code| by_itself(vec![ended(code)]).policy(settings);
    let defaults = settings_with(&[]);
    for (code, what) in [
        (Some(1), ExitPolicy::Recover),
        (Some(93), ExitPolicy::Fail),
        (Some(134), ExitPolicy::Recover),
        (None, ExitPolicy::Recover),
    ] {
        assert_eq!(policy(&defaults, code), what, "{code:?}");
    }
    let quiet = settings_with(&[("OTHER_EXIT_POLICY", "ignore")]);
    assert_eq!(policy(&quiet, Some(134)), ExitPolicy::Ignore);
    assert_eq!(policy(&quiet, Some(1)), ExitPolicy::Recover);
    let mut own = JobPolicies::default();
    for text in ["1=tell", "93=recover", "42=fail", "other=recover"] {
        own.add_on_exit(text).unwrap();
    }
    let job = quiet.of_job(&own);
    for (code, what) in [
        (Some(1), ExitPolicy::Tell),
        (Some(93), ExitPolicy::Recover),
        (Some(42), ExitPolicy::Fail),
        (Some(134), ExitPolicy::Recover),
        (None, ExitPolicy::Recover),
    ] {
        assert_eq!(policy(&job, code), what, "{code:?}");
    }
}

#[test]
fn a_rank_that_ended_badly_by_itself_is_a_suspect() {
    for (exit, suspect) in [
        (Exit::Abnormal, true),
        (Exit::Completed, false),
        (Exit::StoppedByUser, false),
        (Exit::StoppedByUs, false),
    ] {
        assert_eq!(exit.is_suspect(), suspect, "{exit:?}");
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let name = prop::sample::select(vec!["", "trainer", "metrics"]);
    let other = prop::sample::select(vec!["recover", "tell", "ignore"]);
    (name, other).prop_map(|(name, other)| {
        settings_with(&[
            ("TRAINING_CONTAINER_NAME", name),
            ("OTHER_EXIT_POLICY", other),
        ])
    })
}

proptest! {
    #[test]
    fn the_order_of_containers_does_not_matter(end in ends::end(), settings in settings(), turn in 0..5usize) {
        let mut turned = end.clone();
        let by = turn.min(turned.containers.len());
        turned.containers.rotate_left(by);
        prop_assert_eq!(end.classify(&settings), turned.classify(&settings));
        prop_assert_eq!(end.policy(&settings), turned.policy(&settings));
        turned.containers.reverse();
        prop_assert_eq!(end.classify(&settings), turned.classify(&settings));
    }

    #[test]
    fn a_trainers_wish_is_stronger_than_a_recoverable_code_and_both_than_any_other(end in ends::end(), recoverable in "1|42|1,134") {
        let settings = settings_with(&[("RECOVERABLE_EXIT_CODES", &recoverable), ("OTHER_EXIT_POLICY", "ignore")]);
        let mut all = end;
        for container in &mut all.containers {
            container.has_gpus = false;
        }
        let has = |codes: &[i32]| all.containers.iter().filter_map(|c| c.exit_code).any(|code| codes.contains(&code));
        let expected = if has(&settings.no_recovery_exit_codes) {
            ExitPolicy::Fail
        } else if has(&settings.recoverable_exit_codes) {
            ExitPolicy::Recover
        } else {
            ExitPolicy::Ignore
        };
        prop_assert_eq!(all.policy(&settings), expected);
        if expected != ExitPolicy::Ignore {
            prop_assert_eq!(settings.policy_of(all.exit_code(&settings).unwrap()), Some(expected));
        }
    }

    #[test]
    fn other_containers_do_not_matter_when_the_training_container_is_named(end in ends::end(), others in prop::collection::vec(ends::code(), 0..4)) {
        let settings = settings_with(&[("TRAINING_CONTAINER_NAME", "trainer")]);
        let mut alone = end.clone();
        alone.containers.retain(|c| c.name == "trainer");
        prop_assume!(!alone.containers.is_empty());
        let mut more = alone.clone();
        more.containers.extend(others.into_iter().map(ended));
        for same in [&end, &more] {
            prop_assert_eq!(same.classify(&settings), alone.classify(&settings));
            prop_assert_eq!(same.exit_code(&settings), alone.exit_code(&settings));
        }
    }

    #[test]
    fn our_own_stop_is_never_a_failure_nor_an_operators(end in ends::end(), settings in settings(), why in ".{0,30}") {
        let ours = TaskEnd { stopped_reason: Some(format!("{OUR_STOP}{why}")), ..end };
        prop_assert_eq!(ours.classify(&settings), Exit::StoppedByUs);
    }

    #[test]
    fn an_operators_stop_is_never_a_failure(end in ends::end(), settings in settings()) {
        let theirs = TaskEnd { stop_code: Some("UserInitiated".to_owned()), ..end };
        prop_assert!(matches!(theirs.classify(&settings), Exit::StoppedByUser | Exit::StoppedByUs));
    }

    #[test]
    fn what_the_ranks_item_keeps_of_an_end_says_the_same(end in ends::end(), settings in settings()) {
        let mut rank = ends::rank();
        rank.note_end(Some(&end), &settings);
        let kept = rank.end(&settings).unwrap_or_default();
        if end.stop_code.is_some() || end.exit_code(&settings).is_some() {
            prop_assert_eq!(kept.classify(&settings), end.classify(&settings));
            if end.classify(&settings) == Exit::Abnormal {
                prop_assert_eq!(kept.policy(&settings), end.policy(&settings));
            }
        }
    }
}
