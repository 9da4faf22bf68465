//! What IAM decides: each call as the request that AWS makes of it, against a role's statements.
//!
//! A request's resource and condition keys are those of the Service Authorization Reference's page of the service, not
//! the ARN that the code names.

use crate::template::{Template, cluster, text};
use serde_json::{Value, json};
use simulator::{
    ACCOUNT, REGION,
    cloud::{HEALTH_CHECK, TRAINING},
    faults::role,
    integrations::STATE_MACHINE,
    wire::CallRecord,
};
use std::collections::BTreeMap;

/// Who starts executions for the rules.
pub const RULES: &str = "eventbridge";

/// One action on one resource; a call on many is as many requests, and all must be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub action: String,
    pub resource: String,
    pub context: BTreeMap<&'static str, Key>,
}

/// A condition key's value. A key of many values is matched by `ForAnyValue:` and its like only (IAM user guide,
/// reference_policies_condition-single-vs-multi-valued-context-keys).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    One(String),
    Many(Vec<String>),
}

impl Request {
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self {
            action: action.to_owned(),
            resource: resource.into(),
            context: BTreeMap::new(),
        }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.insert(key, Key::One(value.into()));
        self
    }

    /// A call of Step Functions about what this ARN names. An alias or a version is authorized on the state machine's
    /// own ARN, and its name is the qualifier (Step Functions developer guide, auth-version-alias); calls about an
    /// execution are on the execution's ARN.
    pub fn states(action: &str, named: &str) -> Self {
        let action = format!("states:{action}");
        let parts: Vec<&str> = named.splitn(8, ':').collect();
        let mut request = Self::new(&action, named);
        if parts.get(5) == Some(&"stateMachine") {
            request.resource = parts[..7].join(":");
            if let Some(qualifier) = parts.get(7) {
                let qualifier = Key::Many(vec![(*qualifier).to_owned()]);
                request
                    .context
                    .insert("states:StateMachineQualifier", qualifier);
            }
        }
        request
    }

    /// A role handed to a service (IAM user guide, id_roles_use_passrole).
    pub fn pass_role(role: &str, service: &str) -> Self {
        Self::new("iam:PassRole", role).with("iam:PassedToService", service)
    }
}

/// One action on one kind of resource, under its statement's condition.
#[derive(Debug, Clone)]
pub struct Grant {
    pub action: String,
    pub resource: String,
    pub condition: Value,
}

impl Grant {
    pub fn allows(&self, request: &Request) -> bool {
        let holds = |(operator, keys): (&String, &Value)| {
            let keys = keys.as_object().expect("a condition has keys");
            keys.iter()
                .all(|(key, wanted)| holds(operator, request.context.get(key.as_str()), wanted))
        };
        self.action == request.action
            && matches(&self.resource, &request.resource)
            && self
                .condition
                .as_object()
                .is_none_or(|operators| operators.iter().all(holds))
    }
}

