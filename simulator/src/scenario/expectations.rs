//! Whether a scenario ended as it says it should.

use super::{plan::instance_id, report::Report, spec::Scenario};
use std::{collections::BTreeSet, fmt::Debug};
use workers::ids::InstanceId;

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
    for rank in &report.ranks {
        let node = expect.places.get(&rank.rank).unwrap_or(&rank.rank);
        let expected = instance_id(scenario, *node);
        let found = rank.instance_id.as_ref().map(InstanceId::as_str);
        equal(
            format!("instance of rank {}", rank.rank),
            &expected.as_str(),
            &found.unwrap_or_default(),
        );
    }
    let marked = report.instances.iter().filter(|i| i.spare.is_some());
    let marked: Vec<u32> = marked.map(|i| i.node).collect();
    let stand_by = || (scenario.nodes..scenario.nodes + scenario.spares).collect();
    let expected: Vec<u32> = expect.spares.clone().unwrap_or_else(stand_by);
    equal("spares".into(), &expected, &marked);
    let events: Vec<&str> = report
        .notifications
        .iter()
        .map(|n| n.attributes.get("event").map_or("", String::as_str))
        .collect();
    equal("notifications".into(), &expect.notifications, &events);
    if let Some(words) = &expect.reason {
        let reason = report.job.reason.as_deref().unwrap_or_default();
        if !reason.contains(words.as_str()) {
            unmet.push(format!("reason: expected '{words}' in '{reason}'"));
        }
    }
    unmet
}

/// How the path differs from the expected one, if any is expected.
pub fn another_path(scenario: &Scenario, report: &Report) -> Option<String> {
    let expected = &scenario.expect.path;
    // How often a node is asked depends on how long it takes: each state counts where it is entered first.
    let mut seen = BTreeSet::new();
    let entered = report.recovery().map_or(&[][..], |e| e.path.as_slice());
    let entered = entered.iter().filter(|state| seen.insert(state.as_str()));
    let found: Vec<String> = entered.cloned().collect();
    (!expected.is_empty())
        .then(|| other_path(expected, &found))
        .flatten()
}

/// The first state where the path is another one.
fn other_path(expected: &[String], found: &[String]) -> Option<String> {
    let same = expected
        .iter()
        .zip(found)
        .take_while(|(one, other)| one == other);
    let same = same.count();
    let place = match same.checked_sub(1) {
        Some(last) => format!("path: after {}", expected[last]),
        None => "path: at its start".to_owned(),
    };
    match (expected.get(same), found.get(same)) {
        (None, None) => None,
        (Some(expected), Some(found)) => {
            Some(format!("{place} expected {expected}, found {found}"))
        }
        (Some(expected), None) => Some(format!("{place} expected {expected}, found no state more")),
        (None, Some(found)) => Some(format!("{place} expected no state more, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::other_path;

    #[test]
    fn another_path_is_told_by_the_first_state_that_differs() {
        let path = |states: &str| -> Vec<String> {
            states.split_whitespace().map(str::to_owned).collect()
        };
        let other = |one, two| other_path(&path(one), &path(two));
        assert_eq!(other("A B", "A B"), None);
        assert_eq!(
            other("A B C D", "A B X Y").as_deref(),
            Some("path: after B expected C, found X")
        );
        assert_eq!(
            other("A B", "A").as_deref(),
            Some("path: after A expected B, found no state more")
        );
        assert_eq!(
            other("A", "A B").as_deref(),
            Some("path: after A expected no state more, found B")
        );
        assert_eq!(
            other("A", "B").as_deref(),
            Some("path: at its start expected A, found B")
        );
    }
}
