"""Mistakes made on purpose in the template. Where a mistake can be made in many places it is made in all at once, and every
single one must be found."""

import copy

from grants import Grants, deployed, many
from stack import Stack, yaml_parse


def statements(template):
    """Every statement of every role: (role's name, statement)."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for statement in many(policy["PolicyDocument"]["Statement"]):
                    # A statement that only some parameters make stands within Fn::If.
                    yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def grant_on_the_alias(template):
    """As the console's own role has it, and as it never works (aws-sam-translator#3720)."""
    alias = next(
        n for n, r in Stack(template).body["Resources"].items() if r["Type"] == "AWS::StepFunctions::StateMachineAlias"
    )
    found = [s for _, s in statements(template) if "states:StartExecution" in many(s["Action"])]
    for statement in found:
        statement["Resource"] = {"Ref": alias}
        statement.pop("Condition", None)
    return template


def no_conditions(template):
    for _, statement in statements(template):
        statement.pop("Condition", None)
    return template


def spare_action(template):
    for _, statement in statements(template):
        statement["Action"] = many(statement["Action"]) + ["dynamodb:Scan"]
    return template


def one_action_less(template):
    for _, statement in statements(template):
        if many(statement["Action"])[0] == "sns:Publish":
            statement["Action"] = ["sns:GetTopicAttributes"]
    return template


def no_permissions(template):
    template["Resources"] = {n: r for n, r in template["Resources"].items() if r["Type"] != "AWS::Lambda::Permission"}
    return template


def conditioned(template):
    """The grants that stand under a condition."""
    stack = deployed(template, "aws")
    holders = Grants(stack, stack.parameters["Prefix"]).holders
    return {name for grants in holders.values() for name, statement in grants.items() if "Condition" in statement}


def plant(report, text, judge):
    template = yaml_parse(text)

    def planted(change):
        return change(copy.deepcopy(template))

    def finds(name, findings, *words):
        report.planted(name, any(all(word in finding for word in words) for finding in findings))

    aliased = planted(grant_on_the_alias)
    for partition in ("aws", "aws-us-gov"):
        finds(
            f"a rule's grant on the alias, in {partition}",
            judge(aliased, partition).refused,
            "states:StartExecution",
            "refused",
        )

    names = conditioned(template)
    left = names - judge(planted(no_conditions)).by_wide
    report.check(f"finds: each of {len(names)} conditions, when it is missing", sorted(left))

    verdict = judge(planted(spare_action))
    many_roles = {name for name, _ in statements(template)}
    found = {finding.split(":")[0] for finding in verdict.spare if "dynamodb:Scan" in finding}
    report.check(
        f"finds: a spare action in each of {len(many_roles)} roles",
        [] if len(found) == len(many_roles) else [f"found in {sorted(found)} only"],
    )

    finds("an action that is called and not allowed", judge(planted(one_action_less)).refused, "sns:Publish", "refused")
    finds(
        "a rule that may not call its function",
        judge(planted(no_permissions)).refused,
        "events.amazonaws.com: lambda:InvokeFunction",
        "refused",
    )

    there = "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/"
    wrong = yaml_parse(text.replace(there, there.replace("${AWS::Partition}", "aws"), 1))
    finds("one ARN of the wrong partition", judge(wrong, "aws-us-gov").refused, "ecs:RunTask", "refused")
