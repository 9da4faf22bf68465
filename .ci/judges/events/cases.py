"""Which events each rule must take, and which it must not: the documentation's examples, each changed in one point."""

import copy
import json

from documented import FIXTURES

GONE = object()

# (rule, fixture, change, taken?, why). A change is {path in the event: value}; `{...}` in a value is filled in from the rule.
CASES = [
    ("task-stopped", "task-essential-container-exit-1", {}, True, "a rank failed"),
    ("task-stopped", "task-exit-0", {}, True, "a rank is done"),
    ("task-stopped", "task-failed-to-start-cannot-pull", {}, True, "a rank could not start"),
    ("task-stopped", "task-spot-termination-notice", {}, True, "a rank was interrupted"),
    ("task-stopped", "task-stopped-by-user", {}, True, "an operator stopped a rank"),
    (
        "task-stopped",
        "task-essential-container-exit-1",
        {"detail.stoppedReason": GONE},
        True,
        "without a reason; a missing member matches no anything-but",
    ),
    ("task-stopped", "task-essential-container-exit-1", {"detail.unheardOf": 1}, True, "with a member of tomorrow"),
    ("task-stopped", "task-stopped-by-us", {}, False, "our own stop"),
    (
        "task-stopped",
        "task-essential-container-exit-1",
        {"detail.lastStatus": "DEPROVISIONING"},
        False,
        "not stopped yet",
    ),
    ("task-stopped", "task-essential-container-exit-1", {"detail.lastStatus": "RUNNING"}, False, "running"),
    (
        "task-stopped",
        "task-essential-container-exit-1",
        {"detail.group": "family:dcgm-health-check"},
        False,
        "a health check",
    ),
    (
        "task-stopped",
        "task-essential-container-exit-1",
        {"detail.clusterArn": "{cluster}-2"},
        False,
        "another cluster, whose name begins the same",
    ),
    ("task-stopped", "task-essential-container-exit-1", {"source": "my.ecs"}, False, "somebody's own event"),
    ("task-stopped", "instance-connected-ec2", {}, False, "another kind of event"),
    (
        "instance-changed",
        "instance-connected-ec2",
        {"detail.status": "DRAINING"},
        True,
        "one that was cordoned is connected",
    ),
    ("instance-changed", "instance-connected-hybrid", {"detail.status": "DRAINING"}, True, "a hybrid one too"),
    (
        "instance-changed",
        "instance-connected-ec2",
        {"detail.status": "DRAINING", "detail.agentConnected": False},
        False,
        "its agent is away",
    ),
    (
        "instance-changed",
        "instance-connected-ec2",
        {"detail.status": "DRAINING", "detail.clusterArn": "{cluster}-2"},
        False,
        "another cluster",
    ),
    ("instance-changed", "task-exit-0", {}, False, "another kind of event"),
    ("command-ended", "command-invocation-success", {}, True, "the command succeeded on the node"),
    ("command-ended", "command-invocation-failed-hybrid", {}, True, "it failed"),
    ("command-ended", "command-invocation-success", {"detail.status": "TimedOut"}, False, "SSM gave it up"),
    ("command-ended", "command-invocation-success", {"detail.status": "Cancelled"}, False, "it was cancelled"),
    ("command-ended", "command-invocation-in-progress", {}, False, "it has not ended"),
    ("command-ended", "command-invocation-success", {"detail.status": "Pending"}, False, "it has not begun"),
    ("command-ended", "command-invocation-success", {"detail.status": "Delayed"}, False, "it has not arrived"),
    ("command-ended", "command-invocation-success", {"detail.status": "Cancelling"}, False, "it is being cancelled"),
    (
        "command-ended",
        "command-invocation-success",
        {"detail.document-name": "AWS-RunShellScript"},
        False,
        "another document",
    ),
    (
        "command-ended",
        "command-invocation-success",
        {"detail.document-name": "gpu-recovery-probe"},
        False,
        "the probe, which is looked at",
    ),
    (
        "instance-changed",
        "instance-connected-ec2",
        {"detail.status": "ACTIVE"},
        False,
        "one that nobody cordoned",
    ),
    ("command-ended", "run-command-success", {}, False, "the command as a whole, not the node's part"),
    ("execution-failed", "execution-failed", {}, True, "it failed"),
    ("execution-failed", "execution-timed-out-input-too-large", {}, True, "it timed out"),
    ("execution-failed", "execution-failed", {"detail.status": "ABORTED"}, True, "an operator stopped it"),
    ("execution-failed", "execution-failed", {"detail.status": "SUCCEEDED"}, False, "it succeeded"),
    ("execution-failed", "execution-failed", {"detail.status": "RUNNING"}, False, "it runs"),
    ("execution-failed", "execution-failed", {"detail.status": "PENDING_REDRIVE"}, False, "it will be redriven"),
    (
        "execution-failed",
        "execution-failed",
        {"detail.stateMachineArn": "{machine}-2"},
        False,
        "another state machine, whose name begins the same",
    ),
]


def documents(pattern):
    return pattern.get("detail", {}).get("document-name", [])


def event(fixture, change, stack, pattern):
    """The example as the stack's own account would see it, with one thing changed."""
    _, machine = stack.one("AWS::StepFunctions::StateMachine")
    cluster = stack.arn("ecs", f"cluster/{stack.parameters['EcsClusterName']}")
    text = (FIXTURES / f"{fixture}.json").read_text()
    text = text.replace("111122223333", "123456789012")
    found = json.loads(text)
    detail = found["detail"]
    if "clusterArn" in detail:
        detail["clusterArn"] = cluster
    arn = stack.arn("states", f"stateMachine:{machine['StateMachineName']}")
    if "stateMachineArn" in detail:
        detail["stateMachineArn"] = arn
    # The rule names the document that the stack sends.
    if "document-name" in detail and documents(pattern) and isinstance(documents(pattern)[0], str):
        detail["document-name"] = documents(pattern)[0]
    for path, value in change.items():
        *parents, last = path.split(".")
        place = found
        for parent in parents:
            place = place[parent]
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = value.format(cluster=cluster, machine=arn) if isinstance(value, str) else value
    return copy.deepcopy(found)
