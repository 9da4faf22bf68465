//! The promises of docs/design.md, checked at the end of a scenario against what really happened in the fleet.

use super::{
    launcher,
    report::Report,
    spec::{Gpu, Scenario},
};
use crate::cloud::Cloud;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use workers::{ids::JobId, aws::launch_names::started_by, records::{JobStatus, RankStatus}};

/// Every promise that was broken, in plain words.
pub fn broken(cloud: &Cloud, scenario: &Scenario, report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    relaunched_whole_and_once(cloud, report, &mut broken);
    no_healthy_or_foreign_reboot(scenario, report, &mut broken);
    nothing_is_stuck(scenario, report, &mut broken);
    nobody_is_left_in_the_dark(report, &mut broken);
    cost_grows_with_the_job(report, &mut broken);
    broken
}

/// Order of the events in the record, and what they say of one task.
#[derive(Default)]
struct Life {
    instance: String,
    running: Option<usize>,
    stopped: Option<usize>,
}

/// Promise 1: at most one relaunch an attempt, all ranks or none; no task of an older attempt beside it.
fn relaunched_whole_and_once(cloud: &Cloud, report: &Report, broken: &mut Vec<String>) {
    let job = JobId::new(launcher::JOB);
    let mut lives: BTreeMap<u32, BTreeMap<String, Life>> = BTreeMap::new();
    let attempts: BTreeMap<String, u32> = (1..=report.job.attempt + 1)
        .map(|attempt| (started_by(&job, attempt), attempt))
        .collect();
    for (order, event) in cloud.bus.record().iter().enumerate() {
        let task = &event["detail"];
        let Some(attempt) = task["startedBy"].as_str().and_then(|s| attempts.get(s)) else {
            continue;
        };
        let text = |name: &str| task[name].as_str().unwrap_or_default().to_owned();
        let life = lives
            .entry(*attempt)
            .or_default()
            .entry(text("taskArn"))
            .or_default();
        life.instance = text("containerInstanceArn");
        match task["lastStatus"].as_str() {
            Some("RUNNING") => life.running = life.running.or(Some(order)),
            Some("STOPPED") => life.stopped = life.stopped.or(Some(order)),
            _ => {}
        }
    }
    let none = BTreeMap::new();
    for attempt in 2..=report.job.attempt {
        let of = |attempt| lives.get(&attempt).unwrap_or(&none);
        let first = of(attempt).values().filter_map(|l| l.running).min();
        let last = of(attempt - 1)
            .values()
            .map(|l| {
                if l.running.is_some() {
                    l.stopped.unwrap_or(usize::MAX)
                } else {
                    0
                }
            })
            .max();
        if let (Some(first), Some(last)) = (first, last)
            && last > first
        {
            broken.push(format!(
                "promise 1: a task of attempt {} still ran when attempt {attempt} started",
                attempt - 1
            ));
        }
        for (instance, count) in doubles(of(attempt)) {
            broken.push(format!(
                "promise 1: {count} tasks of attempt {attempt} ran at once on {instance}"
            ));
        }
    }
    if let Some(stray) = lives.get(&(report.job.attempt + 1)) {
        let running = stray
            .values()
            .filter(|l| l.running.is_some() && l.stopped.is_none())
            .count();
        if running > 0 {
            broken.push(format!(
                "promise 1: {running} tasks of a relaunch that was not committed still run"
            ));
        }
    }
    let recorded: BTreeSet<&str> = report.ranks.iter().map(|r| r.task_arn.as_str()).collect();
    if recorded.len() != report.nodes as usize {
        broken.push(format!(
            "promise 1: attempt {} has {} recorded tasks, the job has {} ranks",
            report.job.attempt,
            recorded.len(),
            report.nodes
        ));
    }
}

/// Instances on which two tasks of one attempt ran at the same time.
fn doubles(tasks: &BTreeMap<String, Life>) -> Vec<(&str, usize)> {
    let mut by_instance: BTreeMap<&str, Vec<&Life>> = BTreeMap::new();
    for life in tasks.values().filter(|l| l.running.is_some()) {
        by_instance.entry(&life.instance).or_default().push(life);
    }
    by_instance
        .into_iter()
        .filter_map(|(instance, lives)| {
            let most = lives
                .iter()
                .map(|one| {
                    let at = one.running.unwrap_or_default();
                    let runs = |l: &&&Life| {
                        l.running.unwrap_or(usize::MAX) <= at
                            && l.stopped.unwrap_or(usize::MAX) > at
                    };
                    lives.iter().filter(runs).count()
                })
                .max()?;
            (most > 1).then_some((instance, most))
        })
        .collect()
}

