//! Promises that can be told at once: seen at every task's start, every reboot and every relaunch.

mod limits;
mod spares;

use super::Attempts;
use crate::{
    clock::Clock,
    cloud::Cloud,
    dynamodb::DynamoDb,
    ecs::{Fleet, GpuHealth, InstanceView},
    node::Node,
    stepfunctions::StepFunctions,
    wire::Handler,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use workers::{aws::events::TaskDetail, decisions::exit::TaskEnd, records::rank_prefix};

/// A node that booted so little time ago may have come back between the last question and EC2's reboot.
const JUST_BOOTED: Duration = Duration::from_secs(180);

/// What is known of a job's task, from ECS's events.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub job: String,
    pub attempt: u32,
    pub rank: u32,
    pub instance: String,
    /// It was RUNNING once.
    pub ran: bool,
    pub stopped: bool,
    /// It was told to stop.
    pub told_to_stop: bool,
    /// How it ended, as ECS tells.
    pub end: TaskEnd,
}

/// Clones watch the same account.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Inner>>);

struct Inner {
    clock: Clock,
    tables: DynamoDb,
    fleet: Fleet,
    stepfunctions: StepFunctions,
    job_table: String,
    instance_table: String,
    /// `startedBy` to job and attempt.
    attempts: Attempts,
    tasks: BTreeMap<String, Life>,
    /// Container instance ARN to node.
    nodes: BTreeMap<String, String>,
    current: BTreeMap<String, u32>,
    reboots: Vec<(Duration, String, String)>,
    relaunches: Vec<(String, u32)>,
    limits: limits::Limits,
    /// The exit code of each node's last check, if it had one.
    last_checks: BTreeMap<String, Option<i64>>,
    broken: Vec<String>,
}

impl Watch {
    /// Watches the account from now on.
    pub fn over(cloud: &Cloud, attempts: Attempts) -> Self {
        let watch = Self(Arc::new(Mutex::new(Inner {
            clock: cloud.clock,
            tables: cloud.tables.clone(),
            fleet: cloud.fleet.clone(),
            stepfunctions: cloud.stepfunctions.clone(),
            job_table: cloud.settings.training_job_table.clone(),
            instance_table: cloud.settings.container_instance_table.clone(),
            attempts,
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            current: BTreeMap::new(),
            reboots: Vec::new(),
            relaunches: Vec::new(),
            limits: limits::Limits::of(&cloud.settings),
            last_checks: BTreeMap::new(),
            broken: Vec::new(),
        })));
        let seen = watch.clone();
        cloud.bus.on_put(move |event| seen.event(event));
        let seen = watch.clone();
        cloud
            .fleet
            .on_reboot(move |node, order| seen.rebooting(node, order));
        cloud.wire.register("dynamodb", watch.tables());
        watch
    }

