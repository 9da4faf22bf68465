//! Least privilege, both ways: a role allows every call that the simulator saw, and nothing that nobody needs.

use crate::{
    iam::{Grant, RULES, Request, grants, many, requests, roles, statements},
    rare_paths,
    template::{Template, cluster, text},
};
use simulator::{
    ACCOUNT, REGION,
    faults::role,
    integrations::STATE_MACHINE,
    lambda::Lambda,
    scenario::{PlayOptions, Scenario, builtins, play},
    wire::CallRecord,
};
use std::collections::{BTreeMap, BTreeSet};

/// What AWS asks a role for beside the calls that its holder makes: who, what, and the page that says so.
const BESIDE_CALLS: [(&str, &[&str], &str); 10] = [
    (
        "every function",
        &["logs:CreateLogStream", "logs:PutLogEvents"],
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html",
    ),
    (
        "every function",
        &["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html",
    ),
    (
        "notify-operators",
        &["kms:GenerateDataKey", "kms:Decrypt"],
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    ),
    (
        "notify-failed-execution",
        &["kms:GenerateDataKey", "kms:Decrypt", "sqs:SendMessage"],
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    ),
    (
        "instance-events",
        &["sqs:SendMessage"],
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    ),
    (
        "relaunch-job",
        &["iam:PassRole"],
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    ),
    (
        "relaunch-job",
        &["ecs:TagResource"],
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html",
    ),
    (
        STATE_MACHINE,
        &[
            "ecs:DescribeTasks",
            "events:PutTargets",
            "events:PutRule",
            "events:DescribeRule",
            "iam:PassRole",
        ],
        "https://docs.aws.amazon.com/step-functions/latest/dg/ecs-iam.html",
    ),
    (
        STATE_MACHINE,
        &[
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ],
        "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
    ),
    (
        STATE_MACHINE,
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ],
        "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html",
    ),
];

fn template() -> Template {
    Template::with(
        "aws",
        &[("TaskRoleArns", "arn:aws:iam::123456789012:role/train")],
    )
}

/// Everything that was called: all scenarios, one where a health check must be stopped, and the rare paths.
fn calls() -> Vec<CallRecord> {
    let mut scenarios = builtins().expect("the scenarios are well");
    scenarios.push(
        Scenario::parse(
            "health-check-hangs",
            "name: health-check-hangs\nabout: A check of the user's hangs; Step Functions stops it.\n\
             settings: { CREATE_DCGM_HEALTH_CHECK_TASK: 'false' }\n\
             ranks: { 3: { exits: { after: 10m, code: 1 } } }\ninstances: { 3: { gpu: dcgm-hangs } }\n\
             expect: { job: FAILED, attempt: 1, reboots: { 3: 1 }, quarantined: [3], notifications: [JobFailed] }\n",
        )
        .expect("the scenario is well"),
    );
    let mut calls = rare_paths::calls();
    for scenario in scenarios {
        let report = play(&scenario, &PlayOptions::default()).expect("it can be played");
        assert!(
            report.passed,
            "{}: {:?} {:?}",
            scenario.name, report.unmet, report.broken_promises
        );
        calls.extend(report.wire_calls);
    }
    calls
}

