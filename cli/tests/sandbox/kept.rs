//! A sandbox that is kept in a directory.

use super::*;

/// Everything that the desk shows of it.
fn seen(sandbox: &Sandbox) -> (Value, String, String) {
    (
        sandbox.job(),
        sandbox.well(&["status"]),
        sandbox.well(&["sandbox", "time"]),
    )
}

#[test]
fn a_kept_sandbox_is_taken_up_where_it_was_left_even_when_it_was_killed() {
    let directory = directory("kept");
    let state = directory.to_str().unwrap();
    let mut sandbox =
        Sandbox::start(&["--paused", "--nodes", "4", "--free", "2", "--state", state]);
    sandbox.well(&["sandbox", "time", "pass", "2m"]);
    sandbox.well(&["sandbox", "do", "break-gpu", "1"]);
    sandbox.well(&["sandbox", "time", "pass", "4m"]);
    sandbox.well(&[
        "submit",
        "bert-3",
        "--task-definition",
        "train",
        "--nodes",
        "2",
        "--master-addr",
        "10.0.0.10",
    ]);
    sandbox.well(&["sandbox", "time", "pass", "7m"]);
    let left = seen(&sandbox);
    assert_eq!(
        left.0["status"], "PENDING_RESTART",
        "a recovery is going on"
    );
    let (code, _) = sandbox.end("-TERM");
    assert_eq!(code, Some(0));

    let mut again = Sandbox::start(&["--paused", "--state", state]);
    assert_eq!(seen(&again), left);
    // In the middle of a recovery it goes on to the same end as any other.
    again.until(|sandbox| sandbox.job()["attempt"] == 2);
    again.well(&["sandbox", "time", "pass", "1m"]);
    let left = seen(&again);
    thread::sleep(Duration::from_millis(1200));
    again.end("-KILL");

    let third = Sandbox::start(&["--paused", "--state", state]);
    assert_eq!(seen(&third), left);
    assert_eq!(
        third.json(&["status", "bert-3", "--json"])["status"],
        "IN_PROGRESS"
    );

    let beside = program()
        .args(["sandbox", "--port", "0", "--state", state])
        .output()
        .unwrap();
    let errors = text(&beside.stderr);
    assert_eq!(beside.status.code(), Some(2), "{errors}");
    assert!(errors.contains("is used by another sandbox"), "{errors}");
}

#[test]
fn what_cannot_be_taken_up_is_refused() {
    let directory = directory("refused");
    let state = directory.to_str().unwrap();
    let mut sandbox = Sandbox::start(&["--paused", "--nodes", "2", "--state", state]);
    sandbox.well(&["sandbox", "do", "cordon", "1"]);
    sandbox.end("-TERM");
    let refused = |arguments: &[&str], says: &str| {
        let line = [&["sandbox", "--port", "0", "--state", state], arguments].concat();
        let done = program().args(line).output().unwrap();
        let errors = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
    };
    refused(
        &["--nodes", "3"],
        "with other nodes, spares, free nodes, seed or scenario",
    );
    let journal = directory.join("journal.jsonl");
    let whole = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, whole.replace("\"seen\":", "\"seen\":9")).unwrap();
    refused(&[], "does not play the same any more from line 2 on");
    std::fs::write(
        &journal,
        whole.replacen("\"version\":\"", "\"version\":\"0.0.0 ", 1),
    )
    .unwrap();
    refused(&[], "was kept by another version");
    std::fs::write(&journal, format!("{whole}nonsense\n")).unwrap();
    refused(&[], "line 3 is not what a sandbox writes");
    // Half a line is what a killed process leaves: nobody was told that it was done.
    std::fs::write(&journal, format!("{whole}{{\"at\":1")).unwrap();
    let sandbox = Sandbox::start(&["--paused", "--state", state]);
    assert!(sandbox.well(&["status"]).contains("DRAINING"));
}
