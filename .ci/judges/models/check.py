"""Judges every recorded request, answer, error and history event by the service models that botocore ships."""

import sys
from collections import Counter
from pathlib import Path

import botocore
import botocore.session
import errors
import forms
import integrations
import limits
import plants
from botocore.validate import ParamValidator
from report import Report, excuses, recording
from shapes import Judge

# IAM's name of a service -> botocore's.
NAMES = {"states": "stepfunctions"}

SESSION = botocore.session.get_session()
MODELS = {}


def model(service):
    name = NAMES.get(service, service)
    if name not in MODELS:
        MODELS[name] = SESSION.get_service_model(name)
    return MODELS[name]


class Findings:
    """What was found, counted by what it is about and not by whose it is."""

    def __init__(self):
        self.judge = Judge()
        self.counts, self.examples = Counter(), {}
        self.compared = Counter()

    def add(self, about, findings):
        for path, rule, detail in findings:
            key = f"{about}{path} {rule}"
            self.counts[key] += 1
            self.examples.setdefault(key, detail)

    def line(self, line):
        getattr(self, line["kind"])(line)

    def event(self, _):
        """Events have a judge of their own."""

    def history(self, line):
        self.compared["history events"] += 1
        self.judge.texts_for_timestamps = False
        shape = model("states").shape_for("HistoryEvent")
        event = line["event"]
        about = f"history {event.get('type')} "
        self.add(about, self.judge.check(shape, event))
        # The model says that each detail is optional; only one belongs to a type.
        details = [name for name in event if name.endswith("EventDetails")]
        if len(details) > 1:
            self.add(about, [("", "details", f"one event has the details of one type, not {details}")])
        self.integration(event)

    def integration(self, event):
        found = integrations.of(event, model)
        if not found:
            return
        self.compared["integrations"] += 1
        about, shape, value = found
        value, findings = integrations.recase(shape, value)
        self.judge.texts_for_timestamps = True
        self.add(about, findings + self.judge.check(shape, value))

    def call(self, line):
        self.compared["calls"] += 1
        service, name = model(line["service"]), line["action"]
        about = f"{line['service']}:{name}"
        if name not in service.operation_names:
            self.add(about, [("", "operation", f"{service.service_name} has no such operation")])
            return
        operation = service.operation_model(name)
        self.request(f"{about} request ", service, operation, line["request"])
        if "error" in line:
            self.compared["errors"] += 1
            self.add(f"{about} error {line['error']['code']} ", errors.check(service, operation, line["error"]))
            return
        self.compared["answers"] += 1
        self.judge.texts_for_timestamps = line["role"] == "state-machine"
        if operation.output_shape:
            self.add(f"{about} answer ", self.judge.check(operation.output_shape, line["answer"]))
        elif line["answer"]:
            self.add(f"{about} answer ", [("", "unknown", f"{name} answers with an empty body")])

    def request(self, about, service, operation, request):
        self.compared["requests"] += 1
        shape = operation.input_shape
        if service.metadata["protocol"] == "query":
            request = forms.structure(shape, request)
        findings = self.judge.check(shape, request)
        if not findings and service.service_name != "lambda":
            # The validator of botocore's own client, as a second opinion.
            said = ParamValidator().validate(request, shape)
            findings = [("", "botocore", said.generate_report())] if said.has_errors() else []
        # A limit of a member says nothing where the member is none.
        findings = findings or limits.check(service, operation.name, request)
        self.add(about, findings)


def judged(lines):
    findings = Findings()
    for line in lines:
        findings.line(line)
    return findings


def main():
    report = Report()
    lines = recording()
    findings = judged(lines)
    what = ", ".join(f"{count} {name}" for name, count in findings.compared.items())
    print(f"botocore {botocore.__version__}: {what}; {findings.judge.members} members compared")
    allowed = excuses(Path(__file__).with_name("allowed.txt"))
    new = sorted(set(findings.counts) - set(allowed))
    report.check(
        f"every request, answer, error and history event is as its model says ({len(allowed)} known exceptions)",
        [f"{key} ({findings.counts[key]} times): {findings.examples[key]}" for key in new],
    )
    report.check(f"each of {len(limits.LIMITS)} documented limits is still documented", limits.misquoted(model))
    report.check("every known exception is still one", sorted(set(allowed) - set(findings.counts)))
    plants.plant(report, lines, judged, model)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
