//! The dashboard's figures: one line in CloudWatch's embedded metric format for what an invocation came to.
//!
//! Lambda hands a function's output to CloudWatch Logs, which makes metrics of such a line; no call, no permission
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//! A step that is done twice counts twice: these are figures to look at, the truth is in the tables.

use crate::{WorkerError, context::parse_time};
use serde_json::{Map, Value, json};

/// The metrics' namespace, as the template's dashboard and alarms name it.
pub const NAMESPACE: &str = "GpuRecovery";

/// Every metric that a line may hold, with its unit.
pub const METRICS: [(&str, &str); 8] = [
    ("JobsRecovered", "Count"),
    ("JobsFailed", "Count"),
    ("JobsCompleted", "Count"),
    ("JobsStoppedByUser", "Count"),
    ("RecoverySeconds", "Seconds"),
    ("Reboots", "Count"),
    ("InstancesQuarantined", "Count"),
    ("WorkerErrors", "Count"),
];

/// The facts of an input that the figures need: taken before the worker takes the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    reason: Option<String>,
    /// Seconds since the Unix epoch.
    started_at: Option<i64>,
}

impl Facts {
    pub fn of(input: &Value) -> Self {
        Self {
            reason: input["reason"].as_str().map(str::to_owned),
            started_at: input["startedAt"].as_str().and_then(parse_time),
        }
    }
}

/// The line for what `worker` answered; `None` when it is no figure. `now` in milliseconds since the Unix epoch.
pub fn line(
    worker: &str,
    facts: &Facts,
    answer: &Result<Value, WorkerError>,
    cluster: &str,
    now: i64,
) -> Option<Value> {
    let mut figures: Vec<(&str, i64)> = Vec::new();
    let mut reason = None;
    match answer {
        // Asked again, or caught, by design.
        Err(
            WorkerError::NotSettledYet(_)
            | WorkerError::NotPlaced(_)
            | WorkerError::NotStarted(_)
            | WorkerError::NotToRecover(_)
            | WorkerError::PullThrottled(_)
            | WorkerError::KeptOut(_)
            | WorkerError::AgentAway(_),
        ) => {}
        Err(_) => figures.push(("WorkerErrors", 1)),
        Ok(outcome) => match (worker, outcome["outcome"].as_str()) {
            ("notify-operators", _) => {
                match facts.reason.as_deref() {
                    Some("Recovered") => {
                        figures.push(("JobsRecovered", 1));
                        let took = facts
                            .started_at
                            .map(|at| ("RecoverySeconds", now / 1000 - at));
                        figures.extend(took);
                    }
                    // The job is as it was, or its own step counts it.
                    Some("EndedAndTold" | "UserStopped" | "UserStoppedRank") => {}
                    failed => {
                        reason = failed;
                        figures.push(("JobsFailed", 1));
                    }
                }
            }
            ("record-completion", Some("JobComplete")) => figures.push(("JobsCompleted", 1)),
            ("record-user-stop", Some("RankStopped"))
            | ("stop-siblings", Some("StoppedByUser")) => {
                figures.push(("JobsStoppedByUser", 1));
            }
            ("cordon-instance", Some("Cordoned")) => figures.push(("Reboots", 1)),
            ("quarantine-instance", Some("Quarantined")) => {
                figures.push(("InstancesQuarantined", 1));
            }
            ("fail-job", _) => {
                let quarantined = outcome["quarantined"].as_array().map_or(0, Vec::len);
                if quarantined > 0 {
                    let count = i64::try_from(quarantined).unwrap_or(i64::MAX);
                    figures.push(("InstancesQuarantined", count));
                }
            }
            _ => {}
        },
    }
    if figures.is_empty() {
        return None;
    }
    let mut line = Map::new();
    let mut dimensions = vec![json!(["Cluster"])];
    line.insert("Cluster".to_owned(), cluster.into());
    if let Some(reason) = reason {
        dimensions.push(json!(["Cluster", "Reason"]));
        line.insert("Reason".to_owned(), reason.into());
    }
    let metrics: Vec<Value> = figures
        .iter()
        .map(|(name, _)| {
            let unit = METRICS.iter().find(|(known, _)| known == name);
            json!({ "Name": name, "Unit": unit.map(|(_, unit)| unit) })
        })
        .collect();
    for (name, value) in figures {
        line.insert(name.to_owned(), value.into());
    }
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }],
        }),
    );
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_582_000_000 + 1_100_000;

    fn told(reason: &str) -> Value {
        let facts =
            Facts::of(&json!({ "reason": reason, "startedAt": "2026-01-05T03:00:00.000Z" }));
        let answer = Ok(json!({ "outcome": "Notified" }));
        line("notify-operators", &facts, &answer, "training", NOW).unwrap()
    }

    #[test]
    fn a_recovery_is_counted_with_the_time_it_took() {
        let line = told("Recovered");
        assert_eq!(line["JobsRecovered"], 1);
        assert_eq!(line["RecoverySeconds"], 1100);
        assert_eq!(line["Cluster"], "training");
        let set = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(set["Dimensions"], json!([["Cluster"]]));
        assert_eq!(
            set["Metrics"],
            json!([{ "Name": "JobsRecovered", "Unit": "Count" }, { "Name": "RecoverySeconds", "Unit": "Seconds" }])
        );
    }

    #[test]
    fn a_failed_job_is_counted_by_its_reason_too() {
        let line = told("NoGpuFault");
        assert_eq!(
            (&line["JobsFailed"], &line["Reason"]),
            (&json!(1), &json!("NoGpuFault"))
        );
        let set = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            set["Dimensions"],
            json!([["Cluster"], ["Cluster", "Reason"]])
        );
    }

    #[test]
    fn asking_again_by_design_is_no_error() {
        let line = |error| line("claim-job", &Facts::default(), &Err(error), "training", NOW);
        assert_eq!(line(WorkerError::NotSettledYet(String::new())), None);
        let lost = line(WorkerError::ClaimLost(String::new())).unwrap();
        assert_eq!(lost["WorkerErrors"], 1);
    }

    #[test]
    fn an_outcome_that_changes_nothing_is_no_figure() {
        let answer = Ok(json!({ "outcome": "NotManaged" }));
        let facts = Facts::default();
        assert_eq!(line("claim-job", &facts, &answer, "training", NOW), None);
        let failed = Ok(json!({ "outcome": "Failed", "quarantined": [] }));
        assert_eq!(line("fail-job", &facts, &failed, "training", NOW), None);
    }
}
