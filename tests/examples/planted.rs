//! Plants the bugs of `tests/planted/` and hunts them; `.ci/planted/run.sh` says how.

use simulator::{
    chaos::{ChaosOptions, play_chaos},
    cloud::RECOVERY,
};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tests::planted::{self, Bug, bug, bugs, planted};

/// So many schedules are played of each bug.
const SCHEDULES: u64 = 200;
/// So many bugs are hunted at a time.
const THREADS: usize = 4;

fn main() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let given: Vec<String> = env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    match given.as_slice() {
        ["plant", tree] => plant(&root, Path::new(tree)),
        ["hunt", names @ ..] => hunt(&root, names),
        ["play", name] => play(&bug(&root, name)),
        _ => panic!("plant TREE, hunt [NAME …], or play NAME"),
    }
}

/// Writes the sources with the bugs over those of a copy of the tree.
fn plant(root: &Path, tree: &Path) {
    let files = planted(root, &bugs(root)).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    for (file, text) in files {
        fs::write(tree.join(&file), text).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

/// Plays the schedules from the first seed until one breaks a promise, and says which.
fn play(bug: &Bug) {
    let mut options = ChaosOptions::default();
    if bug.is_in_definition() {
        options.definition = bug.in_definition(RECOVERY).expect("it can be planted");
    }
    for seed in 1..=SCHEDULES {
        let report = play_chaos(seed, &options).expect("it can be played");
        if let Some(broken) = report.broken_promises.first() {
            println!("{seed} {broken}");
            return;
        }
    }
}

/// Hunts each bug, and writes what found it into the table of docs/faults.md of this tree.
fn hunt(root: &Path, names: &[&str]) {
    let all = bugs(root);
    let wanted = |bug: &&Bug| names.is_empty() || names.contains(&bug.name.as_str());
    let wanted: Vec<&Bug> = all.iter().filter(wanted).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(bug) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Where a test is named, no schedule is likely to see it.
                    let seen = match bug.test {
                        Some(_) => by_test(root, bug),
                        None => by_schedules(bug),
                    };
                    let told = seen.clone().unwrap_or_else(|| "NOTHING".to_owned());
                    println!("{}: {told}", bug.name);
                    let mut found = found.lock().expect("no thread panics");
                    found.insert(bug.name.clone(), seen);
                }
            });
        }
    });
    let found = found.into_inner().expect("no thread panics");
    let unseen: Vec<&String> = found
        .iter()
        .filter(|(_, s)| s.is_none())
        .map(|(n, _)| n)
        .collect();
    println!("{} bugs, {} seen by nothing", found.len(), unseen.len());
    let (_, table, _) = planted::table(root);
    planted::write_table(root, &all, |bug| match found.get(&bug.name) {
        Some(seen) => seen.clone().unwrap_or_else(|| "NOTHING".to_owned()),
        None => planted::seen_in(&table, bug),
    });
    std::process::exit(i32::from(!unseen.is_empty()));
}

/// In a process of its own: the workers read PLANTED from the environment.
fn by_schedules(bug: &Bug) -> Option<String> {
    let program = env::current_exe().expect("a program knows its file");
    let played = Command::new(program)
        .args(["play", &bug.name])
        .env("PLANTED", &bug.name)
        .stderr(Stdio::null())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&played.stdout).into_owned();
    let (seed, broken) = text.lines().last()?.split_once(' ')?;
    // `promise 3: …`, or with the time at which it broke.
    let promise = broken.split([':', ',']).next()?;
    println!("  {}: seed {seed}, {broken}", bug.name);
    Some(format!("{promise}, seed {seed}"))
}

/// By the test that it names, which fails with the bug; the tests of the definition's bugs plant them themselves.
fn by_test(root: &Path, bug: &Bug) -> Option<String> {
    let named = bug.test.as_deref()?;
    let (target, test) = named.split_once(' ')?;
    let ran = Command::new("cargo")
        .args(["test", "--quiet", "--profile", "sim", "--package", "tests"])
        .args(["--test", target, test, "--", "--exact"])
        .current_dir(root)
        .env("PLANTED", &bug.name)
        .output()
        .expect("cargo starts");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let result = if bug.is_in_definition() {
        "1 passed"
    } else {
        "1 failed"
    };
    told.contains(result).then(|| format!("`{test}`"))
}
