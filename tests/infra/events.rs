//! The rules: those of the simulator, with targets that they may call.

use crate::{
    template::{Template, text},
    wiring::{cluster_arn, state_machine_arn},
};
use serde_json::Value;
use simulator::{
    ACCOUNT, REGION, cloud::HEALTH_CHECK, eventbridge::Pattern, lambda::Lambda, rules,
};
use std::collections::BTreeSet;

#[test]
fn the_rules_are_those_of_the_simulator() {
    let template = Template::new();
    let mut found = template.rules();
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:gpu-recovery-dead-letters");
    for (name, pattern, target) in [
        (
            "task-stopped",
            rules::task_stopped(&cluster_arn(), HEALTH_CHECK),
            format!("{}:live", state_machine_arn()),
        ),
        (
            "instance-changed",
            rules::instance_changed(&cluster_arn()),
            format!("{}:live", Lambda::arn("instance-events")),
        ),
        (
            "command-ended",
            rules::command_ended(),
            format!("{}:live", Lambda::arn("instance-events")),
        ),
        (
            "execution-failed",
            rules::execution_failed(&state_machine_arn()),
            format!("{}:live", Lambda::arn("notify-failed-execution")),
        ),
    ] {
        let (found_pattern, found_target) = found
            .remove(name)
            .unwrap_or_else(|| panic!("no rule {name}"));
        assert_eq!(found_pattern, pattern, "{name}");
        assert_eq!(found_target["Arn"], target, "{name}");
        assert_eq!(found_target["DeadLetterConfig"]["Arn"], queue, "{name}");
        assert!(
            found_target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number(),
            "{name}"
        );
    }
    assert!(
        found.is_empty(),
        "rules that the simulator does not have: {:?}",
        found.keys()
    );
}

#[test]
fn a_look_for_lost_stops_is_taken_every_five_minutes() {
    let template = Template::new();
    let rule = template.resource("LookForLostStopsRule");
    assert_eq!(rule["ScheduleExpression"], "rate(5 minutes)");
    assert!(rule["EventPattern"].is_null());
    let function = format!("{}:live", Lambda::arn("look-for-lost-stops"));
    assert_eq!(rule["Targets"][0]["Arn"], function);
    let look = template.resource("LookForLostStopsFunction");
    let (_, recovery) = &template.rules()["task-stopped"];
    assert_eq!(
        look["Environment"]["Variables"]["STATE_MACHINE_ARN"],
        recovery["Arn"]
    );
    // A look ends before the next begins.
    assert!(
        look["Timeout"]
            .as_u64()
            .is_some_and(|seconds| seconds < 300)
    );
}

#[test]
fn a_rule_may_call_its_function_and_may_lay_down_what_it_cannot_deliver() {
    let template = Template::new();
    let rules = template.resources("AWS::Events::Rule");
    let arn = |rule: &Value| {
        format!(
            "arn:aws:events:{REGION}:{ACCOUNT}:rule/{}",
            text(&rule["Name"]).unwrap()
        )
    };
    let calls: BTreeSet<(String, Option<String>)> = rules
        .values()
        .filter(|rule| {
            text(&rule["Targets"][0]["Arn"])
                .unwrap()
                .contains(":lambda:")
        })
        .map(|rule| (arn(rule), text(&rule["Targets"][0]["Arn"])))
        .collect();
    let allowed: BTreeSet<(String, Option<String>)> = template
        .resources("AWS::Lambda::Permission")
        .values()
        .map(|p| (text(&p["SourceArn"]).unwrap(), text(&p["FunctionName"])))
        .collect();
    assert_eq!(calls, allowed);
    let policy = template.resource("DeadLettersPolicy");
    let sources =
        &policy["PolicyDocument"]["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"];
    let sources: BTreeSet<String> = sources
        .as_array()
        .unwrap()
        .iter()
        .filter_map(text)
        .collect();
    assert_eq!(sources, rules.values().map(arn).collect());
}

#[test]
fn a_pinned_health_check_is_filtered_by_its_family() {
    let template = Template::with("aws", &[("DcgmHealthCheckTask", "my-check:7")]);
    let (pattern, _) = &template.rules()["task-stopped"];
    assert_eq!(*pattern, rules::task_stopped(&cluster_arn(), "my-check"));
}

#[test]
fn a_stop_of_every_code_starts_a_recovery() {
    let pattern = rules::task_stopped(&cluster_arn(), HEALTH_CHECK);
    assert_eq!(Template::new().rules()["task-stopped"].0, pattern);
    let pattern = Pattern::parse(&pattern).unwrap();
    // Stop codes: TaskStopCode in the service model of ECS (2014-11-13) that botocore 1.44.8 ships.
    for code in [
        "TaskFailedToStart",
        "EssentialContainerExited",
        "UserInitiated",
        "ServiceSchedulerInitiated",
        "SpotInterruption",
        "TerminationNotice",
        "InfrastructureHealth",
    ] {
        let mut event = tests::fixtures::event("task-essential-container-exit-1");
        event["detail"]["clusterArn"] = cluster_arn().into();
        event["detail"]["stopCode"] = code.into();
        assert!(pattern.matches(&event), "{code}");
    }
}
