"""The template as CloudFormation deploys it: after the SAM transform, with every parameter filled in and every function
resolved, in one partition. Names are those of the simulator's account, so that recorded calls can be held against it."""

import copy
import logging
import os
import re

# The transform asks boto3 for a region, to know the partition.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ACCOUNT = "123456789012"
CLUSTER = "gpu-training"
REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1"}
SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com"}
NO_VALUE = object()


# It tells at length that nobody reads its metrics.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


class NoPolicies:
    """SAM's managed policies are by name; this template names none."""

    def load(self):
        return {}


def transformed(template, region="us-east-1"):
    """The template, text or parsed, as the SAM transform leaves it, functions unresolved."""
    template = yaml_parse(template) if isinstance(template, str) else copy.deepcopy(template)
    template.setdefault("Globals", {}).setdefault("Function", {})["CodeUri"] = "s3://bucket/key"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://bucket/key"
    os.environ["AWS_DEFAULT_REGION"] = region
    return transform(template, {}, NoPolicies())


class Stack:
    def __init__(self, template, partition="aws", parameters=()):
        self.partition, self.region = partition, REGIONS[partition]
        self.body = transformed(template, self.region)
        given = {"EcsClusterName": CLUSTER, **dict(parameters)}
        self.parameters = {}
        for name, declared in self.body["Parameters"].items():
            value = given.get(name, declared.get("Default"))
            if value is None:
                raise ValueError(f"parameter {name} needs a value")
            is_list = declared["Type"] == "CommaDelimitedList"
            self.parameters[name] = str(value).split(",") if is_list else value

    def resources(self, kind):
        """Logical name -> resolved properties of the resources of a type that are made with these parameters."""
        return {
            name: self.resolve(resource.get("Properties", {}))
            for name, resource in self.body["Resources"].items()
            if resource["Type"] == kind and self.made(name)
        }

    def one(self, kind):
        found = self.resources(kind)
        if len(found) != 1:
            raise ValueError(f"{len(found)} resources of {kind}, not one")
        return next(iter(found.items()))

    def made(self, name):
        condition = self.body["Resources"][name].get("Condition")
        return condition is None or self.condition(condition)

    def condition(self, name):
        return self._holds(self.body["Conditions"][name])

    def _holds(self, condition):
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self.condition(argument)
        if function == "Fn::Equals":
            return self.resolve(argument[0]) == self.resolve(argument[1])
        if function == "Fn::Not":
            return not self._holds(argument[0])
        return {"Fn::And": all, "Fn::Or": any}[function](self._holds(item) for item in argument)

    def resolve(self, value):
        if isinstance(value, list):
            items = (self.resolve(item) for item in value)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return getattr(self, "_" + name[4:].lower())(argument)
        members = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in members.items() if item is not NO_VALUE}

    def _if(self, argument):
        name, yes, no = argument
        return self.resolve(yes if self.condition(name) else no)

    def _join(self, argument):
        return argument[0].join(self.resolve(argument[1]))

    def _split(self, argument):
        return self.resolve(argument[1]).split(argument[0])

    def _select(self, argument):
        return self.resolve(argument[1])[int(self.resolve(argument[0]))]

    def _findinmap(self, argument):
        name, first, second = (self.resolve(item) for item in argument)
        return self.body["Mappings"][name][first][second]

    def _sub(self, argument):
        text, names = (argument, {}) if isinstance(argument, str) else argument
        names = {name: self.resolve(value) for name, value in names.items()}

        def value(match):
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in names:
                return str(names[name])
            return str(self._getatt(name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def _ref(self, name):
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackName": "gpu-recovery",
            "AWS::URLSuffix": SUFFIXES[self.partition],
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._physical(name)[0]

    def _getatt(self, argument):
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        reference, arn, resource = self._physical(name)
        if attribute == "Arn":
            return arn
        if attribute == "QueueName":
            return resource["QueueName"]
        return f"{reference}.{attribute}"

    def arn_of(self, logical):
        return self._physical(logical)[1]

    def arn(self, service, rest, region=True):
        return f"arn:{self.partition}:{service}:{self.region if region else ''}:{ACCOUNT}:{rest}"

    def _physical(self, logical):
        """What Ref and GetAtt Arn give (CloudFormation, template reference, return values), and the properties."""
        resource = self.body["Resources"][logical]
        kind, raw = resource["Type"], copy.deepcopy(resource.get("Properties", {}))

        def prop(name, default=logical):
            return self.resolve(raw[name]) if name in raw else default

        resolved = {"QueueName": prop("QueueName")}
        match kind:
            case "AWS::DynamoDB::Table":
                pair = prop("TableName"), self.arn("dynamodb", f"table/{prop('TableName')}")
            case "AWS::Lambda::Function":
                pair = prop("FunctionName"), self.arn("lambda", f"function:{prop('FunctionName')}")
            case "AWS::Lambda::Version":
                pair = (self.arn("lambda", f"function:{self._name(prop('FunctionName'))}:1"),) * 2
            case "AWS::Lambda::Alias":
                pair = (self.arn("lambda", f"function:{self._name(prop('FunctionName'))}:{prop('Name')}"),) * 2
            case "AWS::StepFunctions::StateMachine":
                pair = (self.arn("states", f"stateMachine:{prop('StateMachineName')}"),) * 2
            case "AWS::StepFunctions::StateMachineVersion":
                pair = (f"{prop('StateMachineArn')}:1",) * 2
            case "AWS::StepFunctions::StateMachineAlias":
                version = self.resolve(raw["DeploymentPreference"]["StateMachineVersionArn"])
                pair = (f"{version.rsplit(':', 1)[0]}:{prop('Name')}",) * 2
            case "AWS::SNS::Topic":
                pair = (self.arn("sns", prop("TopicName")),) * 2
            case "AWS::SQS::Queue":
                pair = f"https://sqs/{prop('QueueName')}", self.arn("sqs", prop("QueueName"))
            case "AWS::KMS::Key":
                pair = f"key-{logical}", self.arn("kms", f"key/key-{logical}")
            case "AWS::IAM::Role":
                pair = prop("RoleName"), self.arn("iam", f"role/{prop('RoleName')}", region=False)
            case "AWS::Logs::LogGroup":
                pair = prop("LogGroupName"), self.arn("logs", f"log-group:{prop('LogGroupName')}:*")
            case "AWS::Events::Rule":
                pair = prop("Name"), self.arn("events", f"rule/{prop('Name')}")
            case "AWS::CloudWatch::Alarm":
                pair = prop("AlarmName"), self.arn("cloudwatch", f"alarm:{prop('AlarmName')}")
            case "AWS::ECS::TaskDefinition":
                pair = (self.arn("ecs", f"task-definition/{prop('Family')}:1"),) * 2
            case "AWS::SSM::Document":
                pair = prop("Name"), self.arn("ssm", f"document/{prop('Name')}")
            case _:
                pair = f"{logical}", f"{kind} {logical} has no ARN that the judge knows"
        return *pair, resolved

    @staticmethod
    def _name(function):
        return function.rsplit(":", 1)[-1]
