//! Many schedules at once, and the trace of one that broke a promise.

use simulator::chaos::{ChaosOptions, ChaosReport, play_chaos, trace_chaos};
use std::{
    collections::BTreeMap,
    fmt, fs,
    ops::Range,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What many schedules come to.
#[derive(Debug, Default)]
pub struct Totals {
    pub schedules: u64,
    /// In how many a job was relaunched, and a node rebooted.
    pub relaunched: u64,
    pub repaired: u64,
    pub took: Duration,
    pub counts: BTreeMap<&'static str, u64>,
    pub strikes: BTreeMap<String, u64>,
    /// Seed and what was broken.
    pub broken: BTreeMap<u64, Vec<String>>,
}

/// The first eight digits of what is checked out: another number for each commit; without git 0.
pub fn commit() -> u32 {
    let asked = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let found = asked.ok().filter(|answer| answer.status.success());
    let text = found.map_or_else(String::new, |answer| {
        String::from_utf8_lossy(&answer.stdout).into_owned()
    });
    u32::from_str_radix(text.get(..8).unwrap_or("0"), 16).unwrap_or_default()
}

/// Plays all seeds of the range on so many threads; stops early when so many have broken a promise.
pub fn sweep(seeds: Range<u64>, threads: usize, most_broken: usize) -> Totals {
    let next = AtomicU64::new(seeds.start);
    let totals = Mutex::new(Totals::default());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough =
                        totals.lock().expect("no thread panics").broken.len() >= most_broken;
                    if seed >= seeds.end || enough {
                        return;
                    }
                    let report = play_chaos(seed, &ChaosOptions::default())
                        .unwrap_or_else(|e| panic!("seed {seed} cannot be played: {e}"));
                    totals.lock().expect("no thread panics").add(&report);
                }
            });
        }
    });
    let mut totals = totals.into_inner().expect("no thread panics");
    totals.took = begin.elapsed();
    for seed in totals.broken.keys().take(10) {
        write_trace(*seed);
    }
    totals
}

/// Plays a seed again and writes everything that happens to `target/chaos/<seed>.log`.
pub fn write_trace(seed: u64) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/chaos");
    let (_, text) = trace_chaos(seed, &ChaosOptions::default()).expect("it was played before");
    fs::create_dir_all(&folder).expect("target can be written");
    let path = folder.join(format!("{seed}.log"));
    fs::write(&path, text).expect("target can be written");
    path
}

impl Totals {
    fn add(&mut self, report: &ChaosReport) {
        self.schedules += 1;
        let c = &report.counts;
        self.relaunched += u64::from(c.relaunches > 0);
        self.repaired += u64::from(c.reboots > 0);
        for (name, count) in [
            ("instances", c.instances),
            ("jobs", c.jobs),
            ("executions", c.executions),
            ("redrives", c.redrives as usize),
            ("reboots", c.reboots),
            ("relaunches", c.relaunches),
            ("quarantined", c.quarantined),
            ("messages", c.notifications),
            ("dead letters", c.dead_letters),
            ("AWS calls", c.calls),
            ("virtual hours", c.virtual_hours as usize),
        ] {
            *self.counts.entry(name).or_default() += count as u64;
        }
        for (kind, count) in &c.strikes {
            *self.strikes.entry(kind.clone()).or_default() += *count as u64;
        }
        if !report.passed() {
            self.broken
                .insert(report.seed, report.broken_promises.clone());
        }
    }

    /// How large a share contains a relaunch, and a repair.
    pub fn shares(&self) -> (f64, f64) {
        let share = |part: u64| part as f64 / self.schedules.max(1) as f64;
        (share(self.relaunched), share(self.repaired))
    }

    /// Schedules a second.
    pub fn rate(&self) -> f64 {
        self.schedules as f64 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} schedules in {:.1} s: {:.1} a second; {} broke a promise",
            self.schedules,
            self.took.as_secs_f64(),
            self.rate(),
            self.broken.len()
        )?;
        let (relaunch, repair) = self.shares();
        writeln!(
            f,
            "  {:.0} % with a relaunch, {:.0} % with a repair",
            relaunch * 100.0,
            repair * 100.0
        )?;
        for (name, count) in &self.counts {
            writeln!(f, "  {count} {name}")?;
        }
        for (kind, count) in &self.strikes {
            writeln!(f, "  {count} faults: {kind}")?;
        }
        for (seed, broken) in self.broken.iter().take(20) {
            writeln!(
                f,
                "seed {seed}: cargo run -- drill --chaos --seed {seed}; trace in target/chaos/{seed}.log"
            )?;
            for what in broken.iter().take(4) {
                writeln!(f, "  {what}")?;
            }
        }
        Ok(())
    }
}
