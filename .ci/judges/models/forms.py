"""awsQuery requests (SNS): from the form's flat names to the structure that the model describes
(Smithy, aws-query-protocol)."""


def structure(shape, form):
    """{'MessageAttributes.entry.1.Name': 'a', ...} -> {'MessageAttributes': {'a': ...}}; what fits nowhere stays as it is."""
    found, rest = {}, dict(form)
    for name, member in shape.members.items():
        value = _take(member, name, rest)
        if value is not None:
            found[name] = value
    return found | rest


def _take(shape, prefix, form):
    if shape.type_name == "structure":
        inner = {name: _take(member, f"{prefix}.{name}", form) for name, member in shape.members.items()}
        inner = {name: value for name, value in inner.items() if value is not None}
        return inner or None
    if shape.type_name == "map":
        entries, n = {}, 1
        while (key := form.pop(f"{prefix}.entry.{n}.{shape.key.serialization.get('name', 'key')}", None)) is not None:
            entries[key] = _take(
                shape.value, f"{prefix}.entry.{n}.{shape.value.serialization.get('name', 'value')}", form
            )
            n += 1
        return entries or None
    if shape.type_name == "list":
        items, n = [], 1
        while (item := _take(shape.member, f"{prefix}.member.{n}", form)) is not None:
            items.append(item)
            n += 1
        return items or None
    text = form.pop(prefix, None)
    if text is not None and shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if text is not None and shape.type_name in ("integer", "long") and text.lstrip("-").isdigit():
        return int(text)
    return text
