"""What a state machine's own integrations send and get, as its history has it: the API's members in PascalCase, whatever
the API's own case (https://docs.aws.amazon.com/step-functions/latest/dg/connect-parameters.html)."""

import json

# What the optimized integrations add to an answer (recorded examples in the guide of each).
ADDED = {"SdkHttpMetadata", "SdkResponseMetadata"}


def pascal(name):
    return name[:1].upper() + name[1:]


def recase(shape, value, path=""):
    """The value with the model's own names, and a finding for each name that is not in PascalCase."""
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {pascal(name): name for name in shape.members}
        done, findings = {}, []
        for key, item in value.items():
            name = names.get(key)
            if name is None:
                if pascal(key) in names:
                    findings.append((f"{path}.{key}", "case", f"Step Functions calls it {pascal(key)}"))
                    name = names[pascal(key)]
                else:
                    done[key] = item
                    continue
            done[name], more = recase(shape.members[name], item, f"{path}.{key}")
            findings += more
        return done, findings
    if shape.type_name in ("list", "map") and isinstance(value, (list, dict)):
        member = shape.member if shape.type_name == "list" else shape.value
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        both = {key: recase(member, item, f"{path}[]") for key, item in pairs}
        findings = [finding for _, more in both.values() for finding in more]
        plain = {key: item for key, (item, _) in both.items()}
        return (plain if isinstance(value, dict) else list(plain.values())), findings
    return value, []


def of(event, model):
    """(what it is about, shape, value) of a task's arguments or result; nothing for other events."""
    details = event.get("taskScheduledEventDetails") or event.get("taskSucceededEventDetails")
    if not details:
        return None
    service = model(details["resourceType"].removeprefix("aws-sdk:"))
    action, *suffix = details["resource"].split(".")
    operation = service.operation_model(pascal(action))
    about = f"{details['resourceType']}:{details['resource']}"
    if "parameters" in details:
        return f"{about} arguments ", operation.input_shape, json.loads(details["parameters"])
    # A callback's result is whoever's sent it; of runTask.sync it is the task that ended (connect-ecs).
    if "waitForTaskToken" in suffix:
        return None
    value = json.loads(details["output"])
    if suffix == ["sync"] and operation.name == "RunTask":
        return f"{about} result ", service.shape_for("Task"), value
    shape = operation.output_shape
    return (f"{about} result ", shape, {k: v for k, v in value.items() if k not in ADDED}) if shape else None
