"""What the operator may set: the JSON of a manifest, checked by the properties of a JSON Schema."""

import json

_TYPES = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "array": list, "object": dict}


def read(text: str, properties: dict) -> dict:
    """The parameters with their defaults; one that has none is None when it is not set.

    Raises ValueError, of one sentence, when a name is unknown, or a value has another type or is out of its bounds.
    """
    try:
        given = json.loads(text if text.strip() else "{}")
    except ValueError as error:
        raise ValueError(f"parameters: {error}") from None
    for name in given:
        if name not in properties:
            known = ", ".join(f"`{it}`" for it in properties) or "none"
            raise ValueError(f"parameters: unknown field `{name}`, expected one of {known}")
    parameters = {}
    for name, schema in properties.items():
        value = given.get(name)
        if value is None:
            value = schema.get("default")
        elif fault := _wrong(name, value, schema):
            raise ValueError(f"parameters: {fault}")
        parameters[name] = value
    return parameters


def _wrong(name: str, value, schema: dict) -> str | None:
    kind = schema.get("type", "")
    # A boolean is an int to Python alone.
    if not isinstance(value, _TYPES.get(kind, object)) or (isinstance(value, bool) and kind in ("integer", "number")):
        return f"{name} must be of type {kind}, not {json.dumps(value)}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    least, above, most = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    is_good = (
        (least is None or value >= least) and (above is None or value > above) and (most is None or value <= most)
    )
    if is_good:
        return None
    bounds = []
    if least is not None:
        bounds.append(f"at least {least}")
    elif above is not None:
        bounds.append(f"above {above}")
    if most is not None:
        bounds.append(f"at most {most}")
    return f"{name} must be {' and '.join(bounds)}, not {value}"
