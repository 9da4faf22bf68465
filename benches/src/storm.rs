//! Many jobs that fail in the same second, in one account.

use crate::{
    page::{table, thousands},
    site::{Plan, Site, SiteError, play},
    usage::Usage,
};
use simulator::lambda::Invocation;
use std::{collections::BTreeMap, time::Duration};
use workers::aws::launch_names::started_by;

/// Jobs that fail at once: as many as a test plays.
pub const SMALL: [u32; 2] = [10, 50];
/// As many as take too long for one; 200 of them fill 1,000 instances.
pub const LARGE: [u32; 3] = [200, 500, 1000];
/// Ranks of each job.
const RANKS: u32 = 5;

/// What a storm takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm {
    pub jobs: u32,
    /// Jobs that run again.
    pub recovered: u32,
    /// Seconds from the failure until all ranks of a job run again: the median, and the last job.
    pub median: f64,
    pub last: f64,
    pub usage: Usage,
    /// Calls that were throttled, by action.
    pub throttled: Vec<(String, u64)>,
    /// Functions that ran at once at most.
    pub concurrency: u32,
    /// Of `instance-events` alone, for which the template reserves 10; what is above waits in Lambda's own queue.
    pub events_at_once: u32,
    /// States entered in the busiest second: what Step Functions bills and throttles.
    pub busiest_second: u64,
    /// Messages to the operators.
    pub messages: u32,
    /// The status of the jobs that do not run again, and how many.
    pub others: BTreeMap<String, u32>,
    /// The steps at which executions stand that did not succeed, with the error, and how many.
    pub red: BTreeMap<String, u32>,
}

/// Lets so many jobs of five ranks fail in the same second, one GPU of each bad.
///
/// # Errors
/// [`SiteError`].
pub fn measure(jobs: u32) -> Result<Storm, SiteError> {
    let plan = Plan {
        jobs,
        ..Plan::job(RANKS)
    };
    play(&plan, async |site| {
        let context = site.cloud.lambda.context("report");
        let mut recovered = 0;
        let mut others = BTreeMap::new();
        for job in &site.jobs {
            let Some(record) = context.jobs.get(job).await? else {
                return Err(SiteError::NotRecovered(job.to_string()));
            };
            let status = record.status.to_string();
            if record.attempt == 2 && status == "IN_PROGRESS" {
                recovered += 1;
            } else {
                *others.entry(status).or_default() += 1;
            }
        }
        let executions = site.cloud.stepfunctions.executions();
        let mut red = BTreeMap::new();
        for execution in executions
            .iter()
            .filter(|e| e.status.as_str() != "SUCCEEDED")
        {
            let history = site.cloud.stepfunctions.history(&execution.arn);
            let entered = history.iter().rev().find_map(|event| {
                let name = event["stateEnteredEventDetails"]["name"].as_str()?;
                Some(name.to_owned())
            });
            let error = execution.error.clone().unwrap_or_default();
            let step = format!("{}: {error}", entered.unwrap_or_default());
            *red.entry(step).or_default() += 1;
        }
        let mut back = back(site);
        back.sort_by(f64::total_cmp);
        let runs = site.cloud.lambda.invocations();
        let of_events: Vec<_> = runs
            .iter()
            .filter(|run| run.function == "instance-events")
            .cloned()
            .collect();
        let median = back.get(back.len() / 2).copied();
        Ok(Storm {
            jobs,
            recovered,
            median: median.unwrap_or_default(),
            last: back.last().copied().unwrap_or_default(),
            usage: Usage::since(&site.cloud, site.dies_at),
            throttled: throttled(site),
            concurrency: concurrency(&runs),
            events_at_once: concurrency(&of_events),
            busiest_second: busiest_second(site),
            messages: site.cloud.sns.published().len() as u32,
            others,
            red,
        })
    })
}

