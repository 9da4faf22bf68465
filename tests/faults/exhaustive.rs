//! Not only random: every kind of failure at every AWS call of every scenario, and pairs of them in the base scenario.

use simulator::{
    chaos::{ChaosOptions, FaultKind, Plan, Strike, calls_of, play_plan, trace_plan},
    optimized,
    scenario::{builtin, names},
};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tests::chaos::commit;

/// The scenario that everybody has in mind.
const BASE: &str = "gpu-fault";
/// Pairs of failures in the base scenario; PAIRS says another number.
const PAIRS: usize = 1500;
/// Without optimized code: every so manieth single failure, and a fraction of the pairs.
const SAMPLED: usize = 29;
/// The gate plays every so manieth of a scenario's single failures, at each commit others, and of the base scenario all; EVERY
/// says another number, 1 plays all.
const SHARE: usize = 12;

/// A scenario with as few nodes as it can have.
fn plan(name: &str) -> Plan {
    let scenario = || {
        builtin(name)
            .expect("it is built in")
            .expect("it can be read")
    };
    let small = [4, 6]
        .into_iter()
        .find_map(|n| scenario().with_nodes(n).ok());
    Plan::of_scenario(&small.unwrap_or_else(scenario), 1)
}

/// Plays every variation on two threads; what broke a promise comes back.
fn play_all(plan: &Plan, variations: &[Vec<Strike>]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(strikes) = variations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut plan = plan.clone();
                    plan.storm.at.clone_from(strikes);
                    let report =
                        play_plan(&plan, &ChaosOptions::default()).expect("it can be played");
                    if !report.passed() {
                        let told: Vec<String> = strikes.iter().map(tell).collect();
                        let what = format!(
                            "{}:\n  {}",
                            told.join(" and "),
                            report.broken_promises.join("\n  ")
                        );
                        broken.lock().expect("no thread panics").push((what, plan));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("no thread panics");
    if let Some((_, plan)) = broken.first() {
        let (_, text) = trace_plan(plan, &ChaosOptions::default()).expect("it was played before");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/chaos");
        fs::create_dir_all(&folder).expect("target can be written");
        fs::write(folder.join("exhaustive.log"), text).expect("target can be written");
    }
    broken.into_iter().map(|(what, _)| what).collect()
}

fn tell(strike: &Strike) -> String {
    let Strike {
        role,
        service,
        action,
        nth,
        kind,
    } = strike;
    format!(
        "{} at call {nth} of {role} to {service}:{action}",
        kind.words()
    )
}

fn every_kind(call: &Strike) -> impl Iterator<Item = Strike> {
    FaultKind::ALL
        .into_iter()
        .filter(|kind| kind.strikes(&call.role))
        .map(|kind| Strike {
            kind,
            ..call.clone()
        })
}

/// The calls of the system, without the launcher's and the people's.
fn calls(plan: &Plan) -> Vec<Strike> {
    calls_of(plan, &ChaosOptions::default()).expect("it can be played")
}

#[test]
fn every_failure_at_every_call_of_every_scenario_breaks_no_promise() {
    let mut rows = Vec::new();
    let mut broken = BTreeMap::new();
    // Code that is not optimized plays the base scenario alone.
    let all = optimized();
    let commit = commit() as usize;
    let share = std::env::var("EVERY").map_or(SHARE, |n| n.parse().expect("EVERY is a number"));
    for (nth, name) in names().enumerate() {
        if !all && name != BASE {
            continue;
        }
        let plan = plan(name);
        let calls = calls(&plan);
        let every = match (optimized(), name == BASE) {
            (false, _) => SAMPLED,
            (true, true) => 1,
            (true, false) => share,
        };
        let strikes: Vec<Strike> = calls.iter().flat_map(every_kind).collect();
        let variations: Vec<Vec<Strike>> = strikes
            .iter()
            .skip((nth + commit) % every)
            .step_by(every)
            .map(|strike| vec![strike.clone()])
            .collect();
        let found = play_all(&plan, &variations);
        rows.push(format!(
            "| {name} | {} | {} | {} | {} |",
            plan.nodes.len(),
            calls.len(),
            strikes.len(),
            found.len()
        ));
        if !found.is_empty() {
            broken.insert(name, found);
        }
    }
    let told: Vec<String> = broken
        .iter()
        .map(|(name, found)| {
            format!(
                "{name}, {} broken:\n{}",
                found.len(),
                found[..found.len().min(8)].join("\n")
            )
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n\n"));
    if optimized() {
        in_docs(&rows);
    }
}

/// The table in docs/faults.md says what was played.
fn in_docs(rows: &[String]) {
    const BEGIN: &str = "<!-- every failure at every call -->\n";
    const END: &str = "<!-- end -->";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let text = fs::read_to_string(&path).expect("docs/faults.md is there");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("docs/faults.md has the table's place");
    let (_, after) = rest
        .split_once(END)
        .expect("docs/faults.md has the table's end");
    let table = format!(
        "| scenario | nodes | AWS calls | schedules | broke a promise |\n| --- | ---: | ---: | ---: | ---: |\n{}\n",
        rows.join("\n")
    );
    let new = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        fs::write(&path, new).expect("docs/faults.md can be written");
    } else {
        assert!(
            new == text,
            "docs/faults.md does not say what was played; UPDATE_FAULTS=1 cargo nextest run -p tests --test faults every_failure"
        );
    }
}

#[test]
fn pairs_of_failures_in_the_base_scenario_break_no_promise() {
    let default = if optimized() { PAIRS } else { PAIRS / SAMPLED };
    let budget = std::env::var("PAIRS").map_or(default, |n| n.parse().expect("PAIRS is a number"));
    let plan = plan(BASE);
    let single: Vec<Strike> = calls(&plan).iter().flat_map(every_kind).collect();
    let all = single.len() * (single.len() - 1) / 2;
    // A prime stride spreads the budget over all pairs.
    let stride = (all / budget.max(1)) | 1;
    let mut variations = Vec::new();
    let mut nth = 0_usize;
    for (i, one) in single.iter().enumerate() {
        for other in &single[i + 1..] {
            if nth.is_multiple_of(stride) {
                variations.push(vec![one.clone(), other.clone()]);
            }
            nth += 1;
        }
    }
    let broken = play_all(&plan, &variations);
    println!(
        "{} of {all} pairs, {} broke a promise",
        variations.len(),
        broken.len()
    );
    assert!(
        broken.is_empty(),
        "{}",
        broken[..broken.len().min(8)].join("\n")
    );
}