/// Promise 2: no reboot of a healthy instance, nor of one on which another job's task runs.
fn no_healthy_or_foreign_reboot(scenario: &Scenario, report: &Report, broken: &mut Vec<String>) {
    for instance in report.instances.iter().filter(|i| i.reboots > 0) {
        let spec = scenario.instances.get(&instance.node);
        let gpu = spec.map_or(Gpu::Healthy, |s| s.gpu);
        if gpu == Gpu::Healthy {
            broken.push(format!(
                "promise 2: healthy {} was rebooted",
                instance.instance
            ));
        }
        if gpu == Gpu::FaultUntilReboot && instance.reboots > 1 {
            broken.push(format!(
                "promise 2: {} was rebooted {} times, the first time mended it",
                instance.instance, instance.reboots
            ));
        }
        if spec.is_some_and(|s| s.shared_with_another_job) {
            broken.push(format!(
                "promise 2: {} was rebooted under another job's task",
                instance.instance
            ));
        }
    }
}

/// Promise 3: every execution ends; every cordoned instance ends released or quarantined.
fn nothing_is_stuck(scenario: &Scenario, report: &Report, broken: &mut Vec<String>) {
    for execution in &report.executions {
        if execution.status == "RUNNING" {
            broken.push(format!(
                "promise 3: execution {} never ended",
                execution.arn
            ));
        }
    }
    // A failed execution waits for a person, with what it holds.
    if report
        .executions
        .iter()
        .any(|e| e.status != "SUCCEEDED" && e.status != "RUNNING")
    {
        return;
    }
    if report.job.status.is_recovering() {
        broken.push(format!("promise 3: the job is left {}", report.job.status));
    }
    for instance in &report.instances {
        let by_person = scenario
            .actions
            .iter()
            .any(|a| a.cordon == Some(instance.node));
        let quarantined = instance.status.as_deref() == Some("QUARANTINED");
        if instance.ecs_status == "DRAINING" && !quarantined && !by_person {
            broken.push(format!(
                "promise 3: {} is left DRAINING and not quarantined",
                instance.instance
            ));
        }
        if matches!(
            instance.status.as_deref(),
            Some("REBOOTING" | "PENDING_HEALTHCHECK")
        ) {
            broken.push(format!(
                "promise 3: {} is left {}",
                instance.instance,
                instance.status.as_deref().unwrap_or_default()
            ));
        }
    }
    let told = |n: &crate::sns::Notification| {
        n.attributes.get("event").is_some_and(|event| event == "Told")
    };
    let ignored = scenario
        .settings
        .get("OTHER_EXIT_POLICY")
        .is_some_and(|policy| policy == "ignore");
    if report.job.status == JobStatus::InProgress
        && !ignored
        && !report.notifications.iter().any(told)
    {
        let gone = report
            .ranks
            .iter()
            .filter(|r| r.status == RankStatus::Stopped)
            .count();
        if gone > 0 {
            broken.push(format!(
                "promise 4: the job is IN_PROGRESS, {gone} of its ranks ended unseen"
            ));
        }
    }
}

/// Promise 4: every job declared failed and every failed execution reaches SNS.
fn nobody_is_left_in_the_dark(report: &Report, broken: &mut Vec<String>) {
    let told = |event: &str, key: &str, value: &str| {
        report.notifications.iter().any(|n| {
            n.attributes.get("event").is_some_and(|e| e == event)
                && n.attributes.get(key).is_some_and(|v| v == value)
        })
    };
    if report.job.status == JobStatus::Failed && !told("JobFailed", "job_id", launcher::JOB) {
        broken.push("promise 4: the job is FAILED and nobody was told".to_owned());
    }
    if report.job.attempt > 1 && !told("JobRecovered", "job_id", launcher::JOB) {
        broken.push("promise 4: the job was relaunched and nobody was told".to_owned());
    }
    for execution in &report.executions {
        if matches!(
            execution.status.as_str(),
            "FAILED" | "TIMED_OUT" | "ABORTED"
        ) && !told("ExecutionEndedBadly", "execution", &execution.arn)
        {
            broken.push(format!(
                "promise 4: execution {} ended {} and nobody was told",
                execution.arn, execution.status
            ));
        }
    }
}

/// Promise 7: no Scan, and nothing that Step Functions carries comes near its 256 KiB.
fn cost_grows_with_the_job(report: &Report, broken: &mut Vec<String>) {
    const PAYLOAD: usize = 256 * 1024;
    if report.calls.contains_key("dynamodb:Scan") {
        broken.push("promise 7: a table was scanned".to_owned());
    }
    let largest = report.history.iter().map(payload).max().unwrap_or_default();
    if largest > PAYLOAD {
        broken.push(format!(
            "promise 7: {largest} bytes of state were passed on"
        ));
    }
}

fn payload(event: &Value) -> usize {
    ["stateEnteredEventDetails", "stateExitedEventDetails"]
        .iter()
        .filter_map(|details| event.get(*details))
        .flat_map(|d| [d["input"].as_str(), d["output"].as_str()])
        .flatten()
        .map(str::len)
        .max()
        .unwrap_or_default()
}
