//! What the records, ECS and Step Functions say.

use super::failed::{self, FailedExecution};
use crate::{
    Failure,
    account::{Desk, refused, unknown_job},
    history,
};
use aws_sdk_ecs::types::{ContainerInstance, Task};
use aws_sdk_sfn::types::ExecutionStatus;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use workers::{
    WorkerError,
    context::parse_time,
    desk::hand::ByHand,
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId, TaskArn},
    records::{InstanceRecord, InstanceStatus, JobRecord, JobStatus, RankRecord, RankStatus},
};

/// In seconds.
const DAY: f64 = 24.0 * 3600.0;

/// Pages of the table of instances: some ten thousand instances.
const INSTANCE_PAGES: usize = 20;

/// Jobs and instances.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Everything {
    pub jobs: Vec<Job>,
    pub instances: Vec<Instance>,
    /// Executions that ended badly within a day and hold no job that is shown.
    pub failed_executions: Vec<FailedExecution>,
    /// Items that cannot be read, with what is wrong with each.
    pub unreadable: Vec<String>,
    /// Jobs that have ended and are not shown.
    pub ended_jobs: usize,
    /// False when a table is larger than what was read of it.
    pub complete: bool,
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub job_id: JobId,
    pub status: JobStatus,
    pub attempt: u32,
    pub nodes: u32,
    /// Ranks whose task is RUNNING, as ECS says; none of a job that has ended.
    pub running: Option<u32>,
    pub reason: Option<String>,
    pub failed_rank: Option<u32>,
    pub recovery: Option<Recovery>,
    pub created_at: String,
    pub updated_at: String,
}

/// The execution at work on a job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    pub execution: ExecutionArn,
    /// As Step Functions says it; `UNKNOWN` when it does not know the execution any more.
    pub status: String,
    /// The state that was entered last.
    pub state: Option<String>,
    /// When: seconds since the epoch.
    pub since: Option<f64>,
}

impl Recovery {
    /// It has ended and left the job as it is.
    pub fn needs_an_operator(&self) -> bool {
        !matches!(self.status.as_str(), "RUNNING" | "PENDING_REDRIVE")
    }
}

/// An instance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub instance_id: InstanceId,
    /// As recorded; none of one that has not worked for a job yet.
    pub status: Option<InstanceStatus>,
    pub job_id: Option<JobId>,
    pub holder: Option<ExecutionArn>,
    /// Seconds since the epoch, oldest first.
    pub faults: Vec<i64>,
    pub last_verdict: Option<String>,
    pub quarantine_reason: Option<String>,
    pub updated_at: Option<String>,
    pub ecs: Option<Ecs>,
}

/// What ECS says of an instance.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ecs {
    pub status: String,
    pub agent_connected: bool,
    pub running_tasks: i32,
}

/// A job closely.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobClosely {
    #[serde(flatten)]
    pub job: Job,
    pub ranks: Vec<Rank>,
}

/// A rank of the current attempt.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rank {
    pub rank: u32,
    pub status: RankStatus,
    pub exit_code: Option<i32>,
    pub task: TaskArn,
    /// What ECS says of the task; none when it does not know it any more.
    pub ecs_status: Option<String>,
    pub instance_id: Option<InstanceId>,
    pub instance: Option<Instance>,
}

/// An instance closely.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceClosely {
    #[serde(flatten)]
    pub instance: Instance,
    /// How the execution that holds it stands.
    pub recovery: Option<Recovery>,
    pub by_hand: Option<ByHand>,
}

