//! What comes of a job.

use super::Told;
use crate::{
    drill::words::Tone,
    output::{all, counted},
};
use workers::{
    ids::JobId,
    steps::{
        claim_job::{ClaimJobOutcome, Failure},
        fail_job::FailJobOutcome,
        record_completion::RecordCompletionOutcome,
        record_user_stop::RecordUserStopOutcome,
        relaunch_job::RelaunchJobOutcome,
        stop_siblings::StopSiblingsOutcome,
    },
};

pub(super) fn claim_job(outcome: ClaimJobOutcome) -> Told {
    match outcome {
        ClaimJobOutcome::Claimed {
            job_id,
            attempt,
            nodes,
            recoveries_left,
            failure,
            ..
        } => {
            let left = |one: &str, many: &str| match recoveries_left {
                0 => format!("no {one}"),
                1 => format!("1 {one}"),
                left => format!("{left} {many}"),
            };
            let (rank, place) = (failure.rank, place(&failure));
            let recoveries = left("recovery left", "recoveries left");
            let relaunches = left("relaunch was left", "relaunches were left");
            let ended = ended_so(&failure, &job_id, attempt, nodes);
            Told::plain(
                format!(
                    "claimed job {job_id} attempt {attempt} ({recoveries}); rank {rank}{place} failed"
                ),
                format!("{ended}; the recovery claimed the job, {relaunches}"),
            )
            .mattering()
        }
        ClaimJobOutcome::Tell {
            job_id,
            attempt,
            nodes,
            failure,
        } => {
            let (rank, only) = (failure.rank, "the policies say to tell of it and no more");
            let ended = ended_so(&failure, &job_id, attempt, nodes);
            Told::plain(
                format!("rank {rank} of job {job_id} ended; {only}"),
                format!("{ended}; {only}"),
            )
            .mattering()
        }
        ClaimJobOutcome::LeftAlone { job_id, why } => Told::plain(
            format!("left alone: {why}"),
            format!("a rank of job {job_id} ended and nothing was done: {why}"),
        ),
        ClaimJobOutcome::AlreadyClaimed { job_id, .. } => Told::plain(
            format!("job {job_id} is claimed by another execution"),
            format!("another execution recovered job {job_id} already, so nothing was done"),
        ),
        ClaimJobOutcome::Stale { why, .. } => Told::too_late(&why),
        ClaimJobOutcome::NotManaged => Told::no_job(),
    }
}

fn place(failure: &Failure) -> String {
    let place = failure.instance.as_ref();
    place.map_or(String::new(), |id| format!(" on {id}"))
}

fn ended_so(failure: &Failure, job: &JobId, attempt: u32, nodes: u32) -> String {
    let end = match failure.exit_code {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended without exit code".to_owned(),
    };
    let (rank, place) = (failure.rank, place(failure));
    let ranks = counted(u64::from(nodes), "rank");
    format!("rank {rank}{place} of job {job} (attempt {attempt}, {ranks}) {end}")
}

pub(super) fn stop_siblings(outcome: StopSiblingsOutcome) -> Told {
    match outcome {
        StopSiblingsOutcome::Stopped { to_check } => {
            let suspects = counted(to_check.len() as u64, "instance");
            let ended = match to_check.len() {
                0 => String::new(),
                _ => format!("; on {suspects} a rank had ended by itself"),
            };
            Told::plain(
                format!("all stopped; {suspects} to check"),
                format!("every task of the attempt was stopped{ended}"),
            )
        }
        StopSiblingsOutcome::StillStopping { running_tasks, .. } => {
            let tasks = counted(running_tasks as u64, "task");
            Told::new(
                Tone::Warning,
                format!("told to stop; {tasks} not stopped yet"),
                format!("{tasks} had been told to stop and still ran"),
            )
        }
        StopSiblingsOutcome::StoppedByUser { failure } => {
            let rank = failure.rank;
            Told::plain(
                format!("all stopped; an operator stopped rank {rank}: the job is USER_STOPPED"),
                format!(
                    "every task was stopped; an operator had stopped rank {rank}, so the job is USER_STOPPED and is not \
                     recovered"
                ),
            )
            .mattering()
        }
        StopSiblingsOutcome::NotToRecover { failure } => {
            let (rank, code) = (failure.rank, failure.exit_code);
            let in_brackets = code.map_or(String::new(), |code| format!(" (exit code {code})"));
            let by = code.map_or(String::new(), |code| format!(" by exit code {code}"));
            Told::plain(
                format!("rank {rank}'s trainer asked for no recovery{in_brackets}"),
                format!("the trainer of rank {rank} had asked for no recovery{by}"),
            )
        }
    }
}

