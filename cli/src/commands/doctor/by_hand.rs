//! What this program has no SDK for: the one command of the AWS CLI that checks it, what is to be seen, and the mend.

use super::Finding;
use crate::account::Desk;

/// As the template names it unless its parameter Prefix says otherwise.
const PREFIX: &str = "gpu-recovery";

/// `machine` is the state machine's ARN, when there is one; `task` the health check's definition.
pub async fn checks(desk: &Desk, machine: Option<&str>, task: &str) -> Vec<Finding> {
    let cluster = &desk.context.settings.cluster;
    let mut found = vec![
        Finding::by_hand(
            "the rules are there and enabled",
            format!(
                "aws events list-rules --name-prefix {PREFIX}- --query 'Rules[].[Name,State]' --output table"
            ),
            "it shows task-stopped, instance-changed, command-ended and execution-failed as ENABLED; if one is missing, \
             deploy infra/; if one is DISABLED: aws events enable-rule --name NAME",
        ),
        Finding::by_hand(
            "Systems Manager reaches the instances, and they carry the tag that the roles ask for",
            format!(
                "aws ssm describe-instance-information --filters Key=tag:gpu-recovery-cluster,Values={cluster} --query \
                 'InstanceInformationList[].[InstanceId,PingStatus]' --output table"
            ),
            format!(
                "it shows every instance as Online; one that is missing needs the tag gpu-recovery-cluster={cluster}, a \
                 running SSM agent and, on EC2, the policy AmazonSSMManagedInstanceCore in its role"
            ),
        ),
    ];
    let Some(machine) = machine else {
        return found;
    };
    let parts: Vec<&str> = machine.split(':').collect();
    let [_, partition, _, region, account, ..] = parts.as_slice() else {
        return found;
    };
    found.push(Finding::by_hand(
        "a rule starts the machine",
        format!("aws events list-rule-names-by-target --target-arn {machine}:live"),
        format!(
            "it shows {PREFIX}-task-stopped; if it shows nothing, deploy infra/ (or, with rules of your own, ask for their \
             target)"
        ),
    ));
    found.push(Finding::by_hand(
        "the functions have the settings that you think",
        format!(
            "aws lambda get-function-configuration --function-name {PREFIX}-claim-job --qualifier live --query \
             Environment.Variables"
        ),
        "README.md lists what each means; another value is a parameter of infra/template.yaml",
    ));
    let role = desk
        .sfn
        .describe_state_machine()
        .state_machine_arn(machine)
        .send()
        .await
        .map_or_else(|_| "ROLE_ARN".to_owned(), |described| described.role_arn);
    let family = task.split(':').next().unwrap_or(task);
    let here =
        |service: &str, name: &str| format!("arn:{partition}:{service}:{region}:{account}:{name}");
    let simulate = |action: &str, resource: String, key: &str, value: &str| {
        format!(
            "aws iam simulate-principal-policy --policy-source-arn {role} --action-names {action} --resource-arns \
             '{resource}' --context-entries ContextKeyName={key},ContextKeyType=string,ContextKeyValues={value} --query \
             'EvaluationResults[].[EvalActionName,EvalDecision]' --output table"
        )
    };
    let allowed = |statement: &str| {
        format!(
            "it shows allowed; if not, deploy infra/, or give the role the statement {statement} of infra/template.yaml"
        )
    };
    found.push(Finding::by_hand(
        "the machine's role may run the health check",
        simulate(
            "ecs:RunTask",
            here("ecs", &format!("task-definition/{family}:1")),
            "ecs:cluster",
            &here("ecs", &format!("cluster/{cluster}")),
        ),
        allowed("RunHealthCheck"),
    ));
    found.push(Finding::by_hand(
        "the machine's role may reboot the cluster's instances",
        simulate(
            "ssm:SendCommand",
            here("ec2", "instance/i-0123456789abcdef0"),
            "ssm:resourceTag/gpu-recovery-cluster",
            cluster,
        ),
        allowed("RebootNodes"),
    ));
    found
}
