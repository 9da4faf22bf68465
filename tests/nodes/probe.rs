//! The probe's one line: what it says of the GPUs and of the driver.

use crate::node::{BOOT, Node, UPTIME, substituted};

const ONE: &str = "GPU-11111111-1111-1111-1111-111111111111";
const TWO: &str = "GPU-22222222-2222-2222-2222-222222222222";

#[test]
fn a_healthy_node_accuses_nobody() {
    let report = Node::new().probe(3_600).report();
    assert_eq!(report.boot, BOOT);
    assert_eq!(report.uptime, UPTIME);
    assert_eq!(report.verdict(), ("none", "-"));
    assert_eq!(
        (
            report.age.as_str(),
            report.log.as_str(),
            report.held.as_str()
        ),
        ("-", "full", "none")
    );
}

/// `printf '%s\n' UUID… | LC_ALL=C sort | sha256sum`, the first twelve digits: what ECS registers can be compared.
#[test]
fn the_gpu_set_is_its_number_and_a_digest_of_the_sorted_uuids() {
    let node = Node::new();
    assert_eq!(node.probe(60).report().gpus, "2:96a1860f094d");
    node.answers(&[("--query-gpu=uuid", 0, &format!("{TWO}\n{ONE}"))]);
    assert_eq!(
        node.probe(60).report().gpus,
        "2:96a1860f094d",
        "in any order"
    );
    node.answers(&[("--query-gpu=uuid", 0, ONE)]);
    let one = node.probe(60).report().gpus;
    assert!(one.starts_with("1:") && one != "1:96a1860f094d", "{one}");
}

#[test]
fn the_drivers_recovery_action_is_read_by_its_number() {
    for (said, verdict) in [
        ("None", ("none", "-")),
        ("Reset", ("reset", "act1")),
        ("Reboot", ("reboot", "act2")),
        ("Drain P2P", ("reset", "act3")),
        ("Drain and Reset", ("reset", "act4")),
        ("6", ("reboot", "act6")),
        ("7", ("reboot", "act7")),
        ("Recover IMEX Domain", ("inspect", "act?")),
        ("[Unknown Error]", ("inspect", "act?")),
        ("[N/A]", ("none", "-")),
    ] {
        let node = Node::new();
        node.answers(&[
            ("--query-gpu=uuid", 0, ONE),
            (
                "--query-gpu=gpu_recovery_action",
                0,
                &format!("None\n{said}\nNone"),
            ),
        ]);
        let report = node.probe(60).report();
        assert_eq!(report.verdict(), verdict, "{said}");
        assert_eq!(report.age, "-", "an action has no time");
    }
}

/// R565 to R57x have the field in `-q` before `--query-gpu` knows its name.
#[test]
fn an_action_that_only_the_long_listing_has_is_found() {
    let node = Node::new();
    node.answers(&[
        ("--query-gpu=uuid", 0, ONE),
        ("-q", 0, "GPU 00000000:18:00.0\n    Product Name                          : NVIDIA H100\n    GPU Recovery Action                   : Reboot"),
    ]);
    assert_eq!(node.probe(60).report().verdict(), ("reboot", "act2"));
}

/// 535 and 550: neither Xid 154 nor the field; the Xid table alone decides.
#[test]
fn a_driver_without_recovery_actions_is_judged_by_its_xids() {
    let node = Node::new();
    node.answers(&[
        ("--query-gpu=uuid", 0, ONE),
        (
            "-q",
            0,
            "GPU 00000000:18:00.0\n    Product Name : NVIDIA A100",
        ),
    ]);
    assert_eq!(node.probe(60).report().verdict(), ("none", "-"));
    node.ring(&[
        (0.0, "Linux"),
        (
            89_990.0,
            "NVRM: Xid (PCI:0000:18:00): 48, pid=7, name=python, DBE",
        ),
    ]);
    assert_eq!(node.probe(60).report().verdict(), ("reset", "xid48"));
}

