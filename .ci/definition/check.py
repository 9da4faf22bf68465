"""Checks one state machine definition with each validator; check.sh installs them and calls this.

A definition is checked as it is deployed: with a value in place of each ${Name}, as CloudFormation's
DefinitionSubstitutions put them. None of the validators does that itself, and each refuses
arn:${AWSPartition}:... as no ARN.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# A JSONata state may give these as an expression, as the language says
# (https://states-language.net/spec.html#timeouts), but cfn-lint and statelint know only numbers.
SECONDS = {"TimeoutSeconds", "HeartbeatSeconds", "Seconds"}


def sample(name):
    """A value of the kind that the setting called `name` has."""
    if name == "AWSPartition":
        return "aws"
    if name.endswith("FunctionArn"):
        return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    if name.endswith(("Seconds", "Rounds", "Instances")):
        return "60"
    if name.endswith("Codes"):
        return "1,226"
    return name


def with_numbers(value, replaced, place=""):
    """`value` with a number for every expression in SECONDS; `replaced` collects where."""
    if isinstance(value, list):
        return [with_numbers(item, replaced, f"{place}/{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if key in SECONDS and isinstance(item, str) and item.startswith("{%"):
            replaced.append(f"{place}/{key}")
            item = 60
        # What a called service takes is its own affair.
        result[key] = item if key == "Arguments" else with_numbers(item, replaced, f"{place}/{key}")
    return result


def template(definition):
    properties = {
        "RoleArn": "arn:aws:iam::123456789012:role/recovery",
        "DefinitionString": json.dumps(definition),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Recovery": resource}}


def passes(name, command):
    """Runs one validator and shows what it says; no finding means exit code 0."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{'ok  ' if run.returncode == 0 else 'FAIL'} {name}", flush=True)
    if run.returncode != 0:
        print(f"{run.stdout}{run.stderr}".strip(), flush=True)
    return run.returncode == 0


def main(path, python_tools, node_tools):
    text = Path(path).read_text(encoding="utf-8")
    names = sorted(set(re.findall(r"\$\{(\w+)\}", text)))
    try:
        definition = json.loads(re.sub(r"\$\{(\w+)\}", lambda match: sample(match[1]), text))
    except ValueError as error:
        print(f"FAIL {path} is not JSON: {error}")
        return 1
    replaced = []
    numbers = with_numbers(definition, replaced)
    print(f"Checking {path} with a sample value for each of its {len(names)} settings.")
    if replaced:
        print(f"For cfn-lint and statelint, which know no expression there, 60 stands at {', '.join(replaced)}.")

    with tempfile.TemporaryDirectory() as folder:
        files = {
            "definition.json": definition,
            "numbers.json": numbers,
            "template.json": template(numbers),
        }
        for file, content in files.items():
            Path(folder, file).write_text(json.dumps(content, indent=2), encoding="utf-8")
        results = [
            passes(
                "cfn-lint: the definition in a CloudFormation template (E3601)",
                [f"{python_tools}/cfn-lint", "--regions", "us-east-1", "--template", f"{folder}/template.json"],
            ),
            passes(
                "statelint: structure, transitions, retries and catchers",
                # FLOAT: it wants 2.0 for a BackoffRate of 2, which JSON does not tell apart.
                [f"{python_tools}/statelint", "--ignore=FLOAT", f"{folder}/numbers.json"],
            ),
            passes(
                "asl-validator: schema of each state, and the syntax of each JSONata expression",
                [f"{node_tools}/asl-validator", "--json-path", f"{folder}/definition.json"],
            ),
        ]
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
