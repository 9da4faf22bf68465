//! `submit --again`: a new job from what is recorded of one that has ended.

use super::{Submit, pick};
use crate::{
    Failure,
    account::{self, Desk},
};
use workers::{
    desk::submit::Submission,
    ids::{InstanceId, JobId},
    records::{
        JobRecord,
        launch::{self, LaunchSpec},
    },
};

/// Its ranks as they were started last, on the same instances unless others are given.
///
/// # Errors
/// When the job is not recorded, has not ended, or how its ranks were started is not known.
pub async fn submission(
    arguments: &Submit,
    desk: &Desk,
    again: &JobId,
) -> Result<Submission, Failure> {
    let jobs = &desk.context.jobs;
    let Some(job) = jobs.get(again).await? else {
        return Err(account::unknown_job(again));
    };
    refuse_unended(&job)?;
    let ranks = jobs.ranks(again, job.attempt).await?;
    let mut launches = Vec::with_capacity(ranks.len());
    let mut places = Vec::with_capacity(ranks.len());
    for rank in ranks {
        let known = rank
            .launch
            .filter(|launch| !launch.task_definition.is_empty());
        let Some(launch) = known else {
            return Err(Failure::Broken(format!(
                "how rank {} of job {again} was started is not recorded; submit it with --task-definition",
                rank.rank
            )));
        };
        launches.push(launch);
        places.extend(rank.instance_id);
    }
    if launches.len() != job.nodes as usize {
        return Err(Failure::Broken(format!(
            "{} of {} ranks of job {again} are recorded for attempt {} (they are kept for {} days after a job's end, because \
             overrides may hold secrets); submit it with --task-definition",
            launches.len(),
            job.nodes,
            job.attempt,
            launch::KEPT_DAYS
        )));
    }
    let instances = instances(arguments, desk, &launches, places).await?;
    let given = arguments.common.policies()?;
    Ok(Submission {
        job_id: arguments.common.job.clone(),
        ranks: instances.into_iter().zip(launches).collect(),
        recovery_attempts: arguments.common.recovery_attempts.or(job.recovery_attempts),
        policies: if given.is_empty() {
            job.policies
        } else {
            given
        },
    })
}

/// A job that runs, or that a recovery has, may start tasks of its own yet.
fn refuse_unended(job: &JobRecord) -> Result<(), Failure> {
    if job.has_ended() && job.holder.is_none() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "job {} is {} in attempt {}; only one that has ended is started again: gpu-recovery stop {} ends it",
        job.job_id, job.status, job.attempt, job.job_id
    )))
}

async fn instances(
    arguments: &Submit,
    desk: &Desk,
    launches: &[LaunchSpec],
    places: Vec<InstanceId>,
) -> Result<Vec<InstanceId>, Failure> {
    let world = launches.len();
    let instances = match arguments.nodes {
        Some(nodes) if nodes as usize != world => return Err(other_size(world)),
        Some(_) => {
            let first = launches.first().map(|l| l.task_definition.as_str());
            let definition = pick::definition(desk, first.unwrap_or_default()).await?;
            return pick::instances(desk, world, definition.gpus).await;
        }
        None if arguments.instances.is_empty() => places,
        None => arguments.instances.clone(),
    };
    if instances.len() != world {
        return Err(other_size(world));
    }
    pick::refuse_taken(desk, &instances).await?;
    Ok(instances)
}

fn other_size(world: usize) -> Failure {
    Failure::BadInput(format!(
        "the job had {world} ranks, and each was told so in its environment; give as many instances, or submit it with \
         --task-definition"
    ))
}
