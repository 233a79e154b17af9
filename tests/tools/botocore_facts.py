#!/usr/bin/env python3
"""What botocore's models say of AWS's operations: the newest word on the API that a test can have without AWS.

    botocore_facts.py pages      < [["Lambda", "ListAliases"], ...]    which of them answer in pages, by which members
    botocore_facts.py reads Lambda                                     all read operations of a service, with their HTTP form

Prints one JSON document.
"""
import functools
import json
import re
import sys

import botocore
import botocore.loaders
import botocore.utils

LOADER = botocore.loaders.Loader()
# A token that says from where on to answer, and one that says where to go on: by these names in every service.
TOKEN = re.compile(r"^(next)?(page|continuation)?(marker|token)$|^next(key|versionid|upload|part)?(marker|token)$|^(next)?continuationtoken$", re.I)


@functools.cache
def service_name(service_id):
    """The directory of a service's model."""
    wanted = botocore.utils.hyphenize_service_id(service_id)
    for service in LOADER.list_available_services("service-2"):
        if botocore.utils.EVENT_ALIASES.get(service, service) == wanted:
            if LOADER.load_service_model(service, "service-2")["metadata"]["serviceId"] == service_id:
                return service
    raise KeyError(f"botocore knows no service {service_id}")


@functools.cache
def paginators(service):
    try:
        return LOADER.load_service_model(service, "paginators-1")["pagination"]
    except botocore.exceptions.DataNotFoundError:
        return {}


def pages(service_id, operation):
    """By a paginator of botocore's; or, because not every operation that pages has one, by token members on both sides."""
    service = service_name(service_id)
    known = paginators(service).get(operation)
    if known:
        return known
    model = LOADER.load_service_model(service, "service-2")
    shape = model["operations"].get(operation)
    if shape is None:
        return {"unknown": True}
    sides = []
    for side in ("input", "output"):
        members = model["shapes"][shape[side]["shape"]].get("members", {}) if side in shape else {}
        sides.append([m for m in members if TOKEN.match(m)])
    return {"input_token": sides[0], "output_token": sides[1]} if all(sides) else None


def main():
    if sys.argv[1] == "pages":
        facts = {f"{s}.{o}": pages(s, o) for s, o in json.load(sys.stdin)}
    else:
        operations = LOADER.load_service_model(service_name(sys.argv[2]), "service-2")["operations"]
        facts = {name: o["http"] for name, o in operations.items() if re.match("Get|List|Describe", name)}
    print(json.dumps({"botocore": botocore.__version__, "facts": facts}, indent=1))


if __name__ == "__main__":
    main()
