//! What operators do, and what befalls nodes and ranks from outside.

use crate::{
    cloud::Cloud,
    dice::Dice,
    ecs::{GpuHealth, Run},
    launcher::{self, GPUS},
    operator,
    plan::{Deed, Job, Later, Plan},
    player::PlayError,
    promises::{Attempts, Hands, attempts},
    stepfunctions::{ExecutionStatus, ExecutionView},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use workers::{
    aws::marks::MARK,
    decisions::exit::KEEP_OTHERS,
    desk::submit::SubmitError,
    ids::{InstanceId, JobId},
    records::InstanceStatus,
};

/// An execution is left alone after so many redrives.
const PATIENCE: u32 = 8;

/// What was done so far.
#[derive(Debug, Clone, Default)]
pub struct Done {
    pub(crate) hands: Hands,
    /// Jobs that were started since the beginning, where they run.
    pub(crate) started: BTreeMap<String, Job>,
}

impl Plan {
    /// The jobs that are to come: one for each [`Deed::Resubmit`] and [`Deed::Occupy`], by the deed's place in the plan.
    fn to_come(&self) -> BTreeMap<usize, Job> {
        let dice = Dice::new(self.seed, "resubmit");
        let job = |nth: usize, deed: &Deed| match deed {
            Deed::Resubmit { job } => {
                let old = &self.jobs[*job % self.jobs.len()];
                let mut new = old.clone();
                new.id = format!("{}-again-{nth}", old.id);
                if dice.chance(0.6) {
                    new.all_do(&Run::Forever);
                    new.later = Later::RunsOn;
                }
                Some(new)
            }
            Deed::Occupy { node } => Some(Job::another(GPUS, node % self.nodes.len())),
            _ => None,
        };
        let deeds = self.deeds.iter().enumerate();
        deeds
            .filter_map(|(nth, (_, deed))| Some((nth, job(nth, deed)?)))
            .collect()
    }

    /// The attempts of all its jobs.
    pub(crate) fn attempts(&self) -> Attempts {
        let jobs = self.all_jobs();
        attempts(jobs.iter().map(|job| job.id.as_str()))
    }

    /// The jobs of the beginning, and those that are to come.
    pub fn all_jobs(&self) -> Vec<Job> {
        let to_come = self.to_come().into_values();
        self.jobs.iter().cloned().chain(to_come).collect()
    }
}

impl Done {
    /// Does the deed that stands there in the plan; false when there was nothing to do it to.
    ///
    /// # Errors
    /// When a call that it takes fails.
    pub async fn act(&mut self, cloud: &Cloud, plan: &Plan, nth: usize) -> Result<bool, PlayError> {
        let job = |n: &usize| &plan.jobs[n % plan.jobs.len()];
        let node = |n: &usize| plan.nodes[n % plan.nodes.len()].id.as_str();
        Ok(match &plan.deeds[nth].1 {
            Deed::StopTask {
                job: of,
                rank,
                reason,
            } => match task_of(cloud, job(of), *rank).await? {
                Some(task) => {
                    self.hands.stopped.insert(job(of).id.clone());
                    if reason.starts_with(KEEP_OTHERS) {
                        self.hands.left.insert(job(of).id.clone());
                    }
                    cloud.fleet.stop(&task, reason);
                    true
                }
                None => false,
            },
            Deed::Kill {
                job: of,
                rank,
                code,
            } => match task_of(cloud, job(of), *rank).await? {
                Some(task) => {
                    cloud.fleet.kill_process(&task, *code);
                    true
                }
                None => false,
            },
            Deed::Cordon { node: n } => self.cordon(cloud, node(n)),
            Deed::Uncordon { node: n } => self.uncordon(cloud, node(n)).await?,
            Deed::Quarantine { node: n } => {
                operator::quarantine(cloud, &InstanceId::new(node(n))).await?
            }
            Deed::Check { node: n } => operator::check(cloud, &InstanceId::new(node(n))),
            Deed::Abort => abort(cloud) > 0,
            Deed::Redrive => self.redrive(cloud, |_| true),
            Deed::Replay => replay(cloud) > 0,
            Deed::CutAgent { node: n, how_long } => {
                let view = cloud.fleet.instance(node(n));
                cloud.fleet.disconnect_agent(node(n), Some(*how_long));
                view.is_some_and(|view| view.agent_connected)
            }
            Deed::GpuGoesBad { node: n, health } => go_bad(cloud, node(n), *health),
            Deed::Deregister { node: n } => {
                self.hands.deregistered.insert(node(n).to_owned());
                cloud.fleet.deregister(node(n));
                true
            }
            Deed::Occupy { .. } => match plan.to_come().remove(&nth) {
                Some(job) => self.launch(cloud, plan, job).await?,
                None => false,
            },
            Deed::Resubmit { job: of } => match plan.to_come().remove(&nth) {
                Some(new) => self.resubmit(cloud, plan, job(of), new).await?,
                None => false,
            },
        })
    }

    /// Redrives the executions that ended badly, if `also` says so too; false when there was none.
    pub(crate) fn redrive(&mut self, cloud: &Cloud, also: impl Fn(&ExecutionView) -> bool) -> bool {
        let patient = |execution: &ExecutionView| execution.redrive_count < PATIENCE;
        let redriven = redrive(cloud, |execution| patient(execution) && also(execution));
        self.hands.redrives += redriven as u32;
        redriven > 0
    }

    fn cordon(&mut self, cloud: &Cloud, node: &str) -> bool {
        let active = cloud
            .fleet
            .instance(node)
            .filter(|view| view.status == "ACTIVE");
        if let Some(view) = &active {
            set_status(cloud, &view.arn, "DRAINING");
            self.hands.cordoned.insert(node.to_owned());
        }
        active.is_some()
    }

    /// An operator looks whether a recovery holds the node before they set it ACTIVE.
    async fn uncordon(&mut self, cloud: &Cloud, node: &str) -> Result<bool, PlayError> {
        if !self.hands.cordoned.contains(node) {
            return Ok(false);
        }
        let context = cloud.lambda.context("person");
        let record = context.instances.get(&InstanceId::new(node)).await?;
        let ours = record.is_some_and(|r| {
            r.cordoned || r.holder.is_some() || r.status == InstanceStatus::Quarantined
        });
        match cloud.fleet.instance(node) {
            Some(view) if !ours => {
                set_status(cloud, &view.arn, "ACTIVE");
                self.hands.cordoned.remove(node);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// False when ECS does not place it.
    async fn launch(&mut self, cloud: &Cloud, plan: &Plan, job: Job) -> Result<bool, PlayError> {
        let launched = launcher::launch(cloud, &plan.nodes, &job).await;
        self.started.insert(job.id.clone(), job);
        match launched {
            Ok(()) => Ok(true),
            Err(SubmitError::NotPlaced(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// An owner takes what is left of the old job's nodes.
    async fn resubmit(
        &mut self,
        cloud: &Cloud,
        plan: &Plan,
        old: &Job,
        mut new: Job,
    ) -> Result<bool, PlayError> {
        let context = cloud.lambda.context("person");
        let record = context.jobs.get(&JobId::new(old.id.as_str())).await?;
        if !record.is_some_and(|job| job.has_ended()) {
            return Ok(false);
        }
        let mut nodes = Vec::new();
        for node in &old.nodes {
            let id = InstanceId::new(plan.nodes[*node].id.as_str());
            let Some(view) = cloud.fleet.instance(id.as_str()) else {
                continue;
            };
            let free = context.instances.get(&id).await?;
            let free =
                free.is_none_or(|r| r.holder.is_none() && r.status != InstanceStatus::Quarantined);
            let spare = view.attributes.contains_key(MARK);
            if free && !spare && view.status == "ACTIVE" && view.agent_connected {
                nodes.push(*node);
            }
        }
        if nodes.is_empty() {
            return Ok(false);
        }
        new.ranks.truncate(nodes.len());
        new.nodes = nodes;
        self.launch(cloud, plan, new).await
    }
}

/// A healthy GPU goes bad; another stays as it is.
pub(crate) fn go_bad(cloud: &Cloud, node: &str, health: GpuHealth) -> bool {
    let view = cloud.fleet.instance(node);
    let well = view.is_some_and(|view| view.gpu_health == GpuHealth::Healthy);
    if well {
        cloud.fleet.set_gpu_health(node, health);
    }
    well
}

/// Stops every running execution; how many those were.
pub fn abort(cloud: &Cloud) -> usize {
    let (error, cause) = ("StoppedByOperator", "an operator stopped it in the console");
    let executions = cloud.stepfunctions.executions().into_iter();
    let running = executions.filter(|execution| execution.status == ExecutionStatus::Running);
    // One that has ended meanwhile is no news.
    let stopped = running.filter(|execution| {
        let stopped = cloud
            .stepfunctions
            .stop(&execution.arn, Some(error), Some(cause));
        stopped.is_ok()
    });
    stopped.count()
}

/// Redrives the executions that ended badly, if `also` says so too; how many those were.
pub fn redrive(cloud: &Cloud, also: impl Fn(&ExecutionView) -> bool) -> usize {
    let executions = cloud.stepfunctions.executions().into_iter();
    let bad = executions.filter(|execution| {
        let well = [ExecutionStatus::Running, ExecutionStatus::Succeeded];
        !well.contains(&execution.status) && also(execution)
    });
    // One that cannot be redriven is no news to an operator either.
    let redriven = bad.filter(|execution| cloud.stepfunctions.redrive(&execution.arn).is_ok());
    redriven.count()
}

/// Sends every stop event so far once more; how many those were.
pub fn replay(cloud: &Cloud) -> usize {
    let record = cloud.bus.record().into_iter();
    let stops = record.filter(|event| {
        event["detail-type"] == "ECS Task State Change"
            && event["detail"]["lastStatus"] == "STOPPED"
    });
    stops
        .map(|event| cloud.bus.put_event((*event).clone()))
        .count()
}

/// The task of a rank, while it is meant to run.
async fn task_of(cloud: &Cloud, job: &Job, rank: usize) -> Result<Option<String>, PlayError> {
    let context = cloud.lambda.context("person");
    let id = JobId::new(job.id.as_str());
    let Some(record) = context.jobs.get(&id).await? else {
        return Ok(None);
    };
    let ranks = context.jobs.ranks(&id, record.attempt).await?;
    let rank = ranks.get(rank % ranks.len().max(1));
    let task = rank.map(|rank| rank.task_arn.to_string());
    Ok(task.filter(|task| {
        let view = cloud.fleet.task(task);
        view.is_some_and(|view| view["desiredStatus"] == "RUNNING")
    }))
}

fn set_status(cloud: &Cloud, arn: &str, status: &str) {
    let cluster = &cloud.settings.cluster;
    let body = json!({ "cluster": cluster, "containerInstances": [arn], "status": status });
    // A deregistered instance is refused; an operator shrugs.
    let _: Result<Value, _> = cloud.fleet.api("UpdateContainerInstancesState", &body);
}
