//! What each line of the kernel's log means to the probe.

use crate::node::{BOOT, Node, has};
use std::fs;

/// One kernel line ten seconds ago, told by the kernel's own buffer or by the journal.
fn judged(text: &str) -> Vec<(String, String, String)> {
    let ring = Node::new();
    ring.ring(&[(0.0, "Linux"), (89_990.0, text)]);
    let journal = Node::new();
    journal.ring_is_refused();
    journal.journal(&[
        (BOOT, "kernel", 4_000, "kernel: Linux"),
        (BOOT, "kernel", 10, &format!("kernel: {text}")),
    ]);
    [ring, journal]
        .iter()
        .map(|node| {
            let report = node.probe(3_600).report();
            assert_eq!(report.log, "full", "{text}");
            (report.remedy, report.cause, report.age)
        })
        .collect()
}

fn assert_judged(text: &str, remedy: &str, cause: &str) {
    let age = if cause == "-" { "-" } else { "10" };
    for (told, said) in ["ring", "journal"].iter().zip(judged(text)) {
        let about_as_old = said.2 == age
            || (age == "10" && said.2.parse().is_ok_and(|age: u64| (9..=15).contains(&age)));
        assert!(
            said.0 == remedy && said.1 == cause && about_as_old,
            "{told}: {text}: {said:?}"
        );
    }
}

#[test]
fn every_form_of_an_xid_line_is_read() {
    for (text, remedy, cause) in [
        (
            "NVRM: Xid (PCI:0000:1A:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "reboot",
            "xid79",
        ),
        (
            "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.",
            "reboot",
            "xid79",
        ),
        (
            "NVRM: Xid (0000:03:00): 14, Channel 00000001",
            "inspect",
            "xid14",
        ),
        (
            "NVRM: Xid (PCI:0000:b5:00): 31, pid=2079991, name=pt_main_thread, Ch 00000007, intr 00000000. MMU Fault: ENGINE GRAPHICS",
            "restart-app",
            "xid31",
        ),
        (
            "NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=9, name=python, Contained",
            "restart-app",
            "xid94",
        ),
        (
            "NVRM: Xid (PCI:0000:1a:00): 95, pid=9, name=python, Uncontained",
            "reset",
            "xid95",
        ),
        (
            "NVRM: Xid (PCI:0000:1a:00): 63, pid=9, name=python, Row Remapper: New row",
            "none",
            "-",
        ),
        (
            "NVRM: Xid (PCI:0000:1a:00): 54, x",
            "no-reboot-helps",
            "xid54",
        ),
        (
            "NVRM: Xid (PCI:0000:1a:00): 999, something new",
            "inspect",
            "xid999",
        ),
    ] {
        assert_judged(text, remedy, cause);
    }
}

/// Kernels print the time into the record, or who printed it (CONFIG_PRINTK_CALLER).
#[test]
fn what_a_kernel_adds_before_its_line_is_no_part_of_it() {
    let node = Node::new();
    node.ring_is_refused();
    node.journal(&[(BOOT, "kernel", 10, "kernel: [131453.740743] nvidia-nvswitch0: SXid (PCI:0000:00:00.0): 20034, Fatal, Link 30 LTSSM Fault Up")]);
    assert_eq!(node.probe(60).report().verdict(), ("reboot", "sxid20034"));
    let node = Node::new();
    let path = node.file("dmesg.txt", "[    0.000000] [    T0] Linux\n[89990.250000][ T1234] NVRM: Xid (PCI:0000:1a:00): 79, lost\n");
    node.program("dmesg", &format!("cat {}", path.display()));
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.age.as_str(), report.log.as_str()),
        (("reboot", "xid79"), "9", "full")
    );
}

/// The word of a driver changes, its number does not.
#[test]
fn xid_154_counts_by_its_hex_number() {
    for (to, remedy, cause) in [
        ("0x0 (None)", "none", "-"),
        ("0x1 (GPU Reset Required)", "reset", "xid154"),
        ("0x1 (PF FLR)", "reset", "xid154"),
        ("0x2 (Node Reboot Required)", "reboot", "xid154"),
        ("0x2 (OS Reboot)", "reboot", "xid154"),
        ("0x3 (Drain P2P)", "reset", "xid154"),
        ("0x4 (Drain and Reset)", "reset", "xid154"),
        ("0x7 (Node Reboot Required)", "reboot", "xid154"),
        ("0x8 (GPU Reset Required)", "inspect", "xid154"),
        ("0x12 (None)", "inspect", "xid154"),
    ] {
        assert_judged(
            &format!(
                "NVRM: Xid (PCI:0000:1a:00): 154, GPU recovery action changed from 0x0 (None) to {to}"
            ),
            remedy,
            cause,
        );
    }
    assert_judged(
        "NVRM: Xid (PCI:0000:1a:00): 154, some other words",
        "inspect",
        "xid154",
    );
}

