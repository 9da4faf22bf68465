//! Schedules by seed: cluster, jobs, faults and people are drawn, played to the end, and every promise is checked.

use simulator::{
    chaos::Plan,
    optimized,
    scenario::{PlayOptions, builtins, play},
};
use std::process::Command;
use tests::chaos::{commit, sweep};

/// So many fit into the gate's ten minutes on two cores.
const SCHEDULES: u64 = 10_000;
/// So many are played without optimized code.
const SAMPLE: u64 = 80;

#[test]
fn ten_thousand_schedules_break_no_promise() {
    let default = if optimized() { SCHEDULES } else { SAMPLE };
    let count = std::env::var("CHAOS_SCHEDULES")
        .map_or(default, |n| n.parse().expect("CHAOS_SCHEDULES is a number"));
    let totals = sweep(0..count, 2, usize::MAX);
    println!("{totals}");
    assert!(totals.broken.is_empty(), "{totals}");
    // Schedules in which nothing is repaired or started again try few promises.
    let (relaunch, repair) = totals.shares();
    assert!(relaunch >= 0.6, "only {relaunch:.2} contain a relaunch");
    assert!(repair >= 0.3, "only {repair:.2} contain a repair");
}

/// So many that nobody has seen, drawn by the commit.
const UNSEEN: u64 = 1000;

#[test]
fn a_thousand_unseen_schedules_break_no_promise() {
    let from = first_unseen(commit());
    let count = if optimized() { UNSEEN } else { SAMPLE / 4 };
    let totals = sweep(from..from + count, 2, usize::MAX);
    println!("seeds from {from}: {totals}");
    assert!(totals.broken.is_empty(), "{totals}");
}

/// Beyond the fixed ones, and another for each commit.
fn first_unseen(commit: u32) -> u64 {
    1_000_000 + u64::from(commit) * UNSEEN
}

#[test]
fn every_commit_has_seeds_of_its_own() {
    assert_eq!(first_unseen(2) - first_unseen(1), UNSEEN);
    assert!(first_unseen(0) >= SCHEDULES);
}

#[test]
fn one_schedule_in_two_hundred_has_up_to_1024_nodes() {
    let plans = (0..SCHEDULES).map(Plan::of);
    // The others have 64 at the most, and four spares.
    let sizes = plans.map(|plan| plan.nodes.len()).filter(|size| *size > 68);
    let sizes: Vec<usize> = sizes.collect();
    assert!((30..=80).contains(&sizes.len()), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > 800), "{sizes:?}");
}

#[test]
fn one_schedule_in_fifty_has_two_jobs_that_want_one_spare() {
    let plans = (0..SCHEDULES).map(Plan::of);
    let contests = plans.filter(|plan| {
        let [one, other] = plan.jobs.as_slice() else {
            return false;
        };
        let accused = |node: &usize| plan.nodes[*node].kernel.iter().any(|(_, xid)| *xid == 79);
        plan.spares.len() == 1 && [one, other].iter().all(|job| job.nodes.iter().any(accused))
    });
    let contests = contests.count();
    assert!(contests >= 200, "{contests}");
}

/// A cycle of services that hold each other would keep every account that was ever played. The same schedules played once
/// more need no more memory than before.
#[test]
fn a_schedule_that_was_played_leaves_no_memory_behind() {
    no_memory_is_left_by("a_schedule_that_was_played_leaves_no_memory_behind", || {
        let most = if optimized() { 40 } else { 12 };
        sweep(0..most, 1, usize::MAX);
    });
}

#[test]
fn a_scenario_that_was_played_leaves_no_memory_behind() {
    no_memory_is_left_by("a_scenario_that_was_played_leaves_no_memory_behind", || {
        let most = if optimized() { 48 } else { 14 };
        for scenario in builtins()
            .expect("they can be read")
            .iter()
            .cycle()
            .take(most)
        {
            play(scenario, &PlayOptions::default()).expect("it can be played");
        }
    });
}

/// Plays twice in a process of its own, where no other test needs memory.
fn no_memory_is_left_by(test: &str, mut plays: impl FnMut()) {
    const ALONE: &str = "SCHEDULES_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let binary = std::env::current_exe().expect("a test knows its binary");
        let alone = Command::new(binary)
            .args(["--exact", &format!("schedules::{test}")])
            .env(ALONE, "1")
            // What is freed is given back at once, and seen.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .output()
            .expect("it starts");
        let told = String::from_utf8_lossy(&alone.stdout);
        assert!(
            alone.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let pages = || -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .unwrap_or_default()
    };
    plays();
    let before = pages();
    plays();
    let grown = pages().saturating_sub(before) / 256;
    println!("{} + {grown} MiB", before / 256);
    // Accounts that are kept take more.
    let most = if optimized() { 30 } else { 9 };
    assert!(grown < most, "{grown} MiB");
}
