//! A drill for people: what will happen, and what came of it.

use crate::output::{self, BAD, DIM, GOOD, HEADING, Output, count, counted, paint, span};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use simulator::scenario::{InstanceReport, NotificationReport, Phases, Report, Scenario};
use std::collections::BTreeMap;
use workers::{
    ids::ExecutionArn,
    records::{JobStatus, RankStatus},
    steps::notify_operators::outcome,
};

/// Jobs of up to so many nodes are shown node by node.
const FEW: usize = 8;
/// The table of instances needs so many columns.
const TABLE: usize = 72;
/// The longest bar.
const BAR: usize = 24;

/// What will happen.
pub fn introduce(output: &Output, scenario: &Scenario, seed: u64) {
    let name = paint(HEADING, format!("{}:", scenario.name));
    output.lines(output::wrapped(
        &format!("{name} {}", scenario.about),
        output.width(),
        "",
        "",
    ));
    let kind = if scenario.hybrid {
        "ECS Anywhere nodes (mi-...)"
    } else {
        "EC2 instances"
    };
    let nodes = counted(u64::from(scenario.nodes), "node");
    let text =
        format!("{nodes}, {kind}, seed {seed}. Times are virtual, counted from the job's start.");
    for line in output::wrapped(&text, output.width(), "", "") {
        output.line(&paint(DIM, line));
    }
}

/// What came of it; `again` are the arguments that play it once more.
pub fn show(output: &Output, report: &Report, again: &str) {
    instances(output, report);
    job(output, report);
    notifications(output, report);
    summary(output, report);
    verdict(output, report, again);
}

fn instances(output: &Output, report: &Report) {
    output.heading("Instances");
    let many = report.instances.len() > FEW;
    let mut groups: BTreeMap<Vec<String>, Vec<&InstanceReport>> = BTreeMap::new();
    for instance in &report.instances {
        groups.entry(facts(instance)).or_default().push(instance);
    }
    let shown = |instance: &&InstanceReport| !many || groups[&facts(instance)].len() <= FEW / 2;
    let rows: Vec<&InstanceReport> = report.instances.iter().filter(shown).collect();
    if output.width() >= TABLE {
        if !rows.is_empty() {
            table(output, &rows);
        }
    } else {
        for instance in &rows {
            output.line(&format!("  node {}  {}", instance.node, instance.instance));
            output.text("    ", &sentence(instance));
        }
    }
    for instances in groups
        .values()
        .filter(|group| many && group.len() > FEW / 2)
    {
        let what = if untouched(instances[0]) {
            "unaffected"
        } else {
            "alike"
        };
        let number = counted(instances.len() as u64, "instance");
        output.text(
            "  ",
            &format!("{number} {what}: {}", sentence(instances[0])),
        );
    }
    for instance in &rows {
        if let Some(reason) = &instance.quarantine_reason {
            output.text(
                &format!("  node {}: ", instance.node),
                &format!("quarantined, {reason}"),
            );
        }
    }
}

fn table(output: &Output, rows: &[&InstanceReport]) {
    /// Numbers stand at the right.
    const RIGHT: [usize; 2] = [0, 4];
    /// Where it does not fit, these columns are wrapped.
    const WRAPPED: [usize; 2] = [3, 5];
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(output.width() - 2).unwrap_or(u16::MAX))
        .set_header(["node", "instance", "record", "ECS", "reboots", "last check"])
        .add_rows(rows.iter().map(|instance| {
            let mut row = vec![instance.node.to_string(), instance.instance.clone()];
            row.extend(facts(instance));
            row
        }));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if !WRAPPED.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if RIGHT.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (place, line) in table.lines().enumerate() {
        let line = format!("  {}", line.trim_end());
        let header = place == 0;
        output.line(&if header { paint(DIM, line) } else { line });
    }
}

