//! What a health check and the probe found, in words for operators.

use super::{
    console::log_stream_link,
    diagnosis::{Check, End, Verdict},
    words::{counted, instances},
};
use crate::{Settings, ids::ExecutionArn};

/// Xids with their names: the table that the probe judges by.
const XIDS: &str = include_str!("../../../infra/nodes/xids.csv");

/// From so many instances on of which the same is said, it is said once.
const ALIKE: usize = 3;
/// Longer reasons of others are cut.
const DETAIL_CHARACTERS: usize = 240;
/// What ECS says of every container that ends by itself: nothing of why.
const ENDED_BY_ITSELF: &str = "Essential container in task exited";

/// A line for each instance that is not healthy, one for all of which the same is said, and how many are healthy.
pub fn lines(checks: &[Check], settings: &Settings, execution: &ExecutionArn) -> Vec<String> {
    let (healthy, others): (Vec<&Check>, Vec<&Check>) =
        checks.iter().partition(|c| c.verdict == Verdict::Healthy);
    let mut alike: Vec<(String, Vec<&Check>)> = Vec::new();
    for check in others {
        let said = said(check, settings);
        match alike.iter_mut().find(|(known, _)| *known == said) {
            Some((_, checks)) => checks.push(check),
            None => alike.push((said, vec![check])),
        }
    }
    let mut lines = Vec::new();
    for (said, checks) in &alike {
        let report = |check: &Check| report(check, settings, execution);
        if checks.len() < ALIKE {
            let each = checks
                .iter()
                .map(|c| format!("{} (rank {}): {said}{}", c.instance, c.rank, report(c)));
            lines.extend(each);
        } else {
            let who = instances(checks.iter().map(|c| (&c.instance, c.rank)));
            let first = report(checks[0]).replacen("Report", "Report of the first", 1);
            lines.push(format!("{who}: {said}{first}"));
        }
    }
    match healthy.as_slice() {
        [] => {}
        [one] => lines.push(format!("{} (rank {}): healthy", one.instance, one.rank)),
        many => lines.push(format!("{}: healthy", counted(many.len(), "instance"))),
    }
    lines
}

/// The verdict and what it rests on.
fn said(check: &Check, settings: &Settings) -> String {
    let mut why = Vec::new();
    why.extend(hardware(check));
    if check.stuck {
        why.push("its task does not stop, so no check can start".to_owned());
        return format!("{} ({})", check.verdict, why.join("; "));
    }
    if check.exit_code == Some(0) {
        return format!(
            "{}, although the check passed ({})",
            check.verdict,
            why.join("; ")
        );
    }
    why.push(match (check.exit_code, check.end) {
        (Some(code), _) => format!("exit {code}: {}", code_means(code, settings)),
        (None, Some(End::TimedOut)) => "the check did not end in time".to_owned(),
        (None, Some(End::NoGpu)) => "no container that asks for a GPU starts on it".to_owned(),
        (None, None) => "the check came to no exit code".to_owned(),
    });
    let detail = match check.detail.as_str() {
        detail if check.exit_code.is_some() || detail == ENDED_BY_ITSELF => "",
        // An error without a cause.
        detail => detail.trim_end_matches([':', ' ']),
    };
    if !detail.is_empty() && detail != "States.Timeout" {
        let cut: String = detail.chars().take(DETAIL_CHARACTERS).collect();
        let more = if cut.len() < detail.len() { "..." } else { "" };
        why.push(format!("{cut}{more}"));
    }
    format!("{} ({})", check.verdict, why.join("; "))
}

/// Where DCGM's report stands.
fn report(check: &Check, settings: &Settings, execution: &ExecutionArn) -> String {
    let (Some(group), Some(task)) = (&settings.dcgm_log_group, &check.task) else {
        return String::new();
    };
    // prefix/container/task id (ECS developer guide, specify-log-config).
    let (partition, region) = (execution.partition(), execution.region());
    let link = log_stream_link(partition, region, group, &format!("dcgm/dcgm/{task}"));
    format!(". Report: {link}")
}

/// The probe's hardware word with its cause, which outweighs a check that passed.
fn hardware(check: &Check) -> Option<String> {
    let means = match check.word.as_deref()? {
        "reset" | "reboot" => "asks for a reboot",
        "no-reboot-helps" => "no reboot helps",
        _ => return None,
    };
    Some(match check.cause.as_deref().map(cause_means) {
        Some(cause) => format!("{cause}, {means}"),
        None => format!("the node itself: {means}"),
    })
}

/// What stands behind the probe's cause word (docs/node-scripts.md, "probe.sh").
fn cause_means(cause: &str) -> String {
    if let Some(xid) = cause.strip_prefix("xid") {
        let name = xid_name(xid).map_or(String::new(), |name| format!(": {name}"));
        return format!("Xid {xid}{name}");
    }
    if let Some(sxid) = cause.strip_prefix("sxid") {
        return format!("SXid {sxid} of an NVSwitch");
    }
    if let Some(action) = cause.strip_prefix("act") {
        return format!("the driver's recovery action {action}");
    }
    if let Some(code) = cause.strip_prefix("smi") {
        return format!("nvidia-smi ended with {code}");
    }
    match cause {
        "hung" => "nvidia-smi hangs".to_owned(),
        other => other.to_owned(),
    }
}

fn xid_name(xid: &str) -> Option<&'static str> {
    XIDS.lines()
        .filter_map(|line| line.split_once(','))
        .find(|(known, _)| *known == xid)
        .and_then(|(_, rest)| rest.split(',').next())
}

