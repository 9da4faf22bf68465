"""What boto3 is let do: for each operation that the sandbox offers, calls that it answers, and calls that it refuses with
the error that the client must know as its own."""

JOBS = "hybrid-gpu-training-job"
INSTANCES = "ecs_container_instance"
TOPIC = "arn:aws:sns:us-east-1:123456789012:gpu-recovery"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery"
NO_EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:none"
NO_TASK = "arn:aws:ecs:us-east-1:123456789012:task/gpu-training/0123456789abcdef0123456789abcdef"
CLUSTER = "gpu-training"
PROBE = "gpu-recovery-probe"
# Nodes 4 and 5 have no task; node 0 is the job's.
FREE, ALSO_FREE, BUSY = (f"i-0f3a9c5d7e{nth:07x}" for nth in (4, 5, 0))

# boto3's name of a service that IAM calls otherwise.
CLIENTS = {"states": "stepfunctions"}


def text(value):
    return {"S": value}


def key(job, record):
    return {"job_id": text(job), "record": text(record)}


class World:
    """What is known of the account, for calls that need it."""

    def __init__(self, client, execution, passes):
        ecs = client("ecs")
        arns = ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        described = ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)
        self.arns = {i["ec2InstanceId"]: i["containerInstanceArn"] for i in described["containerInstances"]}
        self.execution = execution
        # Lets so many virtual seconds pass.
        self.passes = passes
        # The latest of each operation.
        self.answers = {}

    def started(self):
        """A task of the judge's own."""
        return self.answers["StartTask"]["tasks"][0]["taskArn"]


