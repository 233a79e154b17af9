#!/usr/bin/env python3
"""Check single JSON documents against the JSON Schemas, with a validator that is not ours.

    validate_documents.py SCHEMA_DIR FORM=FILE...

FORM is the name of a schema: `report` for report.schema.json. Prints each violation; exit code 0 only if there was none.
"""
import pathlib
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from validate_bag import load


def main():
    schemas, wrong = pathlib.Path(sys.argv[1]), 0
    for asked in sys.argv[2:]:
        form, _, path = asked.partition("=")
        schema = load((schemas / f"{form}.schema.json").read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        document = load(pathlib.Path(path).read_text(encoding="utf-8"))
        error = best_match(Draft202012Validator(schema).iter_errors(document))
        if error is not None:
            wrong += 1
            print(f"{form} {ascii(path)} {error.json_path}: {ascii(error.message)[:400]}")
    return 1 if wrong or len(sys.argv) < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
