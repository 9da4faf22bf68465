//! What the operators are to do, and where they can look.

use super::{NotifyOperatorsInput, body::GONE};
use crate::{
    Settings,
    decisions::{
        console::execution_link,
        diagnosis::{Reason, Verdict},
        words::counted,
    },
    settings::HealthyPolicy,
    steps::cordon_instance::Refusal,
};

/// So many instances get a command of their own.
const NAMED: usize = 5;

pub fn what_to_do(input: &NotifyOperatorsInput, settings: &Settings) -> Vec<String> {
    let job = &input.job_id;
    let rank = input.failure.rank;
    let log = |why: &str| vec![why.to_owned(), format!("gpu-recovery logs {job} {rank}")];
    let mut lines = match input.reason {
        Reason::Recovered => {
            let faults = settings.max_faults_per_month;
            let mut lines = vec!["Nothing.".to_owned()];
            if let Some(one) = input.recoveries.first() {
                lines.push(format!(
                    "An instance is quarantined at its fault number {faults} within 30 days; how often this one failed:"
                ));
                lines.push(format!("gpu-recovery history {}", one.instance));
            }
            lines
        }
        Reason::NoGpuFault => {
            let why = format!("Read the log of rank {rank}: look at code, data, network and host.");
            let mut lines = log(&why);
            lines.push(not_relaunched(input, settings));
            lines
        }
        Reason::AskedByTrainer => match input.not_placed {
            Some(_) => vec!["Read the log of that rank: its trainer says why.".to_owned()],
            None => log("Read the log: the trainer says why."),
        },
        Reason::UserStopped => vec!["Nothing: the job's instances are free.".to_owned()],
        Reason::UserStoppedRank => vec![
            "Look after the other ranks: when one ends, its instance is released, and no more is done."
                .to_owned(),
        ],
        Reason::EndedAndTold => {
            let mut lines = log("Read the log.");
            lines.push("If the other ranks cannot go on without it, stop them:".to_owned());
            lines.push(format!("gpu-recovery stop {job} --reason '...'"));
            lines.push(
                "To have such an end recovered: OTHER_EXIT_POLICY=recover, or submit --on-exit CODE=recover.".to_owned(),
            );
            lines
        }
        Reason::NoRecoveryLeft => vec![
            "The instances are back in service.".to_owned(),
            budget(settings),
        ],
        Reason::CheckInDoubt => vec![format!(
            "Look at what the instances share: the task definition {}, its image, the driver, the registry.",
            settings.dcgm_health_check_task
        )],
        Reason::InstancesNotRecovered | Reason::NotRepaired => not_repaired(input),
        Reason::TasksNotStopped => not_stopped(input),
        // It has a message of its own.
        Reason::Checked => vec![],
        Reason::RelaunchDidNotStart => vec![
            "See above what ECS said, and fix that. The launch was tried again before it was given up.".to_owned(),
        ],
        Reason::RelaunchNotPlaced => {
            vec!["See above what ECS said: free what is missing on those instances.".to_owned()]
        }
    };
    if input
        .checks
        .iter()
        .any(|c| c.verdict == Verdict::Misconfigured)
    {
        lines.push(
            "Fix the setting that the check's report names; those instances are in service."
                .to_owned(),
        );
    }
    if let Some(why) = &input.failure.not_relaunchable {
        lines.push(format!(
            "The job could not have been relaunched in any case: {why}."
        ));
    }
    match input.reason {
        Reason::Recovered
        | Reason::NotRepaired
        | Reason::EndedAndTold
        | Reason::UserStoppedRank
        | Reason::Checked => {}
        Reason::UserStopped => lines.extend(again("To start the job again:", input)),
        _ => lines.extend(again("Then start the job again:", input)),
    }
    lines
}

fn again(when: &str, input: &NotifyOperatorsInput) -> [String; 2] {
    let command = format!("gpu-recovery submit --again {} NEW-ID", input.job_id);
    [when.to_owned(), command]
}

/// Why a job with healthy GPUs stays down.
fn not_relaunched(input: &NotifyOperatorsInput, settings: &Settings) -> String {
    match (input.healthy_policy, input.recoveries_left) {
        (Some(HealthyPolicy::Relaunch), Some(0)) => budget(settings),
        _ => "HEALTHY_POLICY is fail: the job was not relaunched. With relaunch it would have been, within its budget."
            .to_owned(),
    }
}

fn budget(settings: &Settings) -> String {
    format!(
        "Its budget of relaunches is used up (RECOVERY_ATTEMPTS, submit --recovery-attempts); {} of progress refill it.",
        counted(settings.progress_minutes as usize, "minute")
    )
}

fn not_repaired(input: &NotifyOperatorsInput) -> Vec<String> {
    let left = input
        .recoveries
        .iter()
        .filter(|r| !r.recovered && r.detail != GONE);
    let ids: Vec<_> = left.map(|r| &r.instance).collect();
    if ids.is_empty() {
        return vec!["Put another instance in the place of the one that is gone.".to_owned()];
    }
    let mut lines = vec!["\"What was done\" says what stands in the way.".to_owned()];
    let in_use = |detail: &str| {
        let refusal = Refusal::of(detail).map(|(refusal, _)| refusal);
        matches!(refusal, Some(Refusal::RunsAnotherJob | Refusal::Occupied))
    };
    if input.recoveries.iter().any(|r| in_use(&r.detail)) {
        lines.push("Tell the owner of what runs on it: the GPU is bad.".to_owned());
    }
    let which = match ids.as_slice() {
        [_] => "When it is repaired (if it was replaced, there is nothing to do):",
        _ => "When they are repaired (for one that was replaced there is nothing to do):",
    };
    lines.push(which.to_owned());
    let named = ids.iter().take(NAMED);
    lines.extend(named.map(|id| format!("gpu-recovery check {id}")));
    if ids.len() > NAMED {
        lines.push(format!(
            "... and so for {} more: gpu-recovery status",
            ids.len() - NAMED
        ));
    }
    lines
}

fn not_stopped(input: &NotifyOperatorsInput) -> Vec<String> {
    let mut lines = vec![
        "See whether the host lives: ECS shows the tasks of a dead host as RUNNING for ever."
            .to_owned(),
        "Terminate a dead host. On a host that lives, end the process, then:".to_owned(),
    ];
    let ids = input.stuck.iter().filter_map(|task| task.instance.as_ref());
    let named = ids.take(NAMED);
    lines.extend(named.map(|id| format!("gpu-recovery check {id}")));
    lines
}

pub(in crate::steps) fn where_to_look(input: &NotifyOperatorsInput) -> Vec<String> {
    let mut lines = vec![
        format!("gpu-recovery explain {}", input.execution),
        format!("Console: {}", execution_link(&input.execution)),
    ];
    let page = match input.reason {
        Reason::Recovered => "Jobs fail often, and nobody knows where",
        Reason::UserStopped | Reason::UserStoppedRank => "A job has to be stopped",
        Reason::EndedAndTold => "A message says TOLD",
        Reason::Checked | Reason::NotRepaired => "An instance is quarantined",
        _ => "A message says FAILED",
    };
    lines.push(format!("docs/runbook.md, \"{page}\""));
    lines
}
