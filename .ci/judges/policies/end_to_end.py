"""The calls that the real bootstraps make in the end-to-end test (.ci/e2e/recorder.py): decided as the simulator's are, and
held against them, so that what a bootstrap calls is no surprise to the simulator."""

import json
from pathlib import Path

CALLS = Path("target/judges/e2e-calls.jsonl")


def kind(line):
    return line["role"], line["service"], line["action"]


def only_there(calls, simulated):
    """The kinds of calls that no play of the simulator has."""
    spare = {kind(line) for line in calls} - {kind(line) for line in simulated}
    return [f"{role}: {service}:{action} is called by the real bootstrap only" for role, service, action in sorted(spare)]


def moved(calls, simulated, functions):
    """One call of each kind, made by every function that never makes such a call."""
    usual = {kind(line) for line in calls + simulated}
    one_of_each = {kind(line): line for line in calls}
    return [
        dict(line, role=other)
        for (_, service, action), line in one_of_each.items()
        for other in functions
        if (other, service, action) not in usual
    ]


def judge(report, template, simulated, make, known):
    """`make` gives the verdict of some calls in a partition; `known` leaves out what is let pass."""
    if not CALLS.exists() or CALLS.stat().st_mtime < template.stat().st_mtime:
        print("end to end: NOT JUDGED: no calls newer than the template; to record them: .ci/e2e/run.sh")
        return
    calls = [json.loads(line) for line in CALLS.read_text(encoding="utf-8").splitlines()]
    simulated = [line for line in simulated if line["kind"] == "call"]
    verdicts = {partition: make(calls, partition) for partition in ("aws", "aws-us-gov")}
    functions = verdicts["aws"].functions
    callers = {line["role"] for line in calls}
    kinds = {kind(line) for line in calls}
    of_functions = {kind(line) for line in simulated if line["role"] in functions}
    print(
        f"end to end: {len(calls)} calls of {len(callers)} of the {len(functions)} functions, of {len(kinds)} kinds; "
        f"the simulator's functions make calls of {len(of_functions)} kinds"
    )

    report.check("end to end: every function calls, and nobody else", sorted(callers ^ functions))
    for partition, verdict in verdicts.items():
        name = f"end to end, {partition}: everything that the real bootstraps call is known and allowed"
        report.check(name, known(verdict.unknown + verdict.refused))
    report.check("end to end: every call is one that the simulator's functions make", only_there(calls, simulated))

    astray = moved(calls, simulated, functions)
    refused = make(astray, "aws").refused
    left = [
        f"{role}: {service}:{action}"
        for role, service, action in map(kind, astray)
        if not any(f.startswith(f"{role}: {service}:{action} on ") and f.endswith(" is refused") for f in refused)
    ]
    report.check(f"finds: each of {len(astray)} calls moved to a function that never makes it", left if astray else ["none"])
    stranger = [dict(calls[0], role="test")] if calls else []
    report.planted("a caller that is no function", stranger and make(stranger, "aws").refused)
    scan = [dict(line, action="Scan") for line in calls if line["service"] == "dynamodb"][:1]
    report.planted("a call that the simulator never makes", only_there(calls + scan, simulated))
