//! The scenarios that come with the program.

use super::spec::{Scenario, ScenarioError};

/// Each with the text of its file.
macro_rules! of_files {
    ($($name:literal,)+) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".yaml"))),)+]
    };
}

/// Name and text, in the order in which they are listed.
const BUILTIN: &[(&str, &str)] = of_files![
    "gpu-fault",
    "application-fault",
    "fault-persists-after-reboot",
    "isolate",
    "gpu-off-the-bus",
    "check-hangs",
    "check-crashes",
    "one-unclear-one-bad",
    "misconfigured-node",
    "check-broken-everywhere",
    "registry-outage",
    "instance-never-returns",
    "all-ranks-fail-at-once",
    "duplicate-and-late-events",
    "hybrid-instance",
    "user-stop",
    "clean-completion",
    "throttled-api",
    "two-bad-instances",
    "ssm-agent-dead",
    "another-jobs-instance",
    "person-aborts-then-redrives",
    "abort-134",
    "container-lost",
    "interrupted-exit-0",
    "oom-with-sidecar",
    "no-recovery-93",
    "tell-only",
    "orphan-process",
    "login-session",
    "shutdown-hangs",
    "late-reboot-order",
    "late-reboot-event",
    "gpu-missing-after-reboot",
    "redrive-after-another-repair",
    "all-events-lost",
    "abort-of-all-ranks",
    "abort-of-all-ranks-with-xid",
    "two-bad-by-xid",
    "application-xid",
    "xid-79",
    "hung-rank",
    "fault-on-another-node",
    "agent-away",
    "task-that-does-not-stop",
    "task-ended-by-reboot",
    "echo-xids",
    "probe-unanswered",
    "person-stops-one-rank",
    "keep-others",
    "operator-stops-a-recovery",
    "first-failure-during-submit",
    "image-pull-throttled",
    "relaunch-does-not-start",
    "rank-ends-while-others-start",
    "repeat-offender",
    "operator-drains-meanwhile",
    "no-recovery-while-others-start",
    "second-fault-later",
    "crash-loop",
    "check-by-hand",
    "checked-back-into-service",
    "checked-and-still-bad",
    "spare-takes-over",
    "abort-of-all-ranks-with-spare",
    "spare-after-check",
    "isolate-with-spare",
    "no-spare",
    "swap-in-vain",
    "spare-without-image",
    "spare-taken-meanwhile",
    "spare-does-not-place",
    "own-place-taken",
    "repair-fails-beside-the-job",
    "second-failure-during-repair",
    "rank-0-moves",
    "two-jobs-one-spare",
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
