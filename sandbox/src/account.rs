//! The account: made as the furniture says, asked by operations, changed by deeds.

use crate::{
    Furniture,
    deed::{Deed, Node},
    logs::Logs,
    protocol::Call,
    services,
};
use futures::FutureExt;
use serde_json::{Value, json};
use simulator::{
    cloud::{Cloud, CloudError, CloudOptions},
    deeds::{self, Done},
    ecs::{Behaviour, GpuHealth, NewInstance, OnSigterm, TaskDefinition, TaskKind},
    eventbridge::Delivery,
    launcher::behaviour_of,
    plan::Plan,
    player,
    scenario::{self, Scenario},
    sns::Subscription,
    throttle::{Limit, limited},
    wire::ApiError,
};
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use workers::desk::submit::SubmitError;

/// Of so many events the stop events can be repeated.
const EVENTS_KEPT: usize = 1000;
/// A family for tasks that belong to no recorded job.
const STRANGER: &str = "notebook";

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("the job could not be started: {0}")]
    Submit(#[from] SubmitError),
}

pub struct Account {
    /// Where it answers.
    pub url: String,
    pub cloud: Cloud,
    pub logs: Logs,
    scenario: Scenario,
    plan: Plan,
    /// Why a rank's next tasks do not start, and how many of them.
    refusals: Arc<Mutex<BTreeMap<u32, (String, u32)>>>,
    /// When the job was started; the scenario's actions count from then.
    started: Instant,
    /// Events on the bus and in histories so far.
    seen: Arc<AtomicU64>,
    /// Told of each.
    pub happened: Arc<Notify>,
}

impl Account {
    /// Makes an account whose clock shows `start`. To be called within a runtime whose clock is paused.
    ///
    /// # Errors
    /// When the settings are refused, or the job cannot be started.
    pub async fn make(
        furniture: &Furniture,
        start: SystemTime,
        url: &str,
    ) -> Result<Self, AccountError> {
        let scenario = furniture.scenario.clone();
        let plan = Plan::of_scenario(&scenario, furniture.seed);
        let cloud = Cloud::new(CloudOptions {
            looks: true,
            start,
            ..plan.account()
        })
        .await?;
        cloud.wire.forget_calls();
        cloud.lambda.forget_invocations();
        cloud.bus.keep(EVENTS_KEPT);
        let topic = cloud.settings.topic_arn.clone();
        let operators = Subscription {
            protocol: "email".to_owned(),
            endpoint: "operators@example.com".to_owned(),
            confirmed: true,
        };
        cloud.sns.subscribe(&topic, operators);
        cloud
            .fleet
            .define(TaskDefinition::new(STRANGER, TaskKind::Job, 0));
        player::enter(&cloud, &plan).await?;
        let account = Self {
            url: url.to_owned(),
            logs: Logs::new(cloud.clock),
            cloud,
            refusals: Arc::default(),
            started: Instant::now(),
            seen: Arc::default(),
            happened: Arc::default(),
            scenario,
            plan,
        };
        let known = account.planned_nodes();
        for nth in known..known + furniture.free {
            let id = scenario::instance_id(&account.scenario, nth);
            account.cloud.fleet.add_instance(NewInstance::p5(&id));
        }
        account.watch();
        Ok(account)
    }

    /// Lets tasks behave as the scenario and the deeds say, and counts what happens.
    fn watch(&self) {
        let (usual, refusals) = (behaviour_of(&self.plan.all_jobs()), self.refusals.clone());
        self.cloud.fleet.on_job_task(move |task| {
            let rank = task.environment.get("RANK").and_then(|r| r.parse().ok());
            let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
            match rank.and_then(|rank: u32| refusals.get_mut(&rank)) {
                Some((reason, left)) if *left > 0 => {
                    *left -= 1;
                    Behaviour::not_started(reason)
                }
                _ => usual(task),
            }
        });
        let count = |seen: &Arc<AtomicU64>, happened: &Arc<Notify>| {
            let (seen, happened) = (seen.clone(), happened.clone());
            move || {
                seen.fetch_add(1, Ordering::Relaxed);
                happened.notify_one();
            }
        };
        let event = count(&self.seen, &self.happened);
        self.cloud.bus.on_put(move |_| event());
        let event = count(&self.seen, &self.happened);
        self.cloud.stepfunctions.on_event(move |_, _| event());
    }

