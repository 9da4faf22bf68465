//! Whether a health check that did not end in time hung, which is a fault, or could not run or be heard, which is none.

use crate::{Context, WorkerError, ids::ContainerInstanceArn};
use aws_sdk_ecs::types::Task;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A check that Step Functions has given up is stopped by SIGTERM and, 30 s later, SIGKILL (ECS developer guide,
/// task_definition_parameters, stopTimeout), and reported a moment after that.
const KILLED_WITHIN: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_secs(5);
/// The check's own script ends itself so long before the time is up.
const MARGIN_SECONDS: i64 = 60;
/// How a container ends that was stopped: SIGKILL, SIGTERM.
const STOPPED_BY_SIGNAL: [i32; 2] = [137, 143];

/// True when the newest check on this instance ran for as long as a check may, and did not end by itself.
///
/// While an instance's agent is away a check neither starts, nor stops, nor is its end heard of. So the agent must be
/// there, and the task must have ended since by a signal; or not at all, which not even SIGKILL does to a process that the
/// driver keeps in uninterruptible sleep.
pub(super) async fn hung(
    ctx: &Context,
    instance: &ContainerInstanceArn,
) -> Result<bool, WorkerError> {
    let until = Instant::now() + KILLED_WITHIN;
    loop {
        let heard = ctx.fleet.container_instance(instance).await?;
        if !heard.is_some_and(|instance| instance.agent_connected()) {
            return Ok(false);
        }
        let family = &ctx.settings.dcgm_health_check_task;
        let Some(check) = ctx.fleet.last_check(instance, family).await? else {
            return Ok(false);
        };
        if !ran_long(&check, ctx) {
            return Ok(false);
        }
        if check.last_status() == Some("STOPPED") {
            return Ok(!ended_by_itself(&check));
        }
        if Instant::now() >= until {
            return Ok(true);
        }
        sleep(POLL).await;
    }
}

/// It had the time that a check may take: an agent that was away at first starts it late.
fn ran_long(check: &Task, ctx: &Context) -> bool {
    let Some(started) = check.started_at() else {
        return false;
    };
    let stopping = check
        .stopping_at()
        .map_or_else(|| ctx.clock.epoch_seconds(), |at| at.secs());
    let allowed = i64::from(ctx.settings.dcgm_timeout_seconds) - MARGIN_SECONDS;
    stopping - started.secs() >= allowed
}

fn ended_by_itself(check: &Task) -> bool {
    let codes = check.containers().iter().filter_map(|c| c.exit_code());
    codes
        .into_iter()
        .any(|code| !STOPPED_BY_SIGNAL.contains(&code))
}
