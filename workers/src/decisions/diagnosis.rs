//! What the state machine tells of instances: the check's verdicts and what became of those that were not healthy.

use crate::{
    decisions::probe::Word,
    ids::{ContainerInstanceArn, InstanceId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instance to check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suspect {
    pub instance: InstanceId,
    /// The lowest rank on it that is a suspect.
    pub rank: u32,
    /// An earlier check of it found a fault, and nothing has shown since that it is well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The boot in which the node has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When that boot was, epoch seconds by our own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<i64>,
    /// What its kernel or its driver says, of a node that is accused; with it the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

impl Suspect {
    /// Of which nothing is known but that it is to be checked.
    pub fn new(instance: InstanceId, rank: u32) -> Self {
        Self {
            instance,
            rank,
            unproven: false,
            boot_id: None,
            booted_at: None,
            word: None,
            cause: None,
            age: None,
            gpus: None,
            held: None,
        }
    }
}

/// What the end of a health check means (docs/design.md, "The health check").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Healthy,
    /// A reboot can help.
    Faulty,
    NoRebootHelps,
    /// Only settings are wrong: the GPU was not found bad.
    Misconfigured,
    /// The check says nothing of the GPU: it did not start, was lost, or ended with a code that is no verdict.
    NoAnswer,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Faulty => "faulty",
            Self::NoRebootHelps => "faulty, no reboot helps",
            Self::Misconfigured => "misconfigured",
            Self::NoAnswer => "no answer",
        })
    }
}

/// How a check ended that has no exit code and is a fault all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It did not end in time: a fault if it ran at all.
    TimedOut,
    /// No container that asks for a GPU starts.
    NoGpu,
}

/// One instance's health check. What the probe said of the instance goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    pub instance: InstanceId,
    pub rank: u32,
    /// The check's exit code, if it came to one.
    pub exit_code: Option<i32>,
    pub verdict: Verdict,
    /// As of the suspect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// It was not checked: a task of the job does not stop on it, and the node says itself that it is broken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
    /// How the task ended, when it was not healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What a verdict without an exit code rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// The id of the check's task, which its log stream is named by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The probe's remedy word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// What the probe took its word from, like `xid79`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How old that is, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// The boot of which the probe speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<i64>,
    /// Number and digest of the GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// Who holds the GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// What became of an instance that was not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    pub instance: InstanceId,
    pub rank: u32,
    /// Rebooted, back, and DCGM says healthy.
    pub recovered: bool,
    pub detail: String,
}

/// A spare that takes a rank in place of the instance on which it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    pub rank: u32,
    /// The spare.
    pub instance: InstanceId,
    pub arn: ContainerInstanceArn,
    /// Where the rank ran.
    pub instead: InstanceId,
    /// It is to be checked and repaired beside the job; else it is done with, or nobody suspects it.
    pub repair: bool,
}

impl Place {
    /// The nodes that are to be checked and repaired beside the job.
    pub fn suspects(places: &[Self]) -> impl Iterator<Item = &InstanceId> {
        let suspects = places.iter().filter(|place| place.repair);
        suspects.map(|place| &place.instead)
    }
}

/// Why a recovery ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    /// Rebooted, verified, relaunched.
    Recovered,
    /// Every check is healthy or finds only settings wrong, and HEALTHY_POLICY is to fail, or no recovery is left.
    NoGpuFault,
    /// A trainer asked for no recovery, by its exit code.
    AskedByTrainer,
    /// An operator stopped a task of the job, and its other ranks were stopped too.
    UserStopped,
    /// An operator stopped a task of the job, and its other ranks run on.
    UserStoppedRank,
    /// A rank ended in a way that the policies only tell.
    EndedAndTold,
    /// Most checks failed, or more than MAX_FAULTY_INSTANCES: the check, its image or the driver is in doubt.
    CheckInDoubt,
    /// Every instance is back, and the job has used up its recoveries.
    NoRecoveryLeft,
    /// An instance was not rebooted, did not come back, is still faulty, or could not be checked.
    InstancesNotRecovered,
    /// Some task did not stop within the bound.
    TasksNotStopped,
    /// ECS did not place every rank of the next attempt.
    RelaunchNotPlaced,
    /// A rank of the next attempt ended while the others started, or did not run in time.
    RelaunchDidNotStart,
    /// An operator had an instance checked.
    Checked,
    /// The job runs on spares, and a node that they replace could not be brought back.
    NotRepaired,
}

impl Reason {
    /// In a few plain words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NoGpuFault => "no GPU fault found",
            Self::AskedByTrainer => "its trainer asked for no recovery",
            Self::UserStopped | Self::UserStoppedRank => "stopped by an operator",
            Self::EndedAndTold => "its end was told, nothing was done",
            Self::CheckInDoubt => "too many GPU checks failed at once to trust the check",
            Self::NoRecoveryLeft => "a GPU was faulty and no recovery is left for this job",
            Self::InstancesNotRecovered => "not every instance could be repaired",
            Self::TasksNotStopped => "some tasks of the job do not stop",
            Self::RelaunchNotPlaced => "ECS could not place every rank again",
            Self::RelaunchDidNotStart => "the relaunched job did not start",
            Self::Checked => "checked for an operator",
            Self::NotRepaired => "a node that a spare has replaced could not be brought back",
        }
    }
}
