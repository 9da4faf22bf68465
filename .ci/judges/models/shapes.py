"""Holds a JSON value against a shape of a service model, rule by rule: types, required and unknown members, enums,
patterns, lengths and ranges. botocore itself checks requests only, and neither enums nor patterns nor upper bounds."""

import base64
import binascii
import functools
import re

import regex


@functools.cache
def pattern(text):
    """The models' patterns are Java's; `regex` knows what `re` does not."""
    try:
        return re.compile(text)
    except re.error:
        return regex.compile(text)


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Judge:
    """Finds what a shape forbids. A finding is (path, rule, detail); list positions and map keys stand as `[]`."""

    def __init__(self):
        self.members = 0
        # Step Functions shows a state machine the timestamps of its SDK calls as texts (RFC 3339), not as numbers.
        self.texts_for_timestamps = False

    def check(self, shape, value, path=""):
        self.members += 1
        if value is None:
            return [(path, "null", "a member is there or not; null is neither")]
        return getattr(self, f"_{shape.type_name}", self._unknown)(shape, value, path)

    def _unknown(self, shape, value, path):
        return [(path, "type", f"the judge does not know the type {shape.type_name}")]

    def _structure(self, shape, value, path):
        if getattr(shape, "is_document_type", False):
            return []
        if not isinstance(value, dict):
            return [(path, "type", f"structure {shape.name}, not {kind(value)}")]
        findings = [
            (f"{path}.{name}", "required", f"{shape.name} needs it")
            for name in shape.required_members
            if name not in value
        ]
        # DynamoDB's is one too, though its model does not say so (API reference, AttributeValue).
        if (shape.is_tagged_union or shape.name == "AttributeValue") and len(value) != 1:
            findings.append((path, "union", f"{shape.name} has exactly one member, not {len(value)}"))
        for name, member in value.items():
            if name in shape.members:
                findings += self.check(shape.members[name], member, f"{path}.{name}")
            else:
                findings.append((f"{path}.{name}", "unknown", f"{shape.name} has no such member"))
        return findings

    def _list(self, shape, value, path):
        if not isinstance(value, list):
            return [(path, "type", f"list, not {kind(value)}")]
        findings = bounds(shape, len(value), path, "length")
        for item in value:
            findings += self.check(shape.member, item, f"{path}[]")
        return findings

    def _map(self, shape, value, path):
        if not isinstance(value, dict):
            return [(path, "type", f"map, not {kind(value)}")]
        findings = bounds(shape, len(value), path, "length")
        for key, item in value.items():
            findings += self.check(shape.key, key, f"{path}[key]")
            findings += self.check(shape.value, item, f"{path}[]")
        return findings

    def _string(self, shape, value, path):
        if not isinstance(value, str):
            return [(path, "type", f"string, not {kind(value)}")]
        if shape.enum and value not in shape.enum:
            return [(path, "enum", f"{value!r} is none of {shape.name}'s values")]
        text = shape.metadata.get("pattern")
        if text and not pattern(text).search(value):
            return [(path, "pattern", f"{value[:80]!r} does not match {text}")]
        return bounds(shape, len(value), path, "length")

    def _character(self, shape, value, path):
        return self._string(shape, value, path)

    def _blob(self, _, value, path):
        # In JSON a blob is base64, except where Step Functions passes a function's payload as what it is.
        if not isinstance(value, str):
            return []
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            return [(path, "type", "a blob is base64")]
        return []

    def _boolean(self, _, value, path):
        return [] if isinstance(value, bool) else [(path, "type", f"boolean, not {kind(value)}")]

    def _integer(self, shape, value, path):
        if not isinstance(value, int) or isinstance(value, bool):
            return [(path, "type", f"integer, not {kind(value)}")]
        return bounds(shape, value, path, "range")

    def _long(self, shape, value, path):
        return self._integer(shape, value, path)

    def _float(self, shape, value, path):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return [(path, "type", f"number, not {kind(value)}")]
        return bounds(shape, value, path, "range")

    def _double(self, shape, value, path):
        return self._float(shape, value, path)

    def _timestamp(self, _, value, path):
        # awsJson: seconds since 1970 (Smithy, aws-json-1_0-protocol).
        if self.texts_for_timestamps and isinstance(value, str):
            return [] if RFC_3339.fullmatch(value) else [(path, "pattern", f"{value!r} is no time")]
        return (
            []
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            else [(path, "type", f"seconds since 1970, not {kind(value)}")]
        )


def bounds(shape, size, path, rule):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        return [(path, rule, f"{size} is less than {low}")]
    if high is not None and size > high:
        return [(path, rule, f"{size} is more than {high}")]
    return []


def kind(value):
    return {dict: "object", list: "list", str: "string", bool: "boolean"}.get(type(value), "number")
