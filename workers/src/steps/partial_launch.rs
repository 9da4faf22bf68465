//! Undoing a launch that did not become an attempt: some of its tasks may run although no record shows them.

use crate::{
    Context, WorkerError, ids::ExecutionArn, launch_names::started_by, records::JobRecord,
};
use aws_sdk_ecs::types::DesiredStatus;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A task that ignores SIGTERM is killed after its stopTimeout: 30 s by default, 2 minutes at the most on EC2
/// (ECS developer guide, task_definition_parameters).
const STOP_BOUND: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_secs(2);

/// Shuts out whoever is still launching, stops whatever was started, and notes that the try is over.
/// The job is answered as it is then.
pub(super) async fn undo(
    ctx: &Context,
    job: JobRecord,
    by: &ExecutionArn,
) -> Result<JobRecord, WorkerError> {
    if !job.launching {
        return Ok(job);
    }
    let job = ctx.jobs.fence_launch(&job, by).await?;
    let started_by = started_by(&job.job_id, job.attempt + 1);
    let until = Instant::now() + STOP_BOUND;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let listed = async |desired| ctx.fleet.tasks_started_by(&started_by, desired).await;
        let meant_to_run = listed(DesiredStatus::Running).await?;
        ctx.fleet
            .stop_all(&meant_to_run, "undoing a partial relaunch")
            .await?;
        seen.extend(meant_to_run.iter().cloned());
        // Also what an earlier call of ours has told to stop, and which may still be stopping.
        seen.extend(listed(DesiredStatus::Stopped).await?);
        let all: Vec<_> = seen.iter().cloned().collect();
        let running = ctx
            .fleet
            .tasks(&all)
            .await?
            .values()
            .filter(|t| t.last_status() != Some("STOPPED"))
            .count();
        if meant_to_run.is_empty() && running == 0 {
            return ctx.jobs.end_undo(&job, by).await;
        }
        if Instant::now() >= until {
            return Err(WorkerError::NotSettledYet(format!(
                "{running} tasks of a partial relaunch (startedBy {started_by}) do not stop; stop them by hand, then redrive"
            )));
        }
        sleep(POLL).await;
    }
}
