//! A plan in words, a line for each thing that is not as usual.

use crate::{
    ecs::{Behaviour, GpuHealth, OnSigterm, RebootOutcome, SsmAgent},
    plan::{Again, Deed, Job, Later, Master, Node, Plan, Storm},
};
use humantime::format_duration;
use std::{collections::BTreeMap, fmt, time::Duration};

/// The plan in short.
pub(super) fn told(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.jobs.iter().map(job).collect();
    lines.extend(plan.nodes.iter().filter_map(node));
    if !plan.spares.is_empty() {
        let spares = plan
            .spares
            .iter()
            .map(|spare| plan.nodes[*spare].id.as_str());
        lines.push(format!("spares: {}", spares.collect::<Vec<_>>().join(", ")));
    }
    if !plan.settings.is_empty() {
        let settings = plan.settings.iter();
        let settings: Vec<String> = settings
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        lines.push(format!("settings {}", settings.join(", ")));
    }
    lines.push(delivery(plan));
    lines.extend(plan.throttle.iter().map(|(_, action, limit)| {
        let (burst, rate) = (limit.burst, limit.per_second);
        format!("others leave {action} {burst} calls at once, {rate} a second")
    }));
    lines.extend(storm(&plan.storm));
    let deeds = plan.deeds.iter();
    lines.extend(
        deeds.map(|(at, deed)| format!("{:.1} s: {}", at.as_secs_f64(), told_deed(plan, deed))),
    );
    lines
}

fn job(job: &Job) -> String {
    let mut ranks: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (rank, behaviour) in job.ranks.iter().enumerate() {
        ranks.entry(does(behaviour)).or_default().push(rank);
    }
    let ranks: Vec<String> = ranks
        .iter()
        .map(|(run, ranks)| format!("rank {}: {run}", spans(ranks)))
        .collect();
    let master = match job.master {
        Master::Fixed => "",
        Master::OfInstance => ", told rank 0's instance",
        Master::OfTask => ", told rank 0's task",
    };
    format!(
        "job {}, {}, {} a rank{master}. {}; later: {}",
        job.id,
        counted(job.nodes.len(), "node"),
        counted(job.gpus, "GPU"),
        ranks.join("; "),
        job.later
    )
}

fn does(behaviour: &Behaviour) -> String {
    let stops = match behaviour.on_sigterm {
        OnSigterm::Exits { .. } => "",
        OnSigterm::Ignores => ", deaf to SIGTERM",
        OnSigterm::Unkillable => ", and nothing stops it",
    };
    format!("{}{stops}", behaviour.run)
}

fn node(node: &Node) -> Option<String> {
    let mut said = Vec::new();
    if node.gpu != GpuHealth::Healthy {
        said.push(format!("GPUs {}", node.gpu));
    }
    if node.reboot != RebootOutcome::Returns {
        said.push(format!("{} when it is rebooted", node.reboot));
    }
    if node.ssm != SsmAgent::Running {
        said.push(format!("SSM agent {}", node.ssm));
    }
    for (what, fate) in [("probe", node.orders.0), ("reboot order", node.orders.1)] {
        if fate.lost {
            said.push(format!("its SSM agent loses each {what}"));
        }
        if let Some(late) = fate.late {
            let late = format_duration(late);
            said.push(format!("its SSM agent runs each {what} {late} late"));
        }
        if fate.twice {
            said.push(format!("its SSM agent runs each {what} twice"));
        }
    }
    if !node.kernel.is_empty() {
        let xids = node.kernel.iter().map(|(_, xid)| xid.to_string());
        let xids: Vec<String> = xids.collect();
        said.push(format!("its kernel logs Xid {}", xids.join(", ")));
    }
    if let Some(after) = node.relapses {
        said.push(format!(
            "bad again {} after a reboot",
            format_duration(after)
        ));
    }
    (!said.is_empty()).then(|| format!("node {}: {}", node.id, said.join(", ")))
}

fn delivery(plan: &Plan) -> String {
    let delivery = &plan.delivery;
    let order = if delivery.in_order {
        "in order"
    } else {
        "out of order"
    };
    let agents = if plan.flaps { "; agents flap" } else { "" };
    format!(
        "events: {} lost, {} twice, {} late by up to {}, {order}{agents}",
        percent(delivery.lost),
        percent(delivery.duplicates),
        percent(delivery.late),
        format_duration(delivery.late_by.end),
    )
}