#[test]
fn the_stronger_of_xid_and_action_counts() {
    let node = Node::new();
    node.ring(&[
        (0.0, "Linux"),
        (
            89_990.0,
            "NVRM: Xid (PCI:0000:18:00): 48, pid=7, name=python, DBE",
        ),
    ]);
    let action = |said: &str| {
        node.answers(&[
            ("--query-gpu=uuid", 0, ONE),
            ("--query-gpu=gpu_recovery_action", 0, said),
        ]);
        node.probe(60).report()
    };
    assert_eq!(action("Reboot").verdict(), ("reboot", "act2"));
    let equal = action("Reset");
    assert_eq!(
        equal.verdict(),
        ("reset", "xid48"),
        "of two as strong the one with an age"
    );
    assert_eq!(equal.age, "10");
    assert_eq!(action("None").verdict(), ("reset", "xid48"));
}

/// nvidia-smi(1), return value: 15 "GPU has fallen off the bus or is otherwise inaccessible", 9 "driver is not loaded".
#[test]
fn nvidia_smis_own_exit_code_is_evidence() {
    let lost =
        format!("{ONE}\nUnable to determine the device handle for GPU0000:18:00.0: Unknown Error");
    for (code, said, verdict, gpus) in [
        (15, lost.as_str(), ("reboot", "smi15"), "1:"),
        (
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
            ("inspect", "smi9"),
            "0:-",
        ),
        (6, "No devices were found", ("inspect", "smi6"), "0:-"),
    ] {
        let node = Node::new();
        node.answers(&[
            ("--query-gpu=uuid", code, said),
            ("--query-gpu=gpu_recovery_action", code, said),
        ]);
        let report = node.probe(60).report();
        assert_eq!(report.verdict().1, verdict.1, "{said}");
        assert_eq!(report.verdict().0, verdict.0, "{said}");
        assert!(report.gpus.starts_with(gpus), "{}", report.gpus);
    }
}

#[test]
fn a_node_without_nvidia_smi_is_a_lead() {
    let node = Node::new();
    node.program("nvidia-smi", "exit 127");
    assert_eq!(node.probe(60).report().verdict(), ("inspect", "smi127"));
}

#[test]
fn a_hanging_nvidia_smi_is_a_lead_and_costs_seconds() {
    let hanging = || {
        let node = Node::new();
        node.program("nvidia-smi", "exec sleep 60");
        node
    };
    let accused = hanging();
    accused.ring(&[
        (0.0, "Linux"),
        (
            89_990.0,
            "NVRM: Xid (PCI:0000:18:00): 119, pid=7, name=python, Timeout",
        ),
    ]);
    std::thread::scope(|both| {
        let alone = both.spawn(|| hanging().probe(60).report());
        let report = accused.probe(60).report();
        assert_eq!((report.gpus.as_str(), report.log.as_str()), ("?:-", "full"));
        assert_eq!(
            report.verdict(),
            ("reset", "xid119"),
            "what else is known is said"
        );
        assert_eq!(alone.join().unwrap().verdict(), ("inspect", "hung"));
    });
}

#[test]
fn the_longest_line_fits() {
    let node = Node::new();
    node.uptime(999_999_999);
    node.answers(&[(
        "--query-gpu=uuid",
        0,
        &(10..74)
            .map(|n| format!("GPU-{n}111111-1111-1111-1111-111111111111\n"))
            .collect::<String>(),
    )]);
    node.ring(&[
        (0.0, "NVRM: Xid (PCI:0000:18:00): 54, x"),
        (
            0.1,
            "nvidia-nvswitch0: SXid (PCI:0000:18:00.0): 99999, Fatal, x",
        ),
    ]);
    node.process(
        7,
        "python",
        "/user.slice/user-1000.slice/session-1.scope",
        Some(1_000),
        &["/dev/nvidia0"],
    );
    // 99,999,999 s is the largest parameter; the age is as long.
    node.uptime(99_999_999);
    let report = node.probe(99_999_999).report();
    assert_eq!(report.remedy, "no-reboot-helps");
    assert_eq!(report.age, "99999999");
    assert!(report.gpus.starts_with("64:"), "{}", report.gpus);
}

#[test]
fn a_parameter_that_is_not_a_number_is_refused() {
    for bad in ["", "1e3", "-1", "123456789", "5 6"] {
        let said = Node::new().run(&substituted("probe.sh", "AttemptSeconds", bad), &[]);
        assert_eq!(said.code, Some(64), "{bad}: {said:?}");
    }
    assert_eq!(
        Node::new()
            .run(&substituted("probe.sh", "AttemptSeconds", "0099"), &[])
            .report()
            .log,
        "full"
    );
}
