//! What people do, and what befalls nodes and ranks from outside.

use super::dice::Dice;
use crate::{
    cloud::Cloud,
    ecs::{GpuHealth, Run},
    launcher::{self, GPUS},
    operator,
    plan::{Deed, Job, Later, Plan},
    promises::Hands,
    stepfunctions::{ExecutionStatus, ExecutionView},
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use workers::{
    aws::marks::MARK,
    ids::{InstanceId, JobId},
    records::InstanceStatus,
};

/// An execution that is left alone after so many redrives.
const PATIENCE: u32 = 8;

/// What people have done.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub hands: Hands,
    /// Jobs that were started since, where they run.
    pub started: BTreeMap<String, Job>,
    pub told: Vec<String>,
}

/// The jobs that are to come: one for each [`Deed::Resubmit`] and [`Deed::Occupy`], by the deed's place in the plan.
pub(super) fn to_come(plan: &Plan) -> BTreeMap<usize, Job> {
    let dice = Dice::new(plan.seed, "resubmit");
    let job = |nth: usize, deed: &Deed| match deed {
        Deed::Resubmit { job } => {
            let old = &plan.jobs[*job % plan.jobs.len()];
            let mut new = old.clone();
            new.id = format!("{}-again-{nth}", old.id);
            if dice.chance(0.6) {
                new.all_do(&Run::Forever);
                new.later = Later::RunsOn;
            }
            Some(new)
        }
        Deed::Occupy { node } => Some(Job::another(GPUS, node % plan.nodes.len())),
        _ => None,
    };
    let deeds = plan.deeds.iter().enumerate();
    deeds
        .filter_map(|(nth, (_, deed))| Some((nth, job(nth, deed)?)))
        .collect()
}

impl Plan {
    /// The jobs of the beginning, and those that are to come.
    pub fn all_jobs(&self) -> Vec<Job> {
        let to_come = to_come(self).into_values();
        self.jobs.iter().cloned().chain(to_come).collect()
    }
}

/// Does one deed of the plan.
pub(super) async fn act(
    cloud: &Cloud,
    plan: &Plan,
    nth: usize,
    to_come: &BTreeMap<usize, Job>,
    done: &mut Done,
) {
    let deed = &plan.deeds[nth].1;
    let node = |n: &usize| plan.nodes[n % plan.nodes.len()].id.clone();
    match deed {
        Deed::StopTask { job, rank } => {
            let job = &plan.jobs[job % plan.jobs.len()];
            if let Some(task) = task_of(cloud, job, *rank).await {
                done.hands.stopped.insert(job.id.clone());
                // One in five leaves the others alone; drawn by the rank, so that old seeds stay what they were.
                let reason = if rank % 5 == 4 {
                    done.hands.left.insert(job.id.clone());
                    "keep-others: I look at this one"
                } else {
                    "enough for today"
                };
                cloud.fleet.stop(&task, reason);
            }
        }
        Deed::Kill { job, rank, code } => {
            let job = &plan.jobs[job % plan.jobs.len()];
            if let Some(task) = task_of(cloud, job, *rank).await {
                cloud.fleet.kill_process(&task, *code);
            }
        }
        Deed::Cordon { node: n } => cordon(cloud, node(n), done).await,
        Deed::Quarantine { node: n } => {
            // What AWS refuses in this weather, the operator leaves.
            let _ = operator::quarantine(cloud, &InstanceId::new(node(n))).await;
        }
        Deed::Check { node: n } => {
            operator::check(cloud, &InstanceId::new(node(n)));
        }
        Deed::Uncordon { node: n } => uncordon(cloud, node(n), done).await,
        Deed::Abort => {
            for execution in cloud.stepfunctions.executions() {
                if execution.status == ExecutionStatus::Running {
                    // One that has ended meanwhile is no news.
                    let _ = cloud.stepfunctions.stop(
                        &execution.arn,
                        Some("StoppedByOperator"),
                        Some("an operator stopped it"),
                    );
                }
            }
        }
        Deed::Redrive => redrive(cloud, done, |_| true),
        Deed::Replay => {
            for event in cloud.bus.record() {
                if event["detail-type"] == "ECS Task State Change"
                    && event["detail"]["lastStatus"] == "STOPPED"
                {
                    cloud.bus.put_event((*event).clone());
                }
            }
        }
        Deed::CutAgent { node: n, how_long } => {
            cloud.fleet.disconnect_agent(&node(n), Some(*how_long));
        }
        Deed::GpuGoesBad { node: n, health } => go_bad(cloud, &node(n), *health),
        Deed::Deregister { node: n } => {
            done.hands.deregistered.insert(node(n));
            cloud.fleet.deregister(&node(n));
        }
        Deed::Occupy { .. } => {
            if let Some(job) = to_come.get(&nth)
                && launcher::launch(cloud, &plan.nodes, job).await.is_ok()
            {
                done.started.insert(job.id.clone(), job.clone());
            }
        }
        Deed::Resubmit { job } => {
            let old = &plan.jobs[job % plan.jobs.len()];
            if let Some(new) = to_come.get(&nth) {
                resubmit(cloud, plan, old, new.clone(), done).await;
            }
        }
    }
}

