//! What this program has no SDK for: the one command of the AWS CLI that checks it, what is to be seen, and the fix.

use super::Finding;
use crate::account::Desk;

/// As the template names it unless its parameter Prefix says otherwise.
const PREFIX: &str = "gpu-recovery";

/// As the template names the alias that its rules start.
const ALIAS: &str = "live";

/// `machine` is the state machine's ARN, when there is one; `task` the health check's definition.
pub async fn checks(desk: &Desk, machine: Option<&str>, task: &str) -> Vec<Finding> {
    let cluster = &desk.context.settings.cluster;
    let mut found = vec![rules(), nodes(cluster), group(cluster)];
    let Some(machine) = machine else {
        return found;
    };
    let parts: Vec<&str> = machine.split(':').collect();
    let [_, partition, _, region, account, ..] = parts.as_slice() else {
        return found;
    };
    let here =
        |service: &str, name: &str| format!("arn:{partition}:{service}:{region}:{account}:{name}");
    found.push(target(machine));
    found.push(Finding::by_hand(
        "the functions have the settings that you think",
        format!(
            "aws lambda get-function-configuration --function-name {PREFIX}-claim-job --qualifier {ALIAS} --query \
             Environment.Variables"
        ),
        "docs/settings.md says what each means; another value is a parameter of infra/template.yaml",
    ));
    found.push(start(machine));
    let role = desk
        .sfn
        .describe_state_machine()
        .state_machine_arn(machine)
        .send()
        .await
        .map_or_else(|_| "ROLE_ARN".to_owned(), |described| described.role_arn);
    let family = task.split(':').next().unwrap_or(task);
    let allowed = |statement: &str| {
        format!(
            "it shows allowed; if not, deploy infra/, or give the role the statement {statement} of infra/template.yaml"
        )
    };
    found.push(Finding::by_hand(
        "the machine's role may run the health check",
        simulate(
            &role,
            "ecs:RunTask",
            &here("ecs", &format!("task-definition/{family}:1")),
            ("ecs:cluster", "string"),
            &here("ecs", &format!("cluster/{cluster}")),
        ),
        allowed("RunHealthCheck"),
    ));
    found.push(Finding::by_hand(
        "the machine's role may reboot the cluster's instances",
        simulate(
            &role,
            "ssm:SendCommand",
            &here("ec2", "instance/i-0123456789abcdef0"),
            ("ssm:resourceTag/gpu-recovery-cluster", "string"),
            cluster,
        ),
        allowed("TaggedNodes"),
    ));
    found.push(documents());
    found.push(Finding::by_hand(
        "the machine's role may send the stack's two documents, and no other",
        format!(
            "aws iam simulate-principal-policy --policy-source-arn {role} --action-names ssm:SendCommand --resource-arns {} \
             {} arn:{partition}:ssm:{region}::document/AWS-RunShellScript --query \
             'EvaluationResults[].[EvalResourceName,EvalDecision]' --output text",
            here("ssm", &format!("document/{PREFIX}-probe")),
            here("ssm", &format!("document/{PREFIX}-reboot")),
        ),
        "it shows allowed, allowed and implicitDeny; if not, deploy infra/, or give the role the statement ProbeAndReboot of \
         infra/template.yaml",
    ));
    found
}

fn rules() -> Finding {
    Finding::by_hand(
        "the rules are there and enabled",
        format!(
            "aws events list-rules --name-prefix {PREFIX}- --query 'Rules[].[Name,State]' --output table"
        ),
        "it shows task-stopped, instance-changed, command-ended, execution-failed and look-for-lost-stops as ENABLED; if \
         one is missing, deploy infra/; if one is DISABLED: aws events enable-rule --name NAME",
    )
}

fn nodes(cluster: &str) -> Finding {
    Finding::by_hand(
        "Systems Manager reaches the instances, and they carry the tag that the roles ask for",
        format!(
            "aws ssm describe-instance-information --filters Key=tag:gpu-recovery-cluster,Values={cluster} --query \
             'InstanceInformationList[].[InstanceId,PingStatus,AgentVersion,IsLatestVersion]' --output table"
        ),
        format!(
            "it shows every instance as Online; one that is missing needs the tag gpu-recovery-cluster={cluster}, a \
             running SSM agent and, on EC2, the policy AmazonSSMManagedInstanceCore in its role"
        ),
    )
}

fn documents() -> Finding {
    Finding::by_hand(
        "the two documents that run on the nodes are there",
        format!(
            "aws ssm list-documents --filters Key=Owner,Values=Self Key=Name,Values={PREFIX}-probe,{PREFIX}-reboot --query \
             'DocumentIdentifiers[].[Name,DocumentType,TargetType]' --output text"
        ),
        "it shows both, Command and /; if not, deploy infra/",
    )
}

/// An Auto Scaling group replaces an instance that fails a status check, as one may that reboots, unless two of its
/// processes are suspended (Amazon EC2 Auto Scaling user guide, suspend-resume-considerations).
fn group(cluster: &str) -> Finding {
    Finding::by_hand(
        "no Auto Scaling group replaces an instance that we reboot",
        format!(
            "aws autoscaling describe-auto-scaling-groups --filters Name=tag:gpu-recovery-cluster,Values={cluster} --query \
             'AutoScalingGroups[].[AutoScalingGroupName,MinSize,DesiredCapacity,MaxSize,SuspendedProcesses[].ProcessName]' \
             --output json"
        ),
        "it shows each group with three equal numbers, HealthCheck and ReplaceUnhealthy; if not: aws autoscaling \
         suspend-processes --auto-scaling-group-name NAME --scaling-processes HealthCheck ReplaceUnhealthy AZRebalance, and \
         give the group a fixed size",
    )
}

fn target(machine: &str) -> Finding {
    Finding::by_hand(
        "a rule starts the machine",
        format!("aws events list-rule-names-by-target --target-arn {machine}:{ALIAS}"),
        format!(
            "it shows {PREFIX}-task-stopped; if it shows nothing, deploy infra/ (or, with rules of your own, ask for their \
             target)"
        ),
    )
}

/// The start of an alias is authorized on the machine's own ARN with the alias in a condition key of many values
/// (Step Functions developer guide, auth-version-alias; service authorization reference): a role that names the
/// alias's ARN can start nothing, and every event ends in the dead letters.
fn start(machine: &str) -> Finding {
    let role = format!(
        "\"$(aws events list-targets-by-rule --rule {PREFIX}-task-stopped --query 'Targets[0].RoleArn' --output text)\""
    );
    Finding::by_hand(
        "the rule's role may start the alias (the execution above was started by you, not by it)",
        simulate(
            &role,
            "states:StartExecution",
            machine,
            ("states:StateMachineQualifier", "stringList"),
            ALIAS,
        ),
        "it shows states:StartExecution allowed; implicitDeny means that no recovery would ever start: deploy infra/, or \
         give the role the statement Start of infra/template.yaml",
    )
}

/// IAM's own judgement of one call; the key is given with its type.
fn simulate(role: &str, action: &str, resource: &str, key: (&str, &str), value: &str) -> String {
    let (key, kind) = key;
    format!(
        "aws iam simulate-principal-policy --policy-source-arn {role} --action-names {action} --resource-arns \
         '{resource}' --context-entries ContextKeyName={key},ContextKeyType={kind},ContextKeyValues={value} --query \
         'EvaluationResults[].[EvalActionName,EvalDecision]' --output table"
    )
}