fn facts(instance: &InstanceReport) -> Vec<String> {
    let agent = if instance.agent_connected {
        ""
    } else {
        ", agent away"
    };
    vec![
        instance.status.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{}{agent}", instance.ecs_status),
        instance.reboots.to_string(),
        instance
            .last_verdict
            .clone()
            .unwrap_or_else(|| "-".to_owned()),
    ]
}

fn untouched(instance: &InstanceReport) -> bool {
    instance.reboots == 0 && instance.last_verdict.is_none() && instance.ecs_status == "ACTIVE"
}

fn sentence(instance: &InstanceReport) -> String {
    let facts = facts(instance);
    let (table, ecs) = (&facts[0], &facts[1]);
    let mut parts = vec![format!("{table} in its record"), format!("{ecs} in ECS")];
    match instance.reboots {
        0 => {}
        reboots => parts.push(counted(u64::from(reboots), "reboot")),
    }
    parts.extend(
        instance
            .last_verdict
            .as_ref()
            .map(|verdict| format!("last check: {verdict}")),
    );
    parts.join(", ")
}

fn job(output: &Output, report: &Report) {
    let job = &report.job;
    output.heading("Job");
    let mut rows = vec![
        ("job", job.job_id.to_string()),
        ("status", job.status.to_string()),
        ("attempt", job.attempt.to_string()),
        ("ranks", ranks(report)),
    ];
    let mut optional = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    optional("reason", job.reason.clone());
    optional("failed rank", job.failed_rank.map(|rank| rank.to_string()));
    optional("held by", job.holder.as_ref().map(execution));
    optional("started by", job.relaunched_by.as_ref().map(execution));
    optional("failed by", job.failed_by.as_ref().map(execution));
    for (name, value) in rows {
        output.text(&format!("  {name:<11}  "), &value);
    }
}

/// An execution by its name.
fn execution(arn: &ExecutionArn) -> String {
    format!(
        "execution {}",
        arn.as_str().rsplit(':').next().unwrap_or_default()
    )
}

fn ranks(report: &Report) -> String {
    let number = |status| {
        report
            .ranks
            .iter()
            .filter(|rank| rank.status == status)
            .count() as u64
    };
    let words = [
        (RankStatus::Running, "running"),
        (RankStatus::Stopped, "stopped"),
        (RankStatus::Complete, "complete"),
    ];
    let counts: Vec<String> = words
        .into_iter()
        .map(|(status, word)| (number(status), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(number)))
        .collect();
    counts.join(", ")
}

fn notifications(output: &Output, report: &Report) {
    output.heading("Notifications");
    if report.notifications.is_empty() {
        output.line("  none");
    }
    for (place, notification) in report.notifications.iter().enumerate() {
        if place > 0 {
            output.line("");
        }
        let attribute = |name: &str| notification.attributes.get(name).map_or("", String::as_str);
        let after = span(notification.at);
        let (event, severity) = (attribute("event"), attribute("severity"));
        output.text("  ", &paint(HEADING, &notification.subject));
        output.text(
            "  ",
            &paint(DIM, format!("{event}, severity {severity}, after {after}")),
        );
        for line in notification.message.lines() {
            let text = line.trim_start();
            let indent = " ".repeat(4 + line.len() - text.len());
            if text.is_empty() {
                output.line("");
            } else {
                output.lines(output::wrapped(text, output.width(), &indent, &indent));
            }
        }
    }
}

