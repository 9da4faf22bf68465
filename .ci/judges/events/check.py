"""Judges the events that the simulator sends by what AWS documents, and the template's rules by a matcher that others keep."""

import copy
import sys
from collections import Counter
from pathlib import Path

import cases
from documented import all_kinds
from localstack.services.events.event_rule_engine import EventRuleEngine
from report import Report, excuses, recording
from stack import Stack

ENGINE = EventRuleEngine()


def matches(pattern, event):
    return ENGINE.evaluate_pattern_on_event(pattern, event)


def members(documented, events):
    """Every finding in the recorded events, with how often it was made."""
    counts = Counter()
    for event in events:
        kind = event["detail-type"]
        if kind not in documented:
            counts[f"{kind}: no fixture and no page says what it holds"] += 1
            continue
        for finding in documented[kind].check(event):
            counts[f"{kind}: {finding}"] += 1
    return counts


def rules(stack):
    """Name without the stack's prefix -> pattern."""
    prefix = stack.parameters["Prefix"]
    return {
        rule["Name"].removeprefix(f"{prefix}-"): rule["EventPattern"]
        for rule in stack.resources("AWS::Events::Rule").values()
        if "EventPattern" in rule
    }


def wrong_cases(stack, patterns):
    """Cases that end otherwise than they must, and rules without a case of each kind."""
    for name in patterns:
        for taken in (True, False):
            if not any(rule == name and wanted is taken for rule, *_, wanted, _ in cases.CASES):
                yield f"{name}: no case says what it must {'take' if taken else 'not take'}"
    for name, fixture, change, wanted, why in cases.CASES:
        if name not in patterns:
            yield f"{name}: no such rule"
            continue
        event = cases.event(fixture, change, stack, patterns[name])
        if matches(patterns[name], event) is not wanted:
            yield f"{name} {'does not take' if wanted else 'takes'} {fixture} {change or ''}: {why}"


def alternatives(pattern):
    """A pattern's alternatives ($or), each as a pattern of its own."""
    detail = pattern.get("detail", {})
    rest = {name: value for name, value in detail.items() if name != "$or"}
    for choice in detail.get("$or", [{}]):
        yield choice, pattern | {"detail": rest | choice}


def idle(patterns, events):
    """Alternatives that no recorded event matches: what they wait for may not exist."""
    for name, pattern in patterns.items():
        for choice, alone in alternatives(pattern):
            if not any(matches(alone, event) for event in events):
                yield f"{name}: no event matches {choice or 'it'}"


def disagreements(patterns, lines):
    """Recorded events that the simulator's own matcher decided otherwise."""
    for line in lines:
        event, took = line["event"], set(line["rules"])
        for name, pattern in patterns.items():
            if matches(pattern, event) is not (name in took):
                yield f"{name}: the simulator {'took' if name in took else 'did not take'} {event['detail-type']} {event['id']}"


def plant(report, documented, stack, patterns, lines):
    def first(detail_type):
        return copy.deepcopy(next(line["event"] for line in lines if line["event"]["detail-type"] == detail_type))

    def finds(name, event, words):
        report.planted(name, any(words in finding for finding in members(documented, [event])))

    task = first("ECS Task State Change")
    task["detail"]["exitCode"] = 1
    finds("a member that AWS does not send", task, ".exitCode is not documented")
    task = first("ECS Task State Change")
    del task["detail"]["clusterArn"]
    finds("a member that AWS always sends", task, ".clusterArn is missing")
    task = first("ECS Task State Change")
    del task["detail"]["containers"][0]["lastStatus"]
    finds("such a member in a list", task, "containers[].lastStatus is missing")
    task = first("ECS Task State Change")
    task["detail"]["version"] = "6"
    finds("a member of another type", task, ".version is string")
    command = first("EC2 Command Invocation Status-change Notification")
    del command["detail"]["status"]
    finds("a member that is in each of AWS's examples", command, ".status is missing")
    task = first("ECS Task State Change")
    task["detail-type"] = "ECS Task Change"
    finds("a kind of event that nobody documents", task, "no fixture")
    task = first("ECS Task State Change")
    del task["region"]
    finds("an envelope that is not whole", task, "envelope: region")

    def rule_finds(name, rule, change):
        planted = copy.deepcopy(patterns)
        change(planted[rule])
        report.planted(name, any(finding.startswith(rule) for finding in wrong_cases(stack, planted)))

    rule_finds("a rule that takes our own stops", "task-stopped", lambda p: p["detail"].pop("$or"))
    rule_finds("a rule that hears other clusters", "task-stopped", lambda p: p["detail"].pop("clusterArn"))
    rule_finds(
        "a rule that waits for a word that AWS does not say",
        "task-stopped",
        lambda p: p["detail"].update(lastStatus=["Stopped"]),
    )
    rule_finds(
        "a rule that misses what has no reason",
        "task-stopped",
        lambda p: p["detail"].update({"$or": p["detail"]["$or"][1:]}),
    )
    rule_finds(
        "a rule that misses time-outs", "execution-failed", lambda p: p["detail"].update(status=["FAILED", "ABORTED"])
    )
    planted = copy.deepcopy(lines[:50])
    for line in planted:
        line["rules"] = [*line["rules"], "task-stopped"]
    report.planted("a matcher that takes everything", any(disagreements(patterns, planted)))


def main(template, modules):
    report = Report()
    lines = [line for line in recording() if line["kind"] == "event"]
    events = [line["event"] for line in lines]
    documented = all_kinds(modules)
    allowed = excuses(Path(__file__).with_name("allowed.txt"))
    stack = Stack(Path(template).read_text(encoding="utf-8"))
    patterns = rules(stack)
    kinds = {event["detail-type"] for event in events}
    print(f"{len(events)} events of {len(kinds)} kinds; {len(patterns)} rules, {len(cases.CASES)} cases")
    for kind in documented.values():
        print(f"  {kind.kind.detail_type}: {len(kind.types)} members, {len(kind.required)} always there")
        print(f"    {', '.join(kind.sources)}; {kind.kind.page}")
    for kind in documented.values():
        found = {finding for example in kind.examples for finding in kind.check(example)}
        report.check(f"{kind.kind.detail_type}: the fixtures are as documented", sorted(found))
    found = members(documented, events)
    still = set(found) | set(idle(patterns, events))
    report.check(
        "every event that the simulator sends is as documented",
        [f"{f} ({n} times)" for f, n in sorted(found.items()) if f not in allowed],
    )
    report.check("each rule takes what it should and nothing beside it", wrong_cases(stack, patterns))
    report.check(
        "each alternative of each rule is matched by some event",
        [f for f in idle(patterns, events) if f not in allowed],
    )
    report.check("the simulator's matcher and LocalStack's agree on every event", disagreements(patterns, lines))
    report.check("every known exception is still one", sorted(set(allowed) - still))
    plant(report, documented, stack, patterns, lines)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
