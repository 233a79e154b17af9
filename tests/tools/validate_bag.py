#!/usr/bin/env python3
"""Check every document of an unpacked bag against the JSON Schemas, with a validator that is not ours.

    validate_bag.py BAG_DIR SCHEMA_DIR [--verification FILE]

Prints each violation and a count for each form. Exit code 0 only if there was at least one document of each form and no violation.
"""
import argparse
import json
import pathlib
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


def refuse_twice(pairs):
    """json.load keeps the last of two members of one name; a hidden first one would escape every validator."""
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"member {key!r} stands there twice")
        found[key] = value
    return found


def load(text):
    return json.loads(text, object_pairs_hook=refuse_twice)


def lines(path):
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        yield "end", '"the last line does not end"'
    for number, line in enumerate(text.splitlines(), 1):
        yield number, line


def documents(bag):
    """(form, where, text) of every document that is ours."""
    for number, line in lines(bag / "meta/items.jsonl"):
        yield "item", f"meta/items.jsonl:{number}", line
    for segment in sorted((bag / "meta/journal").iterdir()):
        for number, line in lines(segment):
            yield "journal-line", f"meta/journal/{segment.name}:{number}", line
    yield "coverage", "meta/coverage.json", (bag / "meta/coverage.json").read_text(encoding="utf-8")
    yield "statement", "seal/statement.json", (bag / "seal/statement.json").read_text(encoding="utf-8")
    # Only where they are: an unsigned bundle has none, and only containment and restore change anything.
    for form, path in [("envelope", "seal/statement.dsse.json"), ("sealing", "seal/sealing.json")]:
        if (bag / path).exists():
            yield form, path, (bag / path).read_text(encoding="utf-8")
    if (bag / "data/90-contain/actions.jsonl").exists():
        for number, line in lines(bag / "data/90-contain/actions.jsonl"):
            yield "journal-line", f"data/90-contain/actions.jsonl:{number}", line
    for record in sorted(bag.glob("data/**/*.http.json")):
        yield "exchange", str(record.relative_to(bag)), record.read_text(encoding="utf-8")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("bag", type=pathlib.Path)
    args.add_argument("schemas", type=pathlib.Path)
    args.add_argument("--verification", type=pathlib.Path, help="what `freezeframe verify --json` printed")
    args = args.parse_args()

    validators = {}
    for path in sorted(args.schemas.glob("*.schema.json")):
        schema = load(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        validators[path.name.removesuffix(".schema.json")] = Draft202012Validator(schema)

    expected = ["item", "journal-line", "coverage", "statement", "exchange"]
    todo = list(documents(args.bag))
    if args.verification:
        expected.append("verification")
        todo.append(("verification", str(args.verification), args.verification.read_text(encoding="utf-8")))
    counts, errors = dict.fromkeys(expected, 0), 0
    for form, where, text in todo:
        counts[form] = counts.get(form, 0) + 1
        try:
            error = best_match(validators[form].iter_errors(load(text)))
        except ValueError as e:
            error = e
        if error is not None:
            errors += 1
            place = getattr(error, "json_path", "")
            print(f"{ascii(where)} {place}: {ascii(getattr(error, 'message', str(error)))[:400]}")
    for form, count in counts.items():
        print(f"{form}: {count}")
        if count == 0:
            errors += 1
            print(f"there is no {form}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
