//! The same for people.

use super::read::{Everything, Instance, InstanceClosely, Job, JobClosely, Recovery};
use crate::{
    history,
    output::{self, Output, counted, paint, span, table::table},
};
use anstyle::Style;
use workers::{
    context::parse_time,
    records::{InstanceStatus, JobStatus, RankStatus},
};

/// How long a fault counts (MAX_FAULTS_PER_MONTH).
const MONTH: i64 = 30 * 24 * 3600;

/// Jobs and instances.
pub fn everything(output: &Output, all: &Everything, now: f64) {
    output.line(&paint(output::HEADING, "Jobs"));
    if all.jobs.is_empty() {
        output.line("  none at work");
    }
    let rows = all.jobs.iter().map(|job| {
        let since = parse_time(&job.updated_at).map_or(String::new(), |at| ago(now - at as f64));
        let recovery = job.recovery.as_ref();
        vec![
            job.job_id.to_string(),
            job.status.to_string(),
            job.attempt.to_string(),
            nodes(job),
            recovery.map_or_else(
                || job.reason.clone().unwrap_or_default(),
                |recovery| standing(recovery, now),
            ),
            since,
        ]
    });
    table(
        output,
        [
            "job",
            "status",
            "attempt",
            "running",
            "recovery/why",
            "changed",
        ],
        &[4],
        rows.collect(),
    );
    if all.ended_jobs > 0 {
        let text = format!(
            "{} ended and not shown; --all shows them",
            counted(all.ended_jobs as u64, "job")
        );
        output.line(&format!("  {}", paint(output::DIM, text)));
    }
    output.heading("Instances");
    if all.instances.is_empty() {
        output.line("  none is recorded");
    }
    let rows = all.instances.iter().map(|instance| {
        vec![
            instance.instance_id.to_string(),
            record(instance),
            ecs(instance),
            holder(instance),
            recent(instance, now as i64).to_string(),
            verdict(instance),
        ]
    });
    table(
        output,
        ["instance", "record", "ECS", "job", "faults", "last check"],
        &[2, 5],
        rows.collect(),
    );
    needs_an_operator(output, all, now);
    if !all.complete {
        output.line("");
        let text = "The tables are larger than what was read of them: name a job (status JOB), or raise --pages.";
        output.text("", &paint(output::WARNING, text));
    }
}

/// What nobody but an operator goes on with.
fn needs_an_operator(output: &Output, all: &Everything, now: f64) {
    let stuck: Vec<&Job> = all
        .jobs
        .iter()
        .filter(|job| {
            job.recovery
                .as_ref()
                .is_some_and(Recovery::needs_an_operator)
        })
        .collect();
    if stuck.is_empty() && all.failed_executions.is_empty() && all.unreadable.is_empty() {
        return;
    }
    output.heading("Needs an operator");
    for job in stuck {
        let text = format!("job {} stands still:", job.job_id);
        output.text("  ", &paint(output::BAD, text));
        output.line(&format!("    gpu-recovery replay {} --dry-run", job.job_id));
    }
    for failed in &all.failed_executions {
        let state = failed.state.as_deref().unwrap_or("its start");
        let text = format!(
            "an execution that holds no job ended {} at {state} {}:",
            failed.status,
            ago(now - failed.ended)
        );
        output.text("  ", &paint(output::BAD, text));
        output.line(&format!(
            "    gpu-recovery replay {} --dry-run",
            failed.execution
        ));
    }
    for why in &all.unreadable {
        let text = format!("an item cannot be read and is not shown: {why}");
        output.text("  ", &paint(output::BAD, text));
    }
}

/// How many ranks run, as ECS says, of how many.
fn nodes(job: &Job) -> String {
    match job.running {
        Some(running) => format!("{running}/{}", job.nodes),
        None => format!("-/{}", job.nodes),
    }
}

fn record(instance: &Instance) -> String {
    instance
        .status
        .map_or("-".to_owned(), |status| status.to_string())
}

/// One job.
pub fn job(output: &Output, closely: &JobClosely) {
    let job = &closely.job;
    let title = format!("Job {}", job.job_id);
    output.line(&paint(output::HEADING, title));
    let status = paint(job_style(job.status), job.status);
    output.text(
        "  status    ",
        &format!(
            "{status}, attempt {}, {}",
            job.attempt,
            counted(u64::from(job.nodes), "rank")
        ),
    );
    if let Some(reason) = &job.reason {
        output.text("  reason    ", reason);
    }
    output.text("  submitted ", &job.created_at);
    output.text("  changed   ", &job.updated_at);
    if let Some(recovery) = &job.recovery {
        show_recovery(output, recovery, job.job_id.as_str());
    }
    if let Some(running) = job.running {
        let says = format!(
            "{running} of {} RUNNING",
            counted(u64::from(job.nodes), "task")
        );
        output.text("  ECS       ", &says);
    }
    output.heading("Ranks");
    let rows = closely.ranks.iter().map(|rank| {
        let recorded = match (rank.status, rank.exit_code) {
            (status, Some(code)) => format!("{}, exit {code}", rank_word(status)),
            (status, None) => rank_word(status).to_owned(),
        };
        // A rank that is over is no news from ECS.
        let end = match (rank.status, rank.ecs_status.as_deref()) {
            (RankStatus::Running, Some("RUNNING")) => recorded,
            (RankStatus::Running, Some(now)) => format!("{recorded}, but ECS: {now}"),
            (RankStatus::Running, None) => format!("{recorded}, but ECS knows no such task"),
            (_, Some("RUNNING")) => format!("{recorded}, but ECS: RUNNING"),
            _ => recorded,
        };
        let instance = rank.instance.as_ref();
        vec![
            rank.rank.to_string(),
            end,
            rank.instance_id
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string),
            instance.map_or("-".to_owned(), record),
            instance.map_or("-".to_owned(), ecs),
            instance.map_or("-".to_owned(), verdict),
        ]
    });
    table(
        output,
        ["rank", "task", "instance", "record", "ECS", "last check"],
        &[4, 5],
        rows.collect(),
    );
}

