//! The figures of a recovery: where the time went, how many calls, what it costs.

use super::{hosts::Hosts, report::Report};
use crate::{
    cloud::{Cloud, HEALTH_CHECK},
    faults::role,
};
use aws_smithy_types::{DateTime, date_time::Format};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};
use workers::{aws::launch_names::started_by, records::JobRecord};

/// Where the time went, in seconds of virtual time.
///
/// The steps follow each other. `overhead` is what is left of `total` when everything that nature and AWS take is
/// removed: tasks stopping, health checks running, nodes rebooting, tasks starting; and `deliveries` and `paused`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Phases {
    /// From the failed rank's end to the last new rank's start, or to the end of the execution.
    pub total: f64,
    /// From the failed rank's end until every rank was RUNNING again, if they were: what is repaired beside the job does
    /// not count.
    pub running_again: Option<f64>,
    /// From the rank's end until the system acts: event delivery, claim.
    pub notice: f64,
    pub stop: f64,
    pub diagnose: f64,
    pub reboot: f64,
    pub verify: f64,
    pub relaunch: f64,
    /// What AWS takes to tell of an end and to deliver an event or a command.
    pub deliveries: f64,
    /// What of the rest it stood still, ended badly, until an operator redrove it.
    pub paused: f64,
    pub overhead: f64,
}

/// One line of the bill, in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    pub item: &'static str,
    pub quantity: f64,
    pub dollars: f64,
}

/// What the system called.
pub(super) struct Calls {
    pub by_action: BTreeMap<String, u64>,
    pub throttled: u64,
    pub dynamodb_units: BTreeMap<String, f64>,
    pub lambda_invocations: u64,
    pub lambda_milliseconds: u64,
}

pub(super) fn calls(cloud: &Cloud, since: SystemTime) -> Calls {
    let mut calls = Calls {
        by_action: BTreeMap::new(),
        throttled: 0,
        dynamodb_units: BTreeMap::from([("read".to_owned(), 0.0), ("write".to_owned(), 0.0)]),
        lambda_invocations: 0,
        lambda_milliseconds: 0,
    };
    for call in cloud.wire.calls() {
        let ours = !matches!(
            role(&call.caller),
            "deploy" | "launcher" | "report" | "person"
        );
        if call.at < since || !ours {
            continue;
        }
        *calls
            .by_action
            .entry(format!("{}:{}", call.service, call.action))
            .or_default() += 1;
        if matches!(&call.outcome, Err(code) if code.contains("Throttling") || code == "RequestLimitExceeded")
        {
            calls.throttled += 1;
        }
        let kind = match call.action.as_str() {
            "GetItem" | "Query" | "Scan" | "BatchGetItem" => "read",
            _ => "write",
        };
        *calls.dynamodb_units.entry(kind.to_owned()).or_default() += call.units;
    }
    for invocation in cloud.lambda.invocations() {
        calls.lambda_invocations += 1;
        calls.lambda_milliseconds += invocation.duration.as_millis() as u64;
    }
    calls
}

/// What is on the bill.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Billed {
    pub state_transitions: u64,
    pub lambda_invocations: u64,
    pub lambda_milliseconds: u64,
    pub write_units: f64,
    pub read_units: f64,
    pub sns_messages: u64,
}

impl Cost {
    /// The bill of `billed`, line by line: prices of us-east-1 in US dollars, without free tiers (2026-11), from
    /// <https://aws.amazon.com/step-functions/pricing/>, <https://aws.amazon.com/lambda/pricing/>,
    /// <https://aws.amazon.com/dynamodb/pricing/on-demand/> and <https://aws.amazon.com/sns/pricing/>. Events of AWS
    /// services, Run Command on EC2 instances and the ECS API are free.
    pub fn bill(billed: &Billed) -> Vec<Self> {
        const MILLION: f64 = 1e6;
        /// Lambda, arm64, per GB-second; the functions have 128 MB.
        const GB_SECOND: f64 = 0.000_013_333_4;
        const FUNCTION_GB: f64 = 0.125;
        let line = |item, quantity: f64, price: f64| Self {
            item,
            quantity,
            dollars: quantity * price,
        };
        let gb_seconds = billed.lambda_milliseconds as f64 / 1000.0 * FUNCTION_GB;
        vec![
            line(
                "Step Functions state transitions",
                billed.state_transitions as f64,
                25.0 / MILLION,
            ),
            line(
                "Lambda requests",
                billed.lambda_invocations as f64,
                0.20 / MILLION,
            ),
            line("Lambda GB-seconds", gb_seconds, GB_SECOND),
            line("DynamoDB write units", billed.write_units, 0.625 / MILLION),
            line("DynamoDB read units", billed.read_units, 0.125 / MILLION),
            line("SNS messages", billed.sns_messages as f64, 0.50 / MILLION),
        ]
    }
}

