//! How the health check runs dcgmi, and what it makes of one that leaves no report.

use crate::{
    node::{Node, has},
    report::{CONFIG, MONITOR, OFF_THE_BUS, REBOOT, V4},
};
use serde_json::Value;

pub const HEALTHY: i32 = 0;
pub const FAULTY: i32 = 1;
pub const NO_REBOOT_HELPS: i32 = 2;
pub const MISCONFIGURED: i32 = 3;
pub const NO_ANSWER: i32 = 4;

/// dcgmi with an engine that has to be started, and this outcome of `dcgmi diag`.
pub fn dcgmi(node: &Node, version: &str, code: i32, report: &str) {
    let folder = node.folder.display();
    node.file("report", report);
    node.program("nv-hostengine", &format!("touch {folder}/engine"));
    node.program(
        "dcgmi",
        &format!(
            "case $1 in
               --version) echo 'Version : {version}'; exit 0 ;;
               discovery) [ -e {folder}/engine ] || exit 235 ;;
               diag) echo \"$*\" >{folder}/asked; cat {folder}/report; exit {code} ;;
             esac"
        ),
    );
}

/// How the check ends, and its last line.
pub fn check(node: &Node) -> (i32, Value) {
    let said = node.health_check("2", "1800");
    assert_eq!(said.line.lines().count(), 1, "{said:?}");
    let line: Value =
        serde_json::from_str(&said.line).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(line["exit"], said.code.unwrap(), "{line}");
    (said.code.unwrap(), line)
}

pub fn judged(version: &str, code: i32, report: &str) -> (i32, Value) {
    let node = Node::new();
    dcgmi(&node, version, code, report);
    node.file("engine", ""); // it runs already
    check(&node)
}

#[test]
fn without_a_report_the_bare_exit_code_decides() {
    for (code, expected) in [
        (0, NO_ANSWER), // no proof of health
        (205, FAULTY),
        (226, FAULTY),
        (237, FAULTY),
        (238, FAULTY),
        (199, FAULTY),
        (1, NO_ANSWER),
        (137, NO_ANSWER),
        (203, NO_ANSWER),
        (204, NO_ANSWER),
        (235, NO_ANSWER),
        (255, NO_ANSWER),
    ] {
        let (ended, line) = judged("4.5.2", code, "Error: no answer from the engine\n");
        assert_eq!(ended, expected, "{code}: {line}");
        assert_eq!(line["said"], "Error: no answer from the engine ");
    }
}

#[test]
fn a_report_that_cannot_be_read_is_none() {
    let half = &V4.report(&[REBOOT])[..400];
    for report in [
        "",
        half,
        "{\"iterations\": []}",
        "[1, 2",
        "{\"a\" 1}",
        "{\"DCGM Diagnostic\": 1}",
    ] {
        for (code, expected) in [(0, NO_ANSWER), (226, FAULTY)] {
            let (ended, line) = judged("4.5.2", code, report);
            assert_eq!(ended, expected, "{report:?}, {code}: {line}");
        }
    }
}

#[test]
fn persistence_mode_is_not_asked_for_where_the_version_lets_us() {
    for (version, expected) in [
        (
            "4.5.2",
            "diag -j -r 2 -p software.require_persistence_mode=false\n",
        ),
        ("3.3.9", "diag -j -r 2\n"),
    ] {
        let node = Node::new();
        dcgmi(&node, version, 0, &V4.report(&[]));
        check(&node);
        assert_eq!(
            std::fs::read_to_string(node.folder.join("asked")).unwrap(),
            expected
        );
    }
}

#[test]
fn an_engine_that_runs_already_is_used() {
    let node = Node::new();
    dcgmi(&node, "4.5.2", 0, &V4.report(&[]));
    node.file("engine", "");
    node.program(
        "nv-hostengine",
        &format!("touch {}/second", node.folder.display()),
    );
    assert_eq!(check(&node).0, HEALTHY);
    assert!(!node.folder.join("second").exists());
}

