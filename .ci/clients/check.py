"""boto3 and the AWS CLI on the sandbox; check.sh installs them and calls this."""

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import cases
import cli
import launcher
from sandbox import Sandbox
from shapes import Judge

PAGE = Path("docs/sandbox.md")
# An answer was held against its shape; what else is compared is an error's name.
ANSWER = "answer"
BEGIN, END = "<!-- clients -->\n", "<!-- end -->\n"

# What the models forbid, and AWS does all the same; the judge of the recorded calls has the quotations
# (.ci/judges/models/allowed.txt).
ALLOWED = {
    # "If the plugin hasn't started to run, the string is empty" (API reference, GetCommandInvocation).
    ("ssm", ".ExecutionStartDateTime", "pattern"),
    ("dynamodb", ".UnprocessedItems", "length"),
    ("dynamodb", ".UnprocessedKeys", "length"),
    ("dynamodb", ".TableDescription.TableThroughputModeSummary", "unknown"),
    ("dynamodb", ".Table.TableThroughputModeSummary", "unknown"),
}


class Results:
    def __init__(self):
        self.passed, self.failures = 0, []

    def check(self, well, what):
        if well:
            self.passed += 1
        else:
            self.failures.append(what)
            print(f"FAIL {what}", flush=True)


class Wire:
    """What came over the wire, as the client saw it before it read it."""

    def __init__(self):
        self.raw = None

    def keep(self, response_dict, **_):
        self.raw = response_dict["body"]


def clients(sandbox, wire):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=True)
    made = {}

    def client(service):
        name = cases.CLIENTS.get(service, service)
        if name not in made:
            made[name] = boto3.client(
                name,
                region_name="us-east-1",
                endpoint_url=sandbox.url,
                aws_access_key_id="any",
                aws_secret_access_key="any",
                config=config,
            )
            made[name].meta.events.register("before-parse", wire.keep)
        return made[name]

    return client


def method(client, operation):
    names = {known: name for name, known in client.meta.method_to_api_mapping.items()}
    return getattr(client, names[operation])


def findings(model, operation, raw):
    """What the service's own model forbids in an answer."""
    shape = model.operation_model(operation).output_shape
    if not raw:
        return [] if shape is None or not shape.members else [("", "empty", "an answer has a body")]
    if model.protocol in ("json", "rest-json"):
        return Judge().check(shape, json.loads(raw)) if shape is not None else []
    return list(strangers(shape, xml.fromstring(raw), model.protocol))


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def strangers(shape, root, protocol):
    """Elements of an XML answer that its shape does not know."""
    if protocol == "query":
        root = next(child for child in root if local(child).endswith("Result"))
    yield from unknown(shape, root, "", {"requestId", "return"} if protocol == "ec2" else set())


def unknown(shape, element, path, beside):
    if shape is None:
        return
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            name = local(child)
            if name in names:
                yield from unknown(names[name], child, f"{path}.{name}", set())
            elif name not in beside:
                yield f"{path}.{name}", "unknown", f"{shape.name} has no such member"
    elif shape.type_name == "list":
        for child in element:
            yield from unknown(shape.member, child, f"{path}[]", set())
    elif shape.type_name == "timestamp":
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", element.text or ""):
            yield path, "type", f"{element.text!r} is no time"
    elif shape.type_name in ("string",) and shape.enum and element.text not in shape.enum:
        yield path, "enum", f"{element.text!r} is none of {shape.name}'s values"


def allowed(service, path, rule):
    return (service, path, rule) in ALLOWED or (service == "dynamodb" and "DecreasesToday" in path)


def judge_answers(results, client, wire, world, seen):
    for service, operation, request in cases.answered(world):
        about = f"{service}:{operation}"
        here = client(service)
        try:
            answer = method(here, operation)(**request)
        except botocore.exceptions.BotoCoreError as error:
            results.check(False, f"{about}: the client cannot use it: {error}")
            continue
        except botocore.exceptions.ClientError as error:
            results.check(False, f"{about}: refused: {error}")
            continue
        world.answers[operation] = answer
        found = [
            f"{path} {rule}: {detail}"
            for path, rule, detail in findings(here.meta.service_model, operation, wire.raw)
            if not allowed(service, path, rule)
        ]
        results.check(not found, f"{about}: {'; '.join(found[:5])}")
        seen.setdefault(about, set()).add(ANSWER)