/// A key that the request lacks fulfils no condition that is used here.
fn holds(operator: &str, found: Option<&Key>, wanted: &Value) -> bool {
    let wanted = many(wanted);
    let found = match (operator.strip_prefix("ForAnyValue:"), found) {
        (_, None) => return false,
        (Some(_), Some(Key::Many(values))) => values.clone(),
        (None, Some(Key::One(value))) => vec![value.clone()],
        (Some(_), Some(Key::One(_))) | (None, Some(Key::Many(_))) => return false,
    };
    let equal: fn(&str, &str) -> bool = match operator.rsplit(':').next() {
        Some("StringEquals") => |wanted, found| wanted == found,
        Some("ArnEquals") => matches,
        _ => panic!("the condition operator {operator} is not known here"),
    };
    found
        .iter()
        .any(|found| wanted.iter().any(|wanted| equal(wanted, found)))
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

pub fn many(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

/// What a role's statements say.
pub fn statements(template: &Template, role: &str) -> Vec<Value> {
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

pub fn grants(statements: &[Value]) -> Vec<Grant> {
    let mut grants = Vec::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in many(&statement["Action"]) {
            assert!(!action.contains('*'), "each action is named: {action}");
            for resource in many(&statement["Resource"]) {
                grants.push(Grant {
                    action: action.clone(),
                    resource,
                    condition: statement["Condition"].clone(),
                });
            }
        }
    }
    grants
}

/// Every role by the name that its holder's calls are recorded under.
pub fn roles(template: &Template) -> BTreeMap<String, Vec<Value>> {
    let mut roles = BTreeMap::new();
    for function in template
        .resources("AWS::Serverless::Function")
        .into_values()
    {
        let worker = text(&function["Handler"]).expect("a handler");
        let arn = text(&function["Role"]).expect("a function has a role");
        let role = arn.rsplit('/').next().unwrap_or_default();
        let known = roles.insert(worker, statements(template, role));
        assert!(known.is_none());
    }
    for (holder, role) in [
        (STATE_MACHINE, "RecoveryRole"),
        (RULES, "StartRecoveryRole"),
    ] {
        roles.insert(holder.to_owned(), statements(template, role));
    }
    roles
}

/// The requests that AWS makes of a recorded call.
pub fn requests(call: &CallRecord) -> Vec<Request> {
    let own = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
    let action = format!("{}:{}", call.service, call.action);
    let named: Vec<&str> = call
        .resource
        .iter()
        .flat_map(|named| named.split(','))
        .collect();
    let on = |resource: String| Request::new(&action, resource);
    match (call.service.as_str(), call.action.as_str()) {
        // A token is the permission.
        ("states", "SendTaskSuccess" | "SendTaskFailure" | "SendTaskHeartbeat")
        // Systems Manager lets no resource be named for what reads commands (Service Authorization Reference).
        | ("ssm", "GetCommandInvocation" | "ListCommandInvocations") => {
            vec![on("*".to_owned())]
        }
        ("states", action) => named.iter().map(|n| Request::states(action, n)).collect(),
        ("dynamodb", _) => vec![on(own("dynamodb", &format!("table/{}", named[0])))],
        ("ecs", operation) => {
            let resources = match operation {
                // Its record names the placement; who runs which definition is known.
                "RunTask" => {
                    let family = match role(&call.caller) == STATE_MACHINE {
                        true => HEALTH_CHECK,
                        false => TRAINING,
                    };
                    vec![own("ecs", &format!("task-definition/{family}:1"))]
                }
                // On a container instance where one is named, else on nothing of ours.
                "ListTasks" => vec!["*".to_owned()],
                "ListContainerInstances" => vec![own("ecs", &format!("cluster/{}", cluster()))],
                _ => {
                    let arns = named.iter().filter(|part| part.starts_with("arn:"));
                    arns.map(|arn| (*arn).to_owned()).collect()
                }
            };
            let cluster = own("ecs", &format!("cluster/{}", cluster()));
            let in_cluster = |resource| on(resource).with("ecs:cluster", cluster.clone());
            resources.into_iter().map(in_cluster).collect()
        }
        // Each node, and the document.
        ("ssm", "SendCommand") => {
            let named = named.iter().filter(|part| !part.starts_with("gpu-recovery-"));
            let documents = call.resource.iter().flat_map(|all| all.split(','));
            let documents = documents
                .filter(|part| part.starts_with("gpu-recovery-"))
                .map(|name| on(own("ssm", &format!("document/{name}"))));
            let node = |id: &&str| {
                on(match id.starts_with("mi-") {
                    true => own("ssm", &format!("managed-instance/{id}")),
                    false => own("ec2", &format!("instance/{id}")),
                })
                .with("ssm:resourceTag/gpu-recovery-cluster", cluster())
            };
            let documents: Vec<Request> = documents.collect();
            assert_eq!(documents.len(), 1, "{call:?}");
            named.map(node).chain(documents).collect()
        }
        ("ec2", _) => {
            let node = |id: &&str| {
                on(own("ec2", &format!("instance/{id}")))
                    .with("aws:ResourceTag/gpu-recovery-cluster", cluster())
            };
            named.iter().map(node).collect()
        }
        _ => {
            let arns = named.iter().filter(|part| part.starts_with("arn:"));
            arns.map(|arn| on((*arn).to_owned())).collect()
        }
    }
}

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery";

#[test]
fn calls_about_a_machine_are_judged_on_its_own_arn_and_those_about_an_execution_on_the_executions()
{
    let alias = Request::states("StartExecution", &format!("{MACHINE}:live"));
    assert_eq!(alias.resource, MACHINE);
    let qualifier = Key::Many(vec!["live".to_owned()]);
    assert_eq!(
        alias.context,
        BTreeMap::from([("states:StateMachineQualifier", qualifier)])
    );
    let plain = Request::states("StartExecution", MACHINE);
    assert_eq!((plain.resource.as_str(), plain.context.len()), (MACHINE, 0));
    let execution = format!("{}:a-name", MACHINE.replace("stateMachine", "execution"));
    for action in [
        "DescribeExecution",
        "GetExecutionHistory",
        "StopExecution",
        "RedriveExecution",
    ] {
        let request = Request::states(action, &execution);
        assert_eq!(
            (request.resource.as_str(), request.context.len()),
            (execution.as_str(), 0)
        );
    }
}

/// As the template had it once: no recovery would ever have started.
#[test]
fn a_grant_on_an_aliass_arn_starts_nothing() {
    let alias = format!("{MACHINE}:live");
    let start = Request::states("StartExecution", &alias);
    let grant = |resource: &str, condition: Value| {
        let statement = json!({ "Effect": "Allow", "Action": "states:StartExecution",
            "Resource": resource, "Condition": condition });
        grants(&[statement])[0].allows(&start)
    };
    assert!(!grant(&alias, Value::Null));
    assert!(grant(MACHINE, Value::Null));
    for (operator, qualifier, allows) in [
        ("ForAnyValue:StringEquals", "live", true),
        ("ForAnyValue:StringEquals", "next", false),
        ("StringEquals", "live", false),
    ] {
        let condition = json!({ operator: { "states:StateMachineQualifier": [qualifier] } });
        assert_eq!(grant(MACHINE, condition), allows, "{operator} {qualifier}");
    }
}