#[test]
fn a_role_allows_every_call_that_was_seen_and_nothing_else() {
    let template = template();
    let roles: BTreeMap<String, Vec<Grant>> = roles(&template)
        .into_iter()
        .map(|(name, s)| (name, grants(&s)))
        .collect();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut used: BTreeSet<(&str, usize)> = BTreeSet::new();
    let calls = calls();
    for call in &calls {
        let Some((name, grants)) = roles.get_key_value(role(&call.caller)) else {
            continue;
        };
        let requests = requests(call);
        assert!(!requests.is_empty(), "nothing is known of {call:?}");
        for request in requests {
            let allowing: Vec<usize> = (0..grants.len())
                .filter(|nth| grants[*nth].allows(&request))
                .collect();
            if allowing.is_empty() {
                missing.insert(format!(
                    "{name}: {} on {}",
                    request.action, request.resource
                ));
            }
            used.extend(allowing.into_iter().map(|nth| (name.as_str(), nth)));
        }
    }
    assert!(
        missing.is_empty(),
        "calls that no role allows: {missing:#?}"
    );

    let mut spare = BTreeSet::new();
    let mut beside = BTreeSet::new();
    for (name, grants) in &roles {
        for (nth, grant) in grants.iter().enumerate() {
            // Which functions the state machine calls is a test of its own.
            if grant.action == "lambda:InvokeFunction" || used.contains(&(name.as_str(), nth)) {
                continue;
            }
            let known = BESIDE_CALLS
                .iter()
                .enumerate()
                .find(|(_, (who, actions, _))| {
                    (who == name
                        || (*who == "every function" && name != STATE_MACHINE && name != RULES))
                        && actions.contains(&grant.action.as_str())
                });
            match known {
                Some((nth, _)) => {
                    beside.insert((nth, grant.action.clone()));
                }
                None => {
                    spare.insert(format!("{name}: {} on {}", grant.action, grant.resource));
                }
            }
        }
    }
    assert!(
        spare.is_empty(),
        "allowed, but nobody was seen to need it: {spare:#?}"
    );
    for (nth, (who, actions, page)) in BESIDE_CALLS.iter().enumerate() {
        for action in *actions {
            assert!(
                beside.contains(&(nth, (*action).to_owned())),
                "{who} has no use for the exception {action} ({page})"
            );
        }
    }
}

#[test]
fn the_state_machine_may_call_the_functions_of_its_definition_and_no_others() {
    let template = template();
    let statements = statements(&template, "RecoveryRole");
    let allowed: BTreeSet<String> = grants(&statements)
        .into_iter()
        .filter(|grant| grant.action == "lambda:InvokeFunction")
        .map(|grant| grant.resource)
        .collect();
    let called: BTreeSet<String> = workers::all()
        .iter()
        .filter(|worker| worker.state.is_some())
        .map(|worker| format!("{}:*", Lambda::arn(worker.name)))
        .collect();
    assert_eq!(allowed, called);
}

/// A wildcard is only where IAM knows no resource, or where a condition takes its place.
#[test]
fn every_grant_is_narrowed_to_the_cluster_the_tables_and_the_names_of_this_deployment() {
    const NO_RESOURCE: [&str; 15] = [
        "ssm:GetCommandInvocation",
        "ssm:ListCommandInvocations",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
        // No resource type: service authorization reference, AWS Step Functions.
        "states:SendTaskSuccess",
    ];
    let cluster_arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}", cluster());
    for (name, statements) in roles(&template()) {
        for statement in &statements {
            let condition = &statement["Condition"];
            for action in many(&statement["Action"]) {
                for resource in many(&statement["Resource"]) {
                    let in_cluster = condition["ArnEquals"]["ecs:cluster"] == cluster_arn.as_str()
                        || resource == cluster_arn
                        || resource.contains(&format!("/{}/", cluster()));
                    let tagged = condition["StringEquals"].as_object().is_some_and(|c| {
                        c.iter().any(|(k, v)| {
                            k.ends_with("esourceTag/gpu-recovery-cluster")
                                && *v == cluster().as_str()
                        })
                    });
                    let narrow = match action.split(':').next().unwrap_or_default() {
                        "ecs" => in_cluster,
                        "ec2" => tagged,
                        "ssm" => {
                            tagged
                                || resource.contains(":document/gpu-recovery-")
                                || NO_RESOURCE.contains(&action.as_str())
                        }
                        // Else it may start what is not yet behind the alias.
                        "states" if action == "states:StartExecution" => {
                            !condition["ForAnyValue:StringEquals"]["states:StateMachineQualifier"]
                                .is_null()
                        }
                        "iam" => {
                            condition["StringEquals"]["iam:PassedToService"]
                                == "ecs-tasks.amazonaws.com"
                        }
                        _ => resource != "*" || NO_RESOURCE.contains(&action.as_str()),
                    };
                    assert!(narrow, "{name}: {action} on {resource} is not narrowed");
                }
            }
        }
    }
}