fn summary(output: &Output, report: &Report) {
    output.heading("Summary");
    match &report.phases {
        Some(phases) => time(output, phases),
        None => output.line("  nothing was recovered"),
    }
    output.line("");
    let (mut by_status, executions) = (BTreeMap::new(), report.executions.len() as u64);
    for execution in &report.executions {
        *by_status.entry(execution.status.as_str()).or_insert(0u64) += 1;
    }
    let alike = by_status.len() == 1 && executions > 1;
    let statuses: Vec<String> = by_status
        .iter()
        .map(|(status, number)| match (alike, executions) {
            (true, _) => format!(", all {status}"),
            (false, 1) => format!(", {status}"),
            (false, _) => format!(", {} {status}", count(*number)),
        })
        .collect();
    let (executions, statuses) = (counted(executions, "execution"), statuses.concat());
    let transitions = counted(report.state_transitions, "state transition");
    output.text("  ", &format!("{executions}{statuses}; {transitions}"));
    let busy = match report.lambda_milliseconds {
        short @ ..1000 => format!("{short} ms"),
        long => span(long as f64 / 1000.0),
    };
    let lambda = counted(report.lambda_invocations, "Lambda invocation");
    output.text("  ", &format!("{lambda}, {busy} together"));
    calls(output, report);
    cost(output, report);
}

fn time(output: &Output, phases: &Phases) {
    let total = phases.total.max(f64::MIN_POSITIVE);
    output.text(
        "  ",
        &format!("{} from the failure to the end", span(phases.total)),
    );
    let steps = [
        ("notice", phases.notice),
        ("stop", phases.stop),
        ("diagnose", phases.diagnose),
        ("reboot", phases.reboot),
        ("verify", phases.verify),
        ("relaunch", phases.relaunch),
    ];
    for (name, seconds) in steps {
        let took = if seconds > 0.0 {
            span(seconds)
        } else {
            "-".to_owned()
        };
        let blocks = BAR.min(output.width().saturating_sub(28));
        let bar = bar(seconds / total, blocks);
        output.line(&format!("    {name:<8}  {took:>12}  {bar}"));
    }
    if phases.paused > 0.0 {
        let paused = span(phases.paused);
        output.text(
            "  ",
            &format!("It stood still for {paused} until an operator redrove it."),
        );
    }
    let percent = phases.overhead / total * 100.0;
    let overhead = span(phases.overhead);
    let text = format!(
        "The system's own overhead in this: {overhead} ({percent:.0} %); the rest is tasks that stop, check and start, \
         nodes that reboot, and AWS that delivers."
    );
    output.text("  ", &text);
}

/// A bar of at most so many blocks; what is not nothing shows at least an eighth of one.
fn bar(share: f64, blocks: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (blocks * 8) as f64).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn calls(output: &Output, report: &Report) {
    output.line("");
    let all = counted(report.calls.values().sum(), "AWS API call");
    let throttled = match report.throttled {
        0 => String::new(),
        number => format!(", {} of them throttled and tried again", count(number)),
    };
    output.text("  ", &format!("{all}{throttled}"));
    let cells: Vec<(&String, String)> = report
        .calls
        .iter()
        .map(|(action, number)| (action, count(*number)))
        .collect();
    let name = cells
        .iter()
        .map(|(action, _)| action.len())
        .max()
        .unwrap_or_default();
    let number = cells
        .iter()
        .map(|(_, number)| number.len())
        .max()
        .unwrap_or_default();
    let across = ((output.width().saturating_sub(4) + 4) / (name + number + 6)).clamp(1, 2);
    let down = cells.len().div_ceil(across);
    for row in 0..down {
        let mut line = String::from("    ");
        for (action, times) in cells.iter().skip(row).step_by(down) {
            line += &format!("{action:<name$}  {times:>number$}    ");
        }
        output.line(&line);
    }
}

