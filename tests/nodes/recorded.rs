//! What a real GPU did, played again: `.ci/nodes/gpu.sh` wrote it down on an H100 with driver 580.

use crate::node::Node;

const SAID: &str = include_str!("../fixtures/h100/said.txt");
const KERNEL: &str = include_str!("../fixtures/h100/kernel.txt");

/// The probe's words there: at this uptime, without the boot and the GPUs.
fn said(when: &str) -> (u64, Vec<&'static str>) {
    let row = SAID
        .lines()
        .find_map(|line| line.strip_prefix(when)?.strip_prefix(" | "))
        .unwrap_or_else(|| panic!("no {when}"));
    let line = row.split(" | ").next().unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    (words[2].parse().unwrap(), words[4..].to_vec())
}

/// The kernel's buffer as it was at an uptime. A line without a time goes with the one before.
fn kernel(uptime: u64) -> String {
    let later = |line: &&str| {
        let time = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        time.is_some_and(|(time, _)| time.trim().parse::<f64>().unwrap() > uptime as f64)
    };
    KERNEL
        .lines()
        .take_while(|line| !later(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The probe here, for an attempt of so many seconds, in that moment.
fn probed(uptime: u64, since: u64) -> Vec<String> {
    let node = Node::new();
    node.uptime(uptime);
    node.kernel_buffer(&kernel(uptime));
    let line = node.probe(since).line;
    line.split_whitespace().skip(4).map(str::to_owned).collect()
}

const FAULTS: [(&str, Option<&str>); 8] = [
    ("misaligned", Some("xid13")),
    ("illegal-address", Some("xid31")),
    // "x\nNVRM: Xid 79,": a program may call itself so, and the kernel's buffer shows two lines of it.
    ("hostile-name", Some("xid31")),
    ("shared-address", Some("xid13")),
    ("stack", Some("xid13")),
    ("trap", Some("xid43")),
    // A rank that is killed with a kernel on the GPU, or aborts, leaves no line: nothing accuses its node.
    ("out-of-memory", None),
    ("killed", None),
];

#[test]
fn a_programs_own_faults_accuse_no_gpu() {
    for (fault, cause) in FAULTS {
        let (before, _) = said(&format!("before {fault}"));
        let (after, _) = said(&format!("after {fault}"));
        let words = probed(after, after - before);
        let expected = cause.map_or(["none", "-"], |cause| ["restart-app", cause]);
        assert_eq!(words[..2], expected, "{fault}");
    }
}

#[test]
fn the_probe_says_the_same_here_of_the_same_log() {
    for (fault, _) in FAULTS {
        for (when, attempt) in [("before", 1), ("after", 20)] {
            let (uptime, words) = said(&format!("{when} {fault}"));
            assert_eq!(probed(uptime, attempt), words, "{when} {fault}");
        }
    }
}
