//! What came of a scenario, for people and for programs.

mod records;

use super::{
    builtin, expectations,
    figures::{self, Cost, Phases},
    hosts::Hosts,
    plan::{JOB, instance_id},
    play::PlayOptions,
    spec::Scenario,
};
use crate::{
    cloud::{Cloud, RECOVERY},
    player::PlayError,
    stepfunctions::ExecutionView,
    wire::CallRecord,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};
use workers::{
    aws::marks::MARK,
    ids::{InstanceId, JobId},
    records::{JobRecord, RankRecord},
};

/// Everything that a drill shows. Times are seconds of virtual time since the job was started.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub scenario: String,
    pub about: String,
    pub seed: u64,
    pub nodes: u32,
    /// It ended as the scenario says, and every promise was kept.
    pub passed: bool,
    /// What did not end as the scenario says.
    pub unmet: Vec<String>,
    /// What is worth knowing and no failure.
    pub notes: Vec<String>,
    /// What the scenario holds and nobody came to.
    pub not_reached: Vec<String>,
    /// Promises of the design that were broken.
    pub broken_promises: Vec<String>,
    #[serde(serialize_with = "records::job")]
    #[schemars(with = "records::JobReport")]
    pub job: JobRecord,
    #[serde(serialize_with = "records::ranks")]
    #[schemars(with = "Vec<records::RankReport>")]
    pub ranks: Vec<RankRecord>,
    pub instances: Vec<InstanceReport>,
    pub executions: Vec<ExecutionReport>,
    pub notifications: Vec<NotificationReport>,
    /// Of the recovery, when there was one.
    pub phases: Option<Phases>,
    /// AWS API calls by `service:Action`; retries count, the launcher's calls do not.
    pub calls: BTreeMap<String, u64>,
    /// Calls that were answered with a throttling error.
    pub throttled: u64,
    pub lambda_invocations: u64,
    pub lambda_milliseconds: u64,
    pub state_transitions: u64,
    /// DynamoDB capacity units, by `read` and `write`.
    pub dynamodb_units: BTreeMap<String, f64>,
    pub cost: Vec<Cost>,
    /// The history of the recovery's execution, as GetExecutionHistory gives it.
    #[serde(skip)]
    pub history: Vec<Value>,
    /// Every call on the wire, the launcher's too.
    #[serde(skip)]
    pub wire_calls: Vec<CallRecord>,
}

/// One instance at the end.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceReport {
    pub node: u32,
    pub instance: String,
    /// In the table.
    pub status: Option<String>,
    /// The pool whose spare it is.
    pub spare: Option<String>,
    /// In ECS.
    pub ecs_status: String,
    pub agent_connected: bool,
    /// How often the node really rebooted.
    pub reboots: u32,
    /// How often it was told to reboot and began to.
    pub reboot_orders: u32,
    pub last_verdict: Option<String>,
    pub quarantine_reason: Option<String>,
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionReport {
    pub arn: String,
    pub status: String,
    pub started: f64,
    pub stopped: Option<f64>,
    pub state_transitions: u64,
    pub redrives: u32,
    /// The states, each where it was entered first.
    pub path: Vec<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// One SNS message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationReport {
    pub at: f64,
    pub subject: String,
    pub message: String,
    pub attributes: BTreeMap<String, String>,
}

impl Report {
    /// The execution that did the work: the one with the longest path.
    pub fn recovery(&self) -> Option<&ExecutionReport> {
        longest(&self.executions)
    }
}

fn longest(executions: &[ExecutionReport]) -> Option<&ExecutionReport> {
    // max_by_key gives the last of several; the first is wanted.
    executions.iter().rev().max_by_key(|e| e.path.len())
}

