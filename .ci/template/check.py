"""Checks one SAM template with each linter; check.sh installs them and calls this."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# One of each partition: what a service supports differs.
REGIONS = "us-east-1,cn-north-1,us-gov-west-1"

ENVIRONMENT = os.environ | {
    "SAM_CLI_TELEMETRY": "0",
    "AWS_DEFAULT_REGION": "us-east-1",
    # checkov tells at length that it cannot reach its vendor, which it does not need.
    "LOG_LEVEL": "CRITICAL",
}


def run(command, folder):
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=ENVIRONMENT)


def report(name, findings):
    print(f"{'FAIL' if findings else 'ok  '} {name}", flush=True)
    for finding in findings:
        print(f"     {finding}", flush=True)
    return not findings


def passes(name, command, folder):
    """A linter that tells by its exit code."""
    done = run(command, folder)
    text = f"{done.stdout}{done.stderr}".strip().splitlines()
    return report(name, [] if done.returncode == 0 else text or ["it failed without a word"])


def skips(text, template):
    """Every (check, resource) that the template suppresses, and those without a reason.

    In Metadata; or, at functions, in comments: SAM builds functions once only where their Metadata is the same.
    """
    declared = [
        (skip["id"], name, skip.get("comment", ""))
        for name, resource in template["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    resource = None
    for line in text.splitlines():
        if head := re.fullmatch(r"  (\w+):", line):
            resource = head[1]
        if skip := re.fullmatch(r"\s+# checkov:skip=(\w+):?(.*)", line):
            declared.append((skip[1], resource, skip[2]))
    unexplained = [f"{name} suppresses {check} without a reason" for check, name, reason in declared if not reason.strip()]
    return {(check, name) for check, name, _ in declared}, unexplained


def checkov(path, tools):
    """No finding, no suppression without a reason, and none that suppresses nothing."""
    command = [
        f"{tools}/checkov", "--framework", "cloudformation", "--file", path.name,
        "--skip-download", "--output", "json", "--quiet",
    ]  # fmt: skip
    done = run(command, path.parent)
    try:
        answer = json.loads(done.stdout)
        results = answer["results"]
    except (ValueError, KeyError, TypeError):
        return report("checkov: security", f"{done.stdout}{done.stderr}".strip().splitlines() or ["no answer"])
    findings = [
        f"{c['check_id']} {c['resource']} line {c['file_line_range'][0]}: {c['check_name']}"
        for c in results["failed_checks"]
    ]
    if answer["summary"]["parsing_errors"]:
        findings.append("checkov cannot read the template")
    # cfn-lint's reader knows the short forms of CloudFormation's functions.
    from cfnlint.decode.cfn_yaml import load

    declared, unexplained = skips(path.read_text(encoding="utf-8"), load(str(path)))
    # A second look without any suppression tells which of them still suppress something.
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "template.yaml")
        bare.write_text(path.read_text(encoding="utf-8").replace("checkov:", "suppressed:"), encoding="utf-8")
        done = run([*command[:4], bare.name, *command[5:]], folder)
    failing = {
        (c["check_id"], c["resource"].rsplit(".", 1)[-1])
        for c in json.loads(done.stdout)["results"]["failed_checks"]
    }
    spare = [f"{name} suppresses {check}, which finds nothing there" for check, name in sorted(declared - failing)]
    summary = answer["summary"]
    return report(
        f"checkov: security ({summary['passed']} checks pass, {len(declared)} suppressed, each with its reason)",
        findings + unexplained + spare,
    )


def main(path, tools):
    path = Path(path)
    tools = Path(tools).resolve()
    print(f"Checking {path.name} in {path.parent}", flush=True)
    results = [
        passes("sam validate --lint: what sam deploy takes", [f"{tools}/sam", "validate", "--lint", "--template", path.name], path.parent),
        passes(f"cfn-lint: CloudFormation's schemas in {REGIONS}", [f"{tools}/cfn-lint", "--regions", *REGIONS.split(","), "--template", path.name], path.parent),
        checkov(path, tools),
    ]  # fmt: skip
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