#[test]
fn the_rule_may_start_its_alias_and_nothing_else() {
    let template = template();
    let grants = grants(&statements(&template, "StartRecoveryRole"));
    let may = |action: &str, named: &str| {
        let request = Request::states(action, named);
        grants.iter().any(|grant| grant.allows(&request))
    };
    let (_, target) = &template.rules()["task-stopped"];
    assert!(text(&target["RoleArn"]).is_some_and(|arn| arn.ends_with("role/StartRecoveryRole")));
    let alias = text(&target["Arn"]).expect("an ARN");
    assert!(may("StartExecution", &alias));
    let machine = alias.strip_suffix(":live").expect("the alias live");
    for other in ["", ":1", ":next", "-two:live"] {
        let other = format!("{machine}{other}");
        assert!(!may("StartExecution", &other), "it may start {other}");
    }
    assert!(!may("UpdateStateMachineAlias", &alias));
}

#[test]
fn the_roles_of_tasks_may_be_handed_to_ecs_and_to_no_other_service() {
    let template = template();
    let check = template.resource("HealthCheckTask")["ExecutionRoleArn"].clone();
    let check = text(&check).expect("the health check has an execution role");
    let jobs = "arn:aws:iam::123456789012:role/train";
    for (role, passed, may) in [
        ("RecoveryRole", check.as_str(), true),
        ("RecoveryRole", jobs, true),
        ("RelaunchJobRole", jobs, true),
        ("RelaunchJobRole", check.as_str(), false),
        (
            "RecoveryRole",
            "arn:aws:iam::123456789012:role/admin",
            false,
        ),
    ] {
        let grants = grants(&statements(&template, role));
        for (service, may) in [
            ("ecs-tasks.amazonaws.com", may),
            ("ec2.amazonaws.com", false),
        ] {
            let request = Request::pass_role(passed, service);
            let allowed = grants.iter().any(|grant| grant.allows(&request));
            assert_eq!(allowed, may, "{role} hands {passed} to {service}");
        }
    }
}

/// On hybrid nodes the log driver has no other permission (ECS developer guide, security-ecs-iam-role-overview).
#[test]
fn the_health_check_may_write_its_report_pull_its_image_and_nothing_else() {
    let repository = "arn:aws:ecr:us-east-1:123456789012:repository/dcgm";
    let role = |parameters: &[(&str, &str)]| {
        let template = Template::with("aws", parameters);
        let grants = grants(&statements(&template, "HealthCheckRole"));
        let grants = grants.into_iter().map(|g| (g.action, g.resource));
        grants.collect::<BTreeSet<_>>()
    };
    let group = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/gpu-recovery-dcgm:*");
    let report =
        ["logs:CreateLogStream", "logs:PutLogEvents"].map(|a| (a.to_owned(), group.clone()));
    assert_eq!(role(&[]), BTreeSet::from(report));
    let pulls = [
        ("ecr:BatchGetImage", repository),
        ("ecr:GetDownloadUrlForLayer", repository),
        ("ecr:BatchCheckLayerAvailability", repository),
        ("ecr:GetAuthorizationToken", "*"),
    ]
    .map(|(action, resource)| (action.to_owned(), resource.to_owned()));
    let mirrored = [
        ("DcgmImageRepositoryArn", repository),
        ("DcgmLogDriver", "json-file"),
    ];
    assert_eq!(role(&mirrored), BTreeSet::from(pulls));
    // Nobody to be trusted where nobody needs it.
    for without in [
        ("DcgmLogDriver", "json-file"),
        ("CreateDcgmHealthCheckTask", "false"),
    ] {
        let template = Template::with("aws", &[without]);
        assert!(
            !template
                .resources("AWS::IAM::Role")
                .contains_key("HealthCheckRole")
        );
        assert!(
            !template
                .resolve(&template.body["Resources"]["RecoveryRole"])
                .to_string()
                .contains("PassHealthCheckRole")
        );
        for task in template.resources("AWS::ECS::TaskDefinition").values() {
            assert!(task["ExecutionRoleArn"].is_null());
        }
    }
}
