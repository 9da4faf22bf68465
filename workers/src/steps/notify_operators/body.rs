//! What happened, what was found and what was done.

use super::{
    NotifyOperatorsInput,
    outcome::{Kind, ended, on, the_others},
};
use crate::{
    decisions::{
        diagnosis::{Place, Reason, Recovery},
        words::{clock, date, duration, error_message},
    },
    steps::{
        cordon_instance::Refusal, look_for_lost_stops::is_of_a_lost_stop,
        relaunch_job::RelaunchJobOutcome, take_places::QUARANTINED,
    },
};

/// From so many recoveries of a job in 24 hours on, the message says so.
const OFTEN: u32 = 3;

/// The first sentence; `took` in seconds since the rank ended.
pub fn headline(input: &NotifyOperatorsInput, took: Option<i64>) -> String {
    let (job, rank) = (&input.job_id, input.failure.rank);
    let others = input.nodes.saturating_sub(1);
    let after = took.map_or(String::new(), |s| {
        format!(", {} after rank {rank} ended", duration(s))
    });
    match (Kind::of(input.reason), &input.relaunch) {
        (Kind::Told, _) => {
            format!(
                "Rank {rank} of job {job} {}; nothing was done.",
                ended(&input.failure)
            )
        }
        (Kind::Stopped, _) if others == 0 => {
            format!("Job {job} is USER_STOPPED: an operator stopped its only rank.")
        }
        (Kind::Stopped, _) if input.reason == Reason::UserStoppedRank => format!(
            "Job {job} is USER_STOPPED: an operator stopped rank {rank}; {} on, and no recovery looks after {}.",
            the_others(others, "runs", "run"),
            if others == 1 { "it" } else { "them" }
        ),
        (Kind::Stopped, _) => format!(
            "Job {job} is USER_STOPPED: an operator stopped rank {rank}; {} stopped too.",
            the_others(others, "was", "were")
        ),
        (
            Kind::Recovered,
            Some(RelaunchJobOutcome::Relaunched {
                attempt,
                ranks,
                recoveries_in_a_day,
                moved_on,
                ..
            }),
        ) => {
            if *moved_on {
                return format!(
                    "Job {job} was relaunched as attempt {attempt}, which has ended since: this message is late."
                );
            }
            let all = match ranks {
                1 => "its only rank is RUNNING".to_owned(),
                _ => format!("all {ranks} ranks are RUNNING"),
            };
            let often = match *recoveries_in_a_day {
                OFTEN.. => format!(" It is its recovery number {recoveries_in_a_day} in 24 hours."),
                _ => String::new(),
            };
            format!("Job {job} runs again as attempt {attempt}{after}: {all}.{often}")
        }
        (Kind::Quarantined, _) => format!(
            "Job {job} runs on; not every instance that a spare has replaced could be brought back."
        ),
        _ => format!("Job {job} is FAILED{after}: {}.", input.reason.words()),
    }
}

pub fn what_happened(input: &NotifyOperatorsInput) -> Vec<String> {
    let failure = &input.failure;
    let how = ended(failure);
    let (rank, nodes, place) = (failure.rank, input.nodes, on(failure.instance.as_ref()));
    let of = format!(
        "rank {rank} of {nodes}{place} {how} in attempt {}",
        input.attempt
    );
    let mut lines = vec![match &failure.ended_at {
        Some(at) => format!("{} {}: {of}{}.", date(at), clock(at), told(input, at)),
        None => format!(
            "R{}; this execution began on {} at {}.",
            &of[1..],
            date(&input.started_at),
            clock(&input.started_at)
        ),
    }];
    // Of a container that ended by itself ECS says no more than that.
    let by_itself = failure.exit_code.is_some()
        && failure.stop_code.as_deref() == Some("EssentialContainerExited")
        && failure.stopped_reason.as_deref() == Some("Essential container in task exited");
    if let Some(reason) = failure.stopped_reason.as_ref().filter(|_| !by_itself) {
        let code = failure.stop_code.as_ref();
        let code = code.map_or(String::new(), |code| format!(" ({code})"));
        lines.push(format!("ECS says: {reason}{code}"));
    }
    if let Some(decided_by) = &failure.decided_by {
        lines.push(format!("Policy: {decided_by}."));
    }
    lines.extend(input.stuck.iter().map(|task| {
        let place = on(task.instance.as_ref());
        format!("Rank {}{place} does not stop: {}", task.rank, task.task)
    }));
    lines
}

