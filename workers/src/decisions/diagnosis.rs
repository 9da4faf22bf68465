//! What the state machine tells of instances: DCGM's verdicts and what became of the faulty ones.

use crate::{decisions::probe::Word, ids::InstanceId};
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
    /// The boot in which the node has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
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
            boot_id: None,
            word: None,
            cause: None,
            age: None,
            gpus: None,
            held: None,
        }
    }
}

/// What a DCGM exit code means (docs/design.md, "Diagnosis").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Healthy,
    Faulty,
    /// DCGM asks for isolation: no reboot can help.
    Isolate,
    /// No exit code, not placed, or a code that says nothing of the GPU.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Faulty => "faulty",
            Self::Isolate => "isolate",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// One instance's health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    pub instance: InstanceId,
    pub rank: u32,
    /// DCGM's exit code, if it came to one.
    pub exit_code: Option<i32>,
    pub verdict: Verdict,
    /// How the task ended, when it was not healthy.
    #[serde(default)]
    pub detail: String,
}

/// What became of a faulty instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    pub instance: InstanceId,
    pub rank: u32,
    /// Rebooted, back, and DCGM says healthy.
    pub recovered: bool,
    pub detail: String,
}

/// Why a recovery ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    /// Rebooted, verified, relaunched.
    Recovered,
    /// Every checked GPU is healthy, and HEALTHY_POLICY is to fail, or no recovery is left.
    NoGpuFault,
    /// A trainer asked for no recovery, by its exit code.
    AskedByTrainer,
    /// An operator stopped a task of the job, and its other ranks were stopped too.
    UserStopped,
    /// An operator stopped a task of the job, and its other ranks run on.
    UserStoppedRank,
    /// A rank ended in a way that the policies only tell.
    EndedAndTold,
    /// DCGM gave no usable answer for an instance.
    DiagnosisInconclusive,
    /// DCGM asks to isolate a GPU.
    GpuNeedsIsolation,
    /// A GPU is faulty and the job has used up its recoveries.
    NoRecoveryLeft,
    /// More faulty instances at once than MAX_FAULTY_INSTANCES.
    TooManyFaultyInstances,
    /// A faulty instance was not rebooted, did not come back, or is still faulty.
    InstancesNotRecovered,
    /// Some task did not stop within the bound.
    TasksNotStopped,
    /// ECS did not place every rank of the next attempt.
    RelaunchNotPlaced,
}

impl Reason {
    /// In a few plain words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NoGpuFault => "no GPU fault found",
            Self::AskedByTrainer => "its trainer asked for no recovery",
            Self::UserStopped | Self::UserStoppedRank => "stopped by an operator",
            Self::EndedAndTold => "nothing was done, as the policies say",
            Self::DiagnosisInconclusive => "the GPU check gave no usable answer",
            Self::GpuNeedsIsolation => "a GPU needs isolation, no reboot helps",
            Self::NoRecoveryLeft => "a GPU is faulty and no recovery is left for this job",
            Self::TooManyFaultyInstances => "too many faulty instances at once to trust the check",
            Self::InstancesNotRecovered => "a faulty instance could not be brought back healthy",
            Self::TasksNotStopped => "some tasks of the job do not stop",
            Self::RelaunchNotPlaced => "ECS could not place every rank again",
        }
    }
}