/// What the check's exit code means, by the contract that applies.
pub fn code_means(code: i32, settings: &Settings) -> String {
    let killed = match code {
        126 | 127 => Some("its program cannot be run in this image".to_owned()),
        137 => Some("killed, by want of memory or by a stop".to_owned()),
        129..=159 => Some(format!("ended by signal {}", code - 128)),
        _ => None,
    };
    if settings.own_health_check {
        let own = match code {
            0 => "passed",
            1 => "a GPU error that a reboot may fix, or a diagnosis that hung",
            2 => "a GPU error after which NVIDIA takes the GPU out for good",
            3 => "only settings are wrong, the GPU was not found bad",
            4 => "the diagnosis could not do its work",
            _ => return killed.unwrap_or_else(|| "not a code of the stack's check".to_owned()),
        };
        return own.to_owned();
    }
    let of = |codes: &[i32]| codes.contains(&code);
    if code == 0 {
        "passed".to_owned()
    } else if of(&settings.isolate_exit_codes) {
        "in ISOLATE_EXIT_CODES: no reboot helps".to_owned()
    } else if code == 226 && of(&settings.faulty_exit_codes) {
        "dcgmi diag found an error, which may also be a setting".to_owned()
    } else if code == 205 {
        "dcgmi diag found an error to isolate or to reboot for".to_owned()
    } else if of(&settings.faulty_exit_codes) {
        "in FAULTY_EXIT_CODES".to_owned()
    } else {
        killed.unwrap_or_else(|| "in neither FAULTY_EXIT_CODES nor ISOLATE_EXIT_CODES".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;

    fn settings(own: &str) -> Settings {
        Settings::read(|name| {
            Some(
                match name {
                    "TRAINING_JOB_TABLE_NAME" => "jobs",
                    "CONTAINER_INSTANCE_TABLE_NAME" => "instances",
                    "ECS_CLUSTER_NAME" => "training",
                    "DCGM_HEALTH_CHECK_TASK" => "dcgm-health-check",
                    "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
                    "CREATE_DCGM_HEALTH_CHECK_TASK" => own,
                    "DCGM_LOG_GROUP" => "/ecs/gpu-recovery-dcgm",
                    _ => return None,
                }
                .to_owned(),
            )
        })
        .unwrap()
    }

    fn execution() -> ExecutionArn {
        ExecutionArn::new("arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1")
    }

    fn check(verdict: Verdict, exit_code: Option<i32>) -> Check {
        Check {
            instance: InstanceId::new("i-0123456789abcdef3"),
            rank: 3,
            exit_code,
            verdict,
            unproven: false,
            stuck: false,
            detail: String::new(),
            end: None,
            task: None,
            word: None,
            cause: None,
            age: None,
            boot_id: None,
            booted_at: None,
            gpus: None,
            held: None,
        }
    }

    #[test]
    fn a_code_means_what_its_contract_says() {
        let (own, plain) = (settings("true"), settings("false"));
        assert!(code_means(1, &own).contains("a reboot may fix"));
        assert!(code_means(3, &own).contains("settings"));
        assert!(code_means(226, &own).contains("not a code of the stack's check"));
        assert!(code_means(226, &plain).contains("may also be a setting"));
        assert!(code_means(205, &plain).contains("to reboot for"));
        assert!(code_means(2, &plain).contains("no reboot helps"));
        for settings in [&own, &plain] {
            assert!(code_means(137, settings).contains("want of memory"));
            assert_eq!(code_means(139, settings), "ended by signal 11");
        }
    }

    #[test]
    fn a_line_names_the_xid_and_links_the_report() {
        let found = Check {
            word: Some("reboot".into()),
            cause: Some("xid79".into()),
            task: Some("0123abcd".into()),
            ..check(Verdict::Faulty, Some(0))
        };
        let [line] = &lines(&[found], &settings("true"), &execution())[..] else {
            panic!("one line")
        };
        assert!(
            line.contains("faulty, although the check passed (Xid 79: GPU has fallen off the bus, asks for a reboot)"),
            "{line}"
        );
        assert!(
            line.contains(
                "log-group/$252Fecs$252Fgpu-recovery-dcgm/log-events/dcgm$252Fdcgm$252F0123abcd"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_check_without_a_code_says_what_it_rests_on() {
        let found = Check {
            end: Some(End::TimedOut),
            detail: "States.Timeout: ".into(),
            ..check(Verdict::Faulty, None)
        };
        let lines = lines(&[found], &settings("true"), &execution());
        assert_eq!(
            lines,
            ["i-0123456789abcdef3 (rank 3): faulty (the check did not end in time)"]
        );
    }

    #[test]
    fn the_same_of_many_instances_is_said_once() {
        let mut checks = vec![check(Verdict::Healthy, Some(0)); 2];
        checks.extend((2..6).map(|rank| Check {
            rank,
            task: Some(format!("task{rank}")),
            ..check(Verdict::Faulty, Some(1))
        }));
        let lines = lines(&checks, &settings("true"), &execution());
        let [faulty, healthy] = lines.as_slice() else {
            panic!("two lines: {lines:?}");
        };
        assert!(
            faulty.starts_with("4 instances (ranks 2, 3, 4, 5): faulty (exit 1: "),
            "{faulty}"
        );
        assert!(faulty.contains("Report of the first: https://"), "{faulty}");
        assert!(faulty.ends_with("task2"), "{faulty}");
        assert_eq!(healthy, "2 instances: healthy");
    }
}
