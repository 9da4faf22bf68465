//! Where the time of a recovery by this system goes.

use super::{
    ledger::{Ledger, Piece, Spans},
    times::{JobTimes, seconds},
};
use crate::site::{Plan, Site, SiteError, What, play};
use serde_json::Value;
use simulator::{
    faults::role,
    ssm::{PROBE, REBOOT},
    wire::CallRecord,
};
use std::collections::BTreeMap;

/// Plays a recovery of one bad GPU and shares out its time.
///
/// # Errors
/// [`SiteError`].
pub fn measure(nodes: u32, seed: u64) -> Result<Ledger, SiteError> {
    let plan = Plan {
        seed,
        ..Plan::job(nodes)
    };
    play(&plan, async |site| {
        let seen = JobTimes::read(site);
        let mut spans = seen.physics();
        spans.extend(deliveries(site, &seen));
        spans.extend(functions(site));
        spans.extend(orders(site, &seen));
        Ok(spans.share_out(seen.begin(), seen.end()))
    })
}

fn calls(site: &Site) -> Vec<CallRecord> {
    let mut calls = site.cloud.wire.calls();
    calls.retain(|call| call.at >= site.dies_at);
    calls
}

/// The first of `times` from `at` on.
fn next(times: &[f64], at: f64) -> Option<f64> {
    times.iter().copied().filter(|t| *t >= at).reduce(f64::min)
}

/// What AWS takes to tell and to deliver.
fn deliveries(site: &Site, seen: &JobTimes) -> Spans {
    let mut spans = Spans::default();
    let times = |wanted: &dyn Fn(&CallRecord) -> bool| -> Vec<f64> {
        let calls = calls(site).into_iter().filter(|call| wanted(call));
        calls.map(|call| seconds(site, call.at)).collect()
    };
    let starts = times(&|call| call.action == "StartExecution");
    let mut deliver = |from: f64, to: Option<f64>| {
        if let Some(to) = to {
            spans.add(Piece::EventDelivery, from, to);
        }
    };
    deliver(seen.told(), next(&starts, seen.told()));
    let called: Vec<f64> = site
        .moments()
        .into_iter()
        .filter(|moment| moment.what == What::FunctionCalled && moment.who == "instance-events")
        .map(|moment| seconds(site, moment.at))
        .collect();
    for at in seen.commands_done.iter().chain(&seen.agents_back) {
        deliver(*at, next(&called, *at));
    }
    let history = history(site);
    let ended = |types: &[&str]| -> Vec<f64> {
        let events = history.iter();
        events
            .filter(|event| types.iter().any(|name| event["type"] == *name))
            .map(|event| event_time(site, event))
            .collect()
    };
    let tasks_ended = ended(&["TaskSucceeded", "TaskFailed"]);
    for told in seen.checks.iter().filter_map(|check| check.end_told) {
        if let Some(heard) = next(&tasks_ended, told) {
            spans.add(Piece::SyncDelivery, told, heard);
        }
    }
    let sent = |document: &str| {
        times(&|call| {
            let of_it = call
                .resource
                .as_deref()
                .is_some_and(|r| r.contains(document));
            call.action == "SendCommand" && of_it
        })
    };
    let (orders, questions) = (sent(REBOOT), sent(PROBE));
    for (begin, back) in &seen.reboots {
        // From the answer to SendCommand until the node goes down.
        let asked = orders.iter().copied().rfind(|at| at < begin);
        if let Some(taken) = asked.and_then(|at| next(&tasks_ended, at)) {
            spans.add(Piece::CommandDelivery, taken, *begin);
        }
        // The question waits for the node, or comes when it is back.
        if let Some(said) = next(&seen.answers, *back) {
            let asked = questions.iter().copied().rfind(|at| *at < said);
            if let Some(taken) = asked.and_then(|at| next(&tasks_ended, at)) {
                spans.add(Piece::CommandDelivery, taken.max(*back), said);
            }
        }
        if let Some(done) = next(&seen.commands_done, *back) {
            spans.add(Piece::CommandDelivery, *back, done);
        }
    }
    spans
}

