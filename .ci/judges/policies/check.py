"""Decides every recorded call by the roles of the deployed template, with a policy engine; allowed and needed, both ways."""

import json
import re
import subprocess
import sys
from pathlib import Path

import end_to_end
import plants
from authorize import Authorizer, UnknownCall
from beside import (
    of_alarms,
    of_functions,
    of_rules,
    of_state_machine,
    of_tasks,
    of_trust,
)
from grants import Grants, deployed
from near_misses import SECOND_BELT, elsewhere
from report import Report, excuses, recording
from stack import ACCOUNT, CLUSTER, REGIONS

HERE = Path(__file__).parent
# Calls of the people and tools that play with the simulated account, by their own credentials.
NOT_OURS = {"launcher", "report", "person", "deploy", "operator"}
# Actions that may be authorized on none of the resources that the Reference marks with a star.
NOT_ALWAYS = {
    # A query of an index is authorized on the index (DynamoDB developer guide, iam-policy-specific-table-indexes).
    "dynamodb:Query",
    # Without an instance in the request there is none to check; the cluster's condition key is what narrows it.
    "ecs:ListTasks",
}


def here(request, partition):
    """The request as it would be in another partition; the recording's is aws."""
    text = re.sub(r"arn:aws:([a-z0-9-]+):us-east-1:", rf"arn:{partition}:\1:{REGIONS[partition]}:", json.dumps(request))
    return json.loads(text.replace("arn:aws:iam::", f"arn:{partition}:iam::"))


class Case:
    """One partition: the stack, its policies, and everything that AWS is asked to authorize."""

    def __init__(self, template, definition, lines, partition):
        self.stack = deployed(template, partition)
        roles = self.stack.parameters["TaskRoleArns"]
        prefix = self.stack.parameters["Prefix"]
        self.grants = Grants(self.stack, prefix)
        functions = self.stack.resources("AWS::Lambda::Function").values()
        self.functions = {function["FunctionName"].removeprefix(f"{prefix}-") for function in functions}
        self.unknown, self.callers = set(), {}
        self.asked = {}
        authorizer = Authorizer(self.stack, CLUSTER, roles)
        for line in lines:
            if line["kind"] != "call":
                continue
            self.callers[line["role"]] = self.callers.get(line["role"], 0) + 1
            if line["role"] in NOT_OURS or line["role"] == "eventbridge":
                continue
            try:
                for authorization in authorizer.of(dict(line, request=here(line["request"], partition))):
                    self._ask(authorization)
            except UnknownCall as unknown:
                self.unknown.add(str(unknown))
        for more in (
            of_functions(self.stack, prefix),
            of_state_machine(self.stack, "state-machine", definition, roles),
            of_rules(self.stack),
            of_tasks(self.stack),
            of_alarms(self.stack),
            of_trust(self.stack),
        ):
            for authorization in more:
                self._ask(authorization)

    def _ask(self, authorization):
        # One of those that differ in an id only.
        key = re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", str(authorization.key()))
        self.asked.setdefault(key, authorization)

    def decide(self, modules, authorizations):
        # A grant's name is no Sid.
        names = {f"g{nth}": name for nth, name in enumerate(self.grants.names())}
        policies = self.grants.policies({name: sid for sid, name in names.items()})
        requests = [self._request(a, policies) for a in authorizations]
        question = json.dumps({"policies": policies, "requests": requests})
        # AWS's own documents have no account in their ARN, which the engine takes for no ARN.
        question = question.replace("::document/", ":aws:document/")
        done = subprocess.run(
            ["node", HERE / "decide.mjs", modules], input=question, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"the policy engine failed: {done.stderr}")
        answer = json.loads(done.stdout)
        for decision in answer["decisions"]:
            decision["by"] = [names[sid] for sid in decision.get("by", [])]
        return answer

    def _request(self, a, policies):
        service = a.who.endswith(".amazonaws.com")
        return {
            "principal": a.who if service else f"arn:{self.stack.partition}:iam::{ACCOUNT}:role/holder",
            "account": ACCOUNT,
            "action": a.action,
            "resource": a.resource,
            "context": a.context,
            "identity": None if service else (a.who if a.who in policies else None),
            # A key's policy leaves the account's own roles to their own policies; the engine knows.
            "resourcePolicy": a.resource if a.resource in policies and a.action != "iam:PassRole" else None,
        }


