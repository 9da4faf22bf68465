//! What runs on an instance that is not ours to disturb.

use super::cordon_instance::Refusal;
use crate::{
    Context, WorkerError,
    aws::{fleet::CHECKS_STARTED_BY, launch_names::is_launch},
    ids::{ContainerInstanceArn, JobId, TaskArn},
};
use aws_sdk_ecs::types::Task;
use std::collections::BTreeMap;

/// The job that is being recovered.
pub(super) struct Ours<'a> {
    pub job: &'a JobId,
    /// Its own task does not stop, and does not count.
    pub may_run: bool,
}

/// Refuses an instance on which a job's task runs, or any task that holds a GPU, but for our own checks. Other tasks, as
/// those of daemon services, do not count.
pub(super) async fn in_use(
    ctx: &Context,
    arn: &ContainerInstanceArn,
    ours: &Ours<'_>,
) -> Result<Option<(Refusal, String)>, WorkerError> {
    let (tasks, counted) = futures::try_join!(ctx.fleet.unstopped_tasks_on(arn), count(ctx, arn))?;
    // Side by side with the list, the count may have met a task that has stopped since.
    if tasks.len() < counted
        && let Some(detail) = unlisted(&tasks, count(ctx, arn).await?)
    {
        return Ok(Some((Refusal::RunsAnotherJob, detail)));
    }
    for (task, found) in tasks {
        let Some(key) = ctx.jobs.find_task(&task).await? else {
            // A launch records its ranks only when all of them have started.
            if found.started_by().is_some_and(is_launch) {
                let detail = format!("task {task} of a job that is being launched runs on it");
                return Ok(Some((Refusal::RunsAnotherJob, detail)));
            }
            if holds_a_gpu(&found) && !is_check(&found) {
                let detail = format!("task {task} of no job holds a GPU of it");
                return Ok(Some((Refusal::Occupied, detail)));
            }
            continue;
        };
        let detail = format!("task {task} of job {} runs on it", key.job_id);
        if key.job_id != *ours.job {
            return Ok(Some((Refusal::RunsAnotherJob, detail)));
        }
        if !ours.may_run {
            return Ok(Some((Refusal::RunsThisJob, detail)));
        }
    }
    Ok(None)
}

/// ECS lists a new task within five minutes only ("eventual consistency", API_RunTask), and counts it on its instance
/// before: with fewer listed than counted, nobody knows what runs there. Either count alone, as the API reference and ECS
/// differ in whether a PENDING task is among the running ones (API_ContainerInstance).
fn unlisted(listed: &BTreeMap<TaskArn, Task>, counted: usize) -> Option<String> {
    (listed.len() < counted).then(|| {
        let tasks = if counted == 1 { "task" } else { "tasks" };
        format!(
            "ECS counts {counted} {tasks} on it and lists {}",
            listed.len()
        )
    })
}

/// How many tasks ECS counts on an instance; none on one that has left the cluster.
async fn count(ctx: &Context, arn: &ContainerInstanceArn) -> Result<usize, WorkerError> {
    let instance = ctx.fleet.container_instance(arn).await?;
    let counted = instance.map_or(0, |found| {
        found.running_tasks_count().max(found.pending_tasks_count())
    });
    Ok(usize::try_from(counted).unwrap_or_default())
}

fn holds_a_gpu(task: &Task) -> bool {
    task.containers().iter().any(|c| !c.gpu_ids().is_empty())
}

/// A task that Step Functions started: it sets this itself for `runTask.sync` (developer guide, connect-ecs).
fn is_check(task: &Task) -> bool {
    task.started_by() == Some(CHECKS_STARTED_BY)
}
