"""What AWS asks of a role beside the calls that its holder makes, and what it asks of other services' principals, read from
the template's own properties. Each with the page that says so."""

from authorize import Authorization, pass_role, start_execution

LOG_DELIVERY = (
    "CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries PutResourcePolicy "
    "DescribeResourcePolicies DescribeLogGroups"
)


def of_functions(stack, prefix):
    """A function's own needs: its log, its traces, and where its failed events go (Lambda developer guide)."""
    destinations = {
        config["FunctionName"]: config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        for config in stack.resources("AWS::Lambda::EventInvokeConfig").values()
    }
    for function in stack.resources("AWS::Lambda::Function").values():
        name = function["FunctionName"]
        who = name.removeprefix(f"{prefix}-")
        group = function.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
        log = stack.arn("logs", f"log-group:{group}")
        page = "monitoring-cloudwatchlogs"
        yield Authorization(who, "logs:CreateLogStream", f"{log}:log-stream:2026/01/05/1/a", {}, page)
        yield Authorization(who, "logs:PutLogEvents", f"{log}:log-stream:2026/01/05/1/a", {}, page)
        if function.get("TracingConfig", {}).get("Mode") == "Active":
            for action in ("PutTraceSegments", "PutTelemetryRecords"):
                yield Authorization(who, f"xray:{action}", "*", {}, "services-xray")
        if destinations.get(name):
            yield Authorization(who, "sqs:SendMessage", destinations[name], {}, "invocation-async-retain-records")


def of_state_machine(stack, who, definition, task_roles):
    """Beside what its states call (Step Functions developer guide)."""
    _, machine = stack.one("AWS::StepFunctions::StateMachine")
    if machine.get("LoggingConfiguration"):
        for action in LOG_DELIVERY.split():
            yield Authorization(who, f"logs:{action}", "*", {}, "cw-logs")
    if machine.get("TracingConfiguration", {}).get("Enabled"):
        for action in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"):
            yield Authorization(who, f"xray:{action}", "*", {}, "xray-iam")
    if "ecs:runTask.sync" in definition:
        rule = stack.arn("events", "rule/StepFunctionsGetEventsForECSTaskRule")
        for action in ("PutTargets", "PutRule", "DescribeRule"):
            yield Authorization(who, f"events:{action}", rule, {}, "connect-ecs")
        cluster = stack.parameters["EcsClusterName"]
        task = stack.arn("ecs", f"task/{cluster}/0123456789abcdef0123456789abcdef")
        context = {"ecs:cluster": stack.arn("ecs", f"cluster/{cluster}")}
        for action in ("StopTask", "DescribeTasks"):
            yield Authorization(who, f"ecs:{action}", task, context, "connect-ecs")
        # The health check may be a task definition of the user's own, whose roles are a parameter.
        for role in task_roles:
            yield Authorization(who, *pass_role(role), "connect-ecs")


def of_rules(stack):
    """What EventBridge needs to reach a rule's targets (EventBridge user guide, eb-use-identity-based, eb-use-resource-based):
    by the target's role, or by the target's own policy."""
    for rule in stack.resources("AWS::Events::Rule").values():
        source = {"aws:SourceArn": stack.arn("events", f"rule/{rule['Name']}"), "aws:SourceAccount": "123456789012"}
        for target in rule["Targets"]:
            if "RoleArn" in target:
                yield Authorization(role_name(target["RoleArn"]), *start_execution(target["Arn"]), "auth-version-alias")
            elif ":lambda:" in target["Arn"]:
                yield Authorization(
                    "events.amazonaws.com", "lambda:InvokeFunction", target["Arn"], source, "eb-use-resource-based"
                )
            if "DeadLetterConfig" in target:
                yield Authorization(
                    "events.amazonaws.com", "sqs:SendMessage", target["DeadLetterConfig"]["Arn"], source, "eb-rule-dlq"
                )


def of_tasks(stack):
    """A task's execution role sends its log (ECS developer guide, task_execution_IAM_role)."""
    for task in stack.resources("AWS::ECS::TaskDefinition").values():
        for container in task["ContainerDefinitions"]:
            log = container.get("LogConfiguration", {})
            if "ExecutionRoleArn" in task and log.get("LogDriver") == "awslogs":
                group = stack.arn("logs", f"log-group:{log['Options']['awslogs-group']}")
                for action in ("CreateLogStream", "PutLogEvents"):
                    yield Authorization(
                        role_name(task["ExecutionRoleArn"]),
                        f"logs:{action}",
                        f"{group}:log-stream:a",
                        {},
                        "task_execution_IAM_role",
                    )


def role_name(arn):
    """What a role without a caller in the recording is called here."""
    return f"role {arn.rsplit('/', 1)[-1]}"


def of_trust(stack):
    """Each role is assumed by the service that works with it. Step Functions and EventBridge say for which account
    (developer guide, procedure-create-iam-role; EventBridge user guide, cross-service-confused-deputy-prevention)."""
    account = {"aws:SourceAccount": "123456789012"}
    for function in stack.resources("AWS::Lambda::Function").values():
        yield Authorization(
            "lambda.amazonaws.com", "sts:AssumeRole", function["Role"], {}, "lambda-intro-execution-role"
        )
    for machine in stack.resources("AWS::StepFunctions::StateMachine").values():
        yield Authorization(
            "states.amazonaws.com", "sts:AssumeRole", machine["RoleArn"], account, "procedure-create-iam-role"
        )
    for rule in stack.resources("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            if "RoleArn" in target:
                yield Authorization(
                    "events.amazonaws.com", "sts:AssumeRole", target["RoleArn"], account, "eb-use-identity-based"
                )
    for task in stack.resources("AWS::ECS::TaskDefinition").values():
        for name in ("TaskRoleArn", "ExecutionRoleArn"):
            if name in task:
                yield Authorization(
                    "ecs-tasks.amazonaws.com", "sts:AssumeRole", task[name], account, "task_execution_IAM_role"
                )


def of_alarms(stack):
    """An alarm publishes to its topic, and to the key that encrypts it (CloudWatch user guide, Notify_Users_Alarm_Changes)."""
    topics = {stack.arn("sns", topic["TopicName"]): topic for topic in stack.resources("AWS::SNS::Topic").values()}
    for alarm in stack.resources("AWS::CloudWatch::Alarm").values():
        context = {
            "aws:SourceArn": stack.arn("cloudwatch", f"alarm:{alarm['AlarmName']}"),
            "aws:SourceAccount": "123456789012",
        }
        for arn in alarm.get("AlarmActions", []):
            publish = context | {"aws:SecureTransport": "true"}
            yield Authorization("cloudwatch.amazonaws.com", "sns:Publish", arn, publish, "Notify_Users_Alarm_Changes")
            key = topics.get(arn, {}).get("KmsMasterKeyId")
            if key:
                for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                    yield Authorization(
                        "cloudwatch.amazonaws.com",
                        action,
                        stack.arn("kms", f"key/{key}"),
                        context,
                        "Notify_Users_Alarm_Changes",
                    )