/// What ECS took to tell, where it can be told.
fn told(input: &NotifyOperatorsInput, ended_at: &str) -> String {
    let Some(seconds) = super::seconds_between(ended_at, &input.started_at) else {
        return String::new();
    };
    let took = duration(seconds);
    if is_of_a_lost_stop(&input.execution) {
        format!("; ECS's event was lost, the look for lost stops found it {took} later")
    } else if seconds > 0 {
        format!("; ECS told us {took} later")
    } else {
        String::new()
    }
}

pub fn what_was_done(input: &NotifyOperatorsInput) -> Vec<String> {
    let others = input.nodes.saturating_sub(1);
    match input.reason {
        Reason::EndedAndTold => {
            return vec![
                "Nothing: no other rank was stopped, and the job stays IN_PROGRESS.".to_owned(),
                "Ends of its other ranks within ten minutes are told with this one.".to_owned(),
            ];
        }
        Reason::UserStoppedRank => return vec!["Nothing: no other rank was stopped.".to_owned()],
        _ => {}
    }
    let mut lines = Vec::new();
    match (input.reason, input.nodes) {
        (Reason::TasksNotStopped, _) => {
            let done = match input.recoveries.is_empty() {
                true => "; nothing was checked or rebooted",
                false => "",
            };
            lines.push(format!("Every rank was told to stop{done}."));
            lines.push(
                "The instances of ranks that do not stop are quarantined: no job gets them."
                    .to_owned(),
            );
        }
        (_, 1) => {}
        _ => lines.push(format!(
            "{} stopped.",
            capital(&the_others(others, "was", "were"))
        )),
    }
    lines.extend(input.places.iter().map(moved));
    let why = || error_message(input.not_placed.as_deref().unwrap_or_default());
    // Another job's recovery may have quarantined it since.
    let out = |r: &Recovery| why().contains(&format!("{}: {QUARANTINED}", r.instance));
    lines.extend(input.recoveries.iter().map(|r| recovery(r, out(r))));
    match input.reason {
        Reason::RelaunchNotPlaced | Reason::RelaunchDidNotStart => {
            lines.push(format!("The relaunch failed: {}", why()));
            lines.push("What had been started of it was stopped again.".to_owned());
        }
        Reason::AskedByTrainer if input.not_placed.is_some() => {
            lines.push(format!("During the relaunch, {}.", why()));
            lines.push("All ranks were stopped again.".to_owned());
        }
        Reason::CheckInDoubt | Reason::NoGpuFault if input.recoveries.is_empty() => {
            lines.push("Nothing was rebooted or quarantined.".to_owned());
        }
        Reason::AskedByTrainer | Reason::UserStopped if input.recoveries.is_empty() => {
            lines.push("Nothing was rebooted or relaunched.".to_owned());
        }
        Reason::Recovered if input.places.is_empty() => {
            lines.push("The job was started again, each rank on its own instance.".to_owned());
        }
        Reason::Recovered => {
            lines.push("The job was started again, the others on their own instances.".to_owned());
        }
        _ => {}
    }
    let beside = Place::suspects(&input.places).next().is_some() && input.recoveries.is_empty();
    if beside && input.reason != Reason::NotRepaired {
        lines.push(
            "What spares replace is checked and repaired beside the job; you hear of it again only if an operator is needed."
                .to_owned(),
        );
    }
    lines
}

fn moved(place: &Place) -> String {
    format!(
        "Rank {} moved from {} to spare {}.",
        place.rank, place.instead, place.instance
    )
}

/// What was done to one instance, and how it stands.
fn recovery(recovery: &Recovery, out_since: bool) -> String {
    let (instance, rank, detail) = (&recovery.instance, recovery.rank, &recovery.detail);
    let text = match (recovery.recovered, Refusal::of(detail)) {
        (true, _) if out_since => format!("{detail}; quarantined since"),
        (true, _) => format!("{detail}; back in service"),
        (false, Some((refusal, why))) => match refusal {
            Refusal::HeldByAnother => format!("NOT rebooted: {why}, which decides about it"),
            Refusal::Quarantined => format!("NOT rebooted, it was quarantined already: {why}"),
            Refusal::RunsAnotherJob | Refusal::Occupied => {
                format!(
                    "NOT rebooted: {why}. Its GPU is still faulty: quarantined, closed to new tasks"
                )
            }
            Refusal::NotInCluster => format!("NOT rebooted: {why}"),
            Refusal::RunsThisJob
            | Refusal::CheckNeverRan
            | Refusal::CordonedByOperator
            | Refusal::FaultLimit => format!("NOT rebooted: {why}; quarantined"),
        },
        (false, None) if detail == GONE => format!("{GONE}, its place in the job is lost"),
        (false, None) => format!("{}; quarantined", error_message(detail)),
    };
    format!("{instance} (rank {rank}): {text}")
}

/// What the definition says of an instance that left.
pub(super) const GONE: &str = "gone from the cluster";

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