/// A healthy GPU goes bad; another stays as it is.
pub(super) fn go_bad(cloud: &Cloud, node: &str, health: GpuHealth) {
    let view = cloud.fleet.instance(node);
    if view.is_some_and(|view| view.gpu_health == GpuHealth::Healthy) {
        cloud.fleet.set_gpu_health(node, health);
    }
}

/// Redrives the executions that ended badly, if `also` says so too.
pub(super) fn redrive(cloud: &Cloud, done: &mut Done, also: impl Fn(&ExecutionView) -> bool) {
    for execution in cloud.stepfunctions.executions() {
        let bad = !matches!(
            execution.status,
            ExecutionStatus::Running | ExecutionStatus::Succeeded
        );
        if bad
            && execution.redrive_count < PATIENCE
            && also(&execution)
            && cloud.stepfunctions.redrive(&execution.arn).is_ok()
        {
            done.hands.redrives += 1;
        }
    }
}

async fn task_of(cloud: &Cloud, job: &Job, rank: usize) -> Option<String> {
    let context = cloud.lambda.context("person");
    let id = JobId::new(job.id.as_str());
    let record = context.jobs.get(&id).await.ok()??;
    let ranks = context.jobs.ranks(&id, record.attempt).await.ok()?;
    let rank = ranks.get(rank % ranks.len().max(1))?;
    let task = cloud.fleet.task(rank.task_arn.as_str())?;
    (task["desiredStatus"] == "RUNNING").then(|| rank.task_arn.to_string())
}

async fn cordon(cloud: &Cloud, node: String, done: &mut Done) {
    let Some(view) = cloud.fleet.instance(&node) else {
        return;
    };
    if view.status == "ACTIVE" {
        set_status(cloud, &view.arn, "DRAINING");
        done.hands.cordoned.insert(node);
    }
}

/// An operator looks whether a recovery holds the node before they set it ACTIVE.
async fn uncordon(cloud: &Cloud, node: String, done: &mut Done) {
    if !done.hands.cordoned.contains(&node) {
        return;
    }
    let context = cloud.lambda.context("person");
    let record = context.instances.get(&InstanceId::new(node.as_str())).await;
    let ours = record.ok().flatten().is_some_and(|r| {
        r.cordoned || r.holder.is_some() || r.status == InstanceStatus::Quarantined
    });
    if !ours && let Some(view) = cloud.fleet.instance(&node) {
        set_status(cloud, &view.arn, "ACTIVE");
        done.hands.cordoned.remove(&node);
    }
}

fn set_status(cloud: &Cloud, arn: &str, status: &str) {
    let cluster = &cloud.settings.cluster;
    let body =
        serde_json::json!({ "cluster": cluster, "containerInstances": [arn], "status": status });
    // A deregistered instance is refused; an operator shrugs.
    let _: Result<Value, _> = cloud.fleet.api("UpdateContainerInstancesState", &body);
}

/// An owner takes what is left of the old job's nodes.
async fn resubmit(cloud: &Cloud, plan: &Plan, old: &Job, mut new: Job, done: &mut Done) {
    let context = cloud.lambda.context("person");
    let record = context.jobs.get(&JobId::new(old.id.as_str())).await;
    let ended = record.ok().flatten().is_some_and(|job| job.has_ended());
    if !ended {
        return;
    }
    let mut nodes = Vec::new();
    for node in &old.nodes {
        let id = InstanceId::new(plan.nodes[*node].id.as_str());
        let Some(view) = cloud.fleet.instance(id.as_str()) else {
            continue;
        };
        let free = context.instances.get(&id).await.ok().flatten();
        let free =
            free.is_none_or(|r| r.holder.is_none() && r.status != InstanceStatus::Quarantined);
        let spare = view.attributes.contains_key(MARK);
        if free && !spare && view.status == "ACTIVE" && view.agent_connected {
            nodes.push(*node);
        }
    }
    if nodes.is_empty() {
        return;
    }
    new.ranks.truncate(nodes.len());
    new.nodes = nodes;
    match launcher::launch(cloud, &plan.nodes, &new).await {
        Ok(()) => done
            .told
            .push(format!("{} runs on {} nodes", new.id, new.nodes.len())),
        Err(error) => done
            .told
            .push(format!("{} was not started: {error}", new.id)),
    }
    done.started.insert(new.id.clone(), new);
}

/// How long the operators let a failed execution lie before they redrive it.
pub(super) const ROUNDS: Duration = Duration::from_secs(900);
