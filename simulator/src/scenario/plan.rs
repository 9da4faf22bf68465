//! A scenario as a plan: its cluster, its jobs, its events and its operators, and no fault of AWS beside them.

use super::spec::{Action, Holder, RankSpec, Scenario, Throttle};
use crate::{
    ecs::{Behaviour, GpuHealth},
    launcher::GPUS,
    plan::{Again, Deed, Job, Later, Node, Plan, Storm},
};
use std::time::Duration;

/// The drills' job.
pub const JOB: &str = "llama-7b";

/// The id of a scenario's node.
pub fn instance_id(scenario: &Scenario, node: u32) -> String {
    let kind = if scenario.hybrid { "mi" } else { "i" };
    format!("{kind}-0f3a9c5d7e{node:07x}")
}

impl Plan {
    /// A scenario as a plan.
    pub fn of_scenario(scenario: &Scenario, seed: u64) -> Self {
        let actions = scenario.in_order().into_iter();
        let deeds = actions.filter_map(|action| Some((action.at, deed(action)?)));
        let all = scenario.nodes + scenario.spares;
        let rival = scenario.rival_fails.map(|_| Node {
            gpu: GpuHealth::FaultUntilReboot,
            kernel: vec![(Duration::from_secs(5), 79)],
            ..Node::well(&instance_id(scenario, all))
        });
        Self {
            seed,
            settings: scenario.settings.clone(),
            nodes: (0..all)
                .map(|number| node(scenario, number))
                .chain(rival)
                .collect(),
            spares: (scenario.nodes..all).map(|node| node as usize).collect(),
            jobs: jobs(scenario),
            sidecar: scenario.sidecar,
            delivery: (&scenario.delivery).into(),
            flaps: scenario.flapping_agents,
            throttle: scenario.throttle.iter().map(Throttle::taken).collect(),
            throttled_submission: scenario.throttled_submission,
            deeds: deeds.collect(),
            storm: Storm::CALM,
        }
    }
}

fn node(scenario: &Scenario, number: u32) -> Node {
    let well = Node::well(&instance_id(scenario, number));
    let Some(spec) = scenario.instances.get(&number) else {
        return well;
    };
    Node {
        gpu: spec.gpu,
        reboot: spec.reboot,
        ssm: spec.ssm,
        orders: (spec.orders.probe, spec.orders.reboot),
        kernel: spec.kernel.iter().map(|l| (l.before, l.xid)).collect(),
        driver_action: spec.driver_action,
        login: spec.holder == Some(Holder::Login),
        orphan: spec.holder == Some(Holder::Orphan),
        gpus_after_reboot: spec.gpus_after_reboot,
        ..well
    }
}

/// The job that is drilled first, then those that share instances with it.
fn jobs(scenario: &Scenario) -> Vec<Job> {
    let specs = (0..scenario.nodes).map(|rank| scenario.rank(rank));
    let mut ours = Job::new(JOB, GPUS, (0..scenario.nodes as usize).collect());
    ours.later = Later::ByRank(specs.clone().map(again).collect());
    ours.ranks = specs.map(RankSpec::behaviour).collect();
    ours.master = scenario.master;
    let instances = scenario.instances.iter();
    let shared = instances.filter(|(_, spec)| spec.shared_with_another_job);
    let others = shared.map(|(node, _)| Job::another(0, *node as usize));
    let rival = scenario.rival_fails.map(|after| {
        let node = scenario.nodes + scenario.spares;
        let mut job = Job::another(GPUS, node as usize);
        job.ranks = vec![Behaviour::exits(after, 1)];
        job
    });
    [ours].into_iter().chain(others).chain(rival).collect()
}

fn again(rank: &RankSpec) -> Again {
    if rank.later.is_empty() {
        Again::Attempts(rank.attempts())
    } else {
        Again::Launches(rank.later.iter().map(RankSpec::behaviour).collect())
    }
}

fn deed(action: &Action) -> Option<Deed> {
    let number = |node: u32| node as usize;
    if let Some(stop) = &action.stop_task {
        return Some(Deed::StopTask {
            job: 0,
            rank: number(stop.rank),
            reason: stop.reason.clone(),
        });
    }
    if let Some(node) = action.cordon.map(number) {
        return Some(Deed::Cordon { node });
    }
    if let Some(node) = action.quarantine.map(number) {
        return Some(Deed::Quarantine { node });
    }
    if let Some(node) = action.check.map(number) {
        return Some(Deed::Check { node });
    }
    if let Some(node) = action.break_gpu.map(number) {
        return Some(Deed::GpuGoesBad {
            node,
            health: GpuHealth::FaultUntilReboot,
        });
    }
    if let Some(node) = action.occupy.map(number) {
        return Some(Deed::Occupy { node });
    }
    if let Some(cut) = &action.disconnect_agent {
        return Some(Deed::CutAgent {
            node: number(cut.node),
            how_long: cut.how_long,
        });
    }
    if action.repeat_stop_events {
        return Some(Deed::Replay);
    }
    if action.abort_execution {
        return Some(Deed::Abort);
    }
    action.redrive_execution.then_some(Deed::Redrive)
}
