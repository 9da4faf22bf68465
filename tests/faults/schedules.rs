//! Schedules by seed: cluster, jobs, faults and people are drawn, played to the end, and every promise is checked.

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
    // In a process of its own: other tests in this one need memory, too.
    const ALONE: &str = "SCHEDULES_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let binary = std::env::current_exe().expect("a test knows its binary");
        let alone = Command::new(binary)
            .args([
                "--exact",
                "schedules::a_schedule_that_was_played_leaves_no_memory_behind",
            ])
            .env(ALONE, "1")
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
    sweep(0..40, 1, usize::MAX);
    let before = pages();
    sweep(0..40, 1, usize::MAX);
    let grown = pages().saturating_sub(before) / 256;
    assert!(grown < 30, "{grown} MiB");
}
