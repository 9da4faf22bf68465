"""The members that AWS documents for each kind of event, from three sources: the EventBridge schema registry, the API's own
shape where the documentation says that the event's detail is like it, and the documentation's example (a fixture)."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import botocore.session

FIXTURES = Path("tests/fixtures/events")


@dataclass(frozen=True)
class Kind:
    source: str
    detail_type: str
    # The page that documents it and has the example.
    page: str
    fixtures: str
    # botocore's service and shape.
    like: tuple = ()
    # The examples have null for what there is not.
    nulls: bool = False


KINDS = [
    Kind("aws.ecs", "ECS Task State Change", "ECS developer guide, ecs_task_events", "task-*", ("ecs", "Task")),
    Kind(
        "aws.ecs",
        "ECS Container Instance State Change",
        "ECS developer guide, ecs_container_instance_events",
        "instance-*",
        ("ecs", "ContainerInstance"),
    ),
    Kind(
        "aws.states",
        "Step Functions Execution Status Change",
        "Step Functions developer guide, eventbridge-integration",
        "execution-*",
        ("stepfunctions", "DescribeExecutionOutput"),
        nulls=True,
    ),
    Kind(
        "aws.ssm",
        "EC2 Command Invocation Status-change Notification",
        "Systems Manager user guide, monitoring-systems-manager-event-examples",
        "command-invocation-*",
    ),
    Kind(
        "aws.ssm",
        "EC2 Command Status-change Notification",
        "Systems Manager user guide, monitoring-systems-manager-event-examples",
        "run-command-*",
    ),
    Kind("aws.events", "Scheduled Event", "EventBridge user guide, eb-run-lambda-schedule", "scheduled-*"),
]
# A fixture with members that nobody documents, on purpose.
UNDOCUMENTED = {"task-unknown-extra-fields.json"}
# EventBridge user guide, eb-events-structure.
ENVELOPE = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}


def flat(value, path=""):
    """(path, type) of everything in an event; list positions stand as `[]`."""
    if isinstance(value, dict):
        yield path, "object"
        for name, item in value.items():
            yield from flat(item, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, "list"
        for item in value:
            yield from flat(item, f"{path}[]")
    else:
        yield path, {str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")


class Documented:
    """One kind's members: path in the detail -> types, and the paths that are always there."""

    def __init__(self, kind, registry):
        self.kind, self.types, self.required = kind, {"": {"object"}}, set()
        self.sources = []
        self._registry(registry)
        if kind.like:
            service, shape = kind.like
            self._shape(botocore.session.get_session().get_service_model(service).shape_for(shape), "", [])
            self.sources.append(f"{service} {shape}")
        self.examples = [
            json.loads(path.read_text())
            for path in sorted(FIXTURES.glob(f"{kind.fixtures}.json"))
            if path.name not in UNDOCUMENTED
        ]
        details = [set(flat(example["detail"])) for example in self.examples]
        for detail in details:
            for path, type_ in detail:
                self.types.setdefault(path, set()).add(type_)
        if not self.required and details:
            self.required = {path for path, _ in set.intersection(*details) if path and "[" not in path}
        self.sources.append(f"{len(details)} examples")

    def _registry(self, registry):
        root, types = registry.get((self.kind.source, self.kind.detail_type), (None, None))
        if root:
            self._type({"type": "ref", "reference": {"$ref": root}}, "", types)
            self.sources.append("schema registry")

    def _type(self, type_, path, types):
        name = type_["type"]
        if name == "ref":
            self.types.setdefault(path, set()).add("object")
            for member, found in types[type_["reference"]["$ref"]]["properties"].items():
                if found.get("required"):
                    self.required.add(f"{path}.{member}")
                self._type(found["type"], f"{path}.{member}", types)
        elif name == "array":
            self.types.setdefault(path, set()).add("list")
            self._type(type_["element"], f"{path}[]", types)
        elif name in ("json", "map"):
            self.types.setdefault(path, set()).add("any")
        else:
            self.types.setdefault(path, set()).add({"integer": "number", "date-time": "string"}.get(name, name))

    def _shape(self, shape, path, seen):
        if shape.name in seen:
            return
        names = {"structure": "object", "map": "any", "list": "list", "string": "string", "boolean": "boolean"}
        # An event has its times as texts or as milliseconds, the API as seconds.
        found = {"string", "number"} if shape.type_name == "timestamp" else {names.get(shape.type_name, "number")}
        self.types.setdefault(path, set()).update(found)
        if shape.type_name == "structure":
            for name, member in shape.members.items():
                self._shape(member, f"{path}.{name}", [*seen, shape.name])
        elif shape.type_name == "list":
            self._shape(shape.member, f"{path}[]", [*seen, shape.name])

    def check(self, event):
        """What the event has that is not documented, and what it lacks."""
        findings = [f"envelope: {name}" for name in sorted(ENVELOPE ^ set(event))]
        present = dict.fromkeys(path for path, _ in flat(event["detail"]))
        findings += [
            f"{path} is missing"
            for path in sorted(self.required)
            if path not in present and self._parent(path) in present
        ]
        for path, type_ in set(flat(event["detail"])):
            if any(path.startswith(free) and path != free for free in self.types if "any" in self.types[free]):
                continue
            if path not in self.types:
                findings.append(f"{path} is not documented")
            elif type_ == "null" and self.kind.nulls:
                continue
            elif type_ not in self.types[path] and "any" not in self.types[path]:
                findings.append(f"{path} is {type_}, documented as {' or '.join(sorted(self.types[path]))}")
        return findings

    @staticmethod
    def _parent(path):
        return path.rsplit(".", 1)[0]


def registry(modules):
    """(source, detail-type) -> root and types, of the EventBridge schema registry as AWS's CDK keeps it."""
    with gzip.open(Path(modules) / "node_modules/@aws-cdk/aws-service-spec/db.json.gz") as file:
        schema = json.load(file)["schema"]
    types = {type_["$id"]: type_ for type_ in schema["eventTypeDefinition"]["entities"]}
    return {
        (event["source"], event["detailType"]): (event["rootProperty"]["$ref"], types)
        for event in schema["event"]["entities"]
    }


def all_kinds(modules):
    known = registry(modules)
    return {kind.detail_type: Documented(kind, known) for kind in KINDS}