/// Everything there is.
pub async fn everything(desk: &Desk, pages: usize, ended: bool) -> Result<Everything, Failure> {
    let context = &desk.context;
    let scanned = context.instances.list(INSTANCE_PAGES).await?;
    let found = context.jobs.list(pages).await?;
    let (records, mut jobs) = (scanned.records, found.records);
    let mut unreadable = [scanned.unreadable, found.unreadable].concat();
    let known: BTreeSet<JobId> = jobs.iter().map(|job| job.job_id.clone()).collect();
    let missing: BTreeSet<&JobId> = records
        .iter()
        .filter_map(|record| record.job_id.as_ref())
        .filter(|job| !found.complete && !known.contains(job))
        .collect();
    for id in missing {
        match context.jobs.get(id).await {
            Err(WorkerError::CorruptRecord(why)) => unreadable.push(why),
            job => jobs.extend(job?),
        }
    }
    let before = jobs.len();
    if !ended {
        let old = desk.now() - DAY;
        jobs.retain(|job| {
            let recent = parse_time(&job.updated_at).is_none_or(|at| at as f64 > old);
            !over(job.status) || (job.status == JobStatus::Failed && recent)
        });
    }
    let ended_jobs = before - jobs.len();
    jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
    let holders: BTreeSet<ExecutionArn> =
        jobs.iter().filter_map(|job| job.holder.clone()).collect();
    let mut told = Vec::with_capacity(jobs.len());
    for job in jobs {
        let running = match over(job.status) {
            true => None,
            false => match context.jobs.ranks(&job.job_id, job.attempt).await {
                Err(WorkerError::CorruptRecord(why)) => {
                    unreadable.push(why);
                    None
                }
                ranks => Some(running(&tasks(desk, &ranks?).await?)),
            },
        };
        told.push(of_job(desk, job, running).await?);
    }
    Ok(Everything {
        jobs: told,
        instances: of_fleet(desk, records).await?,
        failed_executions: failed::executions(desk, &holders).await?,
        unreadable,
        ended_jobs,
        complete: scanned.complete && found.complete,
    })
}

fn over(status: JobStatus) -> bool {
    matches!(
        status,
        JobStatus::Complete | JobStatus::UserStopped | JobStatus::Failed
    )
}

/// What ECS says of the ranks' tasks; nothing of one that it does not know any more.
async fn tasks(desk: &Desk, ranks: &[RankRecord]) -> Result<BTreeMap<TaskArn, String>, Failure> {
    let arns: Vec<TaskArn> = ranks.iter().map(|rank| rank.task_arn.clone()).collect();
    let described = desk.context.fleet.tasks(&arns).await?;
    let status = |task: &Task| task.last_status().unwrap_or("unknown").to_owned();
    Ok(described
        .iter()
        .map(|(arn, task)| (arn.clone(), status(task)))
        .collect())
}

fn running(tasks: &BTreeMap<TaskArn, String>) -> u32 {
    tasks
        .values()
        .map(|status| u32::from(status == "RUNNING"))
        .sum()
}

/// One job.
pub async fn job(desk: &Desk, id: &JobId) -> Result<JobClosely, Failure> {
    let jobs = &desk.context.jobs;
    let Some(record) = jobs.get(id).await? else {
        return Err(unknown_job(id));
    };
    let ranks = jobs.ranks(id, record.attempt).await?;
    let mut records = Vec::new();
    for instance in ranks.iter().filter_map(|rank| rank.instance_id.as_ref()) {
        records.extend(desk.context.instances.get(instance).await?);
    }
    let now = tasks(desk, &ranks).await?;
    let told = of_instances(desk, records).await?;
    let mut told: BTreeMap<InstanceId, Instance> = told
        .into_iter()
        .map(|instance| (instance.instance_id.clone(), instance))
        .collect();
    let ranks = ranks
        .into_iter()
        .map(|rank| Rank {
            rank: rank.rank,
            status: rank.status,
            exit_code: rank.exit_code,
            ecs_status: now.get(&rank.task_arn).cloned(),
            task: rank.task_arn,
            instance: rank.instance_id.as_ref().and_then(|id| told.remove(id)),
            instance_id: rank.instance_id,
        })
        .collect();
    Ok(JobClosely {
        job: of_job(desk, record, Some(running(&now))).await?,
        ranks,
    })
}

