//! The reboot order: right in its own boot, nothing in any other, never under somebody's hands.

use crate::{
    node::{BOOT, EARLIER_BOOT, Node, UPTIME, order},
    said::Said,
};

const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";

fn assert_said(said: &Said, code: i32, line: &str) {
    assert_eq!(
        (said.code, said.line.as_str()),
        (Some(code), format!("{line}\n").as_str()),
        "{said:?}"
    );
}

#[test]
fn an_order_for_this_boot_reboots() {
    assert_said(
        &Node::new().reboot(BOOT),
        194,
        &format!("rebooting: boot {BOOT}"),
    );
}

/// An agent that hangs runs it in the same boot, perhaps under the next job.
#[test]
fn an_order_that_is_too_late_does_nothing_and_says_so() {
    let late = Node::new().reboot_until(BOOT, UPTIME - 1);
    let line = format!(
        "nothing to do: the order was good for {} s of this boot, it is {UPTIME} s old",
        UPTIME - 1
    );
    assert_said(&late, 0, &line);
    let last = Node::new().reboot_until(BOOT, UPTIME);
    assert_eq!(last.code, Some(194), "{last:?}");
}

/// After the reboot the agent runs it again; a late or doubled order reads the same.
#[test]
fn an_order_for_another_boot_does_nothing_and_says_so() {
    let said = Node::new().reboot(EARLIER_BOOT);
    assert_said(
        &said,
        0,
        &format!("nothing to do: the order is for boot {EARLIER_BOOT}, this is boot {BOOT}"),
    );
}

#[test]
fn an_order_given_twice_reboots_once() {
    let node = Node::new();
    assert_eq!(
        (node.reboot(BOOT).code, node.reboot(BOOT).code),
        (Some(194), Some(194)),
        "the same reboot"
    );
    node.file(
        "root/proc/sys/kernel/random/boot_id",
        &format!("{EARLIER_BOOT}\n"),
    );
    assert_eq!(
        (node.reboot(BOOT).code, node.reboot(BOOT).code),
        (Some(0), Some(0)),
        "both done"
    );
}

#[test]
fn a_login_sessions_process_refuses_and_is_named() {
    let node = Node::new();
    node.process(4_242, "python3", SESSION, Some(1_000), &["/dev/nvidia0"]);
    assert_said(
        &node.reboot(BOOT),
        75,
        "refused: a login session holds a GPU: pid 4242 of ubuntu (python3)",
    );
    node.process(4_243, "python3", SESSION, Some(1_001), &["/dev/nvidia1"]);
    let line = node.reboot(BOOT).line;
    assert!(line.ends_with(" and 1 more\n"), "{line}");
}

/// `Name:` stands before `Uid:` in /proc/PID/status.
#[test]
fn a_process_named_like_a_field_does_not_choose_its_user() {
    let node = Node::new();
    node.process(4_242, "Uid: 0", SESSION, Some(1_000), &["/dev/nvidia0"]);
    let line = node.reboot(BOOT).line;
    assert!(line.ends_with("pid 4242 of ubuntu (Uid??0)\n"), "{line}");
}

#[test]
fn a_user_without_a_local_name_is_told_by_number() {
    let node = Node::new();
    node.process(4_242, "python3", SESSION, Some(60_123), &["/dev/nvidia0"]);
    assert_said(
        &node.reboot(BOOT),
        75,
        "refused: a login session holds a GPU: pid 4242 of user 60123 (python3)",
    );
}

#[test]
fn a_hostile_name_is_told_harmlessly() {
    let node = Node::new();
    node.process(
        4_242,
        "\u{1b}[2Ja b\nrebooting",
        SESSION,
        Some(1_000),
        &["/dev/nvidia0"],
    );
    let said = node.reboot(BOOT);
    assert_eq!(said.code, Some(75));
    assert_eq!(said.line.lines().count(), 1, "{said:?}");
    assert!(
        said.line
            .chars()
            .all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()),
        "{said:?}"
    );
}

#[test]
fn orphans_tasks_and_services_do_not_refuse() {
    let node = Node::new();
    node.process(
        7,
        "python",
        &format!("/ecstasks.slice/ecstasks-0f.slice/docker-{CONTAINER}.scope"),
        None,
        &["/dev/nvidia0"],
    );
    node.process(
        8,
        "nvidia-persiste",
        "/system.slice/nvidia-persistenced.service",
        None,
        &["/dev/nvidia0"],
    );
    assert_eq!(node.reboot(BOOT).code, Some(194), "an orphan");
    node.containers(&[CONTAINER]);
    assert_eq!(
        node.reboot(BOOT).code,
        Some(194),
        "a task that could not be stopped"
    );
}

#[test]
fn nvidia_smi_is_not_asked() {
    let node = Node::new();
    node.program(
        "nvidia-smi",
        &format!("touch {}/asked; exec sleep 60", node.folder.display()),
    );
    assert_eq!(node.reboot(BOOT).code, Some(194));
    assert!(!node.folder.join("asked").exists());
}

#[test]
fn who_cannot_be_seen_is_not_rebooted_under() {
    let node = Node::new();
    node.program("find", "exec sleep 60");
    // Twenty seconds, on a node.
    let order = order(BOOT, "90300");
    assert_eq!(order.matches("read -r -t 20 ").count(), 1);
    let said = node.run(&order.replace("read -r -t 20 ", "read -r -t 2 "), &[]);
    assert_said(&said, 74, "refused: cannot see who holds the GPUs");
    assert!(said.took.as_secs() < 40, "{said:?}");
    node.file("root/proc/sys/kernel/random/boot_id", "\n");
    assert_said(
        &node.reboot(BOOT),
        74,
        "refused: this node's boot id cannot be read",
    );
}

#[test]
fn a_parameter_that_is_no_boot_id_is_refused() {
    for bad in [
        "",
        "now",
        &BOOT.to_uppercase(),
        &format!("{BOOT}\n{BOOT}"),
        "4f3c2a1b0d9e4c7f8a6b5e4d3c2b1a09",
    ] {
        let said = Node::new().run(&order(bad, "90300"), &[]);
        assert_eq!(said.code, Some(64), "{bad}: {said:?}");
    }
    for bad in ["", "soon", "-1", "1e3", "9999999999"] {
        let said = Node::new().run(&order(BOOT, bad), &[]);
        assert_eq!(said.code, Some(64), "{bad}: {said:?}");
    }
}
