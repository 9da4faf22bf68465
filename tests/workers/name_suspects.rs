//! NameSuspects.

use serde_json::{Value, json};
use tests::{JOB, Recovery, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::InstanceStatus;

const NAME: &str = "name-suspects";
const BOOT: &str = "4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09";

/// What a node says: word, cause, age.
fn answer(nth: usize, said: &str) -> String {
    format!(
        "{} probe1 {BOOT} 90000 8:96a1860f094d {said} full none",
        instance_id(nth)
    )
}

fn well(nth: usize) -> String {
    answer(nth, "none - -")
}

/// A job of four, all stopped; the ranks that ended by themselves are 1 and 2.
async fn stopped() -> (World, Recovery) {
    let w = World::with_job(4).await;
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

fn input(recovery: &Recovery, answers: &[String]) -> Value {
    let ended = [1, 2].map(|rank| json!({ "instance": instance_id(rank), "rank": rank }));
    recovery.input(json!({ "ended": ended, "answers": answers, "askedAt": 1_000_000 }))
}

async fn named(w: &World, recovery: &Recovery, answers: &[String]) -> Vec<String> {
    named_of(w, input(recovery, answers)).await
}

async fn named_of(w: &World, input: Value) -> Vec<String> {
    let answer = w.outcome(NAME, input, "Named").await;
    let suspects = answer["toCheck"].as_array().unwrap();
    suspects
        .iter()
        .map(|s| s["instance"].as_str().unwrap().to_owned())
        .collect()
}

fn ids(nths: &[usize]) -> Vec<String> {
    nths.iter().map(|nth| instance_id(*nth)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hardware_word_names_the_one_node_and_travels_with_it() {
    let (w, recovery) = stopped().await;
    for word in ["reset xid48", "reboot xid79", "no-reboot-helps xid54"] {
        let answers = [well(0), well(1), well(2), answer(3, &format!("{word} 12"))];
        let outcome = w.outcome(NAME, input(&recovery, &answers), "Named").await;
        let (word, cause) = word.split_once(' ').unwrap();
        assert_eq!(
            outcome["toCheck"],
            json!([{ "instance": instance_id(3), "rank": 3, "bootId": BOOT, "bootedAt": 910_000, "word": word, "cause": cause,
                "age": 12, "gpus": "8:96a1860f094d", "held": "none" }])
        );
        assert_eq!(
            (&outcome["answered"], &outcome["accused"]),
            (&json!(4), &json!(1))
        );
    }
    let record = w.instance_record(3).await;
    assert_eq!(record.status, InstanceStatus::PendingHealthcheck);
}

#[tokio::test(start_paused = true)]
async fn without_a_word_those_that_ended_are_checked() {
    let (w, recovery) = stopped().await;
    let quiet: Vec<String> = (0..4).map(well).collect();
    assert_eq!(named(&w, &recovery, &quiet).await, ids(&[1, 2]));
    let programs: Vec<String> = (0..4)
        .map(|nth| answer(nth, "restart-app xid43 3"))
        .collect();
    assert_eq!(named(&w, &recovery, &programs).await, ids(&[1, 2]));
}

/// No answer is no evidence, and no health: it changes nothing.
#[tokio::test(start_paused = true)]
async fn whoever_does_not_answer_is_neither_accused_nor_cleared() {
    let (w, recovery) = stopped().await;
    assert_eq!(named(&w, &recovery, &[]).await, ids(&[1, 2]));
    let odd = [
        format!("{} bad parameter", instance_id(3)),
        "no-instance probe1".to_owned(),
        String::new(),
        well(0),
    ];
    assert_eq!(named(&w, &recovery, &odd).await, ids(&[1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_lead_is_checked_beside_the_others() {
    let (w, recovery) = stopped().await;
    let lead = [answer(0, "inspect hung -")];
    assert_eq!(named(&w, &recovery, &lead).await, ids(&[1, 2, 0]));
    let both = [answer(0, "inspect xid119 9"), answer(3, "reboot xid79 9")];
    assert_eq!(named(&w, &recovery, &both).await, ids(&[0, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_line_of_a_link_is_an_echo_of_an_older_or_a_stronger_word() {
    let (w, recovery) = stopped().await;
    let stronger = [answer(0, "reset xid74 9"), answer(3, "reboot xid79 2")];
    assert_eq!(named(&w, &recovery, &stronger).await, ids(&[3]));
    let older = [answer(0, "reset xid74 9"), answer(3, "reset xid48 20")];
    assert_eq!(named(&w, &recovery, &older).await, ids(&[3]));
    let younger = [answer(0, "reset xid74 9"), answer(3, "reset xid48 2")];
    assert_eq!(named(&w, &recovery, &younger).await, ids(&[0, 3]));
    let links = [answer(0, "reset xid145 9"), answer(3, "reset xid145 20")];
    assert_eq!(named(&w, &recovery, &links).await, ids(&[3]), "the first");
    let alone = [
        answer(0, "reset xid74 9"),
        answer(3, "restart-app xid45 20"),
    ];
    assert_eq!(
        named(&w, &recovery, &alone).await,
        ids(&[0]),
        "a program's end accuses nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn beside_a_task_that_does_not_stop_only_a_hardware_word_of_its_own_node_counts() {
    let (w, recovery) = stopped().await;
    let stuck = [1, 2].map(
        |rank| json!({ "rank": rank, "instance": instance_id(rank), "task": "arn:aws:ecs:us-east-1:123456789012:task/c/1" }),
    );
    let lead = answer(2, "inspect xid61 12");
    let answers = [
        answer(0, "reboot xid79 12"),
        answer(1, "reboot xid79 12"),
        lead,
    ];
    let mut input = input(&recovery, &answers);
    input["stuck"] = json!(stuck);
    assert_eq!(named_of(&w, input).await, ids(&[1]));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_rebooted_under_its_task_is_not_named_by_what_it_said_before() {
    let (w, recovery) = stopped().await;
    let answers = [well(0), answer(1, "reboot xid79 12"), well(2)];
    let mut input = input(&recovery, &answers);
    input["recoveries"] = json!([{ "instance": instance_id(1), "rank": 1, "recovered": true, "detail": "rebooted, DCGM healthy" }]);
    assert_eq!(named_of(&w, input).await, ids(&[2]));
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_kept_on_its_rank() {
    let (w, recovery) = stopped().await;
    let answers = [well(0), answer(3, "reboot xid79 12")];
    named(&w, &recovery, &answers).await;
    let kept: Vec<Option<String>> = w.ranks(1).await.into_iter().map(|r| r.probe).collect();
    let line = |nth: usize| {
        answers[nth]
            .split_once(' ')
            .map(|(_, line)| line.to_owned())
    };
    assert_eq!(kept, [line(0), None, None, line(1)]);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_job_names_nobody() {
    let (w, recovery) = stopped().await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    let error = w.call(NAME, input(&recovery, &[])).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
}

#[tokio::test(start_paused = true)]
async fn called_twice_it_says_the_same() {
    let (w, recovery) = stopped().await;
    let answers = [answer(3, "reboot xid79 12")];
    let first = w.outcome(NAME, input(&recovery, &answers), "Named").await;
    let second = w.outcome(NAME, input(&recovery, &answers), "Named").await;
    assert_eq!(first, second);
}

#[tokio::test(start_paused = true)]
async fn it_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(NAME, || async {
        let (w, recovery) = stopped().await;
        let answers = [well(0), answer(3, "reboot xid79 12")];
        let input = input(&recovery, &answers);
        (w, input)
    })
    .await;
}