pub(super) fn relaunch_job(outcome: RelaunchJobOutcome) -> Told {
    match outcome {
        RelaunchJobOutcome::Relaunched {
            job_id,
            attempt,
            ranks,
            ..
        } => {
            let ranks = all(u64::from(ranks), "rank");
            Told::new(
                Tone::Good,
                format!("job {job_id} runs as attempt {attempt}, {ranks}"),
                format!("job {job_id} was started again as attempt {attempt}, {ranks}"),
            )
            .deciding(format!("RECOVERED: runs as attempt {attempt}"))
        }
        RelaunchJobOutcome::StoppedByUser { failure } => {
            let stopped = format!("an operator stopped rank {} while the", failure.rank);
            Told::plain(
                format!("{stopped} ranks started: the job is USER_STOPPED"),
                format!("{stopped} job started again: it is USER_STOPPED"),
            )
            .mattering()
        }
    }
}

pub(super) fn fail_job(outcome: FailJobOutcome) -> Told {
    let FailJobOutcome::Failed {
        job_id,
        reason,
        released,
    } = outcome;
    let why = reason.words();
    let freed = match released {
        0 => String::new(),
        some => format!("; {} released", counted(some as u64, "instance")),
    };
    Told::new(
        Tone::Bad,
        format!("job {job_id} is FAILED: {why}{freed}"),
        format!("job {job_id} was declared FAILED: {why}{freed}"),
    )
    .deciding(format!("FAILED: {why}"))
}

const NOTHING: &str = "nothing to do";

pub(super) fn record_completion(outcome: RecordCompletionOutcome) -> Told {
    match outcome {
        RecordCompletionOutcome::Recorded { .. } => Told::plain(
            "recorded as done",
            "the rank had ended well and was recorded as done",
        )
        .deciding("a rank is done"),
        RecordCompletionOutcome::JobComplete { job_id } => Told::new(
            Tone::Good,
            format!("job {job_id} is COMPLETE: every rank is done"),
            format!("the last rank had ended well: job {job_id} is COMPLETE"),
        )
        .mattering()
        .deciding("COMPLETE"),
        RecordCompletionOutcome::Stale { why, .. } => Told::too_late(&why).deciding(NOTHING),
        RecordCompletionOutcome::NotManaged => Told::no_job().deciding(NOTHING),
    }
}

pub(super) fn record_user_stop(outcome: RecordUserStopOutcome) -> Told {
    const STOPPED: &str = "STOPPED: an operator stopped a rank";
    match outcome {
        RecordUserStopOutcome::StopOthers {
            job_id, failure, ..
        } => {
            let of = format!("stopped rank {} of job {job_id}", failure.rank);
            Told::plain(
                format!("an operator {of}: the others are stopped too"),
                format!("an operator had {of}: its other ranks were stopped too"),
            )
            .mattering()
            .deciding(STOPPED)
        }
        RecordUserStopOutcome::RankStopped {
            job_id, failure, ..
        } => {
            let rank = failure.rank;
            Told::plain(
                format!(
                    "job {job_id} is USER_STOPPED: rank {rank} was stopped, the others run on"
                ),
                format!(
                    "an operator had stopped rank {rank} of job {job_id}, which is USER_STOPPED; its other ranks run on"
                ),
            )
            .mattering()
            .deciding(STOPPED)
        }
        RecordUserStopOutcome::Stale { why, .. } => Told::too_late(&why).deciding(NOTHING),
        RecordUserStopOutcome::NotManaged => Told::no_job().deciding(NOTHING),
    }
}
