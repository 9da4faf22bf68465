//! One seed, one trace.

use simulator::scenario::{PlayOptions, builtin, play};
use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

/// Everything that a drill shows, byte for byte.
fn trace(name: &str, seed: u64) -> String {
    let text = Arc::new(Mutex::new(String::new()));
    let seen = text.clone();
    let options = PlayOptions {
        seed,
        observer: Some(Arc::new(move |at, execution, event| {
            writeln!(seen.lock().unwrap(), "{at:?} {execution} {event}").unwrap();
        })),
        ..PlayOptions::default()
    };
    let report = play(&builtin(name).unwrap().unwrap(), &options).unwrap();
    let mut text = text.lock().unwrap().clone();
    text.push_str(&serde_json::to_string(&report).unwrap());
    text
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for name in [
        "gpu-fault",
        "duplicate-and-late-events",
        "throttled-api",
        "two-bad-instances",
    ] {
        assert!(
            trace(name, 7) == trace(name, 7),
            "{name} differs from itself"
        );
        assert!(
            trace(name, 7) != trace(name, 8),
            "{name} does not depend on the seed"
        );
    }
}
