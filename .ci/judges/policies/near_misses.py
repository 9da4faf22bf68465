"""The same call one step beside: of another cluster, another stack, another table, an unmarked node, another alias. What is
allowed then was granted too widely."""

import json

from authorize import Authorization
from stack import ACCOUNT, CLUSTER

# The ARNs of tasks and instances name their cluster: a condition beside it is welcome, and not asked for.
SECOND_BELT = "a cluster that its ARN does not name"


def elsewhere(a):
    """(what is beside it, authorization) of each near miss."""
    swaps = {
        "another cluster": (CLUSTER, "another-cluster"),
        "another stack": ("gpu-recovery", "another-stack"),
        "another table": ("hybrid-gpu-training-job", "another-table"),
        "another table of instances": ("ecs_container_instance", "another-table"),
        "another family": (":task-definition/train", ":task-definition/another"),
        "another role": (":role/train", ":role/admin"),
        "another rule": ("rule/StepFunctionsGetEventsForECSTaskRule", "rule/another"),
        "another service": ("ecs-tasks.amazonaws.com", "ec2.amazonaws.com"),
        "another act": ("RunTask", "CreateService"),
        "another alias": (":live", ":another-alias"),
    }
    if a.who == "cloudwatch.amazonaws.com" or a.action == "sts:AssumeRole":
        # Any alarm of the account may publish, an operator's own ones too; a role is assumed for whatever has it.
        swaps = {"another account": (ACCOUNT, "210987654321")}
    for name, (old, new) in swaps.items():
        resource = a.resource.replace(old, new)
        # A tag's name has the product's name in it; only what it says is swapped.
        context = {k: json.loads(json.dumps(v).replace(old, new)) for k, v in a.context.items()}
        if name == "another account":
            resource = a.resource
        if (resource, context) != (a.resource, a.context):
            yield name, Authorization(a.who, a.action, resource, context)
    if a.action == "sts:AssumeRole":
        yield "another service", Authorization("ec2.amazonaws.com", a.action, a.resource, a.context)
    tags = {k for k in a.context if "resourcetag/" in k.lower()}
    if tags:
        yield (
            "an unmarked node",
            Authorization(a.who, a.action, a.resource, {k: v for k, v in a.context.items() if k not in tags}),
        )
    if "ecs:cluster" in a.context:
        cluster = a.context["ecs:cluster"].replace(CLUSTER, "another-cluster")
        yield SECOND_BELT, Authorization(a.who, a.action, a.resource, {"ecs:cluster": cluster})
    if "aws:SecureTransport" in a.context:
        yield (
            "a connection without TLS",
            Authorization(a.who, a.action, a.resource, a.context | {"aws:SecureTransport": "false"}),
        )
    if "states:StateMachineQualifier" in a.context:
        yield "no alias", Authorization(a.who, a.action, a.resource, {})
        another = {"states:StateMachineQualifier": ["another-alias"]}
        yield "another alias", Authorization(a.who, a.action, a.resource, another)
