"""The README's own launcher on the sandbox: a job that it has recorded is recovered."""

import re
import subprocess
import sys
from pathlib import Path

import boto3
import cases
from sandbox import Sandbox


def code():
    return re.search(r"^```python\n(.*?)^```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]


def start(ecs, definition, instance):
    """A task on this instance, as a launcher starts it."""
    place = {"type": "memberOf", "expression": f"ec2InstanceId == '{instance}'"}
    started = ecs.run_task(
        cluster=cases.CLUSTER, taskDefinition=definition, launchType="EC2", placementConstraints=[place]
    )
    return started["tasks"][0]["taskArn"]


def judge(results, program):
    with Sandbox(program, "--paused", "--nodes", "4", "--free", "2") as sandbox:
        ecs = boto3.client(
            "ecs",
            region_name="us-east-1",
            endpoint_url=sandbox.url,
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        running = ecs.list_tasks(cluster=cases.CLUSTER)["taskArns"][:1]
        definition = ecs.describe_tasks(cluster=cases.CLUSTER, tasks=running)["tasks"][0]["taskDefinitionArn"]
        tasks = [start(ecs, definition, instance) for instance in (cases.FREE, cases.ALSO_FREE)]

        def record():
            return subprocess.run(
                [sys.executable, "-c", f"{code()}\nrecord('own', {tasks!r})\n"],
                capture_output=True,
                text=True,
                check=False,
                env=sandbox.environment(),
            )

        done = record()
        results.check(done.returncode == 0, f"README's launcher: {done.stderr}")
        again = record()
        results.check("ConditionalCheckFailed" in again.stderr, "README's launcher records a job id twice")
        sandbox.passes(120)
        sandbox.do("break-gpu", node=4, gpu="fault-until-reboot")
        sandbox.passes(3600)
        subjects = [message["subject"] for message in sandbox.control("messages")["messages"]]
        results.check(
            any("RECOVERED own " in subject for subject in subjects), f"README's job is not recovered: {subjects}"
        )