#[test]
fn a_link_error_that_is_not_fatal_accuses_nobody() {
    assert_judged(
        "NVRM: Xid (PCI:0018:01:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
        "reset",
        "xid149",
    );
    assert_judged(
        "NVRM: Xid (PCI:0018:01:00): 145, RLW_CTRL Nonfatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
        "none",
        "-",
    );
    assert_judged(
        "NVRM: Xid (PCI:0018:01:00): 149, pid=1, name=a Nonfatal b, NETIR_LINK_EVT Fatal XC0 i0 Link 08",
        "reset",
        "xid149",
    );
}

#[test]
fn a_fatal_switch_error_asks_for_a_reboot() {
    assert_judged(
        "nvidia-nvswitch0: SXid (PCI:0000:00:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
        "reboot",
        "sxid20034",
    );
    assert_judged(
        "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 11012, Non-fatal, Link 32 single bit ECC",
        "none",
        "-",
    );
    assert_judged(
        "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
        "reboot",
        "sxid12028",
    );
}

#[test]
fn a_lost_gpu_is_seen_without_an_xid() {
    assert_judged(
        "NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.",
        "reboot",
        "xid79",
    );
    let lines = [
        (0.0, "Linux"),
        (89_990.0, "NVRM: The NVIDIA GPU 0000:18:00.0"),
        (
            89_990.0,
            "NVRM: (PCI ID: 10de:2330) installed in this system has",
        ),
        (
            89_991.0,
            "NVRM: fallen off the bus and is not responding to commands.",
        ),
    ];
    let node = Node::new();
    node.ring(&lines);
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.age.as_str()),
        (("reboot", "xid79"), "10")
    );

    // The journal shows the lines of one record behind each other, indented.
    let node = Node::new();
    node.journal(&[
        (BOOT, "kernel", 100, "kernel: Linux"),
        (
            BOOT,
            "kernel",
            10,
            "kernel: NVRM: The NVIDIA GPU 0000:18:00.0",
        ),
    ]);
    let path = node.folder.join("journal.tsv");
    let text = fs::read_to_string(&path).unwrap();
    node.program("journalctl", &format!(
        "case $* in *--lines*) echo before ;; *) cut -f 3- {} | sed 's/\t/ host /'; echo '             NVRM: fallen off the bus and is not responding to commands.' ;; esac",
        path.display()
    ));
    assert!(text.contains("The NVIDIA GPU"));
    assert_eq!(node.probe(60).report().verdict(), ("reboot", "xid79"));

    assert_judged(
        "NVRM: fallen off the bus and is not responding to commands.",
        "none",
        "-",
    );
}

/// A process's name stands in the kernel's lines: it may hold anything but what decides.
#[test]
fn a_hostile_process_name_decides_nothing() {
    for (text, remedy, cause) in [
        (
            "NVRM: Xid (PCI:0000:b5:00): 31, pid=2079991, name=a, 79, evil), Ch 00000007",
            "restart-app",
            "xid31",
        ),
        (
            "NVRM: Xid (PCI:0000:b5:00): 43, pid=1, name=): 79, x, Ch 00000007",
            "restart-app",
            "xid43",
        ),
        (
            "NVRM: Xid (0:0)[12]: segfault at 0 ip 0 sp 0 error 4",
            "none",
            "-",
        ),
        (
            "Out of memory: Killed process 7 (NVRM: Xid (0:0): 79,) total-vm:1kB",
            "none",
            "-",
        ),
        (
            "traps: NVRM: GPU 0: GPU has fallen off the bus[7] general protection",
            "none",
            "-",
        ),
    ] {
        assert_judged(text, remedy, cause);
    }
}

/// Amazon Linux has gawk, Ubuntu mawk.
#[test]
fn every_awk_of_this_machine_reads_the_same() {
    for awk in ["mawk", "gawk", "original-awk", "busybox awk"] {
        if !has(awk.split(' ').next().unwrap()) {
            continue;
        }
        let node = Node::new();
        let path = std::env::var("PATH").unwrap();
        node.program("awk", &format!("PATH='{path}' exec {awk} \"$@\""));
        for (text, remedy, cause) in [
            (
                "NVRM: Xid (PCI:0000:01:00 GPU-I:05): 154, GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)",
                "reboot",
                "xid154",
            ),
            (
                "NVRM: Xid (PCI:0018:01:00): 145, RLW_CTRL Nonfatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
                "none",
                "-",
            ),
            (
                "nvidia-nvswitch0: SXid (PCI:0000:00:00.0): 20034, Fatal, Link 30 LTSSM Fault Up",
                "reboot",
                "sxid20034",
            ),
            (
                "NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.",
                "reboot",
                "xid79",
            ),
            (
                "NVRM: Xid (PCI:0000:b5:00): 31, pid=2079991, name=a, 79, evil), Ch 00000007",
                "restart-app",
                "xid31",
            ),
        ] {
            node.ring(&[(0.0, "Linux"), (89_990.5, text)]);
            let report = node.probe(60).report();
            assert_eq!(
                (report.verdict(), report.log.as_str()),
                ((remedy, cause), "full"),
                "{awk}: {text}"
            );
        }
    }
}