/// One instance.
pub fn instance(output: &Output, closely: &InstanceClosely) {
    let instance = &closely.instance;
    let title = format!("Instance {}", instance.instance_id);
    output.line(&paint(output::HEADING, title));
    let style = instance.status.map_or(output::DIM, instance_style);
    output.text("  record    ", &paint(style, record(instance)));
    output.text("  ECS       ", &ecs(instance));
    let job = instance.job_id.as_ref();
    output.text("  job       ", job.map_or("none", |job| job.as_str()));
    output.text("  checked   ", &verdict(instance));
    let faults: Vec<String> = instance
        .faults
        .iter()
        .map(|at| history::date_and_clock(*at as f64))
        .collect();
    output.text(
        "  faults    ",
        &if faults.is_empty() {
            "none".to_owned()
        } else {
            faults.join(", ")
        },
    );
    output.text(
        "  changed   ",
        instance.updated_at.as_deref().unwrap_or("never"),
    );
    if let Some(reason) = &instance.quarantine_reason {
        output.text("  because   ", reason);
    }
    if let Some(hand) = &closely.by_hand {
        output.text(
            "  by hand   ",
            &format!(
                "{} by {} at {}: {}",
                hand.action, hand.who, hand.at, hand.why
            ),
        );
    }
    if let Some(recovery) = &closely.recovery {
        show_recovery(output, recovery, recovery.execution.as_str());
    }
}

fn show_recovery(output: &Output, recovery: &Recovery, replay: &str) {
    let state = recovery.state.as_deref().unwrap_or("an unknown state");
    let since = recovery.since.map_or(String::new(), |at| {
        format!(" since {}", history::date_and_clock(at))
    });
    output.text(
        "  recovery  ",
        &format!("{} at {state}{since}", recovery.status),
    );
    output.text("  execution ", recovery.execution.as_str());
    if recovery.needs_an_operator() {
        let text = format!("it stands still: gpu-recovery replay {replay} --dry-run");
        output.text("  next      ", &paint(output::BAD, text));
    }
}

fn standing(recovery: &Recovery, now: f64) -> String {
    let state = recovery.state.as_deref().unwrap_or("an unknown state");
    let since = recovery.since.map_or(String::new(), |at| {
        format!(" for {}", span((now - at).max(0.0)))
    });
    match recovery.status.as_str() {
        "RUNNING" => format!("{state}{since}"),
        status => format!("{status} at {state}"),
    }
}

fn ago(seconds: f64) -> String {
    format!("{} ago", span(seconds.max(0.0)))
}

/// Whom it works for, and whether a recovery holds it.
fn holder(instance: &Instance) -> String {
    let job = instance.job_id.as_ref().map_or("-", |job| job.as_str());
    match instance.holder {
        Some(_) => format!("{job} (held)"),
        None => job.to_owned(),
    }
}

fn recent(instance: &Instance, now: i64) -> usize {
    instance
        .faults
        .iter()
        .filter(|at| now - **at < MONTH)
        .count()
}

fn ecs(instance: &Instance) -> String {
    match &instance.ecs {
        None => "not in the cluster".to_owned(),
        Some(ecs) if ecs.agent_connected => ecs.status.clone(),
        Some(ecs) => format!("{}, agent away", ecs.status),
    }
}

fn verdict(instance: &Instance) -> String {
    let reason = instance.quarantine_reason.as_ref();
    let verdict = instance.last_verdict.as_ref();
    reason
        .or(verdict)
        .map_or("-".to_owned(), |text| crate::drill::words::cut(text))
}

fn rank_word(status: RankStatus) -> &'static str {
    match status {
        RankStatus::Running => "RUNNING",
        RankStatus::Stopped => "STOPPED",
        RankStatus::Complete => "COMPLETE",
    }
}

fn job_style(status: JobStatus) -> Style {
    match status {
        JobStatus::InProgress | JobStatus::Complete => output::GOOD,
        JobStatus::Failed => output::BAD,
        _ => output::WARNING,
    }
}

fn instance_style(status: InstanceStatus) -> Style {
    match status {
        InstanceStatus::Available | InstanceStatus::InProgress => output::GOOD,
        InstanceStatus::Quarantined => output::BAD,
        _ => output::WARNING,
    }
}
