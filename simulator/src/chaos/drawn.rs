//! The scenarios of the drill as plans, so that the same faults, people and checks apply to them.

use super::plan::{Deed, Job, Later, Node, Plan, Storm};
use crate::{
    ecs::{GpuHealth, OnSigterm, Run},
    scenario::Scenario,
};
use std::{collections::BTreeMap, time::Duration};

impl Plan {
    /// A scenario as a plan: cluster, job, events and people are the scenario's, and nothing fails beside that.
    pub fn of_scenario(scenario: &Scenario, seed: u64) -> Self {
        let nodes = (0..scenario.nodes + scenario.spares)
            .map(|n| {
                let kind = if scenario.hybrid { "mi" } else { "i" };
                let spec = scenario.instances.get(&n).cloned().unwrap_or_default();
                Node {
                    id: format!("{kind}-0c4a05{n:011x}"),
                    gpu: spec.gpu.into(),
                    relapses: None,
                    reboot: spec.reboot.into(),
                    ssm: spec.ssm.into(),
                    orders: ((&spec.orders.probe).into(), (&spec.orders.reboot).into()),
                    kernel: spec.kernel.iter().map(|l| (l.before, l.xid)).collect(),
                    driver_action: spec.driver_action,
                }
            })
            .collect();
        let behaviours = (0..scenario.nodes).map(|rank| scenario.behaviour(rank, 1, 1));
        let (ranks, on_sigterm): (Vec<_>, Vec<_>) =
            behaviours.map(|b| (b.run, b.on_sigterm)).unzip();
        let job = |id: String, nodes: Vec<usize>, gpus| Job {
            id,
            at: Duration::ZERO,
            gpus,
            ranks: vec![Run::Forever; nodes.len()],
            nodes,
            on_sigterm: OnSigterm::default(),
            later: Later::RunsOn,
            recovery_attempts: None,
        };
        let later: BTreeMap<usize, Vec<Run>> = scenario
            .ranks
            .iter()
            .filter(|(_, spec)| !spec.later.is_empty())
            .map(|(rank, spec)| {
                let runs = spec.later.iter().map(|launch| launch.behaviour().run);
                (*rank as usize, runs.collect())
            })
            .collect();
        let later = match later.is_empty() {
            true => Later::RunsOn,
            false => Later::ByLaunch(later),
        };
        let mut jobs = vec![Job {
            ranks,
            later,
            on_sigterm: on_sigterm.first().copied().unwrap_or_default(),
            ..job(
                "llama-7b".to_owned(),
                (0..scenario.nodes as usize).collect(),
                8,
            )
        }];
        let shared = scenario
            .instances
            .iter()
            .filter(|(_, i)| i.shared_with_another_job);
        jobs.extend(shared.map(|(n, _)| job(format!("embeddings-{n}"), vec![*n as usize], 0)));
        let mut deeds: Vec<(Duration, Deed)> = scenario
            .actions
            .iter()
            .filter_map(|action| Some((action.at, deed(action)?)))
            .collect();
        deeds.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            settings: scenario.settings.clone(),
            nodes,
            spares: (scenario.nodes..scenario.nodes + scenario.spares)
                .map(|node| node as usize)
                .collect(),
            jobs,
            delivery: (&scenario.delivery).into(),
            flaps: scenario.flapping_agents,
            throttle: scenario
                .throttle
                .iter()
                .map(|throttle| (throttle.action.clone(), throttle.limit()))
                .collect(),
            deeds,
            storm: Storm::CALM,
        }
    }
}

fn deed(action: &crate::scenario::Action) -> Option<Deed> {
    if let Some(stop) = &action.stop_task {
        return Some(Deed::StopTask {
            job: 0,
            rank: stop.rank as usize,
        });
    }
    if let Some(node) = action.cordon {
        return Some(Deed::Cordon {
            node: node as usize,
        });
    }
    if let Some(node) = action.quarantine {
        return Some(Deed::Quarantine {
            node: node as usize,
        });
    }
    if let Some(node) = action.check {
        return Some(Deed::Check {
            node: node as usize,
        });
    }
    if let Some(node) = action.break_gpu {
        return Some(Deed::GpuGoesBad {
            node: node as usize,
            health: GpuHealth::FaultUntilReboot,
        });
    }
    if let Some(cut) = &action.disconnect_agent {
        return Some(Deed::CutAgent {
            node: cut.node as usize,
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
