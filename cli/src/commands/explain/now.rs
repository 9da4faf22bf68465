//! What the records say now: a recovery's job and instances may have moved on since it ended.

use crate::{Failure, account::Desk, history::path::Path, output::counted};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use workers::{
    desk::hand::ByHand,
    ids::{ExecutionArn, InstanceId, JobId},
    records::{InstanceStatus, JobStatus},
};

/// So many instances are looked up, those first that the recovery did most with.
const LOOKED_UP: usize = 16;
/// The same of more instances than this is told once.
const MANY: usize = 3;

/// The records of one recovery.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Now {
    /// Seconds since the epoch.
    pub at: f64,
    /// None when the history names none, or it is not recorded.
    job: Option<Job>,
    instances: Vec<Instance>,
    /// How many instances were not looked up, because there are so many.
    not_looked_up: usize,
    /// The job's id, and the attempt that the recovery left it in.
    #[serde(skip)]
    left: (Option<JobId>, Option<u32>),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Job {
    job_id: JobId,
    status: JobStatus,
    attempt: u32,
    reason: Option<String>,
    held_by: HeldBy,
    holder: Option<ExecutionArn>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Instance {
    instance_id: InstanceId,
    /// None when it is not recorded.
    status: Option<InstanceStatus>,
    job_id: Option<JobId>,
    quarantine_reason: Option<String>,
    held_by: HeldBy,
    holder: Option<ExecutionArn>,
    by_hand: Option<ByHand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum HeldBy {
    Nobody,
    ThisExecution,
    AnotherExecution,
}

impl HeldBy {
    fn of(holder: Option<&ExecutionArn>, execution: &ExecutionArn) -> Self {
        match holder {
            None => Self::Nobody,
            Some(holder) if holder == execution => Self::ThisExecution,
            Some(_) => Self::AnotherExecution,
        }
    }
}

impl Now {
    /// Reads the records of what the execution was about.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub async fn read(desk: &Desk, execution: &ExecutionArn, path: &Path) -> Result<Self, Failure> {
        let id = super::story::job(path).map(JobId::new);
        let job = match &id {
            Some(id) => desk.context.jobs.get(id).await?,
            None => None,
        };
        let about = instances(path);
        let mut records = Vec::new();
        for id in about.iter().take(LOOKED_UP) {
            records.push(instance(desk, execution, id).await?);
        }
        Ok(Self {
            at: desk.now(),
            job: job.map(|job| Job {
                held_by: HeldBy::of(job.holder.as_ref(), execution),
                job_id: job.job_id,
                status: job.status,
                attempt: job.attempt,
                reason: job.reason,
                holder: job.holder,
            }),
            instances: records,
            not_looked_up: about.len().saturating_sub(LOOKED_UP),
            left: (id, super::story::attempt(path)),
        })
    }

    /// The same as sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.job().into_iter().collect();
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for instance in &self.instances {
            let says = instance.says();
            alike
                .entry(says)
                .or_default()
                .push(instance.instance_id.as_str());
        }
        for (says, ids) in alike {
            if ids.len() > MANY {
                let all = counted(ids.len() as u64, "instance");
                sentences.push(format!("Each of {all} {says}."));
            } else {
                sentences.extend(ids.iter().map(|id| format!("{id} {says}.")));
            }
        }
        if self.not_looked_up > 0 {
            let more = counted(self.not_looked_up as u64, "more instance");
            sentences.push(format!("{more}: gpu-recovery status."));
        }
        sentences
    }

    fn job(&self) -> Option<String> {
        let (id, left) = &self.left;
        let Some(job) = &self.job else {
            let id = id.as_ref()?;
            return Some(format!("Job {id} is not recorded any more."));
        };
        // What is said of a job that runs is the story's own end.
        let reason = match &job.reason {
            Some(why) if job.status != JobStatus::InProgress => format!(": {why}"),
            _ => String::new(),
        };
        let since = match left {
            Some(left) if job.attempt > *left => {
                format!(" (it was recovered again since this recovery left it in attempt {left})")
            }
            _ => String::new(),
        };
        let held = held(job.held_by, job.holder.as_ref());
        let reason = reason.trim_end_matches('.');
        Some(format!(
            "Job {} is {} in attempt {}{since}{held}{reason}.",
            job.job_id, job.status, job.attempt
        ))
    }
}

impl Instance {
    fn says(&self) -> String {
        let Some(status) = self.status else {
            return "is not recorded".to_owned();
        };
        let job = match (&self.job_id, status) {
            (Some(job), InstanceStatus::InProgress) => format!(" for job {job}"),
            _ => String::new(),
        };
        let held = held(self.held_by, self.holder.as_ref());
        let reason = self
            .quarantine_reason
            .as_ref()
            .filter(|_| status == InstanceStatus::Quarantined)
            .map_or(String::new(), |why| format!(": {why}"));
        let by_hand = self.by_hand.as_ref().map_or(String::new(), |hand| {
            format!(
                "; {} by {} at {}: {}",
                hand.action, hand.who, hand.at, hand.why
            )
        });
        let says = format!("is {status}{job}{held}{reason}{by_hand}");
        says.trim_end_matches('.').to_owned()
    }
}

fn held(by: HeldBy, holder: Option<&ExecutionArn>) -> String {
    match (by, holder) {
        (HeldBy::ThisExecution, _) => ", held by this execution".to_owned(),
        (HeldBy::AnotherExecution, Some(holder)) => format!(", held by {holder}"),
        _ => String::new(),
    }
}

async fn instance(
    desk: &Desk,
    execution: &ExecutionArn,
    id: &InstanceId,
) -> Result<Instance, Failure> {
    let instances = &desk.context.instances;
    let record = instances.get(id).await?;
    let by_hand = match &record {
        Some(_) => instances.by_hand(id).await?,
        None => None,
    };
    let holder = record.as_ref().and_then(|record| record.holder.clone());
    Ok(Instance {
        instance_id: id.clone(),
        status: record.as_ref().map(|record| record.status),
        held_by: HeldBy::of(holder.as_ref(), execution),
        holder,
        job_id: record.as_ref().and_then(|record| record.job_id.clone()),
        quarantine_reason: record.and_then(|record| record.quarantine_reason),
        by_hand,
    })
}

/// The instances that the recovery was about: those that it did most with first, else as it met them.
fn instances(path: &Path) -> Vec<InstanceId> {
    let mut visits: Vec<(&str, usize)> = Vec::new();
    for id in path.visits.iter().filter_map(|visit| visit.instance()) {
        match visits.iter_mut().find(|(known, _)| *known == id) {
            Some((_, number)) => *number += 1,
            None => visits.push((id, 1)),
        }
    }
    visits.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    visits
        .into_iter()
        .map(|(id, _)| InstanceId::new(id))
        .collect()
}
