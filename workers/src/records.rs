//! The items of the two tables, and the statuses they go through.

pub mod event;
pub mod launch;
pub mod master;

use crate::{
    Settings,
    decisions::{
        diagnosis::Verdict,
        exit::{ContainerEnd, Exit, TaskEnd},
    },
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId, TaskArn},
    settings::JobPolicies,
};
use launch::LaunchSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A job's life, in the original system's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    InProgress,
    /// Claimed: tasks are being stopped, GPUs checked.
    PendingHealthcheck,
    /// Faulty instances are being rebooted.
    PendingRestart,
    /// The next attempt is being started.
    Restarting,
    Complete,
    Failed,
    UserStopped,
}

impl JobStatus {
    /// As written in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::PendingHealthcheck => "PENDING_HEALTHCHECK",
            Self::PendingRestart => "PENDING_RESTART",
            Self::Restarting => "RESTARTING",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
            Self::UserStopped => "USER_STOPPED",
        }
    }

    /// True while a recovery is at work on the job.
    pub fn is_recovering(self) -> bool {
        matches!(
            self,
            Self::PendingHealthcheck | Self::PendingRestart | Self::Restarting
        )
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An instance's life, in the original system's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstanceStatus {
    Available,
    InProgress,
    PendingHealthcheck,
    Rebooting,
    Quarantined,
    /// A spare, held for a job that is about to be relaunched on it.
    Held,
}

impl InstanceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::InProgress => "IN_PROGRESS",
            Self::PendingHealthcheck => "PENDING_HEALTHCHECK",
            Self::Rebooting => "REBOOTING",
            Self::Quarantined => "QUARANTINED",
            Self::Held => "HELD",
        }
    }
}

impl fmt::Display for InstanceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The job's own item: sort key `job`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub job_id: JobId,
    /// Sort key; always [`JobRecord::SORT_KEY`].
    pub record: String,
    pub status: JobStatus,
    /// Counts launches from 1.
    pub attempt: u32,
    /// Ranks of the job.
    pub nodes: u32,
    /// The execution at work on the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<ExecutionArn>,
    /// The rank whose end started the recovery at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_rank: Option<u32>,
    /// Why the job is in the status it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Ranks of the attempt that ended with exit 0.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "serde_dynamo::number_set"
    )]
    pub done_ranks: BTreeSet<u32>,
    /// Overrides RECOVERY_ATTEMPTS for this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_attempts: Option<u32>,
    /// The job's own policies, over the stack's.
    #[serde(default, skip_serializing_if = "JobPolicies::is_empty")]
    pub policies: JobPolicies,
    /// When the operators were told last of an end that is not recovered, and by which execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_by: Option<ExecutionArn>,
    /// Counts launches that were undone. Never reset: with the attempt it tells the calls of RelaunchJob apart.
    #[serde(default)]
    pub launch_try: u32,
    /// True while tasks of the next attempt may have been started that no record shows yet.
    #[serde(default)]
    pub launching: bool,
    /// Since when such a launch is being undone: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_since: Option<i64>,
    /// Its tasks that ECS has listed and no rank's item names.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "serde_dynamo::string_set"
    )]
    pub undo_tasks: BTreeSet<String>,
    /// Set while the job is IN_PROGRESS, and after an operator's stop while a rank may run: the sparse index `running-index`
    /// holds such jobs and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The execution that started the current attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relaunched_by: Option<ExecutionArn>,
    /// The execution that declared the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_by: Option<ExecutionArn>,
    /// The execution that saw an operator stop the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<ExecutionArn>,
    /// When all tasks of the next attempt were started: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<i64>,
    /// Ranks of the attempt that is being launched whose tasks have ended, as their events tell.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "serde_dynamo::number_set"
    )]
    pub launch_ended: BTreeSet<u32>,
    /// It is the check of an instance that an operator asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// Spares that this recovery may hold: written before each hold, so that whoever takes over finds them.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "serde_dynamo::string_set"
    )]
    pub spares: BTreeSet<String>,
    /// Instances on which this recovery could not place, or start, a rank.
    #[serde(
        default,
        skip_serializing_if = "BTreeSet::is_empty",
        with = "serde_dynamo::string_set"
    )]
    pub refused_places: BTreeSet<String>,
    /// The last relaunch on spares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// The attempts so far, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRecord>,
    /// When DynamoDB may delete a check: seconds since the epoch. A job's item is kept, so that its id is never used twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    pub created_at: String,
    pub updated_at: String,
}

/// A relaunch with spares in place of suspects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The execution that checks and repairs the suspects.
    pub by: ExecutionArn,
    /// The attempt that it has started.
    pub attempt: u32,
    pub state: SwapState,
}

/// What has come of the suspects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SwapState {
    /// They are being checked and repaired.
    Open,
    /// The check found no fault on any of them.
    InVain,
    Done,
}

impl SwapState {
    /// As written in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::InVain => "IN_VAIN",
            Self::Done => "DONE",
        }
    }
}

