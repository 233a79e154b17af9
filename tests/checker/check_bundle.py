"""A second opinion on a bundle, written from `evidence-schema/README.md` and the schemas beside it alone, with nothing but Python's own library.

    python3 tests/checker/check_bundle.py BUNDLE [--key FILE-OR-FINGERPRINT]... [--schemas DIR]

BUNDLE is a directory or a zip. Prints one JSON document: the verdict (whole, unfinished, broken; null where no bundle lies there), and findings.
Exits 0 when the bundle is whole, 4 when it is not, 1 when there is no bundle, 2 when called wrongly. A test holds `freezeframe verify` to it.
"""

import argparse
import json
import pathlib
import re
import sys

import bag
import records
import redacted
import seal
from container import NoBundle, open_container
from crypto import Key, Malformed
from facts import Facts

MOST_FINDINGS = 1000


class Told(list):
    """Findings, as many as anybody reads."""

    def __call__(self, check, level, path, what):
        finding = {"check": check, "level": level, "path": path, "what": what}
        if len(self) < MOST_FINDINGS or not any((f["check"], f["level"]) == (check, level) for f in self):
            self.append(finding)


def judge(place, demanded, schemas):
    """(verdict, findings)."""
    told = Told()
    facts = Facts(open_container(place, told), schemas, told)
    bag.check(facts)
    records.check(facts)
    seal.check(facts, demanded)
    redacted.check(facts)
    if any(f["level"] == "error" for f in told):
        return "broken", told
    unfinished = not facts.sealed or any(p.startswith("tmp/") for p in facts.files) or not facts.predicate.get("finished")
    return "unfinished" if unfinished else "whole", told


def demanded_key(text):
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return text.lower(), None
    try:
        key = Key(pathlib.Path(text).read_bytes())
    except (OSError, Malformed) as e:
        raise argparse.ArgumentTypeError(f"{text}: {e}") from None
    return key.id, key


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--key", action="append", default=[], type=demanded_key, help="a key that must have signed: PEM, or fingerprint")
    parser.add_argument("--schemas", default=pathlib.Path(__file__).parents[2] / "evidence-schema")
    arguments = parser.parse_args()
    try:
        verdict, findings = judge(arguments.bundle, dict(arguments.key), arguments.schemas)
        code = 0 if verdict == "whole" else 4
    except NoBundle as e:
        verdict, findings, code = None, [{"check": "container", "level": "error", "path": None, "what": str(e)}], 1
    json.dump({"verdict": verdict, "findings": findings}, sys.stdout, indent=1)
    print()
    return code


if __name__ == "__main__":
    sys.exit(main())
