//! What the endpoint answers: each service, its protocol and its operations.

/// How a service is spoken to (<https://smithy.io/2.0/aws/protocols/index.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.0 or 1.1, by the `X-Amz-Target` header that begins like this.
    Json(&'static str),
    /// awsQuery with this `Version`, answered in this namespace.
    Query(&'static str, &'static str),
    /// ec2Query, the same.
    Ec2(&'static str, &'static str),
    /// restJson1, by method and path.
    Rest,
}

/// A service of AWS.
#[derive(Debug)]
pub struct Service {
    /// As in IAM actions.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    pub protocol: Protocol,
    pub operations: &'static [&'static str],
}

/// All of them.
pub const SERVICES: [Service; 11] = [
    Service {
        name: "dynamodb",
        title: "DynamoDB",
        protocol: Protocol::Json("DynamoDB_20120810"),
        operations: &[
            "BatchGetItem",
            "BatchWriteItem",
            "CreateTable",
            "DeleteItem",
            "DescribeTable",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateItem",
            "UpdateTimeToLive",
        ],
    },
    Service {
        name: "ecs",
        title: "ECS",
        protocol: Protocol::Json("AmazonEC2ContainerServiceV20141113"),
        operations: &[
            "DeleteAttributes",
            "DescribeCapacityProviders",
            "DescribeClusters",
            "DescribeContainerInstances",
            "DescribeTaskDefinition",
            "DescribeTasks",
            "ListAttributes",
            "ListContainerInstances",
            "ListTasks",
            "PutAttributes",
            "RegisterTaskDefinition",
            "RunTask",
            "StartTask",
            "StopTask",
            "UpdateContainerInstancesState",
        ],
    },
    Service {
        name: "states",
        title: "Step Functions",
        protocol: Protocol::Json("AWSStepFunctions"),
        operations: &[
            "DescribeExecution",
            "DescribeStateMachine",
            "DescribeStateMachineAlias",
            "DescribeStateMachineForExecution",
            "GetExecutionHistory",
            "ListExecutions",
            "ListStateMachineAliases",
            "ListStateMachines",
            "RedriveExecution",
            "SendTaskFailure",
            "SendTaskHeartbeat",
            "SendTaskSuccess",
            "StartExecution",
            "StopExecution",
        ],
    },
    Service {
        name: "ssm",
        title: "Systems Manager",
        protocol: Protocol::Json("AmazonSSM"),
        operations: &[
            "DescribeInstanceInformation",
            "GetCommandInvocation",
            "ListCommandInvocations",
            "SendCommand",
        ],
    },
    Service {
        name: "events",
        title: "EventBridge",
        protocol: Protocol::Json("AWSEvents"),
        operations: &[
            "DescribeRule",
            "ListRuleNamesByTarget",
            "ListRules",
            "ListTargetsByRule",
            "PutEvents",
        ],
    },
    Service {
        name: "logs",
        title: "CloudWatch Logs",
        protocol: Protocol::Json("Logs_20140328"),
        operations: &[
            "DescribeLogGroups",
            "DescribeLogStreams",
            "FilterLogEvents",
            "GetLogEvents",
        ],
    },
    Service {
        name: "sns",
        title: "SNS",
        protocol: Protocol::Query("2010-03-31", "http://sns.amazonaws.com/doc/2010-03-31/"),
        operations: &["ListSubscriptionsByTopic", "Publish", "Subscribe"],
    },
    Service {
        name: "cloudformation",
        title: "CloudFormation",
        protocol: Protocol::Query(
            "2010-05-15",
            "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        ),
        operations: &["DescribeStacks"],
    },
    Service {
        name: "sts",
        title: "STS",
        protocol: Protocol::Query("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
        operations: &["GetCallerIdentity"],
    },
    Service {
        name: "ec2",
        title: "EC2",
        protocol: Protocol::Ec2("2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/"),
        operations: &["RebootInstances"],
    },
    Service {
        name: "lambda",
        title: "Lambda",
        protocol: Protocol::Rest,
        operations: &["GetFunction", "GetFunctionConfiguration", "ListFunctions"],
    },
];

/// Operations that change nothing. All others are written down, and done again when a sandbox is taken up.
pub fn reads(operation: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "BatchGet",
        "Describe",
        "Filter",
        "Get",
        "List",
        "Query",
        "Scan",
        "TransactGet",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| operation.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_no_read() {
        let all = SERVICES.iter().flat_map(|service| service.operations);
        let writes: Vec<&str> = all.copied().filter(|operation| !reads(operation)).collect();
        assert_eq!(
            writes,
            [
                "BatchWriteItem",
                "CreateTable",
                "DeleteItem",
                "PutItem",
                "TransactWriteItems",
                "UpdateItem",
                "UpdateTimeToLive",
                "DeleteAttributes",
                "PutAttributes",
                "RegisterTaskDefinition",
                "RunTask",
                "StartTask",
                "StopTask",
                "UpdateContainerInstancesState",
                "RedriveExecution",
                "SendTaskFailure",
                "SendTaskHeartbeat",
                "SendTaskSuccess",
                "StartExecution",
                "StopExecution",
                "SendCommand",
                "PutEvents",
                "Publish",
                "Subscribe",
                "RebootInstances",
            ]
        );
    }
}