/// One instance.
pub async fn instance(desk: &Desk, id: &InstanceId) -> Result<InstanceClosely, Failure> {
    let instances = &desk.context.instances;
    let Some(record) = instances.get(id).await? else {
        return Err(Failure::Broken(format!(
            "no instance {id} is recorded: it has not worked for a job yet; --instances-table names the table"
        )));
    };
    let recovery = match &record.holder {
        Some(holder) => Some(recovery(desk, holder).await?),
        None => None,
    };
    let mut told = of_instances(desk, vec![record]).await?;
    Ok(InstanceClosely {
        instance: told.remove(0),
        recovery,
        by_hand: instances.by_hand(id).await?,
    })
}

async fn of_job(desk: &Desk, job: JobRecord, running: Option<u32>) -> Result<Job, Failure> {
    let recovery = match &job.holder {
        Some(holder) => Some(recovery(desk, holder).await?),
        None => None,
    };
    Ok(Job {
        job_id: job.job_id,
        status: job.status,
        attempt: job.attempt,
        nodes: job.nodes,
        running,
        reason: job.reason,
        failed_rank: job.failed_rank,
        recovery,
        created_at: job.created_at,
        updated_at: job.updated_at,
    })
}

/// How an execution stands.
pub async fn recovery(desk: &Desk, execution: &ExecutionArn) -> Result<Recovery, Failure> {
    let described = desk
        .sfn
        .describe_execution()
        .execution_arn(execution.as_str())
        .send()
        .await;
    let status = match described {
        Ok(described) => described.status,
        Err(error) if workers::error::code_of(&error) == "ExecutionDoesNotExist" => {
            ExecutionStatus::from("UNKNOWN")
        }
        Err(error) => {
            return Err(refused("states:DescribeExecution", execution.as_str())(
                error,
            ));
        }
    };
    let place = if status.as_str() == "UNKNOWN" {
        None
    } else {
        history::place(&desk.sfn, execution.as_str()).await?
    };
    let (state, since) = place.unzip();
    Ok(Recovery {
        execution: execution.clone(),
        status: status.as_str().to_owned(),
        state,
        since,
    })
}

/// Every instance that is recorded or in the cluster, by its id.
async fn of_fleet(desk: &Desk, records: Vec<InstanceRecord>) -> Result<Vec<Instance>, Failure> {
    let mut told = of_instances(desk, records).await?;
    let recorded: BTreeSet<InstanceId> = told.iter().map(|i| i.instance_id.clone()).collect();
    for instance in desk.container_instances(None).await?.values() {
        let id = instance.ec2_instance_id().map(InstanceId::new);
        let Some(instance_id) = id.filter(|id| !recorded.contains(id)) else {
            continue;
        };
        told.push(Instance {
            instance_id,
            status: None,
            job_id: None,
            holder: None,
            faults: Vec::new(),
            last_verdict: None,
            quarantine_reason: None,
            updated_at: None,
            ecs: Some(Ecs::of(instance)),
        });
    }
    told.sort_by(|one, other| one.instance_id.cmp(&other.instance_id));
    Ok(told)
}

async fn of_instances(
    desk: &Desk,
    mut records: Vec<InstanceRecord>,
) -> Result<Vec<Instance>, Failure> {
    records.sort_by(|one, other| one.instance_id.cmp(&other.instance_id));
    let arns: Vec<ContainerInstanceArn> = records
        .iter()
        .filter_map(|record| record.container_instance_arn.clone())
        .collect();
    let found = desk.context.fleet.container_instances(&arns).await?;
    Ok(records
        .into_iter()
        .map(|record| {
            let ecs = record.container_instance_arn.as_ref();
            Instance {
                ecs: ecs.and_then(|arn| found.get(arn)).map(Ecs::of),
                instance_id: record.instance_id,
                status: Some(record.status),
                job_id: record.job_id,
                holder: record.holder,
                faults: record.faults,
                last_verdict: record.last_verdict,
                quarantine_reason: record.quarantine_reason,
                updated_at: Some(record.updated_at),
            }
        })
        .collect())
}

impl Ecs {
    fn of(instance: &ContainerInstance) -> Self {
        Self {
            status: instance.status().unwrap_or("unknown").to_owned(),
            agent_connected: instance.agent_connected(),
            running_tasks: instance.running_tasks_count(),
        }
    }
}