pub(super) fn cost(report: &Report) -> Vec<Cost> {
    let units = |kind: &str| report.dynamodb_units.get(kind).copied().unwrap_or(0.0);
    Cost::bill(&Billed {
        state_transitions: report.state_transitions,
        lambda_invocations: report.lambda_invocations,
        lambda_milliseconds: report.lambda_milliseconds,
        write_units: units("write"),
        read_units: units("read"),
        sns_messages: report.calls.get("sns:Publish").copied().unwrap_or(0),
    })
}

/// From the history of the recovery's execution and what the fleet really did.
pub(super) fn phases(
    cloud: &Cloud,
    job: &JobRecord,
    history: &[Value],
    started: SystemTime,
    hosts: &Hosts,
) -> Option<Phases> {
    let since = |time: SystemTime| {
        time.duration_since(started)
            .unwrap_or(Duration::ZERO)
            .as_secs_f64()
    };
    let origin = started
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let at = |event: &Value| event["timestamp"].as_f64().unwrap_or(origin) - origin;
    let edge = |name: &str, details: &str| {
        let hits = history.iter().filter(|e| e[details]["name"] == name);
        hits.map(at).collect::<Vec<f64>>()
    };
    let entered = |name: &str| edge(name, "stateEnteredEventDetails").first().copied();
    let left = |name: &str| edge(name, "stateExitedEventDetails").last().copied();
    let stop = entered("StopSiblings")?;
    let facts = TaskTimes::read(cloud, job, hosts, since);
    let begin = facts.failed_at?;
    let end = match facts.relaunched_at {
        Some(at) => at,
        None => at(history.last()?),
    };
    // What comes after it is done beside the running job.
    let before = |time: &f64| *time < end;
    let check = entered("CheckGpus").filter(before);
    let recover = entered("RecoverInstances").filter(before);
    // A wait that ends at its bound is left, too, but nothing is verified after it.
    let active = entered("VerifyGpus")
        .and(left("WaitForInstanceActive"))
        .filter(before);
    let relaunch = entered("RelaunchJob").filter(|_| facts.relaunched_at.is_some());
    let span = |from: Option<f64>, to: Option<f64>| match (from, to) {
        (Some(from), Some(to)) => whole_millis((to - from).max(0.0)),
        _ => 0.0,
    };
    let first = |times: &[Option<f64>]| times.iter().flatten().copied().next();
    // A node on which a task never stops is repaired before anything is checked.
    let looked = check.into_iter().chain(recover).min_by(f64::total_cmp);
    let after_stop = first(&[
        looked,
        entered("RelaunchJob"),
        entered("FailJob"),
        Some(end),
    ]);
    let after_check = first(&[recover, entered("FailJob"), Some(end)]);
    let after_recover = first(&[entered("RelaunchJob"), entered("FailJob"), Some(end)]);
    let nature = covered(facts.nature.clone(), begin, end);
    let ended = history
        .iter()
        .filter(|event| event["type"] == "TaskSucceeded" || event["type"] == "TaskFailed");
    let told = facts.deliveries(cloud, &ended.map(at).collect::<Vec<_>>(), hosts, since);
    let taken = [facts.nature, told].concat();
    let both = covered(taken.clone(), begin, end);
    let with_pauses = covered([taken, pauses(history, at)].concat(), begin, end);
    Some(Phases {
        total: whole_millis(end - begin),
        running_again: facts.relaunched_at.map(|at| whole_millis(at - begin)),
        notice: whole_millis(stop - begin),
        stop: span(Some(stop), after_stop),
        diagnose: span(check, after_check),
        reboot: span(recover, first(&[active, after_recover])),
        verify: span(active.and(recover.and(active)), after_recover),
        relaunch: span(relaunch, Some(end)),
        deliveries: whole_millis(both - nature),
        paused: whole_millis(with_pauses - both),
        overhead: whole_millis((end - begin) - with_pauses),
    })
}