fn cost(output: &Output, report: &Report) {
    output.line("");
    let total: f64 = report.cost.iter().map(|cost| cost.dollars).sum();
    output.text(
        "  ",
        &format!("Estimated cost of the recovery: ${total:.6}"),
    );
    let name = report
        .cost
        .iter()
        .map(|cost| cost.item.len())
        .max()
        .unwrap_or_default();
    for cost in &report.cost {
        let quantity = if cost.quantity.fract() == 0.0 {
            count(cost.quantity as u64)
        } else {
            format!("{:.3}", cost.quantity)
        };
        let dollars = match cost.dollars {
            0.0 => "$0".to_owned(),
            ..0.000_001 => "< $0.000001".to_owned(),
            dollars => format!("${dollars:.6}"),
        };
        let line = format!("    {:<name$}  {quantity:>7}  {dollars:>11}", cost.item);
        if output::columns(&line) <= output.width() {
            output.line(&line);
        } else {
            let (item, dollars) = (cost.item, dollars.trim_start());
            output.text("    ", &format!("{item}: {quantity}, {dollars}"));
        }
    }
}

fn verdict(output: &Output, report: &Report, again: &str) {
    output.line("");
    if !report.unmet.is_empty() {
        output.line(&paint(BAD, "✗ It did not end as the scenario says:"));
        for unmet in &report.unmet {
            output.text("    ", unmet);
        }
    }
    if !report.broken_promises.is_empty() {
        output.line(&paint(BAD, "✗ Promises were broken:"));
        for broken in &report.broken_promises {
            output.text("    ", broken);
        }
    }
    for note in &report.notes {
        output.text("  Note: ", note);
    }
    for not in &report.not_reached {
        output.text("  Not reached: ", not);
    }
    let end = closing(report);
    if report.passed {
        let line = output::wrapped(&format!("✓ {end}"), output.width(), "", "  ");
        output.lines(line.iter().map(|line| paint(GOOD, line)));
        output.text(
            "  ",
            "It ended as the scenario says, and every promise was kept.",
        );
    } else {
        output.text("✗ ", &end);
    }
    output.line("");
    for (place, line) in next_steps(report, again).iter().enumerate() {
        output.text(if place == 0 { "Next:  " } else { "       " }, line);
    }
}

/// How it ended, in one line: the words of the last message to the operators about it, where there is one.
fn closing(report: &Report) -> String {
    let job = &report.job;
    let after = report.phases.as_ref().map_or(String::new(), |phases| {
        format!(" after {}", span(phases.total))
    });
    let id = &job.job_id;
    let of_another = |message: &&NotificationReport| {
        let said = |name: &str| message.attributes.get(name).map_or("", String::as_str);
        said("event").starts_with("Job") && said("job_id") != id.as_str()
    };
    let told = report.notifications.iter().rev();
    let told = told.filter(|message| !of_another(message));
    let mut told = told.filter_map(|message| outcome::of_subject(&message.subject));
    if let Some((line, _)) = told.next() {
        return line.to_owned();
    }
    match job.status {
        JobStatus::InProgress => format!("job {id} runs as attempt 1"),
        JobStatus::Complete => format!("complete: job {id} ended well, nothing was touched"),
        JobStatus::UserStopped => format!("stopped: job {id} was stopped by an operator"),
        JobStatus::Failed => {
            format!("failed: job {id} was declared FAILED{after}, nobody was told")
        }
        status => format!("unfinished: job {id} is {status}{after}"),
    }
}

fn next_steps(report: &Report, again: &str) -> Vec<String> {
    let program = program();
    if report.passed {
        vec![
            format!("{program} drill --list   shows what else can happen"),
            format!("{program} drill --help   shows what else it can do"),
        ]
    } else {
        vec![
            format!("{program} drill {again}   plays the very same again"),
            "--history FILE   writes the execution's whole history".to_owned(),
        ]
    }
}

/// How this program was called: cargo tells what it runs.
fn program() -> &'static str {
    if std::env::var_os("CARGO").is_some() {
        "cargo run --"
    } else {
        "gpu-recovery"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_share_and_never_hides_a_little() {
        assert_eq!(bar(0.0, BAR), "");
        assert_eq!(bar(0.000_1, BAR), "▏");
        assert_eq!(bar(1.0, BAR), "█".repeat(BAR));
        assert_eq!(bar(0.5, BAR), "█".repeat(BAR / 2));
    }
}