/// An engine that answers with an error of its own, as for a lost GPU, runs.
#[test]
fn an_engine_with_an_error_is_left_to_the_diagnosis() {
    let node = Node::new();
    dcgmi(&node, "4.5.2", 205, &V4.report(&[OFF_THE_BUS]));
    std::fs::rename(node.folder.join("bin/dcgmi"), node.folder.join("bin/inner")).unwrap();
    node.program(
        "dcgmi",
        &format!(
            "[ $1 = discovery ] && exit 238; exec {}/bin/inner \"$@\"",
            node.folder.display()
        ),
    );
    assert_eq!(check(&node).0, FAULTY);
}

/// nv-hostengine exits 0 also when it could not start.
#[test]
fn an_engine_that_does_not_start_is_no_answer() {
    let node = Node::new();
    dcgmi(&node, "4.5.2", 235, "");
    node.program("nv-hostengine", "exit 0");
    node.program("sleep", "exit 0");
    let (code, line) = check(&node);
    assert_eq!(
        (code, &line["why"]),
        (NO_ANSWER, &"the DCGM engine does not start".into())
    );
}

#[test]
fn an_image_without_dcgmi_is_no_answer() {
    let node = Node::new();
    node.program("dcgmi", "exit 127");
    let (code, line) = check(&node);
    assert_eq!(
        (code, &line["why"]),
        (NO_ANSWER, &"dcgmi is not in this image".into())
    );
}

/// The stand-in that hangs puts the clock ahead: 1,740 of the 1,800 seconds.
#[test]
fn a_dcgmi_that_hangs_is_faulty_a_minute_before_the_bound() {
    for (program, words) in [
        ("dcgmi", "diag"),
        ("dcgmi", "discovery"),
        ("nv-hostengine", ""),
    ] {
        let node = Node::new();
        dcgmi(&node, "4.5.2", 0, "");
        let inner = node.folder.join("bin").join(program);
        std::fs::rename(&inner, node.folder.join("bin/inner")).unwrap();
        node.program(program, &format!(
            "[ '{words}' ] && [ \"$1\" != '{words}' ] && exec {folder}/bin/inner \"$@\"
             echo '91740.00 1' >{folder}/root/proc/uptime.new; mv {folder}/root/proc/uptime.new {folder}/root/proc/uptime
             exec sleep 60",
            folder = node.folder.display()
        ));
        let (code, line) = check(&node);
        assert_eq!(code, FAULTY, "{program}: {line}");
        assert!(
            line["why"].as_str().unwrap().starts_with("hung: "),
            "{line}"
        );
    }
}

#[test]
fn wrong_arguments_are_no_answer() {
    for (level, bound) in [
        ("0", "1800"),
        ("", "1800"),
        ("2", ""),
        ("2", "x"),
        ("2", "299"),
        ("short", "1800"),
    ] {
        let node = Node::new();
        dcgmi(&node, "4.5.2", 0, &V4.report(&[]));
        let said = node.health_check(level, bound);
        assert_eq!(said.code, Some(NO_ANSWER), "{said:?}");
        let line: Value = serde_json::from_str(&said.line).unwrap();
        assert_eq!(line["verdict"], "no-answer");
    }
}

/// NVIDIA's images have dash and mawk (Ubuntu) or bash and gawk (UBI).
#[test]
fn every_shell_and_awk_of_this_machine_reads_the_same() {
    for shell in ["sh", "dash", "bash", "busybox sh"] {
        for awk in ["awk", "mawk", "gawk", "original-awk", "busybox awk"] {
            if !has(shell.split(' ').next().unwrap()) || !has(awk.split(' ').next().unwrap()) {
                continue;
            }
            let node = Node::new().with_shell(shell);
            dcgmi(&node, "4.5.2", 205, &V4.report(&[CONFIG, REBOOT, MONITOR]));
            let path = std::env::var("PATH").unwrap();
            node.program("awk", &format!("PATH='{path}' exec {awk} \"$@\""));
            let (code, line) = check(&node);
            assert_eq!(
                (code, line["errors"].as_array().unwrap().len()),
                (FAULTY, 3),
                "{shell}, {awk}: {line}"
            );
        }
    }
}