def judge_refusals(results, client, world, seen):
    for service, operation, request, wanted in cases.refused(world):
        about = f"{service}:{operation}"
        here = client(service)
        try:
            method(here, operation)(**request)
            results.check(False, f"{about}: {wanted} was not raised")
            continue
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if wanted.startswith("="):
                well = code == wanted[1:]
            else:
                known = getattr(here.exceptions, wanted, None)
                well = known is not None and isinstance(error, known)
            results.check(well, f"{about}: {type(error).__name__} {code}, not {wanted}: {error}")
        seen.setdefault(about, set()).add(wanted.lstrip("="))


def judge_unknown(results, client, offered):
    for (service, operation), code in cases.UNKNOWN.items():
        here = client(service)
        try:
            method(here, operation)()
            results.check(False, f"{service}:{operation}: it is not offered, and answers")
        except botocore.exceptions.ClientError as error:
            got = error.response["Error"]["Code"]
            results.check(got == code, f"{service}:{operation}: {got}, not {code}")
    missing = set(offered) - {service for service, _ in cases.UNKNOWN}
    results.check(not missing, f"no unknown operation is asked of {sorted(missing)}")


def judge_memory(results, sandbox, client, requests=10_000):
    """A leak shows: after a first thousand, ten thousand more take nothing."""
    ecs, states = client("ecs"), client("states")

    def ask(times):
        for nth in range(times):
            if nth % 2:
                ecs.list_tasks(cluster=cases.CLUSTER)
            else:
                states.list_executions(stateMachineArn=cases.MACHINE)

    ask(requests // 10)
    before, begun = sandbox.memory(), time.monotonic()
    ask(requests)
    grown, took = sandbox.memory() - before, time.monotonic() - begun
    results.check(grown < 8 << 20, f"{requests} requests took {grown >> 20} MiB")
    print(f"{requests:,} requests of boto3 in {took:.0f} s; memory grew by {grown / (1 << 20):.1f} MiB", flush=True)


def judge_pace(results, program):
    """64 nodes at 600 to 1 through a recovery."""
    with Sandbox(program, "--nodes", "64", "--speed", "600") as sandbox:
        time.sleep(1)
        sandbox.do("break-gpu", node=3, gpu="fault-until-reboot")
        time.sleep(9)
        clock, memory = sandbox.control("time"), sandbox.memory()
    behind = clock["behind"]
    results.check(behind < 0.5, f"64 nodes at 600 to 1: {behind:.1f} s behind in 10 s")
    results.check(memory < 200 << 20, f"64 nodes take {memory >> 20} MiB")
    print(f"64 nodes at 600 to 1: {behind:.2f} s behind in 10 s, {memory >> 20} MiB", flush=True)


def table(offered, seen, by_cli):
    lines = ["| service | operation | clients | compared |", "| --- | --- | --- | --- |"]
    for service, operations in offered.items():
        for operation in operations:
            about = f"{service}:{operation}"
            who = "boto3, AWS CLI" if about.lower() in by_cli else "boto3"
            named = seen.get(about, set())
            errors = [f"`{name}`" for name in sorted(named - {ANSWER})]
            compared = ", ".join([ANSWER] * (ANSWER in named) + errors)
            lines.append(f"| {service} | {operation} | {who} | {compared} |")
    return "\n".join(lines) + "\n"


def judge_page(results, written):
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    old, tail = rest.split(END, 1)
    if os.environ.get("UPDATE_CLIENTS"):
        PAGE.write_text(head + BEGIN + written + END + tail, encoding="utf-8")
    results.check(
        old == written or os.environ.get("UPDATE_CLIENTS"), f"{PAGE} has another table; write it with UPDATE_CLIENTS=1"
    )


def main(program, tools):
    results, wire = Results(), Wire()
    with Sandbox(program, "--paused", "--nodes", "4", "--free", "2") as sandbox:
        offered = sandbox.control("operations")
        client = clients(sandbox, wire)
        sandbox.passes(120)
        sandbox.do("break-gpu", node=1, gpu="fault-until-reboot")
        sandbox.passes(300)
        execution = cli.execution_of(client("states"))
        world = cases.World(client, execution, sandbox.passes)
        seen = {}
        judge_answers(results, client, wire, world, seen)
        judge_refusals(results, client, world, seen)
        judge_unknown(results, client, offered)
        for service, operations in offered.items():
            for operation in operations:
                about = f"{service}:{operation}"
                results.check(about in seen, f"{about} is offered, and no case calls it")
        judge_memory(results, sandbox, client)
    launcher.judge(results, program)
    by_cli = cli.judge(results, program, Path(tools))
    judge_pace(results, program)
    judge_page(results, table(offered, seen, by_cli))
    print("Operations of the sandbox, called by boto3 and the AWS CLI, answers held against botocore's models:")
    print(f"{results.passed} passed, {len(results.failures)} failed")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