    /// How many events there were on the bus and in histories.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Virtual time since the account was made.
    pub fn now(&self) -> Duration {
        self.cloud.clock.elapsed()
    }

    /// What the scenario's operators do, at their times.
    pub async fn play(&self) {
        let mut done = Done::default();
        for (nth, (at, _)) in self.plan.deeds.iter().enumerate() {
            sleep_until(self.started + *at).await;
            // What it finds nothing to do to is no news here; a drill of the scenario tells it.
            drop(done.act(&self.cloud, &self.plan, nth).await);
        }
    }

    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Nodes of jobs, and spares.
    pub fn planned_nodes(&self) -> u32 {
        u32::try_from(self.plan.nodes.len()).unwrap_or(u32::MAX)
    }

    /// Answers an operation. What breaks here is answered as a service answers that breaks.
    pub async fn answer(&self, call: &Call) -> Result<Value, ApiError> {
        let answer = services::answer(self, call.service.name, &call.action, call.body.clone());
        let answered = AssertUnwindSafe(answer).catch_unwind().await;
        answered.unwrap_or_else(|_| {
            Err(
                ApiError::new("InternalFailure", "The simulated service has panicked.")
                    .with_status(500),
            )
        })
    }

    /// The instance id of a node that is there.
    fn node(&self, node: &Node) -> Result<String, String> {
        let id = match node {
            Node::Number(number) => scenario::instance_id(&self.scenario, *number),
            Node::Id(id) => id.clone(),
        };
        let instances = self.cloud.fleet.instances();
        if instances.iter().any(|instance| instance.id == id) {
            return Ok(id);
        }
        Err(format!(
            "there is no node {id}; the nodes are 0 to {}",
            instances.len().saturating_sub(1)
        ))
    }

    /// The ranks of a job's current attempt and their tasks.
    fn tasks(&self, job: &str) -> Result<BTreeMap<u64, String>, String> {
        let refused = |error: ApiError| error.message;
        let table = &self.cloud.settings.training_job_table;
        let query = json!({
            "TableName": table,
            "ConsistentRead": true,
            "KeyConditionExpression": "job_id = :job",
            "ExpressionAttributeValues": { ":job": { "S": job } },
        });
        let number = |item: &Value, name: &str| item[name]["N"].as_str()?.parse::<u64>().ok();
        let mut items = Vec::new();
        let mut query = query;
        loop {
            let mut page = self
                .cloud
                .tables
                .api("Query", query.clone())
                .map_err(refused)?;
            if let Value::Array(found) = page["Items"].take() {
                items.extend(found);
            }
            match page["LastEvaluatedKey"].take() {
                Value::Null => break,
                key => query["ExclusiveStartKey"] = key,
            }
        }
        let record = items.iter().find(|item| item["record"]["S"] == "job");
        let attempt = record.and_then(|record| number(record, "attempt"));
        let attempt = attempt.ok_or_else(|| {
            format!("no job {job} is recorded; `gpu-recovery status` lists the running ones")
        })?;
        let of_attempt = items
            .iter()
            .filter(|item| number(item, "attempt") == Some(attempt));
        Ok(of_attempt
            .filter_map(|item| {
                let task = item["task_arn"]["S"].as_str()?;
                Some((number(item, "rank")?, task.to_owned()))
            })
            .collect())
    }

    /// The task of a rank, while it is one that runs.
    fn task(&self, job: &str, rank: u32) -> Result<String, String> {
        let tasks = self.tasks(job)?;
        let task = tasks.get(&u64::from(rank)).cloned().ok_or_else(|| {
            format!(
                "job {job} has no rank {rank}; its ranks are 0 to {}",
                tasks.len().saturating_sub(1)
            )
        })?;
        if self.is_running(&task) {
            Ok(task)
        } else {
            Err(format!("rank {rank} of job {job} does not run now"))
        }
    }