fn storm(storm: &Storm) -> Vec<String> {
    let mut lines = Vec::new();
    if storm.rate > 0.0 {
        let most = counted(storm.budget as usize, "fault");
        lines.push(format!(
            "{} of the AWS calls fail, {most} at most",
            percent(storm.rate)
        ));
    }
    for (what, lag) in [
        ("the table's index", storm.index_lag),
        ("Step Functions", storm.states_lag),
        ("ECS", storm.ecs_lag),
    ] {
        if lag > Duration::ZERO {
            lines.push(format!("{what} lags by {}", format_duration(lag)));
        }
    }
    if storm.unprocessed > 0.0 {
        lines.push(format!(
            "{} of the batches stay unwritten in part",
            percent(storm.unprocessed)
        ));
    }
    lines.extend(storm.at.iter().map(|strike| {
        format!(
            "call {} of {} to {}:{}: {}",
            strike.nth,
            strike.role,
            strike.service,
            strike.action,
            strike.kind.words()
        )
    }));
    lines
}

fn told_deed(plan: &Plan, deed: &Deed) -> String {
    let job = |job: &usize| &plan.jobs[job % plan.jobs.len()].id;
    let node = |node: &usize| &plan.nodes[node % plan.nodes.len()].id;
    match deed {
        Deed::StopTask { job: of, rank, .. } => {
            format!("an operator stops a rank of {} ({rank})", job(of))
        }
        Deed::Kill {
            job: of,
            rank,
            code: Some(code),
        } => {
            format!("a rank of {} ({rank}) dies with {code}", job(of))
        }
        Deed::Kill {
            job: of,
            rank,
            code: None,
        } => {
            format!("a rank of {} ({rank}) dies without a code", job(of))
        }
        Deed::Cordon { node: n } => format!("an operator cordons {}", node(n)),
        Deed::Uncordon { node: n } => format!("an operator sets {} ACTIVE", node(n)),
        Deed::Quarantine { node: n } => format!("an operator takes {} out of service", node(n)),
        Deed::Check { node: n } => format!("an operator has {} checked", node(n)),
        Deed::Abort => "an operator stops the running executions".to_owned(),
        Deed::Redrive => "an operator redrives what did not succeed".to_owned(),
        Deed::Replay => "every stop event so far comes once more".to_owned(),
        Deed::CutAgent { node: n, how_long } => {
            format!(
                "the ECS agent of {} is away for {}",
                node(n),
                format_duration(*how_long)
            )
        }
        Deed::GpuGoesBad { node: n, health } => format!("the GPUs of {} are {health}", node(n)),
        Deed::Deregister { node: n } => format!("an operator deregisters {}", node(n)),
        Deed::Occupy { node: n } => format!("another job takes the GPUs of {}", node(n)),
        Deed::Resubmit { job: of } => format!("the owner starts {} anew, if it has ended", job(of)),
    }
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunsOn => f.write_str("it runs on"),
            Self::Completes(after) => write!(f, "it completes after {}", format_duration(*after)),
            Self::FailsAgain { rank, after, code } => {
                let after = format_duration(*after);
                write!(f, "rank {rank} exits with {code} after {after}")
            }
            Self::DoesNotStart { rank } => write!(f, "rank {rank} does not start"),
            Self::ByRank(again) => {
                let told = again
                    .iter()
                    .enumerate()
                    .filter_map(|(rank, again)| match again {
                        Again::Attempts(1) => None,
                        Again::Attempts(all) => Some(format!("rank {rank} in {all} attempts")),
                        Again::Launches(later) => {
                            let runs = later.iter().map(|launch| launch.run.to_string());
                            let runs: Vec<String> = runs.collect();
                            Some(format!("rank {rank} {}", runs.join(", then ")))
                        }
                    });
                let told: Vec<String> = told.collect();
                f.write_str(if told.is_empty() { "it runs on" } else { "" })?;
                f.write_str(&told.join("; "))
            }
        }
    }
}

/// `0 to 3, 5`; the numbers are in order.
fn spans(numbers: &[usize]) -> String {
    let chunks = numbers.chunk_by(|one, next| one + 1 == *next);
    let spans: Vec<String> = chunks
        .map(|chunk| match chunk {
            [first, .., last] => format!("{first} to {last}"),
            one => one.iter().map(usize::to_string).collect(),
        })
        .collect();
    spans.join(", ")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `1 node`, `2 nodes`.
pub(super) fn counted(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_next_to_each_other_are_told_as_a_span() {
        assert_eq!(spans(&[0, 1, 2, 5, 7, 8]), "0 to 2, 5, 7 to 8");
        assert_eq!(spans(&[3]), "3");
        assert_eq!(counted(1, "node"), "1 node");
    }

    /// Seeds with every kind of story among them.
    #[test]
    fn a_plan_is_told_in_words_and_not_as_rust_writes_it() {
        for seed in 0..400 {
            for line in told(&Plan::of(seed)) {
                let rust = ["{", "}", "::", "Some(", "None", "Exits", "Forever"];
                let found = rust.iter().find(|part| line.contains(**part));
                assert_eq!(found, None, "seed {seed}: {line}");
            }
        }
    }
}