/// From each bad end of the execution to its redrive.
fn pauses(history: &[Value], at: impl Fn(&Value) -> f64) -> Vec<(f64, f64)> {
    let mut pauses = Vec::new();
    let mut ended = None;
    for event in history {
        match event["type"].as_str() {
            Some("ExecutionAborted" | "ExecutionFailed" | "ExecutionTimedOut") => {
                ended = Some(at(event));
            }
            Some("ExecutionRedriven") => pauses.extend(ended.take().map(|from| (from, at(event)))),
            _ => {}
        }
    }
    pauses
}

fn whole_millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// What the fleet did, in seconds.
struct TaskTimes {
    /// When the first rank to fail ended.
    failed_at: Option<f64>,
    /// When every rank of the job's last attempt was RUNNING, if it was relaunched.
    relaunched_at: Option<f64>,
    /// When tasks were stopping, starting or checking, and nodes rebooting.
    nature: Vec<(f64, f64)>,
    /// When ECS told of the first end of a rank, of the ends of health checks, and of agents that are back.
    first_end_told: Option<f64>,
    checks_told: Vec<f64>,
    agents_back: Vec<f64>,
    /// When SSM told that a command had succeeded.
    commands_done: Vec<f64>,
}

impl TaskTimes {
    fn read(
        cloud: &Cloud,
        job: &JobRecord,
        hosts: &Hosts,
        since: impl Fn(SystemTime) -> f64,
    ) -> Self {
        let record = cloud.bus.timed_record();
        let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut away: BTreeMap<&str, f64> = BTreeMap::new();
        let mut nature = Vec::new();
        let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
        let (mut agents_back, mut commands_done) = (Vec::new(), Vec::new());
        for (at, event) in &record {
            let detail = &event["detail"];
            match event["detail-type"].as_str() {
                Some("ECS Task State Change") => {
                    let arn = detail["taskArn"].as_str().unwrap_or_default();
                    let version = |task: &Value| task["version"].as_u64();
                    if detail["lastStatus"] == "STOPPED" {
                        ends.entry(arn).or_insert(since(*at));
                    }
                    if last
                        .get(arn)
                        .is_none_or(|known| version(known) < version(detail))
                    {
                        last.insert(arn, detail);
                    }
                }
                Some("ECS Container Instance State Change") => {
                    let id = detail["ec2InstanceId"].as_str().unwrap_or_default();
                    if detail["agentConnected"] == false {
                        away.entry(id).or_insert(since(*at));
                    } else if let Some(from) = away.remove(id) {
                        nature.push((from, since(*at)));
                        agents_back.push(since(*at));
                    }
                }
                Some("EC2 Command Invocation Status-change Notification")
                    if detail["status"] == "Success" =>
                {
                    commands_done.push(since(*at));
                }
                _ => {}
            }
        }
        nature.extend(away.into_values().map(|from| (from, f64::MAX)));
        for (from, to) in hosts.reboots() {
            nature.push((since(from), to.map_or(f64::MAX, &since)));
        }
        let first_attempt = started_by(&job.job_id, 1);
        let last_attempt = started_by(&job.job_id, job.attempt);
        let mut failed_at: Option<f64> = None;
        let mut relaunched_at: Option<f64> = None;
        let mut first_end_told: Option<f64> = None;
        let mut checks_told = Vec::new();
        for (arn, task) in last {
            let told = ends.get(arn).copied();
            let time = |name: &str| task[name].as_str().and_then(millis).map(&since);
            let started_by = task["startedBy"].as_str().unwrap_or_default();
            let check = task["group"] == format!("family:{HEALTH_CHECK}").as_str();
            if check {
                nature.extend(time("createdAt").zip(time("stoppedAt")));
                checks_told.extend(told);
                continue;
            }
            let ended = [time("stoppingAt"), time("executionStoppedAt")]
                .into_iter()
                .flatten()
                .reduce(f64::min);
            nature.extend(ended.zip(time("stoppedAt")));
            nature.extend(time("createdAt").zip(time("startedAt")));
            if started_by == first_attempt
                && task["stopCode"] != "UserInitiated"
                && let Some(end) = time("executionStoppedAt").or(time("stoppedAt"))
            {
                failed_at = Some(failed_at.map_or(end, |f| f.min(end)));
                first_end_told = told.into_iter().chain(first_end_told).reduce(f64::min);
            }
            if job.attempt > 1
                && started_by == last_attempt
                && let Some(start) = time("startedAt")
            {
                relaunched_at = Some(relaunched_at.map_or(start, |r| r.max(start)));
            }
        }
        Self {
            failed_at,
            relaunched_at,
            nature,
            first_end_told,
            checks_told,
            agents_back,
            commands_done,
        }
    }

