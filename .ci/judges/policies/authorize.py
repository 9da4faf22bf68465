"""What AWS authorizes for a call: actions, the ARNs of their resources, and the condition keys with their values.

From the Service Authorization Reference of each service; where that leaves a question, the page is named. Whether the
action knows the resource's type and the keys is checked by the engine, which has the Reference as data (decide.mjs)."""

from dataclasses import dataclass, field

TAG = "gpu-recovery-cluster"
SSM_WITHOUT_RESOURCE = {
    "CancelCommand",
    "DescribeInstanceInformation",
    "GetCommandInvocation",
    "ListCommandInvocations",
    "ListCommands",
}


@dataclass(frozen=True)
class Authorization:
    who: str
    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False)
    why: str = ""

    def key(self):
        return (self.who, self.action, self.resource, str(sorted(self.context.items())))


class UnknownCall(Exception):
    """The judge does not know what AWS authorizes for it."""


class Authorizer:
    def __init__(self, stack, cluster, task_roles):
        self.stack, self.cluster, self.task_roles = stack, cluster, task_roles
        self.tables = {t["TableName"]: t for t in stack.resources("AWS::DynamoDB::Table").values()}
        self.topics = {t["TopicName"]: t for t in stack.resources("AWS::SNS::Topic").values()}
        self.definitions = {d["Family"]: d for d in stack.resources("AWS::ECS::TaskDefinition").values()}
        self.documents = {d["Name"] for d in stack.resources("AWS::SSM::Document").values()}
        machine = next(iter(stack.resources("AWS::StepFunctions::StateMachine").values()))
        self.substitutions = [v for v in machine.get("DefinitionSubstitutions", {}).values() if ":function:" in str(v)]

    def of(self, line):
        """The authorizations of one recorded call."""
        call = getattr(self, f"_{line['service']}", None)
        pairs = call and call(line["action"], line["request"])
        if not pairs:
            raise UnknownCall(f"{line['service']}:{line['action']}")
        return [Authorization(line["role"], *pair) for pair in pairs]

    # ------------------------------------------------------------ DynamoDB
    def _dynamodb(self, action, request):
        # A transaction is authorized by its parts (developer guide, transaction-apis-iam).
        if action == "TransactWriteItems":
            names = {
                "Put": "PutItem",
                "Update": "UpdateItem",
                "Delete": "DeleteItem",
                "ConditionCheck": "ConditionCheckItem",
            }
            return [
                pair
                for item in request["TransactItems"]
                for name, part in item.items()
                for pair in self._item(names[name], part)
            ]
        if action == "TransactGetItems":
            return [pair for item in request["TransactItems"] for pair in self._item("GetItem", item["Get"])]
        if "RequestItems" in request:
            return [(f"dynamodb:{action}", self._table(table), {}) for table in request["RequestItems"]]
        if "TableName" in request:
            return self._item(action, request)
        return []

    def _item(self, action, request):
        arn = self._table(request["TableName"])
        if "IndexName" in request:
            arn += f"/index/{request['IndexName']}"
        context = {}
        if "ReturnValues" in request and action in ("PutItem", "UpdateItem", "DeleteItem"):
            context["dynamodb:ReturnValues"] = request["ReturnValues"]
        hash_key = self._hash_key(request["TableName"])
        value = request.get("Key", request.get("Item", {})).get(hash_key)
        if value:
            context["dynamodb:LeadingKeys"] = list(value.values())
        return [(f"dynamodb:{action}", arn, context)]

    def _table(self, name):
        return self.stack.arn("dynamodb", f"table/{name}")

    def _hash_key(self, name):
        schema = self.tables.get(name, {}).get("KeySchema", [])
        return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), None)

    # ------------------------------------------------------------ ECS
    def _ecs(self, action, request):
        cluster = request.get("cluster", "default").rsplit("/", 1)[-1]
        context = {"ecs:cluster": self.stack.arn("ecs", f"cluster/{cluster}")}

        def own(kind, name):
            return name if name.startswith("arn:") else self.stack.arn("ecs", f"{kind}/{cluster}/{name}")

        match action:
            case "RunTask" | "StartTask":
                return self._run_task(action, request, cluster, context)
            case "StopTask":
                names, kind = [request["task"]], "task"
            case "DescribeTasks":
                names, kind = request["tasks"], "task"
            case "DescribeContainerInstances" | "UpdateContainerInstancesState":
                names, kind = request["containerInstances"], "container-instance"
            case "PutAttributes" | "DeleteAttributes":
                names, kind = [attribute["targetId"] for attribute in request["attributes"]], "container-instance"
            case "ListTasks":
                # Of a whole cluster: "*", narrowed by the cluster's condition key.
                if "containerInstance" not in request:
                    return [("ecs:ListTasks", "*", context)]
                names, kind = [request["containerInstance"]], "container-instance"
            case "DescribeClusters" | "ListContainerInstances" | "ListAttributes":
                return [(f"ecs:{action}", self.stack.arn("ecs", f"cluster/{cluster}"), {})]
            case "DescribeTaskDefinition":
                return [("ecs:DescribeTaskDefinition", "*", {})]
            case _:
                return []
        return [(f"ecs:{action}", own(kind, name), context) for name in names]

    def _run_task(self, action, request, cluster, context):
        name = request["taskDefinition"]
        # A family stands for its newest revision, whose ARN is checked.
        arn = (
            name
            if name.startswith("arn:")
            else self.stack.arn("ecs", f"task-definition/{name}{'' if ':' in name else ':1'}")
        )
        family = arn.rsplit("/", 1)[-1].split(":")[0]
        pairs = [(f"ecs:{action}", arn, context)]
        # Developer guide, supported-iam-actions-tagging: tags in the request need ecs:TagResource.
        if request.get("tags"):
            task = self.stack.arn("ecs", f"task/{cluster}/0123456789abcdef0123456789abcdef")
            pairs.append(("ecs:TagResource", task, {"ecs:CreateAction": action}))
        # Developer guide, task-iam-roles: who runs a task passes its roles.
        if family in self.definitions:
            made = self.definitions[family]
            roles = [made[name] for name in ("TaskRoleArn", "ExecutionRoleArn") if name in made]
        else:
            roles = self.task_roles
        overrides = request.get("overrides", {})
        roles = roles + [overrides[name] for name in ("taskRoleArn", "executionRoleArn") if name in overrides]
        return pairs + [pass_role(role) for role in roles]

    # ------------------------------------------------------------ the others
    def _states(self, action, request):
        match action:
            case "StartExecution":
                return [start_execution(request["stateMachineArn"])]
            case "DescribeExecution" | "GetExecutionHistory" | "StopExecution" | "RedriveExecution":
                return [(f"states:{action}", request["executionArn"], {})]
            case "SendTaskSuccess" | "SendTaskFailure" | "SendTaskHeartbeat":
                return [(f"states:{action}", "*", {})]
        return []

    def _sns(self, action, request):
        if action != "Publish":
            return []
        arn = request["TopicArn"]
        pairs = [("sns:Publish", arn, {"aws:SecureTransport": "true"})]
        # SNS developer guide, sns-key-management: a publisher to an encrypted topic needs both.
        key = self.topics.get(arn.rsplit(":", 1)[-1], {}).get("KmsMasterKeyId")
        if key:
            key = self.stack.arn("kms", f"key/{key}")
            pairs += [("kms:GenerateDataKey", key, {}), ("kms:Decrypt", key, {})]
        return pairs

    def _ssm(self, action, request):
        if action == "SendCommand":
            tags = {f"ssm:resourceTag/{TAG}": self.cluster, f"aws:ResourceTag/{TAG}": self.cluster}
            nodes = [("ssm:SendCommand", self._node(node), tags) for node in request.get("InstanceIds", [])]
            return [("ssm:SendCommand", self._document(request["DocumentName"]), {}), *nodes]
        return [(f"ssm:{action}", "*", {})] if action in SSM_WITHOUT_RESOURCE else []

    def _document(self, name):
        if name.startswith("arn:"):
            return name
        if name in self.documents:
            return self.stack.arn("ssm", f"document/{name}")
        # AWS's own documents have no account in their ARN.
        return f"arn:{self.stack.partition}:ssm:{self.stack.region}::document/{name}"

    def _ec2(self, action, request):
        tags = {f"aws:ResourceTag/{TAG}": self.cluster, f"ec2:ResourceTag/{TAG}": self.cluster}
        if action.startswith("Describe"):
            return [(f"ec2:{action}", "*", {})]
        return [(f"ec2:{action}", self._node(node), tags) for node in request.get("InstanceIds", [])]

    def _node(self, name):
        return (
            self.stack.arn("ssm", f"managed-instance/{name}")
            if name.startswith("mi-")
            else self.stack.arn("ec2", f"instance/{name}")
        )

    def _lambda(self, action, request):
        # The deployed definition names the function's version; the simulator's has none.
        function = request["FunctionName"]
        deployed = [arn for arn in self.substitutions if arn == function or arn.startswith(f"{function}:")]
        return [("lambda:InvokeFunction", arn, {}) for arn in deployed] if action == "Invoke" else []


def start_execution(arn):
    """Also of an alias or a version it is authorized on the machine's own ARN; the condition key holds the qualifier
    (Step Functions developer guide, auth-version-alias)."""
    parts = arn.split(":")
    context = {"states:StateMachineQualifier": [parts[7]]} if len(parts) > 7 else {}
    return ("states:StartExecution", ":".join(parts[:7]), context)


def pass_role(role):
    return ("iam:PassRole", role, {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
