//! One seed, one trace, byte for byte: twice in a process, and in two processes.

use simulator::chaos::{ChaosOptions, trace_chaos};
use simulator::optimized;
use std::process::Command;
use workers::aws::launch_names::digest;

/// Seeds with several jobs, faults, people and late events among them.
const SEEDS: [u64; 8] = [1, 5, 8, 13, 21, 34, 55, 89];

/// Set for the second process: it prints its digests.
const CHILD: &str = "CHAOS_PRINT_DIGESTS";

/// Some of them without optimized code.
fn seeds() -> &'static [u64] {
    if optimized() { &SEEDS } else { &SEEDS[..3] }
}

fn traces() -> Vec<String> {
    seeds()
        .iter()
        .map(|seed| {
            let (_, text) = trace_chaos(*seed, &ChaosOptions::default()).expect("it can be played");
            text
        })
        .collect()
}

fn digests(traces: &[String]) -> String {
    let digests: Vec<String> = traces.iter().map(|text| digest(text, 32)).collect();
    format!("digests: {}", digests.join(" "))
}

#[test]
fn one_seed_gives_one_trace_in_a_process_and_in_two() {
    let first = traces();
    if std::env::var_os(CHILD).is_some() {
        println!("{}", digests(&first));
        return;
    }
    for (seed, (one, other)) in seeds().iter().zip(first.iter().zip(&traces())) {
        let differs = one.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert!(
            one == other,
            "seed {seed} differs from itself: {differs:#?}"
        );
    }
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
    let here = std::env::current_exe().expect("a test knows its binary");
    let child = Command::new(here)
        .args([
            "--exact",
            "determinism::one_seed_gives_one_trace_in_a_process_and_in_two",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        text.contains(&digests(&first)),
        "another process gives another trace"
    );
}
