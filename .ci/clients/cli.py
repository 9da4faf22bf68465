"""The aws commands that docs and doctor print, run by the AWS CLI on the sandbox."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import cases
from sandbox import Sandbox

# The reader of pages' commands, which another judge has.
SPEC = importlib.util.spec_from_file_location("pages", ".ci/docs/check.py")
pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pages)

PAGES = ("docs/deploy.md", "docs/runbook.md", "docs/sandbox.md", "README.md")

# What stands for something of the reader's own.
OWN = {"FAMILY": "train", '"CONTAINER"': '"train"', "ROLE_ARN": "arn:aws:iam::123456789012:role/StepFunctionsRole"}

# Commands of what the sandbox does not have. They must be refused as AWS refuses what it does not know, or as said here.
UNKNOWN = r"\((InvalidAction|UnknownOperationException)\)"
REFUSED = {
    "aws iam ": UNKNOWN,
    "aws cloudwatch ": UNKNOWN,
    "aws autoscaling ": UNKNOWN,
    "aws ssm list-documents ": UNKNOWN,
    # The simulated nodes have no shell: they know the stack's own scripts.
    "aws ssm send-command ": r"\((InvalidParameters|ValidationException|InvalidDocument)\)",
}


# Its CLI asks the internet, whatever AWS_ENDPOINT_URL says: not run.
ELSEWHERE = "aws sqs "


def execution_of(states):
    """The execution at work."""
    executions = states.list_executions(stateMachineArn=cases.MACHINE)["executions"]
    return next(e["executionArn"] for e in executions if e["status"] == "RUNNING")


def in_pages():
    for page in PAGES:
        found = pages.commands(Path(page).read_text(encoding="utf-8"))
        yield from ((page, command) for command in found if not command.startswith(ELSEWHERE))


def in_doctor(sandbox):
    """What the doctor prints: the checks, whole."""
    for finding in json.loads(sandbox.run("doctor", "--no-execution", "--json")):
        if finding.get("check", "").startswith("aws "):
            yield "doctor", finding["check"]


def before(sandbox):
    """What the pages' own lines set, for this account."""
    return f"""
CLUSTER={cases.CLUSTER} NODE={cases.FREE}
out() {{ aws cloudformation describe-stacks --stack-name gpu-recovery --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text; }}
TASK=$(aws ecs list-tasks --cluster {cases.CLUSTER} --family dcgm-health-check --desired-status STOPPED --query 'taskArns[0]' --output text)
# The command that the pages send runs a shell, which no simulated node has.
probe() {{ aws ssm send-command --document-name {cases.PROBE} --instance-ids {cases.FREE} --parameters AttemptSeconds=600 --query Command.CommandId --output text; }}
"""


def run(sandbox, tools, command):
    for placeholder, own in OWN.items():
        command = command.replace(placeholder, own)
    environment = sandbox.environment(AWS_DEFAULT_OUTPUT="json")
    environment["PATH"] = f"{tools.resolve()}:{environment['PATH']}"
    script = before(sandbox) + ("ID=$(probe)\n" if "$ID" in command else "") + command
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)


def operation(command):
    """`ecs:listtasks` of `aws ecs list-tasks`; a waiter asks what it waits for."""
    words = command.split()
    service, name = words[1], words[2]
    if name == "wait":
        return None
    return f"{ {'stepfunctions': 'states'}.get(service, service) }:{name.replace('-', '')}"


class Judged:
    """Runs commands, each once, and keeps which operations they called."""

    def __init__(self, results, tools):
        self.results, self.tools = results, tools
        self.done, self.called = set(), set()

    def run(self, sandbox, found):
        for where, command in found:
            if (where, command) in self.done:
                continue
            self.done.add((where, command))
            done = run(sandbox, self.tools, command)
            refusal = next((code for start, code in REFUSED.items() if start in command), None)
            well = done.returncode == 0 if refusal is None else re.search(refusal, done.stderr)
            self.results.check(well, f"{where}: {command}\n     {done.stderr.strip() or done.stdout.strip()}")
            if refusal is None and operation(command):
                self.called.add(operation(command))


def judge(results, program, tools):
    """The operations that a command of the CLI has called and got an answer of."""
    judged = Judged(results, tools)
    with Sandbox(program, "--paused", "--nodes", "4", "--free", "2") as sandbox:
        sandbox.passes(120)
        sandbox.do("break-gpu", node=1, gpu="fault-until-reboot")
        sandbox.passes(3600)
        # A health check of the last hour: ECS forgets stopped tasks, and the pages look at one.
        sandbox.do("break-gpu", node=2, gpu="isolate")
        sandbox.passes(600)
        # The pages wait for a health check, which takes two minutes.
        sandbox.control("time", {"turn": "go", "speed": 600})
        judged.run(sandbox, [*in_doctor(sandbox), *in_pages()])
    results.check(len(judged.done) > 15, f"only {len(judged.done)} aws commands")
    print(f"{len(judged.done)} aws commands of pages and doctor", flush=True)
    return judged.called
