//! Walks every path of the definition: at each task every answer is tried that the real one can give, and whatever a
//! state passes on must fit the schema of the worker that it calls.

use serde_json::{Value, json};
use simulator::{
    cloud::RECOVERY,
    lambda::Lambda,
    ssm::{PROBE, REBOOT},
    stepfunctions::{Answer, Definition, Host, StepFunctions, TaskRequest, TaskRunner},
    wire::IntegrationFailure,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::fixtures;
use workers::{Settings, Worker, ids::InstanceId, steps::claim_instance::CheckRequest};

const INSTANCE: &str = "i-0123456789abcdef3";
const SPARE: &str = "i-0123456789abcdef8";
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:other";

type Reply = Result<Value, (&'static str, String)>;

/// Every answer that a worker can give, one for each outcome and each way in which it differs for the flow.
fn outcomes(worker: &str) -> Vec<Reply> {
    let failure = json!({
        "rank": 3, "task": "arn:aws:ecs:us-east-1:123456789012:task/c/1", "instance": INSTANCE,
        "exitCode": 1, "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
        "notRelaunchable": null,
    });
    let unknown = json!({
        "rank": 3, "task": "arn:aws:ecs:us-east-1:123456789012:task/c/1", "instance": null, "exitCode": null,
        "stopCode": null, "stoppedReason": null, "notRelaunchable": "ECS no longer describes rank 3's task",
    });
    let claimed = |left: u32, failure: &Value| json!({ "outcome": "Claimed", "jobId": "job", "attempt": 1, "nodes": 8, "recoveriesLeft": left, "instances": [INSTANCE], "healthyPolicy": "fail", "failure": failure });
    let relaunches = json!({ "outcome": "Claimed", "jobId": "job", "attempt": 1, "nodes": 8, "recoveriesLeft": 1,
        "instances": [INSTANCE], "healthyPolicy": "relaunch", "failure": failure });
    let stale = json!({ "outcome": "Stale", "jobId": "job", "why": "late" });
    let by_operator = |outcome: &str| json!({ "outcome": outcome, "jobId": "job", "attempt": 1, "nodes": 8, "failure": failure });
    let not_managed = json!({ "outcome": "NotManaged" });
    let cordoned = |since: bool| json!({ "outcome": "Cordoned", "instance": INSTANCE, "gpus": "8:96a1860f094d", "rebootedSince": since });
    let refused =
        |refusal: &str| json!({ "outcome": "Refused", "refusal": refusal, "detail": "why" });
    let held = |repair: bool| {
        json!({ "outcome": "Held", "refused": 1, "places": [{ "rank": 3, "instance": SPARE,
        "arn": "arn:aws:ecs:us-east-1:123456789012:container-instance/c/9", "instead": INSTANCE, "repair": repair }] })
    };
    let answers = match worker {
        "record-completion" => vec![
            json!({ "outcome": "Recorded", "jobId": "job", "done": 3, "nodes": 8 }),
            json!({ "outcome": "JobComplete", "jobId": "job" }),
            stale,
            not_managed,
        ],
        "record-user-stop" => vec![
            by_operator("StopOthers"),
            by_operator("RankStopped"),
            stale,
            not_managed,
        ],
        "claim-job" => vec![
            claimed(1, &failure),
            claimed(0, &unknown),
            relaunches,
            json!({ "outcome": "Tell", "jobId": "job", "attempt": 1, "nodes": 8, "failure": failure }),
            json!({ "outcome": "LeftAlone", "jobId": "job", "why": "ignored" }),
            json!({ "outcome": "AlreadyClaimed", "jobId": "job", "holder": EXECUTION }),
            stale,
            not_managed,
        ],
        "claim-instance" => vec![
            json!({ "outcome": "Claimed", "jobId": "check-i-1", "attempt": 1, "nodes": 1, "recoveriesLeft": 0,
                "instances": [INSTANCE], "healthyPolicy": "fail", "failure": failure, "byHand": true }),
            json!({ "outcome": "Refused", "instance": INSTANCE, "why": "a job has it" }),
        ],
        "end-check" => vec![
            json!({ "outcome": "InService", "instance": INSTANCE, "verdict": "healthy" }),
            json!({ "outcome": "OutOfService", "instance": INSTANCE, "why": "faulty" }),
        ],
        "stop-siblings" => vec![
            json!({ "outcome": "Stopped", "toCheck": [{ "instance": INSTANCE, "rank": 3 }] }),
            json!({ "outcome": "Stopped", "toCheck": [] }),
            json!({ "outcome": "StillStopping", "runningTasks": 1, "running": [
                { "rank": 4, "instance": null, "task": "arn:aws:ecs:us-east-1:123456789012:task/c/2" }] }),
            json!({ "outcome": "StillStopping", "runningTasks": 1, "running": [
                { "rank": 3, "instance": INSTANCE, "task": "arn:aws:ecs:us-east-1:123456789012:task/c/2" }] }),
            json!({ "outcome": "StoppedByUser", "failure": failure }),
            json!({ "outcome": "NotToRecover", "failure": failure }),
            json!({ "outcome": "NotToRecover", "failure": { "rank": 2, "task": "arn:aws:ecs:us-east-1:123456789012:task/c/3",
                "instance": null, "exitCode": 93, "stopCode": null, "stoppedReason": null, "notRelaunchable": null } }),
        ],
        "name-suspects" => vec![
            json!({ "outcome": "Named", "answered": 1, "accused": 0, "spares": 0, "toCheck": [{
            "instance": INSTANCE, "rank": 3, "bootId": BOOT }] }),
            json!({ "outcome": "Named", "answered": 1, "accused": 1, "spares": 1, "toCheck": [{
            "instance": INSTANCE, "rank": 3, "bootId": BOOT, "bootedAt": 1_700_000_000, "word": "reboot", "cause": "xid79", "age": 12,
            "gpus": "8:96a1860f094d", "held": "none" }] }),
            json!({ "outcome": "Named", "answered": 0, "accused": 0, "spares": 1, "toCheck": [{ "instance": INSTANCE, "rank": 3 }] }),
            json!({ "outcome": "Named", "answered": 0, "accused": 0, "spares": 0, "toCheck": [] }),
        ],
        "hold-spares" => vec![
            held(true),
            held(false),
            json!({ "outcome": "NotEnough", "why": "1 needed, 0 free" }),
        ],
        "release-suspects" => vec![json!({ "outcome": "Released", "released": 1, "spares": 1 })],
        "cordon-instance" => {
            let mut answers = vec![cordoned(false), cordoned(true)];
            answers.extend(["HeldByAnother", "Occupied"].map(refused));
            answers
        }
        "await-instance" => vec![
            json!({ "outcome": "Waiting", "why": "the reboot is not proven" }),
            json!({ "outcome": "Over" }),
        ],
        "uncordon-instance" => {
            let cause = json!({ "errorType": "KeptOut", "errorMessage": "fan is loud (ann)" });
            return vec![
                Ok(json!({ "outcome": "Uncordoned", "instance": INSTANCE })),
                Err(("KeptOut", cause.to_string())),
                Err(("AgentAway", "the agent is not connected".to_owned())),
                claim_lost(),
            ];
        }
        "quarantine-instance" => vec![
            json!({ "outcome": "Quarantined", "instance": INSTANCE }),
            json!({ "outcome": "HeldByAnother", "instance": INSTANCE }),
            json!({ "outcome": "Gone", "instance": INSTANCE }),
        ],
        "relaunch-job" => {
            let cause = json!({ "errorType": "NotPlaced", "errorMessage": "RESOURCE:GPU" });
            return vec![
                Ok(
                    json!({ "outcome": "Relaunched", "jobId": "job", "attempt": 2, "ranks": 8, "recoveriesInADay": 1 }),
                ),
                Ok(json!({ "outcome": "StoppedByUser", "failure": failure })),
                Err((
                    "NotStarted",
                    json!({ "errorType": "NotStarted", "errorMessage": "rank 3 ended" })
                        .to_string(),
                )),
                Err(("NotPlaced", cause.to_string())),
                Err(("NotToRecover", cause.to_string())),
                Err((
                    "NotOnSpares",
                    json!({ "errorType": "NotOnSpares", "errorMessage": "rank 3 ended" })
                        .to_string(),
                )),
            ];
        }
        "fail-job" => vec![json!({
            "outcome": "Failed", "jobId": "job", "reason": "NoGpuFault", "released": 7,
        })],
        "notify-operators" => {
            vec![json!({ "outcome": "Notified", "messageId": "m", "subject": "s" })]
        }
        "notify-failed-execution" => {
            vec![json!({ "outcome": "Notified", "messageId": "m", "subject": "s" })]
        }
        "instance-events" => vec![
            json!({ "outcome": "NotAwaited" }),
            json!({ "outcome": "StillWaiting", "instance": INSTANCE, "why": "the agent is not connected" }),
            json!({ "outcome": "WaitEnded", "instance": INSTANCE }),
        ],
        "look-for-lost-stops" => {
            let task = "arn:aws:ecs:us-east-1:123456789012:task/c/2";
            vec![json!({ "outcome": "Looked", "jobs": 1, "all": true, "found": [task] })]
        }
        other => panic!("no outcomes for {other}"),
    };
    answers.into_iter().map(Ok).collect()
}

/// How a check can end, as `ecs:runTask.sync` reports it: the recorded payloads, and other codes in the same shape. What is
/// tried once more ends in fewer ways, and so does the check after a reboot.
fn checks(state: &str, tries: usize) -> Vec<Reply> {
    let recorded = |name: &str| -> Reply {
        let cause = fixtures::event(name)["Cause"].as_str().unwrap().to_owned();
        Err(("States.TaskFailed", cause))
    };
    let exited = |code: i32| -> Reply {
        let (_, cause) = recorded("run-task-sync-failure").unwrap_err();
        let mut task: Value = serde_json::from_str(&cause).unwrap();
        task["Containers"][0]["ExitCode"] = code.into();
        Err(("States.TaskFailed", task.to_string()))
    };
    let passed = || Ok(fixtures::event("run-task-sync-success"));
    match (state, tries) {
        ("RunDcgm", 0) => vec![
            passed(),
            exited(1),
            exited(2),
            exited(3),
            recorded("run-task-sync-not-started"),
            Err(("States.TaskFailed", "no JSON at all".to_owned())),
            Err((
                "AmazonECS.Unknown",
                "{\"Failures\":[{\"Reason\":\"RESOURCE:GPU\"}]}".to_owned(),
            )),
            Err(("States.Timeout", String::new())),
            Err((
                "ECS.ClusterNotFoundException",
                "Cluster not found.".to_owned(),
            )),
        ],
        ("VerifyGpus", 0) => vec![passed(), exited(1), exited(3), exited(4)],
        _ => vec![passed(), exited(4)],
    }
}

/// Each list begins with what comes in a repair that succeeds; `ordered`: the reboot was ordered before; `tries`: how often
/// this state was tried before.
fn replies(request: &TaskRequest, ordered: bool, tries: usize) -> Vec<Reply> {
    match request.resource.to_string().as_str() {
        // Each launch on spares that fails leaves fewer of them.
        "lambda:invoke" => outcomes(&worker_of(request))
            .into_iter()
            .skip(if request.state == "HoldSpares" { tries.min(2) } else { 0 })
            .map(|reply| {
                reply.map(|payload| json!({ "ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200 }))
            })
            .collect(),
        "lambda:invoke.waitForTaskToken" => vec![
            Ok(json!({ "instance": INSTANCE, "back": true })),
            Ok(json!({ "instance": INSTANCE, "back": false })),
            Err(("States.Timeout", String::new())),
            claim_lost(),
        ],
        "aws-sdk:ssm:getCommandInvocation" => match request.state.as_str() {
            "ReadOrder" => orders(),
            _ => probes(ordered),
        },
        "ecs:runTask.sync" => checks(&request.state, tries),
        "aws-sdk:ssm:sendCommand" => {
            let mut answers = vec![
                Ok(json!({ "Command": { "CommandId": "0831e1a8-a1ac-4257-a1fd-c831bc48107e" } })),
                Err(("Ssm.InvalidInstanceIdException", "not in a valid state".to_owned())),
            ];
            // Of the errors that SendCommand's page names, one that is neither retried nor known to the other orders (API_SendCommand).
            if request.state == "OrderProbe" {
                answers.push(Err(("Ssm.InvalidDocumentException", "no such document".to_owned())));
            }
            answers
        }
        "aws-sdk:ssm:listCommandInvocations" => vec![
            Ok(json!({ "CommandInvocations": [
                { "InstanceId": INSTANCE, "Status": "Success", "CommandPlugins": [{ "Output": format!("probe1 {BOOT} 90000 8:96a1860f094d none - - full none\n") }] },
                { "InstanceId": "i-0123456789abcdef4", "Status": "InProgress", "CommandPlugins": [] },
            ] })),
            Ok(json!({ "CommandInvocations": [] })),
            Err(("Ssm.InvalidCommandIdException", "not there yet".to_owned())),
        ],
        "aws-sdk:ec2:rebootInstances" => vec![
            Ok(json!({})),
            Err(("Ec2.Ec2Exception", "UnauthorizedOperation".to_owned())),
        ],
        other => panic!("no answers for {other}"),
    }
}

/// Another recovery took the instance meanwhile.
fn claim_lost() -> Reply {
    let cause = json!({ "errorType": "ClaimLost", "errorMessage": "this execution does not hold instance i-1 any more" });
    Err(("ClaimLost", cause.to_string()))
}

fn worker_of(request: &TaskRequest) -> String {
    let arn = request.arguments["FunctionName"].as_str().unwrap();
    arn.rsplit("function:gpu-recovery-")
        .next()
        .unwrap()
        .to_owned()
}

const BOOT: &str = "4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09";
const NEXT_BOOT: &str = "00000000-1111-2222-3333-444444444444";

fn invocation(status: &str, output: &str) -> Reply {
    Ok(json!({ "Status": status, "StandardOutputContent": output, "ResponseCode": 0 }))
}

/// What the probe can say, and SSM of it.
fn probes(ordered: bool) -> Vec<Reply> {
    let line = |boot: &str, uptime: u32, gpus: &str, word: &str| {
        let line = format!("probe1 {boot} {uptime} {gpus} {word} - full none\n");
        invocation("Success", &line)
    };
    let (same, next) = (
        line(BOOT, 90_000, "8:96a1860f094d", "none -"),
        line(NEXT_BOOT, 0, "8:96a1860f094d", "none -"),
    );
    let (first, second) = if ordered { (next, same) } else { (same, next) };
    vec![
        first,
        second,
        line(NEXT_BOOT, 0, "7:0123456789ab", "none -"),
        line(NEXT_BOOT, 0, "8:96a1860f094d", "reboot xid79"),
        line(BOOT, 90_000, "8:96a1860f094d", "no-reboot-helps xid54"),
        invocation("InProgress", ""),
        invocation("Success", "bad parameter"),
        Err(("Ssm.InvocationDoesNotExistException", "not yet".to_owned())),
    ]
}

/// What becomes of a reboot order.
fn orders() -> Vec<Reply> {
    vec![
        invocation("TimedOut", ""),
        invocation(
            "Failed",
            "refused: a login session holds a GPU: pid 7 of ubuntu (vim)\n",
        ),
        Err(("Ssm.InvocationDoesNotExistException", "not yet".to_owned())),
    ]
}

/// Which answer to give at each call, and how many there were; the next path changes the last that can be changed.
#[derive(Default)]
struct Script {
    choices: Vec<usize>,
    options: Vec<usize>,
    at: usize,
    /// How often each state was tried, retries not counted.
    tries: BTreeMap<String, usize>,
    /// An error goes on through the state's retries.
    last: Option<Reply>,
    /// The states of the repair that were asked so far, and how many of them did not answer as in a repair that succeeds.
    repair: BTreeSet<String>,
    deviations: usize,
    /// The way to the first repair: below it every pair of deviations is tried, below the others none.
    first: Option<Vec<usize>>,
    /// The state that this path asked first, and those below which every path was played, for another event: what
    /// follows hangs on its answer, hardly on the event, so that below it one answer at a time is another than the first.
    entry: Option<String>,
    known: BTreeSet<String>,
    below_known: usize,
    /// A question's answer was another than the first: it changes little of what follows, which is played once.
    narrow: bool,
    /// Spares were asked for: what follows is that of a job without them, but for the launches.
    with_spares: bool,
    /// Which answers each state gave, and how many it has.
    answered: BTreeMap<String, (BTreeSet<usize>, usize)>,
    violations: Vec<String>,
}

impl Script {
    fn next(&mut self, state: &str, mut replies: Vec<Reply>) -> Reply {
        let at = self.at;
        if at == 0 {
            self.entry = Some(state.to_owned());
        }
        let all = replies.len();
        let given = self.answered.entry(state.to_owned()).or_default();
        given.1 = given.1.max(all);
        // What may come of a question is tried until each of it was seen once.
        if ["OrderProbe", "OrderSome", "ListAnswers", "ReadOrder"].contains(&state) {
            let limit = if given.0.len() < all { all } else { 1 };
            let reply = self.choose_of(replies, limit);
            self.narrow |= self.choices[at] > 0;
            self.gave(state, at);
            return reply;
        }
        // After a repair under a task that did not stop the same follows as of one that did.
        if state == "StopSiblings" && self.repair.contains("CordonInstance") {
            let place = "StopSiblings, repaired";
            let given = self.answered.entry(place.to_owned()).or_default();
            given.1 = all;
            let limit = if given.0.len() < all { all } else { 1 };
            self.narrow = true;
            let reply = self.choose_of(replies, limit);
            self.gave(place, at);
            return reply;
        }
        let known = at > 0 && self.entry.as_ref().is_some_and(|s| self.known.contains(s));
        if self.narrow || known && self.below_known > 0 {
            replies.truncate(1);
        }
        self.with_spares |= state == "HoldSpares";
        if self.with_spares {
            return self.next_with_spares(state, replies);
        }
        const AFTER: [&str; 10] = [
            "AskNode",
            "ReadAnswer",
            "RebootInstance",
            "WaitForInstanceActive",
            "ReadOrder",
            "RebootByEc2",
            "UncordonInstance",
            "VerifyGpus",
            "QuarantineInstance",
            "RelaunchJob",
        ];
        const TRIED: usize = 2;
        if state == "CordonInstance" && self.repair.contains(state) {
            // After a lost hold the same follows once more.
            replies.truncate(1);
            self.deviations = TRIED;
        }
        if state == "CordonInstance" {
            let way = self.choices[..self.at].to_vec();
            self.first.get_or_insert(way);
        }
        let repairs = AFTER.contains(&state) && self.repair.contains("CordonInstance");
        if state == "CordonInstance" || repairs {
            let first = self.first.as_ref();
            let on_first = first.is_some_and(|way| self.choices.starts_with(way));
            if repairs && !(on_first && self.deviations < TRIED) {
                replies.truncate(1);
            }
            self.repair.insert(state.to_owned());
        }
        let reply = self.choose(replies);
        self.deviations += usize::from(repairs && self.choices[at] > 0);
        self.below_known += usize::from(known && self.choices[at] > 0);
        self.gave(state, at);
        reply
    }

    /// Each answer is tried until it was seen once, by how far the recovery was: before the check, after it, after the repair.
    fn next_with_spares(&mut self, state: &str, replies: Vec<Reply>) -> Reply {
        let at = self.at;
        if ["HoldSpares", "RelaunchJob"].contains(&state) {
            let checked = self.tries.contains_key("RunDcgm");
            let repaired = self.tries.contains_key("CordonInstance");
            let holds = self.tries.get("HoldSpares").copied().unwrap_or_default();
            let place = format!("{state}, checked {checked}, repaired {repaired}, hold {holds}");
            let all = replies.len();
            let given = self
                .answered
                .entry(place.clone())
                .or_insert((BTreeSet::new(), all));
            let limit = if given.0.len() < all { all } else { 1 };
            let reply = self.choose_of(replies, limit);
            self.gave(&place, at);
            self.gave(state, at);
            return reply;
        }
        let reply = self.choose_of(replies, 1);
        self.gave(state, at);
        reply
    }

    fn gave(&mut self, state: &str, at: usize) {
        let given = self.answered.entry(state.to_owned()).or_default();
        given.0.insert(self.choices[at]);
    }

    fn choose(&mut self, replies: Vec<Reply>) -> Reply {
        let limit = replies.len();
        self.choose_of(replies, limit)
    }

    fn choose_of(&mut self, replies: Vec<Reply>, limit: usize) -> Reply {
        let choice = self.choices.get(self.at).copied().unwrap_or(0);
        if self.at == self.choices.len() {
            self.choices.push(0);
        }
        self.options.truncate(self.at);
        self.options.push(limit);
        self.at += 1;
        replies[choice].clone()
    }

    /// The next path; false after the last.
    fn advance(&mut self) -> bool {
        self.choices.truncate(self.at);
        self.at = 0;
        self.last = None;
        self.tries.clear();
        self.repair.clear();
        self.deviations = 0;
        self.below_known = 0;
        self.narrow = false;
        self.with_spares = false;
        let entry = self.entry.take();
        while let Some(choice) = self.choices.pop() {
            if choice + 1 < self.options[self.choices.len()] {
                self.choices.push(choice + 1);
                return true;
            }
        }
        self.known.extend(entry);
        false
    }
}

fn runner(script: Arc<Mutex<Script>>, workers: Arc<BTreeMap<String, Worker>>) -> TaskRunner {
    Arc::new(move |request| {
        let reply = {
            let mut script = script.lock().unwrap();
            if request.resource.service == "lambda"
                && let Err(error) =
                    workers[&worker_of(&request)].check(&request.arguments["Payload"])
            {
                let problem = format!("{}: {error}", request.state);
                script.violations.push(problem);
            }
            match script.last.clone().filter(|_| request.retry_count > 0) {
                Some(error) => error,
                None => {
                    let tries = script.tries.entry(request.state.clone()).or_default();
                    *tries += 1;
                    let tries = *tries - 1;
                    let ordered = ["RebootInstance", "RebootByEc2"];
                    let ordered = ordered.iter().any(|state| script.repair.contains(*state));
                    let reply = script.next(&request.state, replies(&request, ordered, tries));
                    script.last = Some(reply.clone());
                    reply
                }
            }
        };
        Box::pin(async move {
            if request.resource.to_string().ends_with("waitForTaskToken") {
                tokio::time::sleep(Duration::from_secs(180)).await;
            }
            reply
                .map(Answer::Result)
                .map_err(|(error, cause)| IntegrationFailure {
                    error: error.to_owned(),
                    cause,
                })
        })
    })
}

fn settings() -> Settings {
    Settings::read(|name| {
        let value = match name {
            "TRAINING_JOB_TABLE_NAME" => "jobs",
            "CONTAINER_INSTANCE_TABLE_NAME" => "instances",
            "ECS_CLUSTER_NAME" => "training",
            "DCGM_HEALTH_CHECK_TASK" => "dcgm",
            "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
            "STOP_ROUNDS" => "2",
            _ => return None,
        };
        Some(value.to_owned())
    })
    .unwrap()
}

#[test]
fn what_passes_between_states_fits_the_schemas_on_every_path() {
    let mut substitutions = settings().substitutions();
    substitutions.extend(Lambda::substitutions());
    for (name, value) in [
        ("AWSPartition", "aws"),
        ("ProbeDocument", PROBE),
        ("RebootDocument", REBOOT),
    ] {
        substitutions.insert(name.to_owned(), value.to_owned());
    }
    let workers: Arc<BTreeMap<String, Worker>> = Arc::new(
        workers::all()
            .into_iter()
            .map(|w| (w.name.to_owned(), w))
            .collect(),
    );
    let machine = Definition::parse(RECOVERY, &substitutions).unwrap();
    let mut visited = BTreeSet::new();
    let mut paths = 0;
    let script = Arc::new(Mutex::new(Script::default()));
    let check = CheckRequest {
        instance: InstanceId::new(INSTANCE),
        by: "ann".to_owned(),
        reason: "wanted back".to_owned(),
    };
    // What follows a check by hand is what follows ClaimJob, but for its end.
    let events = fixtures::names("task-").into_iter();
    let events = events.map(|name| fixtures::event(&name));
    for event in events.chain([check.event()]) {
        script
            .lock()
            .unwrap()
            .known
            .insert("ClaimInstance".to_owned());
        loop {
            let runner = runner(script.clone(), workers.clone());
            let (status, states) = play(machine.clone(), runner, event.clone());
            check_end(&status, &states);
            paths += 1;
            visited.extend(states);
            let mut script = script.lock().unwrap();
            assert!(
                script.violations.is_empty(),
                "{:#?}\n{:?}",
                script.violations,
                script.choices
            );
            if !script.advance() {
                break;
            }
        }
    }
    let all = all_states();
    let never: Vec<_> = all.difference(&visited).collect();
    assert!(never.is_empty(), "no path leads to {never:?}");
    let answered = &script.lock().unwrap().answered;
    let missed: Vec<_> = answered
        .iter()
        .filter(|(_, (given, all))| given.len() < *all)
        .collect();
    assert!(missed.is_empty(), "answers that no path gave: {missed:?}");
    assert!(paths > 500, "only {paths} paths");
}

fn all_states() -> BTreeSet<String> {
    fn collect(machine: &Value, found: &mut BTreeSet<String>) {
        for (name, state) in machine["States"].as_object().unwrap() {
            found.insert(name.clone());
            if state["Type"] == "Map" {
                collect(&state["ItemProcessor"], found);
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&serde_json::from_str(RECOVERY).unwrap(), &mut found);
    found
}

/// Plays one path; its status (with the error) and the states that it entered, in order.
fn play(machine: Definition, runner: TaskRunner, event: Value) -> (String, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let stepfunctions = StepFunctions::new(Host::new(runner));
        let arn = stepfunctions.create_state_machine("gpu-recovery", machine);
        let execution = stepfunctions.start(&arn, None, event).unwrap();
        let end = stepfunctions.finished(&execution).await.unwrap();
        let states = stepfunctions
            .history(&execution)
            .iter()
            .filter_map(|e| {
                e["stateEnteredEventDetails"]["name"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect();
        let error = end.error.unwrap_or_default();
        (
            format!("{} {error}", end.status.as_str()).trim().to_owned(),
            states,
        )
    })
}

/// What holds on every path.
fn check_end(status: &str, states: &[String]) {
    let count = |name: &str| states.iter().filter(|s| *s == name).count();
    let told = count("NotifyOperators");
    // Even a refused RunTask is a verdict (inconclusive): States.TaskFailed stands for every error of a task but a
    // time-out (Step Functions developer guide, concepts-error-handling).
    assert_eq!(status, "SUCCEEDED", "{states:?}");
    let beside = count("ReleaseSuspects") > 0;
    assert!(told <= 1 + usize::from(beside), "told once: {states:?}");
    // Once the job's fate is told, nothing of this execution can touch it any more.
    let first = states.iter().position(|state| state == "NotifyOperators");
    for state in states.iter().skip(first.unwrap_or(states.len())) {
        let touches = ["StopSiblings", "HoldSpares", "RelaunchJob", "FailJob"];
        assert!(
            !touches.contains(&state.as_str()),
            "{state} after the end: {states:?}"
        );
    }
    // What RecordUserStop finds may be stale.
    if count("RecordUserStop") == 0 {
        let decided =
            count("RelaunchJob") + count("FailJob") + count("TellOnly") + count("EndCheck") > 0;
        let claimed = count("StopSiblings") > 0;
        assert_eq!(
            told >= 1,
            decided || claimed,
            "a decision is told: {states:?}"
        );
    }
    // A hold that was lost is looked at again, and with it whatever follows.
    let holds = count("CordonInstance");
    for reboot in ["RebootInstance", "RebootByEc2"] {
        assert!(
            count(reboot) <= holds,
            "{reboot} without a hold: {states:?}"
        );
    }
}

#[test]
fn the_answers_tried_are_all_that_the_outcome_schemas_know() {
    for worker in workers::all() {
        let schema = &worker.outcome_schema;
        let validator = jsonschema::validator_for(schema).unwrap();
        let variants = schema["oneOf"]
            .as_array()
            .unwrap_or_else(|| panic!("{}: {schema}", worker.name))
            .iter()
            .map(|v| {
                v["properties"]["outcome"]["const"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect::<BTreeSet<_>>();
        let tried: BTreeSet<String> = outcomes(worker.name)
            .into_iter()
            .filter_map(Result::ok)
            .map(|outcome| {
                if let Err(error) = validator.validate(&outcome) {
                    panic!("{}: {outcome}: {error}", worker.name);
                }
                outcome["outcome"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(tried, variants, "{}", worker.name);
    }
}
