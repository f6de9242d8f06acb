"""Says for pairs of an old and a new schema whether the old one refuses what the new one takes, and the other way round.

usage: subschemas.py JSON. Values have no members but those that their own schema names, as a writer's have.
"""

import itertools
import json
import sys

from jsonschema import Draft202012Validator

SCALARS = [None, True, False, -1, 0, 1, 1.5, 255, 256, "", "a", "b", "ab"]


def values():
    yield from SCALARS
    lists = [list(pair) for n in range(4) for pair in itertools.product([0, 1, 1.5, "a"], repeat=n)]
    yield from lists
    fields = {
        "a": [None, 0, 1.5, "a"], "b": [None, 1, {"a": 1}, {"a": 1.5}], "k": ["a", "b"], "z": ["a"],
    }
    for n in range(len(fields) + 1):
        for names in itertools.combinations(fields, n):
            for chosen in itertools.product(*(fields[name] for name in names)):
                yield dict(zip(names, chosen))


def named(schema, root):
    """The members that a schema names; None when it names none and takes any."""
    if schema is True:
        return set()
    if "$ref" in schema:
        return named(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    names = set(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        return None
    for keyword in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(keyword, []):
            inner = named(inner, root)
            if inner is None:
                return None
            names |= inner
    return names


def written(schema):
    """What a writer of a schema may send."""
    validator = Draft202012Validator(schema)
    names = named(schema, schema)
    for value in values():
        closed = not isinstance(value, dict) or names is None or set(value) <= names
        if closed and validator.is_valid(value):
            yield value


def refused(writer, reader):
    reads = Draft202012Validator(reader)
    return any(not reads.is_valid(value) for value in written(writer))


print(json.dumps([[refused(new, old), refused(old, new)] for old, new in json.loads(sys.argv[1])]))