/// Reads everything together at the end.
pub(super) async fn of(
    cloud: &Cloud,
    scenario: &Scenario,
    options: &PlayOptions,
    started: SystemTime,
    hosts: &Hosts,
    ended: bool,
    broken: Vec<String>,
) -> Result<Report, PlayError> {
    let calls = figures::calls(cloud, started);
    let context = cloud.lambda.context("report");
    let job_id = JobId::new(JOB);
    let job = context.jobs.get(&job_id).await?.ok_or_else(|| {
        workers::WorkerError::CorruptRecord(format!("job {job_id} is gone from the table"))
    })?;
    let ranks = context.jobs.ranks(&job_id, job.attempt).await?;
    let since = |time: SystemTime| {
        time.duration_since(started)
            .unwrap_or(Duration::ZERO)
            .as_secs_f64()
    };
    let mut instances = Vec::new();
    for node in 0..scenario.nodes + scenario.spares {
        let id = instance_id(scenario, node);
        let record = context.instances.get(&InstanceId::new(&id)).await?;
        let Some(view) = cloud.fleet.instance(&id) else {
            continue;
        };
        instances.push(InstanceReport {
            node,
            instance: id,
            status: record.as_ref().map(|r| r.status.to_string()),
            spare: view.attributes.get(MARK).cloned().flatten(),
            ecs_status: view.status,
            agent_connected: view.agent_connected,
            reboots: view.reboots,
            reboot_orders: hosts.reboots_begun(&view.id),
            last_verdict: record.as_ref().and_then(|r| r.last_verdict.clone()),
            quarantine_reason: record.and_then(|r| r.quarantine_reason),
        });
    }
    let views = cloud.stepfunctions.executions();
    let executions: Vec<ExecutionReport> = views
        .iter()
        .map(|view| execution(cloud, view, since))
        .collect();
    let notifications = cloud
        .sns
        .published()
        .into_iter()
        .map(|n| NotificationReport {
            at: since(n.at),
            subject: n.subject.unwrap_or_default(),
            message: n.message,
            attributes: n.attributes,
        })
        .collect();
    let history = longest(&executions)
        .map(|e| cloud.stepfunctions.history(&e.arn))
        .unwrap_or_default();
    let phases = figures::phases(cloud, &job, &history, started, hosts);
    let mut report = Report {
        scenario: scenario.name.clone(),
        about: scenario.about.clone(),
        seed: options.seed,
        nodes: scenario.nodes,
        passed: false,
        unmet: Vec::new(),
        notes: Vec::new(),
        not_reached: Vec::new(),
        broken_promises: Vec::new(),
        job,
        ranks,
        instances,
        state_transitions: executions.iter().map(|e| e.state_transitions).sum(),
        executions,
        notifications,
        phases,
        throttled: calls.throttled,
        lambda_invocations: calls.lambda_invocations,
        lambda_milliseconds: calls.lambda_milliseconds,
        calls: calls.by_action,
        dynamodb_units: calls.dynamodb_units,
        cost: Vec::new(),
        history,
        wire_calls: cloud.wire.calls(),
    };
    report.cost = figures::cost(&report);
    report.unmet = expectations::unmet(scenario, &report);
    if let Some(differs) = expectations::another_path(scenario, &report) {
        // A scenario that comes with the program names the states of the definition that comes with it.
        if options.definition != RECOVERY && builtin::has_path_of(scenario) {
            report.notes.push(differs);
        } else {
            report.unmet.push(differs);
        }
    }
    if !ended {
        report
            .unmet
            .push("it did not come to an end within a day of what was scheduled last".to_owned());
    }
    report.broken_promises = broken;
    report.passed = report.unmet.is_empty() && report.broken_promises.is_empty();
    Ok(report)
}

fn execution(
    cloud: &Cloud,
    view: &ExecutionView,
    since: impl Fn(SystemTime) -> f64,
) -> ExecutionReport {
    let mut path: Vec<String> = Vec::new();
    for event in cloud.stepfunctions.history(&view.arn) {
        if let Some(name) = event["stateEnteredEventDetails"]["name"].as_str()
            && !path.iter().any(|known| known == name)
        {
            path.push(name.to_owned());
        }
    }
    ExecutionReport {
        arn: view.arn.clone(),
        status: view.status.as_str().to_owned(),
        started: since(view.started),
        stopped: view.stopped.map(&since),
        state_transitions: cloud.stepfunctions.transitions(&view.arn),
        redrives: view.redrive_count,
        path,
        error: view.error.clone(),
        cause: view.cause.clone(),
    }
}