def answered(w):
    """(service, operation, request): each is answered."""
    item = {**key("judged", "job"), "nodes": {"N": "1"}, "status": text("COMPLETE"), "blob": {"B": b"\x00\xff"}}
    yield "dynamodb", "PutItem", {"TableName": JOBS, "Item": item, "ReturnConsumedCapacity": "TOTAL"}
    yield "dynamodb", "GetItem", {"TableName": JOBS, "Key": key("llama-7b", "job"), "ConsistentRead": True}
    yield "dynamodb", "GetItem", {"TableName": JOBS, "Key": key("none", "job")}
    yield "dynamodb", "UpdateItem", {
        "TableName": JOBS,
        "Key": key("judged", "job"),
        "UpdateExpression": "SET nodes = nodes + :one, tags = :tags",
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":tags": {"SS": ["a", "b"]}},
        "ReturnValues": "ALL_NEW",
    }
    yield "dynamodb", "Query", {
        "TableName": JOBS,
        "KeyConditionExpression": "job_id = :job",
        "ExpressionAttributeValues": {":job": text("llama-7b")},
        "Limit": 2,
    }
    yield "dynamodb", "Query", {
        "TableName": JOBS,
        "IndexName": "running-index",
        "KeyConditionExpression": "running = :yes",
        "ExpressionAttributeValues": {":yes": text("yes")},
    }
    yield "dynamodb", "Scan", {"TableName": INSTANCES, "Limit": 3}
    yield "dynamodb", "BatchGetItem", {"RequestItems": {JOBS: {"Keys": [key("llama-7b", "job")]}}}
    yield "dynamodb", "BatchWriteItem", {
        "RequestItems": {JOBS: [{"PutRequest": {"Item": key("judged", "rank")}}]}
    }
    yield "dynamodb", "TransactWriteItems", {
        "TransactItems": [{"Put": {"TableName": JOBS, "Item": key("judged", "other")}}]
    }
    yield "dynamodb", "TransactGetItems", {
        "TransactItems": [{"Get": {"TableName": JOBS, "Key": key("judged", "other")}}]
    }
    yield "dynamodb", "DeleteItem", {
        "TableName": JOBS, "Key": key("judged", "job"), "ReturnValues": "ALL_OLD",
    }
    yield "dynamodb", "DescribeTable", {"TableName": JOBS}
    yield "dynamodb", "CreateTable", {
        "TableName": "judged",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    yield "dynamodb", "UpdateTimeToLive", {
        "TableName": "judged", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ends"},
    }

    yield "ecs", "DescribeClusters", {"clusters": [CLUSTER, "none"]}
    yield "ecs", "DescribeCapacityProviders", {}
    yield "ecs", "ListContainerInstances", {"cluster": CLUSTER, "maxResults": 2}
    yield "ecs", "ListContainerInstances", {"cluster": CLUSTER, "filter": f"ec2InstanceId == '{FREE}'"}
    yield "ecs", "DescribeContainerInstances", {
        "cluster": CLUSTER, "containerInstances": [*w.arns.values(), "none"],
    }
    yield "ecs", "ListAttributes", {"cluster": CLUSTER, "targetType": "container-instance", "maxResults": 3}
    yield "ecs", "ListAttributes", {
        "cluster": CLUSTER, "targetType": "container-instance", "attributeName": "ecs.instance-type",
    }
    mark = {"name": "gpu-recovery.spare", "targetType": "container-instance", "targetId": w.arns[ALSO_FREE]}
    yield "ecs", "PutAttributes", {"cluster": CLUSTER, "attributes": [{**mark, "value": "judged"}]}
    yield "ecs", "ListContainerInstances", {"cluster": CLUSTER, "filter": "attribute:gpu-recovery.spare == 'judged'"}
    yield "ecs", "DeleteAttributes", {"cluster": CLUSTER, "attributes": [mark]}
    yield "ecs", "ListTasks", {"cluster": CLUSTER, "maxResults": 2}
    yield "ecs", "ListTasks", {"cluster": CLUSTER, "family": "train", "desiredStatus": "RUNNING"}
    yield "ecs", "DescribeTaskDefinition", {"taskDefinition": "train"}
    yield "ecs", "RegisterTaskDefinition", {
        "family": "judged",
        "networkMode": "host",
        "containerDefinitions": [
            {
                "name": "judged",
                "image": "registry.example.com/judged",
                "cpu": 10,
                "memory": 128,
                "environment": [{"name": "A", "value": "b"}],
                "resourceRequirements": [{"type": "GPU", "value": "1"}],
            }
        ],
    }
    yield "ecs", "RunTask", {
        "cluster": CLUSTER,
        "taskDefinition": "judged",
        "launchType": "EC2",
        "placementConstraints": [{"type": "memberOf", "expression": f"ec2InstanceId == '{FREE}'"}],
        "overrides": {"containerOverrides": [{"name": "judged", "environment": [{"name": "RANK", "value": "0"}]}]},
        "tags": [{"key": "team", "value": "judges"}],
        "startedBy": "judge",
        "clientToken": "judged-once",
    }
    yield "ecs", "RunTask", {
        "cluster": CLUSTER,
        "taskDefinition": "dcgm-health-check",
        "placementConstraints": [{"type": "memberOf", "expression": f"ec2InstanceId == '{BUSY}'"}],
    }
    yield "ecs", "StartTask", {
        "cluster": CLUSTER, "taskDefinition": "judged", "containerInstances": [w.arns[ALSO_FREE]],
    }
    yield "ecs", "DescribeTasks", {"cluster": CLUSTER, "tasks": [w.started(), NO_TASK], "include": ["TAGS"]}
    yield "ecs", "StopTask", {"cluster": CLUSTER, "task": w.started(), "reason": "judged"}
    yield "ecs", "UpdateContainerInstancesState", {
        "cluster": CLUSTER, "containerInstances": [w.arns[ALSO_FREE]], "status": "DRAINING",
    }

    yield "states", "ListStateMachines", {}
    yield "states", "DescribeStateMachine", {"stateMachineArn": MACHINE}
    yield "states", "ListStateMachineAliases", {"stateMachineArn": MACHINE}
    yield "states", "DescribeStateMachineAlias", {"stateMachineAliasArn": f"{MACHINE}:live"}
    yield "states", "ListExecutions", {"stateMachineArn": MACHINE, "maxResults": 1}
    yield "states", "ListExecutions", {"stateMachineArn": MACHINE, "statusFilter": "FAILED"}
    yield "states", "DescribeExecution", {"executionArn": w.execution}
    yield "states", "DescribeStateMachineForExecution", {"executionArn": w.execution}
    yield "states", "GetExecutionHistory", {"executionArn": w.execution, "maxResults": 1000}
    yield "states", "GetExecutionHistory", {"executionArn": w.execution, "maxResults": 5, "reverseOrder": True}
    yield "states", "StopExecution", {"executionArn": w.execution, "error": "Judged", "cause": "by a judge"}
    yield "states", "RedriveExecution", {"executionArn": w.execution}
    yield "states", "StartExecution", {"stateMachineArn": f"{MACHINE}:live", "name": "judged", "input": "{}"}

    yield "ssm", "DescribeInstanceInformation", {"MaxResults": 5}
    yield "ssm", "DescribeInstanceInformation", {
        "Filters": [{"Key": "tag:gpu-recovery-cluster", "Values": [CLUSTER]}],
    }
    yield "ssm", "SendCommand", {
        "DocumentName": PROBE,
        "InstanceIds": [ALSO_FREE],
        "Parameters": {"AttemptSeconds": ["600"]},
        "Comment": "judged",
    }
    command = w.answers["SendCommand"]["Command"]["CommandId"]
    # Its invocation is not shown at once.
    w.passes(10)
    yield "ssm", "GetCommandInvocation", {"CommandId": command, "InstanceId": ALSO_FREE}
    yield "ssm", "ListCommandInvocations", {"CommandId": command, "Details": True, "MaxResults": 1}
    yield "sns", "ListSubscriptionsByTopic", {"TopicArn": TOPIC}
    yield "sns", "Subscribe", {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "you@example.com"}
    yield "sns", "Publish", {
        "TopicArn": TOPIC,
        "Subject": "a test",
        "Message": "<it> & works\nin two lines",
        "MessageAttributes": {"severity": {"DataType": "String", "StringValue": "info"}},
    }
    yield "ec2", "RebootInstances", {"InstanceIds": [FREE]}
    yield "events", "ListRules", {"NamePrefix": "gpu-recovery-", "Limit": 2}
    yield "events", "DescribeRule", {"Name": "gpu-recovery-task-stopped"}
    yield "events", "ListTargetsByRule", {"Rule": "gpu-recovery-task-stopped"}
    yield "events", "ListRuleNamesByTarget", {"TargetArn": f"{MACHINE}:live"}
    yield "events", "PutEvents", {
        "Entries": [
            {"Source": "judge", "DetailType": "Judged", "Detail": "{}"},
            {"Source": "aws.ecs", "DetailType": "Forged", "Detail": "{}"},
        ]
    }
    yield "lambda", "ListFunctions", {"MaxItems": 3}
    yield "lambda", "GetFunction", {"FunctionName": "gpu-recovery-claim-job"}
    yield "lambda", "GetFunctionConfiguration", {"FunctionName": "gpu-recovery-claim-job", "Qualifier": "live"}
    yield "lambda", "GetFunctionConfiguration", {
        "FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:gpu-recovery-claim-job:live",
    }
    group = "/aws/lambda/gpu-recovery-claim-job"
    yield "logs", "DescribeLogGroups", {"logGroupNamePrefix": "/aws/lambda/gpu-recovery", "limit": 3}
    yield "logs", "DescribeLogStreams", {"logGroupName": group}
    yield "logs", "FilterLogEvents", {"logGroupName": group, "filterPattern": "Claimed", "limit": 5}
    yield "logs", "GetLogEvents", {"logGroupName": group, "logStreamName": "sandbox", "startFromHead": True}
    yield "cloudformation", "DescribeStacks", {"StackName": "gpu-recovery"}
    yield "sts", "GetCallerIdentity", {}


def refused(w):
    """(service, operation, request, error): each is refused with this error of the client's model; where the service's
    model names no errors, with this code."""
    yield "dynamodb", "GetItem", {"TableName": "none", "Key": key("a", "b")}, "ResourceNotFoundException"
    yield "dynamodb", "PutItem", {
        "TableName": JOBS, "Item": key("llama-7b", "job"), "ConditionExpression": "attribute_not_exists(job_id)",
    }, "ConditionalCheckFailedException"
    yield "dynamodb", "TransactWriteItems", {
        "TransactItems": [
            {
                "ConditionCheck": {
                    "TableName": JOBS,
                    "Key": key("none", "job"),
                    "ConditionExpression": "attribute_exists(job_id)",
                }
            }
        ]
    }, "TransactionCanceledException"
    yield "dynamodb", "GetItem", {"TableName": JOBS, "Key": {"job_id": text("a")}}, "=ValidationException"
    yield "ecs", "ListTasks", {"cluster": "none"}, "ClusterNotFoundException"
    yield "ecs", "DescribeTasks", {"cluster": CLUSTER, "tasks": []}, "InvalidParameterException"
    yield "ecs", "DescribeTaskDefinition", {"taskDefinition": "none"}, "ClientException"
    yield "ecs", "ListAttributes", {"cluster": "none", "targetType": "container-instance"}, "ClusterNotFoundException"
    lost = {"name": "a", "targetId": f"arn:aws:ecs:us-east-1:123456789012:container-instance/{CLUSTER}/none"}
    yield "ecs", "PutAttributes", {"cluster": CLUSTER, "attributes": [lost]}, "TargetNotFoundException"
    yield "ecs", "DeleteAttributes", {"cluster": CLUSTER, "attributes": [lost]}, "TargetNotFoundException"
    yield "states", "DescribeExecution", {"executionArn": NO_EXECUTION}, "ExecutionDoesNotExist"
    yield "states", "DescribeExecution", {"executionArn": "none"}, "InvalidArn"
    yield "states", "StartExecution", {"stateMachineArn": f"{MACHINE}-none", "input": "{}"}, "StateMachineDoesNotExist"
    yield "states", "StartExecution", {"stateMachineArn": MACHINE, "input": "{"}, "InvalidExecutionInput"
    yield "states", "ListExecutions", {"stateMachineArn": MACHINE, "nextToken": "none"}, "InvalidToken"
    for operation, request in (
        ("SendTaskSuccess", {"output": "{}"}), ("SendTaskFailure", {}), ("SendTaskHeartbeat", {}),
    ):
        yield "states", operation, {"taskToken": "none", **request}, "InvalidToken"
    yield "ssm", "SendCommand", {
        "DocumentName": PROBE, "InstanceIds": ["i-0123456789abcdef0"], "Parameters": {"AttemptSeconds": ["600"]},
    }, "InvalidInstanceId"
    yield "ssm", "SendCommand", {"DocumentName": "None", "InstanceIds": [FREE]}, "InvalidDocument"
    yield "ssm", "SendCommand", {
        "DocumentName": PROBE, "InstanceIds": [FREE], "Parameters": {"AttemptSeconds": ["1; reboot"]},
    }, "InvalidParameters"
    yield "ssm", "ListCommandInvocations", {"CommandId": "01234567-89ab-cdef-0123-456789abcdef"}, "InvalidCommandId"
    yield "ssm", "GetCommandInvocation", {
        "CommandId": "01234567-89ab-cdef-0123-456789abcdef", "InstanceId": FREE,
    }, "InvocationDoesNotExist"
    yield "ssm", "DescribeInstanceInformation", {"Filters": [{"Key": "none", "Values": ["x"]}]}, "InvalidFilterKey"
    yield "ssm", "DescribeInstanceInformation", {"NextToken": "none"}, "InvalidNextToken"
    yield "sns", "Publish", {"TopicArn": f"{TOPIC}-none", "Message": "m"}, "NotFoundException"
    yield "sns", "Publish", {"TopicArn": TOPIC, "Message": "m", "Subject": "x" * 101}, "InvalidParameterException"
    yield "sns", "Subscribe", {"TopicArn": TOPIC, "Protocol": "pigeon"}, "InvalidParameterException"
    yield "ec2", "RebootInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "=InvalidInstanceID.NotFound"
    yield "events", "DescribeRule", {"Name": "none"}, "ResourceNotFoundException"
    yield "lambda", "GetFunction", {"FunctionName": "none"}, "ResourceNotFoundException"
    yield "logs", "FilterLogEvents", {"logGroupName": "none"}, "ResourceNotFoundException"
    yield "logs", "GetLogEvents", {
        "logGroupName": "/aws/lambda/gpu-recovery-claim-job", "logStreamName": "none",
    }, "ResourceNotFoundException"
    yield "cloudformation", "DescribeStacks", {"StackName": "none"}, "=ValidationError"


# An operation of each service that the sandbox does not offer, and the code of its refusal.
UNKNOWN = {
    ("dynamodb", "ListTables"): "UnknownOperationException",
    ("ecs", "ListClusters"): "UnknownOperationException",
    ("states", "ListActivities"): "UnknownOperationException",
    ("ssm", "ListDocuments"): "UnknownOperationException",
    ("sns", "ListTopics"): "InvalidAction",
    ("ec2", "DescribeInstances"): "InvalidAction",
    ("events", "ListEventBuses"): "UnknownOperationException",
    ("lambda", "ListLayers"): "UnknownOperationException",
    ("logs", "DescribeDestinations"): "UnknownOperationException",
    ("cloudformation", "ListStacks"): "InvalidAction",
    ("sts", "GetSessionToken"): "InvalidAction",
}
