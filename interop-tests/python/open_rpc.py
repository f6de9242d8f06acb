"""Validates an OpenRPC document against the published meta-schema, and resolves each of its references.

usage: open_rpc.py DOCUMENT META_SCHEMA
"""

import json
import sys

from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def main():
    document, meta = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
    # The meta-schema takes a schema to be whatever draft 7 takes for one, by this address.
    draft = Resource(Draft7Validator.META_SCHEMA, DRAFT7)
    registry = Registry().with_resources(
        [("https://meta.json-schema.tools", draft), ("https://meta.json-schema.tools/", draft)]
    )
    Draft7Validator(meta, registry=registry).validate(document)
    for reference in references(document):
        place = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name.replace("~1", "/").replace("~0", "~")]
        Draft202012Validator.check_schema(place)
    names = [method["name"] for method in document["methods"]]
    assert len(set(names)) == len(names), names
    print("valid")


main()
