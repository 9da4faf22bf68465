//! Least privilege, both ways: a role allows every call that the simulator saw, and nothing that nobody needs.

use crate::{
    rare_paths,
    template::{Template, cluster, text},
};
use serde_json::Value;
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

/// One action on one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    action: String,
    resource: String,
}

impl Grant {
    fn covers(&self, action: &str, arn: &str) -> bool {
        self.action == action && matches(&self.resource, arn)
    }
}

/// IAM's `*`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(after, &rest[at..]))
}

fn many(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

fn statements(template: &Template, role: &str) -> Vec<Value> {
    let role = template.resource(role);
    assert!(
        role["ManagedPolicyArns"].is_null(),
        "a managed policy names no resource of ours"
    );
    let policies = role["Policies"].as_array().expect("a role has policies");
    policies
        .iter()
        .flat_map(|policy| {
            policy["PolicyDocument"]["Statement"]
                .as_array()
                .expect("statements")
        })
        .cloned()
        .collect()
}

fn grants(statements: &[Value]) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in many(&statement["Action"]) {
            assert!(!action.contains('*'), "each action is named: {action}");
            for resource in many(&statement["Resource"]) {
                grants.insert(Grant {
                    action: action.clone(),
                    resource,
                });
            }
        }
    }
    grants
}

/// Every role by the name that its holder's calls are recorded under.
fn roles(template: &Template) -> BTreeMap<String, Vec<Value>> {
    let mut roles = BTreeMap::new();
    for (name, function) in template.resources("AWS::Serverless::Function") {
        let binary = &template.body["Resources"][&name]["Metadata"]["BuildProperties"]["Binary"];
        let arn = text(&function["Role"]).expect("a function has a role");
        let role = arn.rsplit('/').next().unwrap_or_default();
        let known = roles.insert(text(binary).expect("a binary"), statements(template, role));
        assert!(known.is_none());
    }
    roles.insert(
        STATE_MACHINE.to_owned(),
        statements(template, "RecoveryRole"),
    );
    roles
}

fn template() -> Template {
    Template::with(
        "aws",
        &[("TaskRoleArns", "arn:aws:iam::123456789012:role/train")],
    )
}

/// The ARNs that IAM checks a call against, as far as its record tells; none where it tells nothing.
fn arns(call: &CallRecord) -> Vec<String> {
    let Some(resource) = &call.resource else {
        return Vec::new();
    };
    let own = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
    match (call.service.as_str(), call.action.as_str()) {
        ("dynamodb", _) => vec![own("dynamodb", &format!("table/{resource}"))],
        // Their record names a placement, and what only narrows a list.
        ("ecs", "RunTask" | "ListTasks") => Vec::new(),
        ("ssm" | "ec2", _) => resource
            .split(',')
            .map(|id| match id.starts_with("mi-") {
                true => own("ssm", &format!("managed-instance/{id}")),
                false => own("ec2", &format!("instance/{id}")),
            })
            .collect(),
        _ => {
            let arns = resource.split(',').filter(|part| part.starts_with("arn:"));
            arns.map(str::to_owned).collect()
        }
    }
}

/// Everything that was called: all scenarios, one where a health check must be stopped, and the rare paths.
fn calls() -> Vec<CallRecord> {
    let mut scenarios = builtins().expect("the scenarios are well");
    scenarios.push(
        Scenario::parse(
            "health-check-hangs",
            "name: health-check-hangs\nabout: DCGM hangs; Step Functions stops it.\n\
             ranks: { 3: { exits: { after: 10m, code: 1 } } }\ninstances: { 3: { gpu: dcgm-hangs } }\n\
             expect: { job: FAILED, attempt: 1, notifications: [JobFailed] }\n",
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
    let roles: BTreeMap<String, BTreeSet<Grant>> = roles(&template)
        .into_iter()
        .map(|(name, s)| (name, grants(&s)))
        .collect();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut used: BTreeSet<(&str, &Grant)> = BTreeSet::new();
    let calls = calls();
    for call in &calls {
        let Some((name, grants)) = roles.get_key_value(role(&call.caller)) else {
            continue;
        };
        let action = format!("{}:{}", call.service, call.action);
        let arns = arns(call);
        let mut of_action = grants.iter().filter(|g| g.action == action).peekable();
        if of_action.peek().is_none() {
            missing.insert(format!("{name}: {action}"));
        } else if arns.is_empty() {
            used.extend(of_action.map(|grant| (name.as_str(), grant)));
        } else {
            for arn in arns {
                let covering: Vec<&Grant> =
                    grants.iter().filter(|g| g.covers(&action, &arn)).collect();
                if covering.is_empty() {
                    missing.insert(format!("{name}: {action} on {arn}"));
                }
                used.extend(covering.into_iter().map(|grant| (name.as_str(), grant)));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "calls that no role allows: {missing:#?}"
    );

    let mut spare = BTreeSet::new();
    let mut beside = BTreeSet::new();
    for (name, grants) in &roles {
        for grant in grants {
            // Which functions the state machine calls is a test of its own; a command is checked against its document
            // too, which its record does not name.
            let elsewhere = grant.action == "lambda:InvokeFunction"
                || (grant.action == "ssm:SendCommand"
                    && grant.resource.ends_with("/AWS-RunShellScript"));
            if elsewhere || used.contains(&(name.as_str(), grant)) {
                continue;
            }
            let known = BESIDE_CALLS
                .iter()
                .enumerate()
                .find(|(_, (who, actions, _))| {
                    (who == name || (*who == "every function" && name != STATE_MACHINE))
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
    const NO_RESOURCE: [&str; 14] = [
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
        "states:SendTaskFailure",
    ];
    let cluster_arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}", cluster());
    for (name, statements) in roles(&template()) {
        for statement in &statements {
            let condition = &statement["Condition"];
            for action in many(&statement["Action"]) {
                for resource in many(&statement["Resource"]) {
                    let in_cluster = condition["ArnEquals"]["ecs:cluster"] == cluster_arn.as_str()
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
                        "ssm" => tagged || resource.ends_with("document/AWS-RunShellScript"),
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
fn the_rule_may_start_the_alias_and_nothing_else() {
    let role = statements(&template(), "StartRecoveryRole");
    let alias = format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gpu-recovery:live");
    let only = Grant {
        action: "states:StartExecution".to_owned(),
        resource: alias,
    };
    assert_eq!(grants(&role), BTreeSet::from([only]));
}
