#!/usr/bin/env python3
"""What botocore's models say of AWS's operations: the newest word on the API that a test can have without AWS.

    botocore_facts.py pages      < [["Lambda", "ListAliases"], ...]    which of them answer in pages, by which members
    botocore_facts.py reads Lambda                                     all read operations of a service; which take a qualifier

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
# What a token's member is called where no paginator says so: marker, nextToken, NextPageToken, continuationToken, position is API Gateway's.
TOKEN = re.compile(r"^(next)?(page|continuation)?(marker|token)$", re.I)


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


def words(said):
    """Members of a paginator's entry, which is one or a list; of an expression the first name, of a path the last part."""
    return [re.match(r"[\w.]+", word)[0].rpartition(".")[2] for word in ([said] if isinstance(said, str) else said or [])]


def pages(service_id, operation):
    """How an operation pages: by a paginator of botocore's; or, because not every one that does has one, by token members on both sides.

    Names are those on the wire. None where it answers at once."""
    service = service_name(service_id)
    model = LOADER.load_service_model(service, "service-2")
    shape = model["operations"].get(operation)
    if shape is None:
        return {"unknown": True}
    members = {side: model["shapes"][shape[side]["shape"]].get("members", {}) if side in shape else {} for side in ("input", "output")}
    known = paginators(service).get(operation)
    if known:
        tokens = {"input": words(known["input_token"]), "output": words(known["output_token"])}
    else:
        tokens = {side: [m for m in members[side] if TOKEN.match(m)] for side in members}
        if not all(tokens.values()):
            return None
    more = words((known or {}).get("more_results")) or [m for m in members["output"] if m == "IsTruncated"]

    def wire(names):
        return [members["output"].get(name, {}).get("locationName", name) for name in names]

    return {"tokens": wire(tokens["output"]), "more": wire(more), "paginator": known is not None}


def main():
    if sys.argv[1] == "pages":
        facts = {f"{s}.{o}": pages(s, o) for s, o in json.load(sys.stdin)}
    else:
        model = LOADER.load_service_model(service_name(sys.argv[2]), "service-2")
        facts = {}
        for name, operation in model["operations"].items():
            if re.match("Get|List|Describe|BatchGet|Search|Head", name):
                asks = model["shapes"][operation["input"]["shape"]].get("members", {}) if "input" in operation else {}
                facts[name] = {"qualifier": "Qualifier" in asks}
    print(json.dumps({"botocore": botocore.__version__, "facts": facts}, indent=1))


if __name__ == "__main__":
    main()
