//! Whether a scenario ended as it says it should.

use super::{report::Report, spec::Scenario};
use std::fmt::Debug;

/// What is not as expected, in plain words.
pub fn unmet(scenario: &Scenario, report: &Report) -> Vec<String> {
    let expect = &scenario.expect;
    let mut unmet = Vec::new();
    let mut equal = |what: String, expected: &dyn Debug, found: &dyn Debug| {
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        if expected != found {
            unmet.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    equal(
        "job status".into(),
        &expect.job.as_str(),
        &report.job.status.as_str(),
    );
    equal("attempt".into(), &expect.attempt, &report.job.attempt);
    for instance in &report.instances {
        let reboots = expect.reboots.get(&instance.node).copied().unwrap_or(0);
        equal(
            format!("reboots of node {}", instance.node),
            &reboots,
            &instance.reboots,
        );
    }
    let quarantined: Vec<u32> = report
        .instances
        .iter()
        .filter(|i| i.status.as_deref() == Some("QUARANTINED"))
        .map(|i| i.node)
        .collect();
    equal(
        "quarantined nodes".into(),
        &expect.quarantined,
        &quarantined,
    );
    let events: Vec<&str> = report
        .notifications
        .iter()
        .map(|n| n.attributes.get("event").map_or("", String::as_str))
        .collect();
    equal("notifications".into(), &expect.notifications, &events);
    if !expect.path.is_empty() {
        let path = report.recovery().map_or(&[][..], |e| e.path.as_slice());
        equal("path".into(), &expect.path, &path);
    }
    if let Some(words) = &expect.reason {
        let reason = report.job.reason.as_deref().unwrap_or_default();
        if !reason.contains(words.as_str()) {
            unmet.push(format!("reason: expected '{words}' in '{reason}'"));
        }
    }
    unmet
}