/// One attempt of a job, in times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub attempt: u32,
    /// Since when all its ranks were RUNNING: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<i64>,
    /// When its first rank ended abnormally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// The execution that started it, of a relaunch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ExecutionArn>,
}

impl JobRecord {
    /// A job of so many ranks that starts now (RFC 3339): IN_PROGRESS in its first attempt.
    pub fn new(job_id: JobId, nodes: u32, now: &str) -> Self {
        Self {
            job_id,
            record: Self::SORT_KEY.to_owned(),
            status: JobStatus::InProgress,
            attempt: 1,
            nodes,
            holder: None,
            failed_rank: None,
            reason: None,
            done_ranks: BTreeSet::new(),
            recovery_attempts: None,
            policies: JobPolicies::default(),
            told_at: None,
            told_by: None,
            launch_try: 0,
            launching: false,
            undo_since: None,
            undo_tasks: BTreeSet::new(),
            running: Some(Self::RUNNING.to_owned()),
            relaunched_by: None,
            failed_by: None,
            stopped_by: None,
            launched_at: None,
            launch_ended: BTreeSet::new(),
            check: false,
            spares: BTreeSet::new(),
            refused_places: BTreeSet::new(),
            swap: None,
            attempts: Vec::new(),
            expires_at: None,
            created_at: now.to_owned(),
            updated_at: now.to_owned(),
        }
    }

    pub const SORT_KEY: &'static str = "job";
    /// What [`running`](Self::running) holds.
    pub const RUNNING: &'static str = "yes";

    /// How many recoveries have let the job run again since then (seconds since the epoch).
    pub fn recoveries_since(&self, since: i64) -> u32 {
        let recent = self.attempts.iter().filter(|attempt| {
            attempt.attempt > 1 && attempt.running_at.is_some_and(|at| at >= since)
        });
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// How many relaunches there were up to this attempt without one that made progress: that ran so many seconds.
    pub fn relaunches_in_vain(&self, progress_seconds: i64) -> u32 {
        let mut in_vain = self.attempt.saturating_sub(1);
        for known in &self.attempts {
            let ran = known.running_at.zip(known.ended_at);
            if ran.is_some_and(|(from, to)| to - from >= progress_seconds) {
                // Only what came after it counts.
                in_vain = self.attempt.saturating_sub(known.attempt);
            }
        }
        // The one swap that was of no use is not the job's fault.
        in_vain.saturating_sub(u32::from(self.swapped_in_vain(progress_seconds)))
    }

    /// True when the current attempt runs on spares and nothing shows that they were of use: no fault was found on the
    /// nodes that they replace, or none yet, and the attempt made no progress.
    pub fn swapped_in_vain(&self, progress_seconds: i64) -> bool {
        let vain = self
            .swap
            .as_ref()
            .is_some_and(|swap| swap.attempt == self.attempt && swap.state != SwapState::Done);
        let progress = self.attempts.iter().any(|known| {
            let ran = known.running_at.zip(known.ended_at);
            known.attempt == self.attempt
                && ran.is_some_and(|(from, to)| to - from >= progress_seconds)
        });
        vain && !progress
    }

    /// The attempts with the current one as it ran; only the last hundred are kept.
    pub fn attempts_with(&self, running_at: Option<i64>, ended_at: i64) -> Vec<AttemptRecord> {
        let mut attempts = self.attempts.clone();
        match attempts.iter_mut().find(|a| a.attempt == self.attempt) {
            Some(known) => {
                known.running_at = known.running_at.or(running_at);
                known.ended_at = Some(known.ended_at.unwrap_or(ended_at));
            }
            None => attempts.push(AttemptRecord {
                attempt: self.attempt,
                running_at,
                ended_at: Some(ended_at),
                by: None,
            }),
        }
        let surplus = attempts.len().saturating_sub(100);
        attempts.split_off(surplus)
    }

    /// True when this execution has started this attempt, also when the job has moved on since.
    pub fn was_relaunched_by(&self, execution: &ExecutionArn, attempt: u32) -> bool {
        let started = |known: &AttemptRecord| {
            known.attempt == attempt && known.by.as_ref() == Some(execution)
        };
        let current = self.attempt == attempt && self.relaunched_by.as_ref() == Some(execution);
        current || self.attempts.iter().any(started)
    }

    /// True when nothing more happens to the job.
    pub fn has_ended(&self) -> bool {
        matches!(
            self.status,
            JobStatus::Complete | JobStatus::Failed | JobStatus::UserStopped
        )
    }

    /// True when this execution has declared this attempt failed.
    pub fn was_failed_by(&self, execution: &ExecutionArn, attempt: u32) -> bool {
        self.status == JobStatus::Failed
            && self.attempt == attempt
            && self.failed_by.as_ref() == Some(execution)
    }
}

/// One rank of one attempt: sort key `attempt#00001#rank#00003`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankRecord {
    pub job_id: JobId,
    pub record: String,
    pub attempt: u32,
    pub rank: u32,
    /// The job's `launch_try` under which the task was started; 0 for a launcher's.
    #[serde(default)]
    pub launch_try: u32,
    /// The index `task_arn-index` finds the rank by it.
    pub task_arn: TaskArn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instance_arn: Option<ContainerInstanceArn>,
    #[serde(default)]
    pub status: RankStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// What its node answered to the probe when the attempt had failed: the one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// What a relaunch needs; read while ECS still describes the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchSpec>,
    /// When DynamoDB may delete it: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl RankRecord {
    /// Notes that the rank's task has stopped, and how, if ECS still tells. A rank that is COMPLETE stays so when ECS has
    /// forgotten it.
    pub fn note_end(&mut self, end: Option<&TaskEnd>, settings: &Settings) {
        let Some(end) = end else {
            if self.status == RankStatus::Running {
                self.status = RankStatus::Stopped;
            }
            return;
        };
        self.exit_code = end.exit_code(settings);
        self.stop_code = end.stop_code.clone();
        self.stopped_reason = end.words(settings);
        self.status = if end.classify(settings) == Exit::Completed {
            RankStatus::Complete
        } else {
            RankStatus::Stopped
        };
    }

