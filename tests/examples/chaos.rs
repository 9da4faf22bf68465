//! Plays schedules for as long as one lets it, and goes on where it was stopped:
//!
//! ```sh
//! cargo run --profile sim -p tests --example chaos -- [FROM] [COUNT] [THREADS]
//! cargo run --profile sim -p tests --example chaos -- resume
//! ```
//!
//! After every batch it writes `target/chaos/sweep.json`, whole or not at all: Ctrl-C costs the batch under way.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};
use tests::chaos::{Totals, sweep};

/// So many are played between two writes.
const BATCH: u64 = 100;

/// How far a sweep has come.
#[derive(Serialize, Deserialize)]
struct Sweep {
    next: u64,
    /// Exclusively.
    end: u64,
    threads: usize,
    played: u64,
    took: Duration,
    /// Seed and what was broken.
    broken: BTreeMap<u64, Vec<String>>,
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let mut sweep = match given.first().map(String::as_str) {
        Some("resume") => Sweep::read(),
        _ => Sweep::new(&given),
    };
    while sweep.next < sweep.end {
        sweep.go_on();
    }
    std::process::exit(i32::from(!sweep.broken.is_empty()));
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/chaos/sweep.json")
}

impl Sweep {
    fn new(given: &[String]) -> Self {
        let number = |nth: usize, default: u64| {
            let given = given.get(nth);
            given.map_or(default, |n| {
                n.parse().expect("FROM, COUNT and THREADS are numbers")
            })
        };
        let from = number(0, 0);
        Self {
            next: from,
            end: from.saturating_add(number(1, u64::MAX)),
            threads: number(2, 2) as usize,
            played: 0,
            took: Duration::ZERO,
            broken: BTreeMap::new(),
        }
    }

    fn read() -> Self {
        let text = fs::read_to_string(file()).expect("a sweep has written target/chaos/sweep.json");
        serde_json::from_str(&text).expect("target/chaos/sweep.json is a sweep's")
    }

    /// Plays a batch and writes down how far it has come.
    fn go_on(&mut self) {
        let (from, begin) = (self.next, Instant::now());
        self.next = self.end.min(from.saturating_add(BATCH));
        let totals = sweep(from..self.next, self.threads, usize::MAX);
        self.played += totals.schedules;
        self.took += begin.elapsed();
        self.broken.extend(totals.broken.clone());
        self.write();
        self.tell(from, &totals);
    }

    fn write(&self) {
        let (file, new) = (file(), file().with_extension("new"));
        let text = serde_json::to_string_pretty(self).expect("it is plain data");
        fs::create_dir_all(file.with_file_name("")).expect("target can be written");
        fs::write(&new, text).expect("target can be written");
        fs::rename(&new, &file).expect("target can be written");
    }

    fn tell(&self, from: u64, totals: &Totals) {
        print!("seeds {from} to {}: {totals}", self.next);
        let rate = self.played as f64 / self.took.as_secs_f64();
        let broken: Vec<&u64> = self.broken.keys().collect();
        println!(
            "in all: {} schedules, {rate:.1} a second, {} broke a promise {broken:?}",
            self.played,
            broken.len()
        );
        let _ = std::io::stdout().flush();
    }
}
