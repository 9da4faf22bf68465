//! Which lines the probe reads, how far back, and which it does not believe.

use crate::node::{BOOT, EARLIER_BOOT, Node};
use std::fmt::Write as _;

#[test]
fn of_the_strongest_word_the_oldest_line_is_the_cause() {
    let node = Node::new();
    node.ring(&[
        (0.0, "Linux"),
        (
            89_000.0,
            "NVRM: Xid (PCI:0000:1a:00): 45, pid=9, name=python, Ch 1",
        ),
        (
            89_100.0,
            "NVRM: Xid (PCI:0000:1a:00): 119, pid=9, name=python, Timeout",
        ),
        (
            89_200.0,
            "NVRM: Xid (PCI:0000:2b:00): 48, pid=9, name=python, DBE",
        ),
        (
            89_300.0,
            "NVRM: Xid (PCI:0000:2b:00): 31, pid=9, name=python, MMU Fault",
        ),
    ]);
    let report = node.probe(3_600).report();
    assert_eq!(
        (report.verdict(), report.age.as_str()),
        (("reset", "xid119"), "900")
    );
}

#[test]
fn lines_from_before_the_attempt_do_not_count() {
    let node = Node::new();
    node.ring(&[
        (0.0, "Linux"),
        (
            80_000.0,
            "NVRM: Xid (PCI:0000:1a:00): 79, GPU has fallen off the bus.",
        ),
    ]);
    node.journal(&[(
        BOOT,
        "kernel",
        10_000,
        "kernel: NVRM: Xid (PCI:0000:1a:00): 79, GPU has fallen off the bus.",
    )]);
    assert_eq!(node.probe(9_000).report().verdict(), ("none", "-"));
    assert_eq!(node.probe(10_100).report().verdict(), ("reboot", "xid79"));
}

#[test]
fn an_earlier_boots_xid_is_a_lead_and_no_hardware_word() {
    let node = Node::new();
    node.uptime(100);
    node.journal(&[
        (EARLIER_BOOT, "kernel", 5_000, "kernel: Linux"),
        (
            EARLIER_BOOT,
            "kernel",
            500,
            "kernel: NVRM: Xid (PCI:0000:1a:00): 79, GPU has fallen off the bus.",
        ),
        (BOOT, "kernel", 100, "kernel: Linux"),
    ]);
    let report = node.probe(3_600).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("inspect", "xid79"), "part")
    );
    assert!(
        (499..=510).contains(&report.age.parse().unwrap()),
        "older than the boot: {report:?}"
    );
    assert_eq!(
        node.probe(90).report().verdict(),
        ("none", "-"),
        "an attempt of this boot has nothing to do with it"
    );
}

#[test]
fn a_log_that_begins_too_late_says_so() {
    let node = Node::new();
    node.ring(&[(89_000.0, "audit: the buffer has rolled over")]);
    assert_eq!(node.probe(900).report().log, "full");
    assert_eq!(node.probe(3_600).report().log, "part");
    // The journal reaches back further.
    node.journal(&[
        (BOOT, "kernel", 5_000, "kernel: Linux"),
        (BOOT, "syslog", 4_000, "sshd[1]: hello"),
    ]);
    assert_eq!(node.probe(3_600).report().log, "full");
    // A journal that is not told the kernel's lines does not.
    node.journal(&[(BOOT, "syslog", 4_000, "sshd[1]: hello")]);
    assert_eq!(node.probe(3_600).report().log, "part");
    // An attempt older than the boot, without the journal of the boot before.
    node.journal(&[]);
    node.ring(&[(0.0, "Linux")]);
    assert_eq!(node.probe(100_000).report().log, "part");
}

/// kernel.dmesg_restrict for somebody who is not root, and no journal.
#[test]
fn no_log_is_never_called_a_log_without_xids() {
    let node = Node::new();
    node.ring_is_refused();
    assert_eq!(node.probe(60).report().log, "none");
    node.journal(&[
        (BOOT, "kernel", 100, "kernel: Linux"),
        (
            BOOT,
            "kernel",
            10,
            "kernel: NVRM: Xid (PCI:0000:1a:00): 48, x",
        ),
    ]);
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("reset", "xid48"), "full")
    );
}

/// systemd 219 (Amazon Linux 2) has no `short-unix`.
#[test]
fn a_journalctl_that_refuses_an_option_leaves_the_kernels_buffer() {
    let node = Node::new();
    node.program(
        "journalctl",
        "echo \"Unknown output format 'short-unix'.\" >&2; exit 1",
    );
    node.ring(&[
        (0.0, "Linux"),
        (89_990.0, "NVRM: Xid (PCI:0000:1a:00): 48, x"),
    ]);
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("reset", "xid48"), "full")
    );
}

#[test]
fn a_container_cannot_forge_a_line_through_syslog() {
    let node = Node::new();
    node.journal(&[
        (BOOT, "kernel", 4_000, "kernel: Linux"),
        (
            BOOT,
            "syslog",
            10,
            "kernel: NVRM: Xid (PCI:0000:1a:00): 79, forged",
        ),
        (
            BOOT,
            "journal",
            10,
            "myapp[33]: NVRM: Xid (PCI:0000:1a:00): 79, forged",
        ),
        // What a program writes into /dev/kmsg is of the kernel's transport, but carries the program's name.
        (
            BOOT,
            "kernel",
            10,
            "myapp[33]: NVRM: Xid (PCI:0000:1a:00): 79, forged",
        ),
    ]);
    assert_eq!(node.probe(3_600).report().verdict(), ("none", "-"));
}

/// A storm of lines: what was said first is the cause, and it is found in bounded time.
#[test]
fn a_huge_log_is_read_as_far_as_time_allows() {
    let node = Node::new();
    node.ring_is_refused();
    node.program("journalctl", r#"
case $* in
  *--lines*) echo before; exit ;;
esac
echo "$(($(date +%s) - 50)).5 host kernel: NVRM: Xid (PCI:0000:1a:00): 79, GPU has fallen off the bus."
exec yes "$(date +%s).5 host kernel: NVRM: Xid (PCI:0000:1a:00): 31, pid=7, name=python, MMU Fault"
"#);
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("reboot", "xid79"), "part")
    );
}

#[test]
fn a_long_log_is_read_to_its_end() {
    let node = Node::new();
    let mut lines = String::from("[    0.000000] Linux\n");
    for number in 0..200_000 {
        writeln!(
            lines,
            "[89970.{number:06}] NVRM: Xid (PCI:0000:1a:00): 31, pid=7, name=python, MMU Fault {}",
            "x".repeat(80)
        )
        .unwrap();
    }
    lines += "[89990.000000] NVRM: Xid (PCI:0000:1a:00): 48, DBE\n";
    let path = node.file("dmesg.txt", &lines);
    node.program("dmesg", &format!("cat {}", path.display()));
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("reset", "xid48"), "full")
    );
}
