//! Promises that can be told at once: seen at every task's start, every reboot and every relaunch.

mod limits;
mod nodes;
mod pace;
mod relaunches;
mod said;
mod spares;
mod writes;

use super::Attempts;
use crate::{
    clock::Clock, cloud::Cloud, dynamodb::DynamoDb, ecs::Ecs, stepfunctions::StepFunctions,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use workers::{
    Settings,
    aws::{events::TaskDetail, marks::MARK},
    decisions::exit::{Exit, TaskEnd},
};

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
    /// Its node was rebooted under it: it has ended, and ECS hears of that when the agent is back.
    pub gone: bool,
    /// When.
    pub ended: Option<Duration>,
    /// How it ended, as ECS tells.
    pub end: TaskEnd,
}

/// Clones watch the same account.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<Inner>>);

struct Inner {
    clock: Clock,
    tables: DynamoDb,
    fleet: Ecs,
    stepfunctions: StepFunctions,
    settings: Settings,
    job_table: String,
    instance_table: String,
    /// `startedBy` to job and attempt.
    attempts: Attempts,
    tasks: BTreeMap<String, Life>,
    /// Container instance ARN to node.
    nodes: BTreeMap<String, String>,
    /// Node to how ECS sees it.
    seen: BTreeMap<String, nodes::Seen>,
    /// Each node's holds, the first one first.
    holds: BTreeMap<String, Vec<nodes::Hold>>,
    current: BTreeMap<String, u32>,
    /// When each attempt became the current one.
    began: BTreeMap<(String, u32), Duration>,
    pace: pace::Pace,
    /// How many nodes were marked when the first job began.
    marked: Option<usize>,
    reboots: Vec<(Duration, String, String)>,
    relaunches: Vec<(String, u32)>,
    limits: limits::Limits,
    /// The exit code of each node's last check, if it had one, and when it ended.
    last_checks: BTreeMap<String, (Option<i64>, SystemTime)>,
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
            settings: cloud.settings.clone(),
            job_table: cloud.settings.training_job_table.clone(),
            instance_table: cloud.settings.container_instance_table.clone(),
            attempts,
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            seen: BTreeMap::new(),
            holds: BTreeMap::new(),
            current: BTreeMap::new(),
            began: BTreeMap::new(),
            pace: pace::Pace::default(),
            marked: None,
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
        cloud.wire.register("sns", watch.topic(&cloud.sns));
        watch
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
                .is_some_and(|(code, _)| *code != Some(0))
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

    /// What took the system itself longer than that.
    pub fn too_slow(&self, allowed: Duration) -> Vec<String> {
        self.with(|inner| inner.too_slow(allowed))
    }

    /// How many nodes are marked as spares beyond those that were.
    pub fn new_marks(&self) -> usize {
        self.with(|inner| marked(&inner.fleet).saturating_sub(inner.marked.unwrap_or(usize::MAX)))
    }

    /// An event was put on the bus.
    fn event(&self, event: &Value) {
        let detail = &event["detail"];
        match event["detail-type"].as_str() {
            Some("ECS Task State Change") => self.with(|inner| inner.task_changed(detail)),
            Some("ECS Container Instance State Change") => {
                self.with(|inner| inner.node_changed(detail));
            }
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
        let arn = text("taskArn");
        let told_to_stop = text("desiredStatus") == "STOPPED";
        let (stopped, now) = (text("lastStatus") == "STOPPED", self.clock.elapsed());
        let waits_for_nothing =
            stopped || (text("lastStatus"), text("desiredStatus")) == ("RUNNING", "RUNNING");
        let Some((job, attempt)) = self.attempts.get(text("startedBy")).cloned() else {
            match stopped {
                true => self.pace.ends(arn, now),
                false => self.pace.begins(arn, now),
            }
            return self.check_changed(detail);
        };
        match waits_for_nothing {
            true => self.pace.ends(arn, now),
            false => self.pace.begins(arn, now),
        }
        if let Some(life) = self.tasks.get_mut(arn) {
            life.stopped |= stopped;
            life.told_to_stop |= told_to_stop;
            life.ran |= text("lastStatus") == "RUNNING";
            if let Ok(told) = serde_json::from_value::<TaskDetail>(detail.clone()) {
                life.end = told.end();
            }
            if stopped {
                life.ended.get_or_insert(now);
                if life.end.classify(&self.settings) == Exit::Abnormal {
                    self.pace.failed(&job, attempt, now);
                }
            }
            return;
        }
        let fleet = &self.fleet;
        self.marked.get_or_insert_with(|| marked(fleet));
        let instance = self.nodes.get(text("containerInstanceArn")).cloned();
        let life = Life {
            rank: rank(detail),
            instance: instance.unwrap_or_default(),
            job,
            attempt,
            ran: text("lastStatus") == "RUNNING",
            stopped,
            told_to_stop,
            gone: false,
            ended: None,
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

fn marked(fleet: &Ecs) -> usize {
    let views = fleet.instances();
    let marked = views
        .iter()
        .filter(|view| view.attributes.contains_key(MARK));
    marked.count()
}
