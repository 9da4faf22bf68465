//! Writes the trace of a seed: `cargo run --profile sim -p tests --example trace -- SEED`.

use simulator::chaos::{ChaosOptions, trace_chaos};

fn main() {
    let seed = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let seed = seed.expect("give a seed");
    let (_, text) = trace_chaos(seed, &ChaosOptions::default()).expect("it can be played");
    print!("{text}");
}