/// When the last rank of each job ran again, in seconds since the failure.
fn back(site: &Site) -> Vec<f64> {
    let second: Vec<String> = site.jobs.iter().map(|job| started_by(job, 2)).collect();
    let mut last = BTreeMap::new();
    for (at, event) in site.cloud.bus.timed_record() {
        let task = &event["detail"];
        if event["detail-type"] == "ECS Task State Change"
            && task["lastStatus"] == "RUNNING"
            && let Some(by) = task["startedBy"].as_str()
        {
            last.insert(by.to_owned(), at);
        }
    }
    let times = second.iter().filter_map(|by| last.get(by));
    times
        .filter_map(|at| at.duration_since(site.dies_at).ok())
        .map(|after| after.as_secs_f64())
        .collect()
}

fn throttled(site: &Site) -> Vec<(String, u64)> {
    let mut counts = BTreeMap::new();
    for call in site.cloud.wire.calls() {
        let refused = matches!(&call.outcome, Err(code) if code.contains("Throttling") || code == "RequestLimitExceeded");
        if call.at >= site.dies_at && refused {
            *counts
                .entry(format!("{}:{}", call.service, call.action))
                .or_insert(0) += 1;
        }
    }
    counts.into_iter().collect()
}

/// How many ran at once at most.
fn concurrency(invocations: &[Invocation]) -> u32 {
    let mut edges: Vec<_> = invocations
        .iter()
        .flat_map(|run| [(run.at + run.duration, -1), (run.at, 1)])
        .collect();
    edges.sort();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_, step) in edges {
        now += step;
        most = most.max(now);
    }
    u32::try_from(most).unwrap_or_default()
}

/// State transitions of the busiest second.
fn busiest_second(site: &Site) -> u64 {
    let mut seconds = BTreeMap::new();
    for execution in site.cloud.stepfunctions.executions() {
        for event in site.cloud.stepfunctions.history(&execution.arn) {
            if event.get("stateEnteredEventDetails").is_some() {
                let at = Duration::from_secs_f64(event["timestamp"].as_f64().unwrap_or_default());
                *seconds.entry(at.as_secs()).or_insert(0) += 1;
            }
        }
    }
    seconds.into_values().max().unwrap_or_default()
}

/// How it grows with the number of jobs.
pub fn growth_table(storms: &[Storm]) -> String {
    let head = [
        "jobs",
        "instances",
        "run again",
        "wait for a redrive",
        "median, s",
        "last job, s",
        "AWS calls",
        "throttled",
        "functions at once",
        "of instance-events",
        "transitions in one second",
        "messages",
    ];
    let rows: Vec<Vec<String>> = storms
        .iter()
        .map(|storm| {
            vec![
                thousands(storm.jobs.into()),
                thousands((storm.jobs * RANKS).into()),
                thousands(storm.recovered.into()),
                thousands(storm.red.values().map(|n| u64::from(*n)).sum()),
                format!("{:.0}", storm.median),
                format!("{:.0}", storm.last),
                thousands(storm.usage.calls_to("")),
                thousands(storm.usage.throttled),
                thousands(storm.concurrency.into()),
                storm.events_at_once.to_string(),
                thousands(storm.busiest_second),
                thousands(storm.messages.into()),
            ]
        })
        .collect();
    table(&head, &rows)
}

/// Which calls were throttled.
pub fn throttled_table(storms: &[Storm]) -> String {
    let names: Vec<String> = storms
        .iter()
        .map(|storm| format!("{} jobs", thousands(storm.jobs.into())))
        .collect();
    let mut head = vec!["throttled calls"];
    head.extend(names.iter().map(String::as_str));
    let mut actions: Vec<&String> = storms
        .iter()
        .flat_map(|s| s.throttled.iter().map(|(action, _)| action))
        .collect();
    actions.sort();
    actions.dedup();
    let rows: Vec<Vec<String>> = actions
        .into_iter()
        .map(|action| {
            let counts = storms.iter().map(|storm| {
                let found = storm.throttled.iter().find(|(name, _)| name == action);
                thousands(found.map_or(0, |(_, n)| *n))
            });
            std::iter::once(action.clone()).chain(counts).collect()
        })
        .collect();
    table(&head, &rows)
}