    /// From what was told to who heard it: EventBridge to the execution and to `instance-events`, the end of a health check
    /// to the state machine (`ended`: when its tasks had), a command to the node and its success back.
    fn deliveries(
        &self,
        cloud: &Cloud,
        ended: &[f64],
        hosts: &Hosts,
        since: impl Fn(SystemTime) -> f64,
    ) -> Vec<(f64, f64)> {
        let next = |times: &[f64], at: f64| {
            let later = times.iter().copied().filter(|time| *time >= at);
            later.reduce(f64::min).map(|time| (at, time))
        };
        let calls = cloud.wire.calls();
        let called = |action: &str| -> Vec<f64> {
            let calls = calls.iter().filter(|call| call.action == action);
            calls.map(|call| since(call.at)).collect()
        };
        let heard: Vec<f64> = cloud
            .lambda
            .invocations()
            .into_iter()
            .filter(|run| run.function == "instance-events")
            .map(|run| since(run.at))
            .collect();
        let (starts, sent) = (called("StartExecution"), called("SendCommand"));
        let mut spans = Vec::new();
        spans.extend(self.first_end_told.and_then(|at| next(&starts, at)));
        spans.extend(self.checks_told.iter().filter_map(|at| next(ended, *at)));
        let told = self.agents_back.iter().chain(&self.commands_done);
        spans.extend(told.filter_map(|at| next(&heard, *at)));
        for (begin, back) in hosts.reboots() {
            let begin = since(begin);
            let asked = sent.iter().copied().filter(|at| *at < begin);
            let taken = asked.reduce(f64::max).and_then(|at| next(ended, at));
            spans.extend(taken.map(|(_, taken)| (taken, begin)));
            let back = back.and_then(|back| next(&self.commands_done, since(back)));
            spans.extend(back);
        }
        spans
    }
}

fn millis(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

/// How much of `begin..end` the intervals cover together.
fn covered(mut intervals: Vec<(f64, f64)>, begin: f64, end: f64) -> f64 {
    intervals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let mut reached = begin;
    for (from, to) in intervals {
        let (from, to) = (from.max(reached), to.min(end));
        if to > from {
            sum += to - from;
            reached = to;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_from_the_bad_end_to_the_redrive() {
        let event = |kind: &str, at: f64| serde_json::json!({ "type": kind, "timestamp": at });
        let history = [
            event("ExecutionAborted", 10.0),
            event("ExecutionRedriven", 70.0),
            event("ExecutionFailed", 80.0),
        ];
        let at = |event: &Value| event["timestamp"].as_f64().unwrap_or_default();
        assert_eq!(pauses(&history, at), [(10.0, 70.0)]);
    }

    #[test]
    fn overlapping_intervals_count_once() {
        let intervals = vec![(5.0, 9.0), (0.0, 2.0), (1.0, 3.0), (8.0, 20.0)];
        assert_eq!(covered(intervals, 1.0, 10.0), 2.0 + 5.0);
        assert_eq!(covered(vec![], 0.0, 10.0), 0.0);
    }
}