    fn is_running(&self, task: &str) -> bool {
        let view = self.cloud.fleet.task(task);
        view.is_some_and(|view| view["lastStatus"] == "RUNNING")
    }

    /// Lets something happen; the answer says what.
    ///
    /// # Errors
    /// When there is nothing that it could happen to.
    pub fn act(&self, deed: &Deed) -> Result<String, String> {
        let fleet = &self.cloud.fleet;
        Ok(match deed {
            Deed::BreakGpu { node, gpu, quietly } => {
                let id = self.node(node)?;
                fleet.set_gpu_health(&id, *gpu);
                let ended = match quietly {
                    true => 0,
                    false => self.end_tasks_on(&id),
                };
                format!("the GPU of {id} is bad; {ended} task(s) on it end with exit code 1")
            }
            Deed::FixGpu { node } => {
                let id = self.node(node)?;
                fleet.set_gpu_health(&id, GpuHealth::Healthy);
                format!("the GPUs of {id} are well")
            }
            // Its line names the driver's action, which no deed sets.
            Deed::Xid { xid: 154, .. } => {
                return Err("Xid 154 only repeats the driver's action".to_owned());
            }
            Deed::Xid { node, xid } => {
                let id = self.node(node)?;
                let now = self.cloud.clock.now();
                fleet.change_host(&id, |host| host.kernel.push((now, *xid)));
                format!("the kernel of {id} logs Xid {xid}")
            }
            Deed::EndRank {
                rank,
                code,
                without_code,
                job,
            } => {
                let task = self.task(job, *rank)?;
                fleet.kill_process(&task, (!without_code).then_some(*code));
                match without_code {
                    true => format!("rank {rank} of job {job} is lost without an exit code"),
                    false => format!("rank {rank} of job {job} ends with exit code {code}"),
                }
            }
            Deed::EndJob { job } => {
                let tasks = self.tasks(job)?;
                let running = tasks.values().filter(|task| self.is_running(task));
                let ended = running.map(|task| fleet.kill_process(task, Some(0)));
                format!("{} ranks of job {job} end with exit code 0", ended.count())
            }
            Deed::HangRank { rank, job } => {
                let task = self.task(job, *rank)?;
                fleet.set_on_sigterm(&task, OnSigterm::Ignores);
                format!("rank {rank} of job {job} is deaf to SIGTERM")
            }
            Deed::RefuseStart {
                rank,
                reason,
                times,
            } => {
                let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                refusals.insert(*rank, (reason.clone(), *times));
                format!("the next {times} task(s) of rank {rank} do not start: {reason}")
            }
            Deed::StopTask { rank, reason, job } => {
                let task = self.task(job, *rank)?;
                fleet.stop(&task, reason);
                format!("rank {rank} of job {job} is stopped: {reason}")
            }
            Deed::Cordon { node } => {
                let id = self.node(node)?;
                let arn = fleet.instance(&id).map(|view| view.arn).unwrap_or_default();
                let drain = json!({
                    "cluster": self.cloud.settings.cluster,
                    "containerInstances": [arn],
                    "status": "DRAINING",
                });
                fleet
                    .api("UpdateContainerInstancesState", &drain)
                    .map_err(|error| error.message)?;
                format!("{id} is DRAINING")
            }
            Deed::DetachAgent { node, how_long } => {
                let id = self.node(node)?;
                fleet.disconnect_agent(&id, *how_long);
                match how_long {
                    Some(time) => format!(
                        "the ECS agent of {id} is away for {}",
                        humantime::format_duration(*time)
                    ),
                    None => format!("the ECS agent of {id} is away"),
                }
            }
            Deed::AttachAgent { node } => {
                let id = self.node(node)?;
                fleet.connect_agent(&id);
                format!("the ECS agent of {id} connects, if its host is up")
            }
            Deed::Reboot { node } => {
                let id = self.node(node)?;
                fleet.reboot(&id, "shell");
                format!("{id} reboots")
            }
            Deed::Reboots { node, outcome } => {
                let id = self.node(node)?;
                fleet.set_reboot_outcome(&id, *outcome);
                format!("the next reboots of {id} end like this")
            }
            Deed::Ssm { node, agent } => {
                let id = self.node(node)?;
                fleet.set_ssm_agent(&id, *agent);
                format!("the SSM agent of {id} is like this now")
            }
            Deed::Deregister { node } => {
                let id = self.node(node)?;
                fleet.deregister(&id);
                format!("{id} is deregistered")
            }
            Deed::Share { node } => {
                let id = self.node(node)?;
                let arn = fleet.instance(&id).map(|view| view.arn).unwrap_or_default();
                let start = json!({
                    "cluster": self.cloud.settings.cluster,
                    "containerInstances": [arn],
                    "taskDefinition": STRANGER,
                });
                let started = fleet.api("StartTask", &start);
                let started = started.map_err(|error| error.message)?;
                match started["failures"][0]["reason"].as_str() {
                    Some(reason) => return Err(format!("the task does not start: {reason}")),
                    None => format!("a task of {STRANGER} starts on {id}"),
                }
            }
            Deed::Throttle {
                service,
                action,
                burst,
                per_second,
            } => {
                self.throttle(service, action, *burst, *per_second)?;
                format!("{service}:{action} has {burst} calls at once and {per_second} a second")
            }
            Deed::Events {
                duplicates,
                late,
                late_by,
                lost,
                out_of_order,
            } => {
                for (name, chance) in [("duplicates", duplicates), ("late", late), ("lost", lost)] {
                    if !(0.0..=1.0).contains(chance) {
                        return Err(format!("{name} is a chance from 0 to 1, not {chance}"));
                    }
                }
                self.cloud.bus.set_delivery(Delivery {
                    duplicates: *duplicates,
                    late: *late,
                    late_by: Duration::from_secs(1)..(*late_by).max(Duration::from_secs(2)),
                    lost: *lost,
                    in_order: !out_of_order,
                    ..Delivery::default()
                });
                "events travel like this now".to_owned()
            }
            Deed::RepeatStopEvents => {
                let sent = deeds::replay(&self.cloud);
                format!("{sent} stop events come once more")
            }
            Deed::AbortExecution => {
                let stopped = deeds::abort(&self.cloud);
                format!("{stopped} executions are ABORTED")
            }
            Deed::RedriveExecution => {
                let redriven = deeds::redrive(&self.cloud, |_| true);
                format!("{redriven} executions are redriven")
            }
        })
    }

