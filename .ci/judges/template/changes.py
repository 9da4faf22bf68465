"""What an upgrade from one template to another does to each resource, as a change set would tell: by the properties that
CloudFormation's own schemas call create-only (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/
resource-type-schema.html, createOnlyProperties and conditionalCreateOnlyProperties)."""

import json

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

# A new one is published at each change, and the old one is kept (SAM, AutoPublishAlias).
ANEW_EACH_TIME = {"AWS::Lambda::Version", "AWS::StepFunctions::StateMachineVersion"}


def create_only(kind):
    """Property -> True when a change always replaces, False when it may."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    found = {}
    for name, always in (("conditionalCreateOnlyProperties", False), ("createOnlyProperties", True)):
        for pointer in schema.get(name, []):
            found[pointer.removeprefix("/properties/")] = always
    return found


def value(stack, properties, pointer):
    """A property, resolved; a list is compared as a whole."""
    first, *rest = pointer.split("/")
    found = stack.resolve(properties[first]) if first in properties else None
    for part in rest:
        if part == "*" or not isinstance(found, dict):
            return found
        found = found.get(part)
    return found


def own_name(kind, pointer):
    """True for the property that names the resource in its account."""
    return pointer in ("Name", f"{kind.rsplit('::', 1)[-1]}Name")


def mentions(properties, names):
    """True when one of the resources is referred to."""
    if isinstance(properties, list):
        return any(mentions(item, names) for item in properties)
    if not isinstance(properties, dict):
        return False
    if "Ref" in properties:
        return properties["Ref"] in names
    if "Fn::GetAtt" in properties:
        target = properties["Fn::GetAtt"]
        return (target.split(".")[0] if isinstance(target, str) else target[0]) in names
    if "Fn::Sub" in properties and any(
        f"${{{name}}}" in json.dumps(properties) or f"${{{name}." in json.dumps(properties) for name in names
    ):
        return True
    return any(mentions(item, names) for item in properties.values())


class Changes:
    """Of two stacks with the same parameters."""

    def __init__(self, old, new):
        self.old, self.new = old, new
        before, after = self._kinds(old), self._kinds(new)
        self.removed = {name: kind for name, kind in before.items() if name not in after and kind not in ANEW_EACH_TIME}
        self.added = {name: kind for name, kind in after.items() if name not in before and kind not in ANEW_EACH_TIME}
        # Name -> why.
        self.replaced, self.refused = {}, {}
        both = {name: kind for name, kind in after.items() if name in before and kind not in ANEW_EACH_TIME}
        for name, kind in both.items():
            if before[name] != kind:
                self.replaced[name] = f"{before[name]} becomes {kind}, which CloudFormation refuses"
                self.refused[name] = self.replaced[name]
        self._properties({name: kind for name, kind in both.items() if name not in self.replaced})
        self.compared = len(both)

    @staticmethod
    def _kinds(stack):
        return {name: r["Type"] for name, r in stack.body["Resources"].items() if stack.made(name)}

    def _raw(self, stack, name):
        return stack.body["Resources"][name].get("Properties", {})

    def _properties(self, both):
        """Until nothing follows any more: what is replaced has another ARN, and so may replace what was made with it."""
        todo = dict(both)
        while True:
            more = {name: why for name, kind in todo.items() if (why := self._why(name, kind))}
            if not more:
                return
            self.replaced |= more
            todo = {name: kind for name, kind in todo.items() if name not in more}

    def _why(self, name, kind):
        raw = self._raw(self.new, name)
        both = {
            pointer: (value(self.old, self._raw(self.old, name), pointer), value(self.new, raw, pointer))
            for pointer in create_only(kind)
        }
        names_itself = any(own_name(kind, pointer) and old == new is not None for pointer, (old, new) in both.items())
        for pointer, always in create_only(kind).items():
            changed = both[pointer][0] != both[pointer][1]
            follows = mentions(raw.get(pointer.split("/")[0]), self.replaced)
            if not changed and not follows:
                continue
            why = f"{pointer} {'changes' if changed else 'refers to what is replaced'}{'' if always else ' (may replace)'}"
            if names_itself:
                # CloudFormation makes the new one first (troubleshooting, "cannot update a stack when a custom-named
                # resource requires replacing").
                self.refused[name] = f"{why}, and its name stays, so that CloudFormation refuses"
            return why
        return None
