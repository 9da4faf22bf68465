"""Lets the AWS CLI read the aws commands of a page; check.sh installs it and calls this."""

import os
import re
import subprocess
import sys
from pathlib import Path

# A command that the CLI has read gets as far as the network; the discard port is closed.
READ = "Could not connect to the endpoint URL"

# What the page's own lines set, and what they take from the answers of others.
BEFORE = """
CLUSTER=training NODE=i-0123456789abcdef0
TOPIC=arn:aws:sns:us-east-1:123456789012:gpu-recovery MESSAGES_URL=https://example.com/a ALARMS_URL=https://example.com/b
PAGERDUTY_ADDRESS=ops@example.com
TASK=arn:aws:ecs:us-east-1:123456789012:task/training/0123456789abcdef0123456789abcdef
ID=01234567-89ab-cdef-0123-456789abcdef
out() { echo arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery; }
"""


def commands(page):
    """Every aws command of the page's shell blocks, without what is piped or waited for around it."""
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            inside = re.fullmatch(r"\w+=\$\((.*)\)", line)
            line = inside.group(1) if inside else line
            line = re.sub(r"^(sleep \d+; |out\(\) \{ )", "", line)
            line = re.sub(r"( \| tee .*|; \})$", "", line)
            if line.startswith("aws "):
                yield line


def refusal(command, tools):
    """Why the CLI does not read the command; nothing when it does."""
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": "/nonexistent",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", BEFORE + command], capture_output=True, text=True, check=False, env=environment
    )
    return None if READ in done.stderr else (done.stderr or done.stdout or "it ended without a word").strip()


def main(page, tools):
    tools = Path(tools).resolve()
    found = list(commands(Path(page).read_text(encoding="utf-8")))
    failed = 0
    for command in found:
        why = refusal(command, tools)
        if why:
            failed += 1
            print(f"FAIL {command}\n     {why}", flush=True)
    if not found:
        sys.exit(f"{page} has no aws command in a shell block")
    print(f"aws commands of {page}, read by the AWS CLI:")
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