class Verdict:
    """What is wrong with the policies of one case."""

    def __init__(self, case, modules):
        asked = list(case.asked.values())
        beside = [(a, name, b) for a in asked for name, b in elsewhere(a)]
        answer = case.decide(modules, asked + [b for _, _, b in beside])
        decisions, self.actions = answer["decisions"], answer["actions"]
        self.asked, self.beside = asked, beside
        self.refused, self.wide, used, types = [], [], set(), {}
        # The grants that allowed what they should not.
        self.by_wide = set()
        for a, decision in zip(asked, decisions):
            if "error" in decision:
                self.refused.append(
                    f"{a.who}: {a.action} on {a.resource}: no request that AWS knows: {decision['error']}"
                )
                continue
            if not decision["allowed"]:
                context = f" with {a.context}" if a.context else ""
                self.refused.append(f"{a.who}: {a.action} on {a.resource}{context} is refused")
            if decision["ignored"]:
                self.refused.append(f"{a.who}: {a.action} knows no key {decision['ignored']}")
            used.update(decision["by"])
            types.setdefault((a.who, a.action), set()).add(decision["type"])
        for (_, name, b), decision in zip(beside, decisions[len(asked) :]):
            if decision.get("allowed"):
                self.by_wide |= set(decision["by"])
            if decision.get("allowed") and name != SECOND_BELT:
                self.wide.append(f"{b.who}: {b.action} on {b.resource} is allowed for {name} too")
        for (who, action), found in sorted(types.items()):
            needed = self.actions[action]
            if needed and not found & set(needed) and action not in NOT_ALWAYS:
                self.refused.append(
                    f"{who}: {action} is authorized on a {' or '.join(needed)}, which the judge did not name"
                )
        self.functions = case.functions
        self.spare = sorted(case.grants.names(allowing=True) - used)
        self.spare += [f"the role {arn} is nobody's" for arn in case.grants.left]
        self.unknown = sorted(case.unknown)


def main(template, modules):
    report = Report()
    path = Path(template)
    template, definition = (
        path.read_text(encoding="utf-8"),
        Path("statemachine/recovery.asl.json").read_text(encoding="utf-8"),
    )
    lines = recording()
    allowed = excuses(HERE / "allowed.txt")
    still = set()

    def known(findings):
        still.update(f for f in findings if f in allowed)
        return [f for f in findings if f not in allowed]

    for partition in REGIONS:
        case = Case(template, definition, lines, partition)
        verdict = Verdict(case, modules)
        calls = sum(n for who, n in case.callers.items() if who not in NOT_OURS)
        print(
            f"{partition}: {calls} calls of {len(case.grants.holders)} roles: {len(verdict.asked)} authorizations and "
            f"{len(verdict.beside)} near misses decided by {len(case.grants.names())} grants"
        )

        report.check(f"{partition}: the judge knows what AWS authorizes for every call", verdict.unknown)
        report.check(f"{partition}: everything that is called is allowed", known(verdict.refused))
        report.check(f"{partition}: nothing beside it is allowed", known(verdict.wide))
        report.check(f"{partition}: every grant is needed", known(verdict.spare))
    end_to_end.judge(
        report, path, lines, lambda calls, partition: Verdict(Case(template, definition, calls, partition), modules), known
    )
    report.check("every known exception is still one", sorted(set(allowed) - still))
    plants.plant(
        report, template, lambda planted, partition="aws": Verdict(Case(planted, definition, lines, partition), modules)
    )
    return report.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
