//! What can be made to happen, by name.

use super::*;

#[test]
fn a_gpu_that_is_broken_by_hand_is_recovered_and_told() {
    let sandbox = Sandbox::start(&["--paused"]);
    sandbox.well(&["sandbox", "time", "pass", "2m"]);
    let done = sandbox.well(&["sandbox", "do", "break-gpu", "3"]);
    assert!(
        done.contains("i-0f3a9c5d7e0000003 is bad; 1 task(s)"),
        "{done}"
    );
    sandbox.until(|sandbox| sandbox.job()["attempt"] == 2);
    assert_eq!(sandbox.job()["status"], "IN_PROGRESS");
    let told = sandbox.well(&["sandbox", "messages"]);
    assert!(told.contains("RECOVERED llama-7b"), "{told}");
    let story = sandbox.well(&["status"]);
    assert!(story.contains("healthy after its reboot"), "{story}");
}

#[test]
fn what_cannot_happen_is_refused_with_the_reason() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "2"]);
    for (line, code, says) in [
        (
            &["do", "break-gpu", "7"][..],
            2,
            "there is no node i-0f3a9c5d7e0000007; the nodes are 0 to 1",
        ),
        (
            &["do", "break-gpu", "x"],
            2,
            "a node is a number, from 0, or an instance id",
        ),
        (
            &["do", "break-gpu", "1", "--gpu", "sick"],
            2,
            "fault-until-reboot",
        ),
        (
            &["do", "stop-task", "9"],
            2,
            "has no rank 9; its ranks are 0 to 1",
        ),
        (
            &["do", "stop-task", "1"],
            2,
            "rank 1 of job llama-7b does not run now",
        ),
        (&["do", "xid", "0", "154"], 2, "Xid 154 only repeats"),
        (
            &["do", "end-rank", "0", "--job", "none"],
            2,
            "no job none is recorded",
        ),
        (
            &["do", "throttle", "ecs", "Nothing"],
            2,
            "these have: ecs RunTask",
        ),
        (&["do", "events", "--lost", "2"], 2, "a chance from 0 to 1"),
        (&["time", "go", "--speed", "9999"], 2, "it is 0.1 to 3600"),
        (&["time", "pass", "8d"], 2, "7 days at the most"),
    ] {
        let done = sandbox.run(&[&["sandbox"], line].concat());
        let errors = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{line:?}: {errors}");
        assert!(errors.contains(says), "{line:?}: {errors}");
    }
}

/// Each deed is done once to a job that runs, and says what it did.
#[test]
fn every_deed_of_the_help_can_be_done() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "4"]);
    let help = sandbox.well(&["sandbox", "do", "--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    sandbox.well(&["sandbox", "time", "pass", "2m"]);
    for (line, says) in [
        (
            &["events", "--late", "0.1", "--late-by", "5s"][..],
            "events travel",
        ),
        (&["events"], "events travel"),
        (
            &[
                "throttle",
                "ecs",
                "RunTask",
                "--burst",
                "50",
                "--per-second",
                "10",
            ],
            "50 calls at once",
        ),
        (&["share", "3"], "starts on"),
        (&["hang-rank", "2"], "deaf to SIGTERM"),
        (&["refuse-start", "2"], "do not start"),
        (&["ssm", "1", "stopped"], "SSM agent"),
        (&["ssm", "1", "running"], "SSM agent"),
        (&["reboots", "1", "returns-after=5m"], "end like this"),
        (&["detach-agent", "1", "--for", "2m"], "is away for 2m"),
        (&["attach-agent", "1"], "connects"),
        (&["xid", "1", "79"], "logs Xid 79"),
        (&["fix-gpu", "i-0f3a9c5d7e0000001"], "are well"),
        (&["cordon", "1"], "is DRAINING"),
        (
            &["break-gpu", "0", "--gpu", "dcgm-exits=203", "--quietly"],
            "0 task(s)",
        ),
        (&["reboot", "1"], "reboots"),
        (&["stop-task", "2"], "Task stopped by user"),
        (&["end-rank", "3", "--code", "1"], "exit code 1"),
        (&["end-job"], "exit code 0"),
        (&["repeat-stop-events"], "stop events come once more"),
        (&["abort-execution"], "executions are ABORTED"),
        (&["redrive-execution"], "executions are redriven"),
        (&["deregister", "1"], "is deregistered"),
    ] {
        let done = sandbox.well(&[&["sandbox", "do"], line].concat());
        assert!(done.contains(says), "{line:?}: {done}");
        sandbox.well(&["sandbox", "time", "pass", "5s"]);
        listed.retain(|name| *name != line[0]);
    }
    listed.retain(|name| *name != "help");
    assert!(listed.is_empty(), "not done: {listed:?}");
}

#[test]
fn time_stands_still_steps_passes_and_runs() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "2"]);
    let now = || sandbox.well(&["sandbox", "time"]);
    let begun = now();
    assert!(begun.contains("it stands still"), "{begun}");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(now(), begun);
    let stepped = sandbox.well(&["sandbox", "time", "step"]);
    assert!(
        stepped != begun && stepped.contains("stands still"),
        "{stepped}"
    );
    let passed = sandbox.well(&["sandbox", "time", "pass", "2h"]);
    assert!(passed.contains("2 h 00 min since it was made"), "{passed}");
    sandbox.well(&["sandbox", "time", "go", "--speed", "600"]);
    thread::sleep(Duration::from_millis(300));
    let paused = sandbox.well(&["sandbox", "time", "pause"]);
    assert!(!paused.contains("2 h 00 min"), "{paused}");
    let real = sandbox.well(&["sandbox", "time", "real"]);
    assert!(real.contains("runs at 1 to 1"), "{real}");
}

/// The scenario's people act at their times, as in a drill.
#[test]
fn a_scenario_happens_by_itself() {
    let sandbox = Sandbox::start(&["--paused", "--scenario", "user-stop"]);
    sandbox.well(&["sandbox", "time", "pass", "2h"]);
    assert_eq!(sandbox.job()["status"], "USER_STOPPED");
}