    /// True while the rank's task is not known to have stopped.
    pub fn may_run(&self) -> bool {
        self.status == RankStatus::Running
    }

    /// How the rank's task ended, as [`note_end`](Self::note_end) has kept it; `None` while it runs, or when ECS had
    /// forgotten it. The one code kept is the one that decided.
    pub fn end(&self, settings: &Settings) -> Option<TaskEnd> {
        let told = self.exit_code.is_some() || self.stop_code.is_some();
        (self.status != RankStatus::Running && told).then(|| TaskEnd {
            stop_code: self.stop_code.clone(),
            stopped_reason: self.stopped_reason.clone(),
            containers: vec![ContainerEnd {
                name: settings.training_container_name.clone().unwrap_or_default(),
                exit_code: self.exit_code,
                ..ContainerEnd::default()
            }],
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RankStatus {
    #[default]
    Running,
    Stopped,
    Complete,
}

/// The sort key of a rank's item.
pub fn rank_key(attempt: u32, rank: u32) -> String {
    format!("{}{rank:05}", rank_prefix(attempt))
}

/// What the sort keys of an attempt's ranks begin with.
pub fn rank_prefix(attempt: u32) -> String {
    format!("attempt#{attempt:05}#rank#")
}

/// Reads a rank's sort key back.
pub fn parse_rank_key(key: &str) -> Option<(u32, u32)> {
    let (attempt, rank) = key.strip_prefix("attempt#")?.split_once("#rank#")?;
    Some((attempt.parse().ok()?, rank.parse().ok()?))
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    pub instance_id: InstanceId,
    pub status: InstanceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instance_arn: Option<ContainerInstanceArn>,
    /// The job that the instance works for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The execution that may reboot it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<ExecutionArn>,
    /// True while the DRAINING that ECS shows is ours.
    #[serde(default)]
    pub cordoned: bool,
    /// When it was found faulty, with proof: seconds since the epoch, oldest first.
    #[serde(default)]
    pub faults: Vec<i64>,
    /// The GPUs of its registration when it was last held for a reboot, as the probe tells a set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// The SSM command that carries the reboot order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// Ends the wait of the execution that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_token: Option<String>,
    /// Since when: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verdict: Option<String>,
    /// When that was: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_at: Option<String>,
    /// The boot that was checked, as the probe named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_boot: Option<String>,
    /// Why an operator wants it out of service, who asked while a recovery held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_out: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_reason: Option<String>,
    /// Since when a spare, or a suspect that a spare has replaced, is held and not rebooted: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<i64>,
    pub updated_at: String,
}

impl InstanceRecord {
    /// True when the last word on the instance is a fault that a check has found.
    pub fn was_found_faulty(&self) -> bool {
        let faulty = Verdict::Faulty.to_string();
        let said = self.last_verdict.as_deref();
        said.is_some_and(|said| said.starts_with(&faulty))
    }

    /// True when a check has said something of the instance, and nothing since that it is healthy.
    pub fn is_accused(&self) -> bool {
        self.last_verdict.is_some() && !self.last_check_passed()
    }

    /// True when the last word on the instance is a health check that it passed: a quarantine is a later word.
    pub fn last_check_passed(&self) -> bool {
        let healthy = Verdict::Healthy.to_string();
        let said = self.last_verdict.as_deref();
        said.is_some_and(|said| said.starts_with(&healthy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_keys_sort_by_attempt_then_rank_and_read_back() {
        assert!(rank_key(1, 1023) < rank_key(2, 0));
        assert!(rank_key(2, 9) < rank_key(2, 10));
        assert_eq!(parse_rank_key(&rank_key(12, 1023)), Some((12, 1023)));
        assert_eq!(parse_rank_key("job"), None);
    }
}