/// Functions that start and run.
fn functions(site: &Site) -> Spans {
    let mut spans = Spans::default();
    let mut called: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for moment in site.moments() {
        if moment.what == What::FunctionCalled && moment.at >= site.dies_at {
            let times = called.entry(moment.who).or_default();
            times.push(seconds(site, moment.at));
        }
    }
    for invocation in site.cloud.lambda.invocations() {
        let at = seconds(site, invocation.at);
        let end = at + invocation.duration.as_secs_f64();
        spans.add(Piece::Handlers, at, end);
        let times = called.get(invocation.function);
        let asked = times.and_then(|times| times.iter().copied().rfind(|t| *t <= at));
        if let Some(asked) = asked {
            spans.add(Piece::LambdaStart, asked, at);
        }
    }
    spans
}

/// Seconds that ECS takes for so many orders when nobody else asks: "cluster resource modify actions", 100 at once, then 40
/// a second (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>).
fn at_best(orders: usize) -> f64 {
    orders.saturating_sub(100) as f64 / 40.0
}

/// Orders that go out one after the other, and what is asked again.
fn orders(site: &Site, seen: &JobTimes) -> Spans {
    let mut spans = Spans::default();
    let calls = calls(site);
    let times = |who: &str, action: &[&str]| -> Vec<f64> {
        calls
            .iter()
            .filter(|call| role(&call.caller) == who && action.contains(&call.action.as_str()))
            .map(|call| seconds(site, call.at))
            .collect()
    };
    let from_first_to_last = |times: &[f64]| {
        let first = times.iter().copied().reduce(f64::min);
        first.zip(times.iter().copied().reduce(f64::max))
    };
    let stops = times("stop-siblings", &["StopTask"]);
    if let Some((first, last)) = from_first_to_last(&stops) {
        spans.add(Piece::StopBucket, first, first + at_best(stops.len()));
        spans.add(Piece::StopRate, first, last);
    }
    let starts = times("relaunch-job", &["StartTask", "RunTask"]);
    if let Some((first, last)) = from_first_to_last(&starts) {
        spans.add(Piece::StartBucket, first, first + at_best(starts.len()));
        spans.add(Piece::StartRate, first, last);
    }
    let asked = times("stop-siblings", &["DescribeTasks"]);
    if let Some(again) = next(&asked, seen.all_stopped()) {
        spans.add(Piece::AskAgain, seen.all_stopped(), again);
    }
    let created: Vec<f64> = seen.checks.iter().filter_map(|c| c.created).collect();
    let ended: Vec<f64> = history(site)
        .iter()
        .filter(|event| event["type"] == "TaskSucceeded")
        .map(|event| event_time(site, event))
        .collect();
    for at in times("state-machine", &["RunTask"]) {
        if let Some(placed) = next(&created, at) {
            spans.add(Piece::OwnCalls, at, placed);
        }
    }
    for at in times("state-machine", &["SendCommand"]) {
        if let Some(taken) = next(&ended, at) {
            spans.add(Piece::OwnCalls, at, taken);
        }
    }
    for at in times("eventbridge", &["StartExecution"]) {
        let claimed = site.moments();
        let claimed = claimed.iter().find(|m| m.who == "claim-job");
        if let Some(claim) = claimed {
            spans.add(Piece::OwnCalls, at, seconds(site, claim.at));
        }
    }
    spans
}

/// Of the execution that did the work.
fn history(site: &Site) -> Vec<Value> {
    let executions = site.cloud.stepfunctions.executions();
    let histories = executions
        .iter()
        .map(|execution| site.cloud.stepfunctions.history(&execution.arn));
    histories.max_by_key(Vec::len).unwrap_or_default()
}

fn event_time(site: &Site, event: &Value) -> f64 {
    let epoch = event["timestamp"].as_f64().unwrap_or_default();
    let died = site
        .dies_at
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    epoch - died.as_secs_f64()
}