    /// The tables; sees the write that makes an attempt the current one.
    pub fn tables(&self) -> Handler {
        let watch = self.clone();
        let (tables, jobs, instances) = self.with(|inner| {
            let names = (inner.job_table.clone(), inner.instance_table.clone());
            (inner.tables.clone(), names.0, names.1)
        });
        Arc::new(move |operation, body| {
            let commits = operation == "UpdateItem"
                && body["TableName"] == jobs.as_str()
                && body["UpdateExpression"]
                    .as_str()
                    .is_some_and(|e| e.contains("attempt = :next"));
            let holds = operation == "UpdateItem"
                && body["TableName"] == instances.as_str()
                && body["UpdateExpression"]
                    .as_str()
                    .is_some_and(|e| e.contains("#status = :held, holder = :by"));
            let before = holds.then(|| {
                let get =
                    json!({ "TableName": instances, "Key": body["Key"], "ConsistentRead": true });
                tables.api("GetItem", get).unwrap_or_default()["Item"].take()
            });
            let answer = tables.api(operation, body);
            if let (Some(before), Ok(answer)) = (before, &answer) {
                watch.spare_held(&before, &answer["Attributes"]);
            }
            if commits && let Ok(answer) = &answer {
                watch.with(|inner| inner.committed(&answer["Attributes"]));
            }
            Box::pin(async move { answer })
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn broken(&self) -> Vec<String> {
        self.with(|inner| inner.broken.clone())
    }

    pub fn tasks(&self) -> BTreeMap<String, Life> {
        self.with(|inner| inner.tasks.clone())
    }

    /// True when the node's last check has ended, and not well.
    pub fn last_check_failed(&self, node: &str) -> bool {
        self.with(|inner| {
            inner
                .last_checks
                .get(node)
                .is_some_and(|code| *code != Some(0))
        })
    }

    /// When, which node, by whose order.
    pub fn reboots(&self) -> Vec<(Duration, String, String)> {
        self.with(|inner| inner.reboots.clone())
    }

    /// Each job's new attempts, in order.
    pub fn relaunches(&self) -> Vec<(String, u32)> {
        self.with(|inner| inner.relaunches.clone())
    }

    /// An event was put on the bus.
    fn event(&self, event: &Value) {
        let detail = &event["detail"];
        match event["detail-type"].as_str() {
            Some("ECS Task State Change") => self.with(|inner| inner.task_changed(detail)),
            Some("ECS Container Instance State Change") => self.with(|inner| {
                let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
                inner
                    .nodes
                    .insert(text("containerInstanceArn"), text("ec2InstanceId"));
            }),
            _ => {}
        }
    }

    /// A node begins to reboot.
    fn rebooting(&self, node: &str, order: &str) {
        let fleet = self.with(|inner| inner.fleet.clone());
        let view = fleet.instance(node);
        self.with(|inner| inner.rebooting(node, order, view.as_ref()));
    }
}

impl Inner {
    fn breaks(&mut self, promise: u8, what: &str) {
        let at = self.clock.elapsed();
        self.broken
            .push(format!("promise {promise}, {} s: {what}", at.as_secs_f64()));
    }

    fn task_changed(&mut self, detail: &Value) {
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        let Some((job, attempt)) = self.attempts.get(text("startedBy")).cloned() else {
            return self.check_changed(detail);
        };
        let arn = text("taskArn");
        let stopped = text("lastStatus") == "STOPPED";
        let told_to_stop = text("desiredStatus") == "STOPPED";
        if let Some(life) = self.tasks.get_mut(arn) {
            life.stopped |= stopped;
            life.told_to_stop |= told_to_stop;
            life.ran |= text("lastStatus") == "RUNNING";
            if let Ok(told) = serde_json::from_value::<TaskDetail>(detail.clone()) {
                life.end = told.end();
            }
            return;
        }
        let instance = self.nodes.get(text("containerInstanceArn")).cloned();
        let life = Life {
            rank: rank(detail),
            instance: instance.unwrap_or_default(),
            job,
            attempt,
            ran: text("lastStatus") == "RUNNING",
            stopped,
            told_to_stop,
            end: TaskEnd::default(),
        };
        self.started(arn, &life);
        self.tasks.insert(arn.to_owned(), life);
    }

    /// Promise 1: no second task of a rank, none of an older attempt beside it.
    fn started(&mut self, arn: &str, new: &Life) {
        let beside: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, other)| other.job == new.job && !other.stopped)
            .filter(|(_, other)| other.attempt != new.attempt || other.rank == new.rank)
            .map(|(arn, other)| format!("rank {} of attempt {} ({arn})", other.rank, other.attempt))
            .collect();
        if let Some(other) = beside.first() {
            let what = format!(
                "rank {} of attempt {} of {} ({arn}) starts beside {} others: {other}",
                new.rank,
                new.attempt,
                new.job,
                beside.len()
            );
            self.breaks(1, &what);
        }
    }

    /// Promise 1: one relaunch an attempt, every rank or none.
    fn committed(&mut self, item: &Value) {
        let job = item["job_id"]["S"].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| -> u32 {
            let text = item[name]["N"].as_str();
            text.and_then(|n| n.parse().ok()).unwrap_or_default()
        };
        let (attempt, nodes) = (number("attempt"), number("nodes"));
        let before = self.current.insert(job.clone(), attempt).unwrap_or(1);
        self.relaunches.push((job.clone(), attempt));
        if attempt != before + 1 {
            self.breaks(1, &format!("{job} went from attempt {before} to {attempt}"));
        }
        let recorded = self.recorded(&job, attempt);
        let alive = |arn: &String| {
            let life = self.tasks.get(arn);
            life.is_some_and(|l| l.job == job && l.attempt == attempt)
        };
        let whole = recorded.len() == nodes as usize
            && recorded
                .iter()
                .enumerate()
                .all(|(rank, arn)| alive(arn) && self.tasks[arn].rank as usize == rank);
        if !whole {
            let what = format!(
                "{job} became attempt {attempt} with {} recorded tasks of {nodes} ranks, some of them not started for it",
                recorded.len()
            );
            self.breaks(1, &what);
        }
        let starting = recorded
            .iter()
            .filter(|arn| self.tasks.get(*arn).is_some_and(|life| !life.ran));
        let starting = starting.count();
        if starting > 0 {
            let what = format!(
                "{job} counts as running in attempt {attempt}, and {starting} of its ranks have not run"
            );
            self.breaks(4, &what);
        }
        let stray: Vec<String> = self
            .tasks
            .iter()
            .filter(|(arn, l)| l.job == job && !l.stopped && !recorded.contains(arn))
            .map(|(arn, l)| format!("rank {} of attempt {} ({arn})", l.rank, l.attempt))
            .collect();
        if let Some(first) = stray.first() {
            let what = format!(
                "{job} became attempt {attempt} beside {} tasks that are not in it: {first}",
                stray.len()
            );
            self.breaks(1, &what);
        }
    }

    /// The tasks in the items of an attempt's ranks, in the ranks' order.
    fn recorded(&self, job: &str, attempt: u32) -> Vec<String> {
        let query = json!({
            "TableName": self.job_table,
            "KeyConditionExpression": "job_id = :job AND begins_with(#r, :attempt)",
            "ExpressionAttributeNames": { "#r": "record" },
            "ExpressionAttributeValues": { ":job": { "S": job }, ":attempt": { "S": rank_prefix(attempt) } },
            "ConsistentRead": true,
        });
        let answer = self.tables.api("Query", query).unwrap_or_default();
        let items = answer["Items"].as_array().into_iter().flatten();
        items
            .filter_map(|item| item["task_arn"]["S"].as_str().map(str::to_owned))
            .collect()
    }

    /// Promise 2: never a node that nothing accuses in this very boot, nor one that runs a job's task, but for one that was
    /// told to stop on a node that says itself that it is broken, nor one that another recovery holds. EC2's reboot comes where the node cannot be asked for its boot any more, and only there.
    fn rebooting(&mut self, node: &str, order: &str, view: Option<&InstanceView>) {
        self.reboots
            .push((self.clock.elapsed(), node.to_owned(), order.to_owned()));
        let now = self.clock.now();
        let says_so = view.is_some_and(|view| Node::of(view, now).has_hardware_word());
        let accused = view.is_some_and(|view| {
            let dcgm = matches!(
                view.gpu_health,
                GpuHealth::FaultUntilReboot
                    | GpuHealth::FaultForever
                    | GpuHealth::Isolate
                    | GpuHealth::DcgmHangs
                    | GpuHealth::NoExitCode
                    | GpuHealth::CannotPlace
            );
            dcgm || says_so
        });
        let silent = view.is_some_and(|view| {
            let booted = now.duration_since(view.booted_at).unwrap_or_default();
            view.ssm_online != Some(true) || booted < JUST_BOOTED
        });
        let allowed = accused || (order == "ec2" && silent);
        if !allowed {
            let health = view.map(|view| view.gpu_health);
            let gpus = health.map_or("not there".to_owned(), |health| health.to_string());
            let what = format!("{node} is rebooted (order {order}), its GPUs are {gpus}");
            self.breaks(2, &what);
        }
        let runs: Vec<String> = self
            .tasks
            .values()
            .filter(|life| life.instance == node && !life.stopped)
            .filter(|life| !(life.told_to_stop && says_so))
            .map(|life| {
                format!(
                    "rank {} of attempt {} of {}",
                    life.rank, life.attempt, life.job
                )
            })
            .collect();
        if let Some(first) = runs.first() {
            self.breaks(
                2,
                &format!("{node} is rebooted (order {order}) under {first}"),
            );
        }
        let get = json!({
            "TableName": self.instance_table,
            "Key": { "instance_id": { "S": node } },
            "ConsistentRead": true,
        });
        let item = self.tables.api("GetItem", get).unwrap_or_default()["Item"].take();
        let holder = item["holder"]["S"].as_str();
        self.within_limits(node, holder.unwrap_or("nobody"));
        match holder {
            None if order == "ec2" => {
                self.breaks(
                    2,
                    &format!("{node} is rebooted by EC2, and nobody holds it"),
                );
            }
            Some(holder) if order != "ec2" && !holder.ends_with(&format!(":{order}")) => {
                let what = format!("{node} is rebooted (order {order}), and {holder} holds it");
                self.breaks(2, &what);
            }
            _ => {}
        }
    }
}

fn rank(detail: &Value) -> u32 {
    detail["overrides"]["containerOverrides"][0]["environment"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["name"] == "RANK")
        .and_then(|entry| entry["value"].as_str()?.parse().ok())
        .unwrap_or_default()
}
