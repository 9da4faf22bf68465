//! The scenarios that come with the program.

use super::spec::{Scenario, ScenarioError};

/// Name and text, in the order in which they are listed.
const BUILTIN: [(&str, &str); 75] = [
    ("gpu-fault", include_str!("../../scenarios/gpu-fault.yaml")),
    (
        "application-fault",
        include_str!("../../scenarios/application-fault.yaml"),
    ),
    (
        "fault-persists-after-reboot",
        include_str!("../../scenarios/fault-persists-after-reboot.yaml"),
    ),
    ("isolate", include_str!("../../scenarios/isolate.yaml")),
    (
        "gpu-off-the-bus",
        include_str!("../../scenarios/gpu-off-the-bus.yaml"),
    ),
    (
        "check-hangs",
        include_str!("../../scenarios/check-hangs.yaml"),
    ),
    (
        "check-crashes",
        include_str!("../../scenarios/check-crashes.yaml"),
    ),
    (
        "one-unclear-one-bad",
        include_str!("../../scenarios/one-unclear-one-bad.yaml"),
    ),
    (
        "misconfigured-node",
        include_str!("../../scenarios/misconfigured-node.yaml"),
    ),
    (
        "check-broken-everywhere",
        include_str!("../../scenarios/check-broken-everywhere.yaml"),
    ),
    (
        "registry-outage",
        include_str!("../../scenarios/registry-outage.yaml"),
    ),
    (
        "instance-never-returns",
        include_str!("../../scenarios/instance-never-returns.yaml"),
    ),
    (
        "all-ranks-fail-at-once",
        include_str!("../../scenarios/all-ranks-fail-at-once.yaml"),
    ),
    (
        "duplicate-and-late-events",
        include_str!("../../scenarios/duplicate-and-late-events.yaml"),
    ),
    (
        "hybrid-instance",
        include_str!("../../scenarios/hybrid-instance.yaml"),
    ),
    ("user-stop", include_str!("../../scenarios/user-stop.yaml")),
    (
        "clean-completion",
        include_str!("../../scenarios/clean-completion.yaml"),
    ),
    (
        "throttled-api",
        include_str!("../../scenarios/throttled-api.yaml"),
    ),
    (
        "two-bad-instances",
        include_str!("../../scenarios/two-bad-instances.yaml"),
    ),
    (
        "ssm-agent-dead",
        include_str!("../../scenarios/ssm-agent-dead.yaml"),
    ),
    (
        "another-jobs-instance",
        include_str!("../../scenarios/another-jobs-instance.yaml"),
    ),
    (
        "person-aborts-then-redrives",
        include_str!("../../scenarios/person-aborts-then-redrives.yaml"),
    ),
    ("abort-134", include_str!("../../scenarios/abort-134.yaml")),
    (
        "container-lost",
        include_str!("../../scenarios/container-lost.yaml"),
    ),
    (
        "interrupted-exit-0",
        include_str!("../../scenarios/interrupted-exit-0.yaml"),
    ),
    (
        "oom-with-sidecar",
        include_str!("../../scenarios/oom-with-sidecar.yaml"),
    ),
    (
        "no-recovery-93",
        include_str!("../../scenarios/no-recovery-93.yaml"),
    ),
    ("tell-only", include_str!("../../scenarios/tell-only.yaml")),
    (
        "orphan-process",
        include_str!("../../scenarios/orphan-process.yaml"),
    ),
    (
        "login-session",
        include_str!("../../scenarios/login-session.yaml"),
    ),
    (
        "shutdown-hangs",
        include_str!("../../scenarios/shutdown-hangs.yaml"),
    ),
    (
        "late-reboot-order",
        include_str!("../../scenarios/late-reboot-order.yaml"),
    ),
    (
        "late-reboot-event",
        include_str!("../../scenarios/late-reboot-event.yaml"),
    ),
    (
        "gpu-missing-after-reboot",
        include_str!("../../scenarios/gpu-missing-after-reboot.yaml"),
    ),
    (
        "redrive-after-another-repair",
        include_str!("../../scenarios/redrive-after-another-repair.yaml"),
    ),
    (
        "all-events-lost",
        include_str!("../../scenarios/all-events-lost.yaml"),
    ),
    (
        "abort-of-all-ranks",
        include_str!("../../scenarios/abort-of-all-ranks.yaml"),
    ),
    (
        "abort-of-all-ranks-with-xid",
        include_str!("../../scenarios/abort-of-all-ranks-with-xid.yaml"),
    ),
    (
        "two-bad-by-xid",
        include_str!("../../scenarios/two-bad-by-xid.yaml"),
    ),
    (
        "application-xid",
        include_str!("../../scenarios/application-xid.yaml"),
    ),
    ("xid-79", include_str!("../../scenarios/xid-79.yaml")),
    ("hung-rank", include_str!("../../scenarios/hung-rank.yaml")),
    (
        "fault-on-another-node",
        include_str!("../../scenarios/fault-on-another-node.yaml"),
    ),
    (
        "agent-away",
        include_str!("../../scenarios/agent-away.yaml"),
    ),
    (
        "task-that-does-not-stop",
        include_str!("../../scenarios/task-that-does-not-stop.yaml"),
    ),
    (
        "task-ended-by-reboot",
        include_str!("../../scenarios/task-ended-by-reboot.yaml"),
    ),
    ("echo-xids", include_str!("../../scenarios/echo-xids.yaml")),
    (
        "probe-unanswered",
        include_str!("../../scenarios/probe-unanswered.yaml"),
    ),
    (
        "person-stops-one-rank",
        include_str!("../../scenarios/person-stops-one-rank.yaml"),
    ),
    (
        "keep-others",
        include_str!("../../scenarios/keep-others.yaml"),
    ),
    (
        "operator-stops-a-recovery",
        include_str!("../../scenarios/operator-stops-a-recovery.yaml"),
    ),
    (
        "first-failure-during-submit",
        include_str!("../../scenarios/first-failure-during-submit.yaml"),
    ),
    (
        "image-pull-throttled",
        include_str!("../../scenarios/image-pull-throttled.yaml"),
    ),
    (
        "relaunch-does-not-start",
        include_str!("../../scenarios/relaunch-does-not-start.yaml"),
    ),
    (
        "rank-ends-while-others-start",
        include_str!("../../scenarios/rank-ends-while-others-start.yaml"),
    ),
    (
        "repeat-offender",
        include_str!("../../scenarios/repeat-offender.yaml"),
    ),
    (
        "operator-drains-meanwhile",
        include_str!("../../scenarios/operator-drains-meanwhile.yaml"),
    ),
    (
        "no-recovery-while-others-start",
        include_str!("../../scenarios/no-recovery-while-others-start.yaml"),
    ),
    (
        "second-fault-later",
        include_str!("../../scenarios/second-fault-later.yaml"),
    ),
    (
        "crash-loop",
        include_str!("../../scenarios/crash-loop.yaml"),
    ),
    (
        "check-by-hand",
        include_str!("../../scenarios/check-by-hand.yaml"),
    ),
    (
        "checked-back-into-service",
        include_str!("../../scenarios/checked-back-into-service.yaml"),
    ),
    (
        "checked-and-still-bad",
        include_str!("../../scenarios/checked-and-still-bad.yaml"),
    ),
    (
        "spare-takes-over",
        include_str!("../../scenarios/spare-takes-over.yaml"),
    ),
    (
        "abort-of-all-ranks-with-spare",
        include_str!("../../scenarios/abort-of-all-ranks-with-spare.yaml"),
    ),
    (
        "spare-after-check",
        include_str!("../../scenarios/spare-after-check.yaml"),
    ),
    (
        "isolate-with-spare",
        include_str!("../../scenarios/isolate-with-spare.yaml"),
    ),
    ("no-spare", include_str!("../../scenarios/no-spare.yaml")),
    (
        "swap-in-vain",
        include_str!("../../scenarios/swap-in-vain.yaml"),
    ),
    (
        "spare-without-image",
        include_str!("../../scenarios/spare-without-image.yaml"),
    ),
    (
        "spare-taken-meanwhile",
        include_str!("../../scenarios/spare-taken-meanwhile.yaml"),
    ),
    (
        "spare-does-not-place",
        include_str!("../../scenarios/spare-does-not-place.yaml"),
    ),
    (
        "own-place-taken",
        include_str!("../../scenarios/own-place-taken.yaml"),
    ),
    (
        "repair-fails-beside-the-job",
        include_str!("../../scenarios/repair-fails-beside-the-job.yaml"),
    ),
    (
        "second-failure-during-repair",
        include_str!("../../scenarios/second-failure-during-repair.yaml"),
    ),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// All of them.
///
/// # Errors
/// Never, but for a mistake in a file; a test reads them all.
pub fn builtins() -> Result<Vec<Scenario>, ScenarioError> {
    BUILTIN
        .iter()
        .map(|(name, text)| Scenario::parse(name, text))
        .collect()
}

/// The one with this name.
pub fn builtin(name: &str) -> Option<Result<Scenario, ScenarioError>> {
    BUILTIN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(name, text)| Scenario::parse(name, text))
}

/// True when the scenario expects the path of the built-in one of its name.
pub(super) fn has_path_of(scenario: &Scenario) -> bool {
    let known = builtin(&scenario.name).and_then(Result::ok);
    known.is_some_and(|known| known.expect.path == scenario.expect.path)
}
