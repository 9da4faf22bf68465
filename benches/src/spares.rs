//! How soon all ranks run again where a spare takes over, and how much of that is the system's own.

use crate::page::{table, thousands};
use simulator::scenario::{PlayOptions, Scenario, builtin, play};
use std::time::Duration;

/// Jobs of so many nodes.
pub const SIZES: [u32; 4] = [8, 64, 512, 1024];
/// Above it only the plain case is played: what the others add does not depend on the size.
const ALL_CASES: u32 = 64;
/// How long the spare pulls an image that it does not have: 20 GB at 1 Gbit/s.
const PULL: Duration = Duration::from_secs(160);

/// A swap, in seconds from the failed rank's end until every rank was RUNNING.
#[derive(Debug, Clone, PartialEq)]
pub struct Swap {
    pub nodes: u32,
    pub obedient: f64,
    /// The system's own part of that.
    pub own: f64,
    pub calls: u64,
    /// The other ranks are deaf to SIGTERM.
    pub deaf: Option<f64>,
    /// The spare does not have the image.
    pub pulls: Option<f64>,
}

/// Plays a swap in a job of so many nodes.
///
/// # Errors
/// When the scenario does not end as its file says.
pub fn measure(nodes: u32) -> Result<Swap, String> {
    let (obedient, own, calls) = played(nodes, &|_| ())?;
    let all = nodes <= ALL_CASES;
    let also = |change: &dyn Fn(&mut Scenario)| match all {
        true => played(nodes, change).map(|(seconds, ..)| Some(seconds)),
        false => Ok(None),
    };
    Ok(Swap {
        nodes,
        obedient,
        own,
        calls,
        deaf: also(&|scenario| scenario.others.ignores_sigterm = true)?,
        pulls: also(&|scenario| {
            let failed = scenario.ranks.entry(3).or_default();
            let mut again = failed.clone();
            again.exits = None;
            again.starts_after = Some(PULL);
            failed.later = vec![again];
        })?,
    })
}

fn played(nodes: u32, change: &dyn Fn(&mut Scenario)) -> Result<(f64, f64, u64), String> {
    let scenario = builtin("spare-takes-over").ok_or("no such scenario")?;
    let scenario = scenario.and_then(|scenario| scenario.with_nodes(nodes));
    let mut scenario = scenario.map_err(|error| error.to_string())?;
    change(&mut scenario);
    let report = play(&scenario, &PlayOptions::default()).map_err(|error| error.to_string())?;
    if !report.passed {
        return Err(format!("{:?} {:?}", report.unmet, report.broken_promises));
    }
    let calls = report.calls.values().sum();
    let phases = report.phases.ok_or("no recovery")?;
    let running = phases.running_again.ok_or("it does not run again")?;
    Ok((running, phases.overhead, calls))
}

/// For docs/benchmarks.md.
pub fn swaps_table(swaps: &[Swap]) -> String {
    let head = [
        "nodes",
        "running again, s",
        "the system's own part, s",
        "AWS calls, with the repair",
        "the other ranks deaf to SIGTERM, s",
        "the spare pulls the image for 160 s, s",
    ];
    let seconds = |seconds: Option<f64>| seconds.map_or_else(String::new, |s| format!("{s:.1}"));
    let rows = swaps.iter().map(|swap| {
        vec![
            thousands(swap.nodes.into()),
            seconds(Some(swap.obedient)),
            seconds(Some(swap.own)),
            thousands(swap.calls),
            seconds(swap.deaf),
            seconds(swap.pulls),
        ]
    });
    table(&head, &rows.collect::<Vec<_>>())
}
