//! What the records, ECS and Step Functions say.

use crate::{
    Failure,
    account::{Desk, refused},
    history,
};
use aws_sdk_sfn::types::ExecutionStatus;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use workers::{
    context::parse_time,
    desk::hand::ByHand,
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{InstanceRecord, InstanceStatus, JobRecord, JobStatus, RankStatus},
};

/// Pages of the table of instances: some ten thousand instances.
const INSTANCE_PAGES: usize = 20;

/// Jobs and instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Everything {
    pub jobs: Vec<Job>,
    pub instances: Vec<Instance>,
    /// Jobs that have ended and are not shown.
    pub ended_jobs: usize,
    /// False when a table is larger than what was read of it.
    pub complete: bool,
}

/// A job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub job_id: JobId,
    pub status: JobStatus,
    pub attempt: u32,
    pub nodes: u32,
    pub reason: Option<String>,
    pub failed_rank: Option<u32>,
    pub recovery: Option<Recovery>,
    pub created_at: String,
    pub updated_at: String,
}

/// The execution at work on a job.
#[derive(Debug, Serialize)]
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
    pub fn needs_a_person(&self) -> bool {
        !matches!(self.status.as_str(), "RUNNING" | "PENDING_REDRIVE")
    }
}

/// An instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    pub instance_id: InstanceId,
    pub status: InstanceStatus,
    pub job_id: Option<JobId>,
    pub holder: Option<ExecutionArn>,
    /// Seconds since the epoch, oldest first.
    pub faults: Vec<i64>,
    pub last_verdict: Option<String>,
    pub quarantine_reason: Option<String>,
    pub updated_at: String,
    pub ecs: Option<Ecs>,
}

/// What ECS says of an instance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ecs {
    pub status: String,
    pub agent_connected: bool,
    pub running_tasks: i32,
}

/// A job closely.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobClosely {
    #[serde(flatten)]
    pub job: Job,
    pub ranks: Vec<Rank>,
}

/// A rank of the current attempt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rank {
    pub rank: u32,
    pub status: RankStatus,
    pub exit_code: Option<i32>,
    pub task: String,
    pub instance_id: Option<InstanceId>,
    pub instance: Option<Instance>,
}

/// An instance closely.
#[derive(Debug, Serialize)]
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
    let (records, all_instances) = context.instances.list(INSTANCE_PAGES).await?;
    let (mut jobs, all_jobs) = context.jobs.list(pages).await?;
    let known: BTreeSet<JobId> = jobs.iter().map(|job| job.job_id.clone()).collect();
    let missing: BTreeSet<&JobId> = records
        .iter()
        .filter_map(|record| record.job_id.as_ref())
        .filter(|job| !all_jobs && !known.contains(job))
        .collect();
    for id in missing {
        jobs.extend(context.jobs.get(id).await?);
    }
    let before = jobs.len();
    if !ended {
        let over = |status| matches!(status, JobStatus::Complete | JobStatus::UserStopped);
        let old = desk.now() - 24.0 * 3600.0;
        jobs.retain(|job| {
            let recent = parse_time(&job.updated_at).is_none_or(|at| at as f64 > old);
            !over(job.status) && (job.status != JobStatus::Failed || recent)
        });
    }
    let ended_jobs = before - jobs.len();
    jobs.sort_by(|one, other| one.job_id.cmp(&other.job_id));
    let mut told = Vec::with_capacity(jobs.len());
    for job in jobs {
        told.push(of_job(desk, job).await?);
    }
    Ok(Everything {
        jobs: told,
        instances: of_instances(desk, records).await?,
        ended_jobs,
        complete: all_instances && all_jobs,
    })
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
            task: rank.task_arn.to_string(),
            instance: rank.instance_id.as_ref().and_then(|id| told.remove(id)),
            instance_id: rank.instance_id,
        })
        .collect();
    Ok(JobClosely {
        job: of_job(desk, record).await?,
        ranks,
    })
}

/// No job of this id.
pub fn unknown_job(id: &JobId) -> Failure {
    Failure::Broken(format!(
        "no job {id} is recorded; `gpu-recovery status` lists those that are, and --jobs-table names the table"
    ))
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

async fn of_job(desk: &Desk, job: JobRecord) -> Result<Job, Failure> {
    let recovery = match &job.holder {
        Some(holder) => Some(recovery(desk, holder).await?),
        None => None,
    };
    Ok(Job {
        job_id: job.job_id,
        status: job.status,
        attempt: job.attempt,
        nodes: job.nodes,
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
            let ecs = ecs.and_then(|arn| found.get(arn)).map(|instance| Ecs {
                status: instance.status().unwrap_or("unknown").to_owned(),
                agent_connected: instance.agent_connected(),
                running_tasks: instance.running_tasks_count(),
            });
            Instance {
                instance_id: record.instance_id,
                status: record.status,
                job_id: record.job_id,
                holder: record.holder,
                faults: record.faults,
                last_verdict: record.last_verdict,
                quarantine_reason: record.quarantine_reason,
                updated_at: record.updated_at,
                ecs,
            }
        })
        .collect())
}
