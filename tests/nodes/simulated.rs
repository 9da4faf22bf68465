//! The simulator says what the real scripts say, for every kind of thing that a scenario can put on a node.

use crate::node::{BOOT, EARLIER_BOOT, Node, UPTIME};
use simulator::node::{Held, Node as Simulated};

const ONE: &str = "GPU-11111111-1111-1111-1111-111111111111";
const TWO: &str = "GPU-22222222-2222-2222-2222-222222222222";
const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";

fn well() -> Simulated {
    Simulated {
        boot_id: BOOT.to_owned(),
        uptime: UPTIME,
        gpus: Some(vec![TWO.to_owned(), ONE.to_owned()]),
        kernel: Vec::new(),
        action: None,
        held: Held::None,
    }
}

/// The same node for bash: its programs and its /proc.
fn real(of: &Simulated) -> Node {
    let node = Node::new();
    node.uptime(of.uptime);
    let action = match of.action {
        None | Some(0) => "None".to_owned(),
        Some(1) => "Reset".to_owned(),
        Some(2) => "Reboot".to_owned(),
        Some(3) => "Drain P2P".to_owned(),
        Some(4) => "Drain and Reset".to_owned(),
        Some(5) => "Recover IMEX Domain".to_owned(),
        Some(other) => other.to_string(),
    };
    match &of.gpus {
        None => node.program("nvidia-smi", "exec sleep 60"),
        Some(uuids) => node.answers(&[
            (
                "--query-gpu=uuid",
                i32::from(uuids.is_empty()) * 6,
                &uuids.join("\n"),
            ),
            ("--query-gpu=gpu_recovery_action", 0, &action),
        ]),
    }
    let text = |xid: u32| {
        format!("NVRM: Xid (PCI:0000:18:00): {xid}, pid=7, name=python, as NVIDIA writes it")
    };
    let this_boot = of.kernel.iter().filter(|(age, _)| *age <= of.uptime);
    let lines: Vec<(f64, String)> = this_boot
        .map(|(age, xid)| ((of.uptime - age) as f64, text(*xid)))
        .collect();
    let mut ring: Vec<(f64, &str)> = vec![(0.0, "Linux version 6.1.0")];
    ring.extend(lines.iter().map(|(at, line)| (*at, line.as_str())));
    node.ring(&ring);
    let earlier = of.kernel.iter().filter(|(age, _)| *age > of.uptime);
    let lines: Vec<(u64, String)> = earlier
        .map(|(age, xid)| (*age, format!("kernel: {}", text(*xid))))
        .collect();
    let journal: Vec<(&str, &str, u64, &str)> = lines
        .iter()
        .map(|(age, line)| (EARLIER_BOOT, "kernel", *age, line.as_str()))
        .collect();
    node.journal(&journal);
    let container = format!("/ecstasks.slice/ecstasks-0f.slice/docker-{CONTAINER}.scope");
    match of.held {
        Held::None => {}
        Held::Task | Held::Orphan => {
            node.process(7, "python", &container, None, &["/dev/nvidia0"]);
            if of.held == Held::Task {
                node.containers(&[CONTAINER]);
            }
        }
        Held::Login => node.process(4_242, "python3", SESSION, Some(1_000), &["/dev/nvidia0"]),
    }
    node
}

fn agrees_on_the_probe(of: &Simulated, since: u64) {
    let said = real(of).probe(since);
    let simulated = of.probe(since);
    assert_eq!(
        (said.line.trim_end(), said.code),
        (simulated.line.as_str(), Some(simulated.code)),
        "{of:?}"
    );
}

fn agrees_on_the_reboot(of: &Simulated, order: &str, until: u64) {
    let said = real(of).reboot_until(order, until);
    let simulated = of.reboot(order, until);
    assert_eq!(
        (said.line.trim_end(), said.code),
        (simulated.line.as_str(), Some(simulated.code)),
        "{of:?}"
    );
}

#[test]
fn a_node_that_is_well_and_its_gpus() {
    agrees_on_the_probe(&well(), 3_600);
    for gpus in [vec![ONE.to_owned()], Vec::new()] {
        let empty = gpus.is_empty();
        let node = Simulated {
            gpus: Some(gpus),
            ..well()
        };
        // Without any GPU nvidia-smi ends with 6, which is no kind of the simulator's.
        if !empty {
            agrees_on_the_probe(&node, 3_600);
        }
    }
}

#[test]
fn every_xid_of_the_table_and_one_that_is_not_in_it() {
    let table = crate::node::script("xids.csv");
    let xids = table
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap().parse().unwrap());
    // 154 is told by the action in its text, and 0 is none.
    for xid in xids.chain([999]).filter(|xid| *xid != 154) {
        let node = Simulated {
            kernel: vec![(12, xid)],
            ..well()
        };
        agrees_on_the_probe(&node, 3_600);
    }
}

#[test]
fn several_lines_and_old_ones() {
    for kernel in [
        vec![(90, 45), (60, 79), (5, 43)],
        vec![(90, 94), (60, 31)],
        vec![(4_000, 79), (5, 31)],
        vec![(50, 48), (40, 95), (30, 79)],
    ] {
        agrees_on_the_probe(&Simulated { kernel, ..well() }, 3_600);
    }
}

#[test]
fn another_boot_accuses_nobody() {
    for kernel in [vec![(500, 79)], vec![(500, 79), (20, 48)], vec![(500, 31)]] {
        let node = Simulated {
            uptime: 100,
            kernel,
            ..well()
        };
        let said = real(&node).probe(3_600).line;
        let simulated = node.probe(3_600).line;
        // The journal's clock is the wall's: a line's age may be a second more or less.
        let words = |line: &str| {
            let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let age: i64 = words.remove(6).parse().unwrap();
            (words, age)
        };
        let ((said, one), (simulated, other)) = (words(&said), words(&simulated));
        assert_eq!(said, simulated);
        assert!((one - other).abs() <= 1, "{one} {other}");
    }
}

#[test]
fn the_drivers_action_beside_a_line() {
    for action in 0..=9 {
        for kernel in [vec![], vec![(7, 48)], vec![(7, 79)]] {
            let node = Simulated {
                action: Some(action),
                kernel,
                ..well()
            };
            agrees_on_the_probe(&node, 3_600);
        }
    }
}

#[test]
fn a_driver_that_hangs() {
    std::thread::scope(|both| {
        for kernel in [vec![], vec![(7, 119)]] {
            let node = Simulated {
                gpus: None,
                kernel,
                ..well()
            };
            both.spawn(move || agrees_on_the_probe(&node, 3_600));
        }
    });
}

#[test]
fn who_holds_a_gpu_and_what_the_reboot_says_to_it() {
    for held in [Held::None, Held::Task, Held::Orphan, Held::Login] {
        let node = Simulated { held, ..well() };
        agrees_on_the_probe(&node, 3_600);
        for until in [UPTIME - 1, UPTIME, UPTIME + 300] {
            agrees_on_the_reboot(&node, BOOT, until);
            agrees_on_the_reboot(&node, EARLIER_BOOT, until);
        }
    }
}
