//! Schedules by seed: cluster, jobs, faults and people are drawn, played to the end, and every promise is checked.

use simulator::scenario::{PlayOptions, builtins, play};
use std::process::Command;
use tests::chaos::{optimized, sweep};

/// So many fit into the gate's ten minutes on two cores.
const SCHEDULES: u64 = 10_000;
/// So many are played without optimized code.
const SAMPLE: u64 = 200;

#[test]
fn ten_thousand_schedules_break_no_promise() {
    let default = if optimized() { SCHEDULES } else { SAMPLE };
    let count = std::env::var("CHAOS_SCHEDULES")
        .map_or(default, |n| n.parse().expect("CHAOS_SCHEDULES is a number"));
    let totals = sweep(0..count, 2, usize::MAX);
    println!("{totals}");
    assert!(totals.broken.is_empty(), "{totals}");
}

/// A cycle of services that hold each other would keep every account that was ever played. The same schedules played once
/// more need no more memory than before.
#[test]
fn a_schedule_that_was_played_leaves_no_memory_behind() {
    no_memory_is_left_by("a_schedule_that_was_played_leaves_no_memory_behind", || {
        sweep(0..40, 1, usize::MAX);
    });
}

#[test]
fn a_scenario_that_was_played_leaves_no_memory_behind() {
    no_memory_is_left_by("a_scenario_that_was_played_leaves_no_memory_behind", || {
        for scenario in builtins()
            .expect("they can be read")
            .iter()
            .cycle()
            .take(48)
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
    assert!(grown < 30, "{grown} MiB");
}
