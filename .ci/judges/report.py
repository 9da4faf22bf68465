"""How a judge reads the recording and tells what it found."""

import json
import os
import sys


def recording():
    """Every line of the recording: a call, an event, or an event of an execution's history."""
    with open(os.environ["RECORDING"], encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def excuses(path):
    """The findings that are known and let pass: one a line, each under a comment that says why."""
    found, reason = {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reason.append(line)
        elif line.strip():
            if not reason:
                sys.exit(f"{path}: no comment says why this is let pass: {line}")
            found[line.strip()] = "\n".join(reason)
        else:
            reason = []
    return found


class Report:
    """Counts what passed and what failed, and says so as the gate reads it."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, findings):
        """One promise: holds when there is no finding."""
        findings = list(findings)
        print(f"{'FAIL' if findings else 'ok  '} {name}", flush=True)
        for finding in findings[:40]:
            print(f"     {finding}", flush=True)
        if len(findings) > 40:
            print(f"     and {len(findings) - 40} more")
        if findings:
            self.failed += 1
        else:
            self.passed += 1

    def planted(self, name, found):
        """A mistake made on purpose: a judge that does not find it is no judge."""
        self.check(f"finds: {name}", [] if found else ["planted, and not found"])

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
