"""Runs ministack with seven small means that it lacks; e2e.py starts it.

- Its mock configuration is chosen by StartExecution's ARN (`...#Case`), which a rule cannot name: every execution
  that names none is of the case `Recovery`.
- It takes TimeoutSeconds for a number where AWS takes a JSONata expression too: the expression is evaluated here, by
  its own evaluator.
- Its context object has no Execution.RedriveCount, which on AWS is 0 until the first redrive.
- Its CloudFormation knows no SSM document; the calls that name one are mocked.
- Its Step Functions has versions and aliases, its CloudFormation does not know them: they are made by its own API.
- It signs every function's calls with the account's number. Here the access key is the function's name, for the recorder;
  on AWS each has its role's.
- Its bus, like AWS's, takes no event of a source `aws.…` from outside; here the test is AWS.
"""

import json

import ministack.services.eventbridge as eventbridge
import ministack.services.lambda_svc as lambda_svc
import ministack.services.stepfunctions as stepfunctions
from ministack.app import main
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

start_execution = stepfunctions._start_execution
execute_task = stepfunctions._execute_task
credentials = lambda_svc.execution_credentials


def start_with_case(data):
    arn = data.get("stateMachineArn", "")
    return start_execution(data if "#" in arn else {**data, "stateMachineArn": f"{arn}#Recovery"})


def execute_as_on_aws(state, raw_input, execution, context):
    context.setdefault("Execution", {}).setdefault("RedriveCount", 0)
    seconds = state.get("TimeoutSeconds")
    if isinstance(seconds, str):
        value = stepfunctions._apply_jsonata_template(seconds, raw_input, context)
        state = {**state, "TimeoutSeconds": float(value)}
    return execute_task(state, raw_input, execution, context)


def credentials_of_its_own(config):
    return credentials(config) | {"AWS_ACCESS_KEY_ID": config["FunctionName"]}


def call(operation, data):
    status, _, body = operation(data)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(answer)
    return answer


def create_version(_logical_id, properties, _stack_name):
    made = call(stepfunctions._publish_state_machine_version, {"stateMachineArn": properties["StateMachineArn"]})
    arn = made["stateMachineVersionArn"]
    return arn, {"Arn": arn}


def create_alias(_logical_id, properties, _stack_name):
    # Without a routing configuration, SAM names the version by a deployment preference.
    routing = properties.get("RoutingConfiguration") or [
        {"StateMachineVersionArn": properties["DeploymentPreference"]["StateMachineVersionArn"], "Weight": 100}
    ]
    routing = [{"stateMachineVersionArn": r["StateMachineVersionArn"], "weight": int(r["Weight"])} for r in routing]
    made = call(stepfunctions._create_state_machine_alias, {"name": properties["Name"], "routingConfiguration": routing})
    arn = made["stateMachineAliasArn"]
    return arn, {"Arn": arn}


def keep(*_args, **_kwargs):
    """The account ends with the test."""


def name_document(_logical_id, properties, _stack_name):
    return properties["Name"], {}


_RESOURCE_HANDLERS["AWS::SSM::Document"] = {"create": name_document, "delete": keep}
_RESOURCE_HANDLERS["AWS::StepFunctions::StateMachineVersion"] = {"create": create_version, "delete": keep}
_RESOURCE_HANDLERS["AWS::StepFunctions::StateMachineAlias"] = {"create": create_alias, "delete": keep}
lambda_svc.execution_credentials = credentials_of_its_own
eventbridge._put_events.__defaults__ = (True,)  # allow_aws_source
stepfunctions._start_execution = start_with_case
stepfunctions._execute_task = execute_as_on_aws

if __name__ == "__main__":
    main()
