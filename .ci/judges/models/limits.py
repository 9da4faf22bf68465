"""Limits that stand in an API's documentation and not in its model. Each is quoted; the judge looks the quote up in the
documentation that botocore ships, so that a limit that AWS changes is noticed."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

FILTERS = {"containerInstance", "family", "serviceName", "launchType", "desiredStatus"}
NOT_IN_A_NAME = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]')


@dataclass(frozen=True)
class Limit:
    service: str
    action: str
    # Where it is documented: a member, or nothing for the operation as a whole.
    member: str
    quote: str
    holds: Callable


def up_to(member, most):
    return lambda request: len(request.get(member, [])) <= most


def text(member, pattern):
    return lambda request: re.fullmatch(pattern, request.get(member, "a")) is not None


LIMITS = [
    Limit(
        "ecs", "ListTasks", "startedBy", "it must be the only filter that you use",
        lambda r: "startedBy" not in r or not FILTERS & set(r),
    ),
    Limit("ecs", "DescribeTasks", "tasks", "up to 100 task IDs", up_to("tasks", 100)),
    Limit("ecs", "DescribeContainerInstances", "containerInstances", "up to 100 container instance IDs", up_to("containerInstances", 100)),
    Limit("ecs", "UpdateContainerInstancesState", "containerInstances", "up to 10 container instance IDs", up_to("containerInstances", 10)),
    Limit(
        "ecs", "UpdateContainerInstancesState", "status", "The only valid values for this action are ACTIVE and DRAINING",
        lambda r: r.get("status") in ("ACTIVE", "DRAINING"),
    ),
    Limit("ecs", "RunTask", "count", "up to 10 tasks for each call", lambda r: 1 <= r.get("count", 1) <= 10),
    Limit("ecs", "RunTask", "clientToken", "Up to 64 characters are allowed", text("clientToken", r"[!-~]{1,64}")),
    Limit(
        "ecs", "RunTask", "startedBy", "Up to 128 letters (uppercase and lowercase), numbers, hyphens (-), forward slash (/), and underscores (_)",
        # Step Functions sets its own, with spaces (developer guide, connect-ecs).
        text("startedBy", r"[A-Za-z0-9/_-]{1,128}|AWS Step Functions"),
    ),
    Limit("ecs", "RunTask", "placementConstraints", "up to 10 constraints for each task", up_to("placementConstraints", 10)),
    Limit(
        "ecs", "RunTask", "overrides", "A total of 8192 characters are allowed for overrides",
        lambda r: len(json.dumps(r.get("overrides", {}), separators=(",", ":"))) <= 8192,
    ),
    Limit(
        "ecs", "RunTask", "launchType", "A task can use either a launch type or a capacity provider strategy",
        lambda r: not {"launchType", "capacityProviderStrategy"} <= set(r),
    ),
    Limit("ecs", "PutAttributes", "attributes", "up to 10 attributes in a single call", up_to("attributes", 10)),
    Limit(
        "sns", "Publish", "Subject", "no line breaks or control characters, and less than 100 characters long",
        lambda r: len(r.get("Subject", "")) < 100 and not re.search(r"[\x00-\x1f\x7f]", r.get("Subject", "")),
    ),
    Limit("sns", "Publish", "Message", "262,144 bytes", lambda r: len(r.get("Message", "").encode()) <= 262144),
    Limit("stepfunctions", "StartExecution", "name", "A name must not contain", lambda r: not NOT_IN_A_NAME.search(r.get("name", ""))),
    Limit(
        "dynamodb", "BatchWriteItem", "", "up to 25 item put or delete operations",
        lambda r: sum(map(len, r.get("RequestItems", {}).values())) <= 25,
    ),
    Limit("ssm", "SendCommand", "InstanceIds", "up to 50 IDs", up_to("InstanceIds", 50)),
]  # fmt: skip


def check(service, action, request):
    """Findings as a shape's: (path, rule, detail)."""
    return [
        (f".{limit.member}" if limit.member else "", "limit", limit.quote)
        for limit in LIMITS
        if (limit.service, limit.action) == (service.service_name, action) and not limit.holds(request)
    ]


def plain(documentation):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", documentation)))


def misquoted(model, limits=None):
    """The limits whose quote does not stand in the documentation any more."""
    for limit in LIMITS if limits is None else limits:
        operation = model(limit.service).operation_model(limit.action)
        documented = operation.input_shape.members[limit.member] if limit.member else operation
        if limit.quote not in plain(documented.documentation):
            yield f"{limit.service}:{limit.action} {limit.member}: the documentation does not say {limit.quote!r}"
