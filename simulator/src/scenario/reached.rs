//! What a scenario holds and nobody came to: a rank that was stopped before its own end, a GPU that was never checked.

use super::{
    plan::JOB,
    report::Report,
    spec::{RankSpec, Scenario},
};
use crate::{
    ecs::{GpuHealth, RebootOutcome, Run},
    promises::Watch,
};
use humantime::format_duration;
use std::collections::BTreeSet;

/// In plain words; `idle` are the actions, in the order of their times, that found nothing to act on.
pub fn not(watch: &Watch, scenario: &Scenario, report: &Report, idle: &[usize]) -> Vec<String> {
    let ended = own_ends(watch);
    let in_attempt = |attempt, rank| ended.contains(&(attempt, rank));
    let mut not = Vec::new();
    for (rank, spec) in &scenario.ranks {
        let reached = (1..=spec.attempts()).any(|attempt| in_attempt(attempt, *rank));
        if let Some(end) = end(spec)
            && !reached
        {
            not.push(format!("rank {rank} {end}: its tasks were stopped before"));
        } else if spec.attempts() > report.job.attempt {
            let job = report.job.attempt;
            let (all, last) = (spec.attempts(), job + 1);
            not.push(format!(
                "rank {rank} does so in {all} attempts: there was no attempt {last}"
            ));
        }
        let (named, seen) = (1 + spec.later.len(), launches(watch, *rank));
        if seen < named {
            not.push(format!(
                "rank {rank} has {named} launches: there was no launch {}",
                seen + 1
            ));
        }
    }
    let mut others = (0..scenario.nodes).filter(|rank| !scenario.ranks.contains_key(rank));
    if let Some(end) = end(&scenario.others)
        && !others.any(|rank| in_attempt(1, rank))
    {
        not.push(format!("each other rank {end}: all were stopped before"));
    }
    for instance in &report.instances {
        let Some(spec) = scenario.instances.get(&instance.node) else {
            continue;
        };
        let node = instance.node;
        if spec.gpu != GpuHealth::Healthy && instance.last_verdict.is_none() {
            not.push(format!("node {node}: its GPUs were never checked"));
        }
        if spec.reboot != RebootOutcome::Returns && instance.reboot_orders == 0 {
            not.push(format!("node {node}: it was never rebooted"));
        }
    }
    let actions = scenario.in_order();
    not.extend(idle.iter().map(|nth| {
        let action = actions[*nth];
        let (at, what) = (format_duration(action.at), action.name());
        format!("{what} at {at}: there was nothing to do it to")
    }));
    not
}

/// Attempt and rank of each task of the job that has ended and was not stopped by anybody.
fn own_ends(watch: &Watch) -> BTreeSet<(u32, u32)> {
    let tasks = watch.tasks().into_values();
    let ended = tasks.filter(|life| {
        life.job == JOB && life.stopped && life.end.stop_code.as_deref() != Some("UserInitiated")
    });
    ended.map(|life| (life.attempt, life.rank)).collect()
}

/// How many tasks the rank has had.
fn launches(watch: &Watch, rank: u32) -> usize {
    let tasks = watch.tasks().into_values();
    tasks
        .filter(|life| life.job == JOB && life.rank == rank)
        .count()
}

/// How the rank's task ends by itself.
fn end(spec: &RankSpec) -> Option<Run> {
    Some(spec.behaviour().run).filter(|run| *run != Run::Forever)
}