    /// Ends the job tasks on a node with exit code 1; how many those are.
    fn end_tasks_on(&self, id: &str) -> usize {
        let Some(view) = self.cloud.fleet.instance(id) else {
            return 0;
        };
        let training = format!(":task-definition/{}:", simulator::cloud::TRAINING);
        let ended = view.tasks.iter().filter(|arn| {
            let task = self.cloud.fleet.task(arn).unwrap_or_default();
            let trains = task["taskDefinitionArn"].as_str();
            let trains = trains.is_some_and(|definition| definition.contains(&training));
            if trains && task["lastStatus"] == "RUNNING" {
                self.cloud.fleet.kill_process(arn, Some(1));
                return true;
            }
            false
        });
        ended.count()
    }

    fn throttle(
        &self,
        service: &str,
        action: &str,
        burst: f64,
        per_second: f64,
    ) -> Result<(), String> {
        if !limited().any(|known| known == (service, action)) {
            let known: Vec<String> = limited().map(|(s, a)| format!("{s} {a}")).collect();
            return Err(format!(
                "{service} {action} has no rate here; these have: {}",
                known.join(", ")
            ));
        }
        if !(burst >= 1.0 && per_second > 0.0 && burst.is_finite() && per_second.is_finite()) {
            return Err(
                "--burst is 1 or more, --per-second more than 0: at none at all nothing would ever go on"
                    .to_owned(),
            );
        }
        let limit = Limit { burst, per_second };
        self.cloud.wire.throttle().set_limit(service, action, limit);
        Ok(())
    }
}
