"""Compares the last released template with the template as it is: what an upgrade would replace, remove or be refused for."""

import copy
import sys
from pathlib import Path

from changes import Changes
from report import Report
from stack import Stack, yaml_parse

# They hold jobs, subscriptions, running recoveries and messages that nobody has read.
HELD = {
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
}


def newest(folder):
    return max(folder.glob("*.yaml"), key=lambda path: [int(part) for part in path.stem.split(".")])


def lost(changes, old):
    """What must not go: held resources that are removed or replaced."""
    gone = {name: "is removed" for name in changes.removed} | changes.replaced
    kinds = {name: resource["Type"] for name, resource in old.body["Resources"].items()}
    return [f"{name} ({kinds[name]}): {why}" for name, why in sorted(gone.items()) if kinds[name] in HELD]


def plant(report, text):
    template = yaml_parse(text)
    old = Stack(text)

    def changed(change):
        new = copy.deepcopy(template)
        change(new["Resources"])
        return Changes(old, Stack(new))

    def name_of(kind):
        return next(name for name, resource in template["Resources"].items() if resource["Type"] == kind)

    table, topic, machine = (
        name_of("AWS::DynamoDB::Table"),
        name_of("AWS::SNS::Topic"),
        name_of("AWS::Serverless::StateMachine"),
    )
    rule, role, group = name_of("AWS::Events::Rule"), name_of("AWS::IAM::Role"), name_of("AWS::Logs::LogGroup")

    changes = changed(lambda r: None)
    report.planted(
        "nothing, where nothing changes", not (changes.replaced or changes.removed or changes.added or changes.refused)
    )
    changes = changed(lambda r: r[table]["Properties"].update(TableName="jobs"))
    report.planted("a table with another name", table in changes.replaced and lost(changes, old))
    changes = changed(lambda r: r[table]["Properties"]["KeySchema"][0].update(AttributeName="record"))
    report.planted("a table with another key, refused because its name stays", table in changes.refused)
    changes = changed(lambda r: r[topic]["Properties"].update(TopicName="alerts"))
    report.planted("a topic with another name", topic in changes.replaced and lost(changes, old))
    changes = changed(lambda r: r[machine]["Properties"].update(Type="EXPRESS"))
    report.planted("a state machine of another type, refused because its name stays", machine in changes.refused)
    changes = changed(lambda r: r.pop(table))
    report.planted("a table that goes", table in changes.removed and lost(changes, old))
    changes = changed(lambda r: r[rule]["Properties"].update(Name="another"))
    report.planted("a rule with another name, which nobody holds", rule in changes.replaced and not lost(changes, old))
    changes = changed(lambda r: r[role].update(Type="AWS::IAM::ManagedPolicy"))
    report.planted("a resource of another type", role in changes.refused)
    changes = changed(lambda r: r[group]["Properties"].update(RetentionInDays=7))
    report.planted("no replacement in what is changed in place", not changes.replaced)

    task = name_of("AWS::ECS::TaskDefinition")
    before = copy.deepcopy(template)
    before["Resources"][task]["Properties"]["ExecutionRoleArn"] = {"Fn::GetAtt": [role, "Arn"]}
    after = copy.deepcopy(before)
    after["Resources"][role]["Properties"]["Path"] = "/recovery/"
    changes = Changes(Stack(before), Stack(after))
    report.planted("what is replaced because it refers to what is replaced", {role, task} <= set(changes.replaced))


def main(template):
    report = Report()
    released = newest(Path("infra/released"))
    text = Path(template).read_text(encoding="utf-8")
    old, new = Stack(released.read_text(encoding="utf-8")), Stack(text)
    changes = Changes(old, new)
    kinds = {"added": changes.added, "removed": changes.removed, "replaced": changes.replaced}
    counts = ", ".join(f"{len(found)} {words}" for words, found in kinds.items())
    print(f"{released.name} to {Path(template).name}: {changes.compared} resources in both, {counts}")
    for words, found in kinds.items():
        for name, why in sorted(found.items()):
            print(f"  {words}: {name}: {why}")
    report.check("tables, topic, key, queue and state machine stay what they are", lost(changes, old))
    report.check(
        "CloudFormation refuses no change", [f"{name}: {why}" for name, why in sorted(changes.refused.items())]
    )
    plant(report, text)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
