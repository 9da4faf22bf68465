"""The policies of a stack, cut into grants of one action on one resource each, so that the engine tells which one allowed
what."""

from beside import role_name
from stack import ACCOUNT, Stack


def deployed(template, partition):
    """The stack of an operator who has narrowed what can be narrowed."""
    roles = f"arn:{partition}:iam::{ACCOUNT}:role/train"
    return Stack(template, partition, {"TaskRoleArns": roles, "TrainingTaskFamily": "train*"})


def many(value):
    return value if isinstance(value, list) else [value]


def atoms(owner, statements):
    """The same policy in pieces; each piece's Sid is its name."""
    pieces = {}
    for nth, statement in enumerate(statements):
        label = statement.get("Sid", f"statement {nth}")
        if statement["Effect"] != "Allow" or "Action" not in statement:
            pieces[f"{owner} {label}"] = statement
            continue
        resources = many(statement["Resource"]) if "Resource" in statement else [None]
        for action in many(statement["Action"]):
            for resource in resources:
                piece = dict(statement, Action=action) | ({"Resource": resource} if resource else {})
                pieces[f"{owner}: {action} on {resource} ({label})"] = piece
    return pieces


class Grants:
    """Of every role and every resource with a policy: name of the holder -> name of the grant -> statement."""

    def __init__(self, stack, prefix):
        self.holders, self.of_resource = {}, {}
        roles = {}
        for logical, role in stack.resources("AWS::IAM::Role").items():
            arn = stack.arn_of(logical)
            if role.get("ManagedPolicyArns"):
                raise ValueError(f"{logical}: a managed policy names no resource of ours")
            self.of_resource[arn] = atoms(f"trust of {logical}", many(role["AssumeRolePolicyDocument"]["Statement"]))
            documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
            roles[arn] = [s for document in documents for s in many(document["Statement"])]
        for function in stack.resources("AWS::Lambda::Function").values():
            self._hold(function["FunctionName"].removeprefix(f"{prefix}-"), roles, function["Role"])
        _, machine = stack.one("AWS::StepFunctions::StateMachine")
        self._hold("state-machine", roles, machine["RoleArn"])
        for rule in stack.resources("AWS::Events::Rule").values():
            for target in rule["Targets"]:
                if "RoleArn" in target:
                    self._hold(role_name(target["RoleArn"]), roles, target["RoleArn"])
        for task in stack.resources("AWS::ECS::TaskDefinition").values():
            for name in ("TaskRoleArn", "ExecutionRoleArn"):
                if task.get(name) in roles:
                    self._hold(role_name(task[name]), roles, task[name])
        self.left = roles
        self._resource_policies(stack)

    def _hold(self, who, roles, arn):
        if who not in self.holders:
            self.holders[who] = atoms(who, roles.pop(arn))

    def _resource_policies(self, stack):
        for policy in stack.resources("AWS::SQS::QueuePolicy").values():
            for queue in policy["Queues"]:
                self.of_resource[stack.arn("sqs", queue.rsplit("/", 1)[-1])] = atoms(
                    "queue", policy["PolicyDocument"]["Statement"]
                )
        for policy in stack.resources("AWS::SNS::TopicPolicy").values():
            for topic in policy["Topics"]:
                self.of_resource[topic] = atoms("topic", policy["PolicyDocument"]["Statement"])
        for logical, key in stack.resources("AWS::KMS::Key").items():
            self.of_resource[stack.arn_of(logical)] = atoms("key", key["KeyPolicy"]["Statement"])
        # A permission is a statement of the function's policy (Lambda developer guide, access-control-resource-based).
        for permission in stack.resources("AWS::Lambda::Permission").values():
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": permission["Principal"]},
                "Action": permission["Action"],
                "Resource": permission["FunctionName"],
                "Condition": {"ArnLike": {"AWS:SourceArn": permission["SourceArn"]}},
            }
            held = self.of_resource.setdefault(permission["FunctionName"], {})
            held |= atoms(f"function, for {permission['SourceArn'].rsplit('/', 1)[-1]}", [statement])

    def policies(self, sids):
        """Everything as the engine takes it: each statement under its grant's id."""
        named = self.holders | self.of_resource
        return {who: [dict(s, Sid=sids[name]) for name, s in grants.items()] for who, grants in named.items()}

    def names(self, allowing=False):
        """Of all grants, or of those that allow something."""
        every = (item for grants in (self.holders | self.of_resource).values() for item in grants.items())
        return {name for name, statement in every if not allowing or statement["Effect"] == "Allow"}
