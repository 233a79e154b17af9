"""A second opinion on a bundle, written from `evidence-schema/README.md` and the schemas beside it alone, with nothing but Python's own library.

    python3 tests/checker/check_bundle.py BUNDLE [--key FILE-OR-FINGERPRINT]... [--schemas DIR]

BUNDLE is a directory or a zip. Prints one JSON document: the verdict (whole, unfinished, broken; null where no bundle lies there), and findings.
Exits 0 when the bundle is whole, 4 when it is not, 1 when no bundle lies there, 2 when called wrongly. A test holds `freezeframe verify` to it.
"""

import argparse
import json
import os
import pathlib
import re
import sys

import bag
import records
import redacted
import seal
from container import open_container
from crypto import Key, Malformed
from facts import Facts
from files import NoBundle, NoZip

MOST_FINDINGS = 1000


class Told(list):
    """Findings, as many as anybody reads."""

    def __call__(self, check, level, path, what):
        # Much of it quotes a stranger: what is no character of UTF-8 is escaped, and it ends.
        path, what = (t and str(t)[:400].encode("utf-8", "backslashreplace").decode() for t in (path, what))
        finding = {"check": check, "level": level, "path": path, "what": what}
        if len(self) < MOST_FINDINGS or not any((f["check"], f["level"]) == (check, level) for f in self):
            self.append(finding)


def judge(place, demanded, schemas):
    """(verdict, findings)."""
    told = Told()
    container = open_container(place, told)
    try:
        facts = Facts(container, schemas, told)
        bag.check(facts)
        records.check(facts)
        seal.check(facts, demanded)
        redacted.check(facts)
    except Exception as e:
        # No bundle may bring the checker down: that it did is this program's fault, and nobody may take it for a verdict.
        at = e.__traceback__
        while at.tb_next:
            at = at.tb_next
        told("checker", "fault", None, f"{type(e).__name__} in {at.tb_frame.f_code.co_name}, line {at.tb_lineno}: {str(e)[:200]}")
        return None, told
    if any(f["level"] == "error" for f in told):
        return "broken", told
    unfinished = facts.container.has_tmp or not facts.predicate.get("finished")
    return "unfinished" if unfinished else "whole", told


def demanded_key(text):
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return text.lower(), None
    try:
        key = Key(pathlib.Path(text).read_bytes())
    except (OSError, Malformed) as e:
        raise argparse.ArgumentTypeError(f"{text}: {e}") from None
    return key.id, key


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--key", action="append", default=[], type=demanded_key, help="a key that must have signed: PEM, or fingerprint")
    parser.add_argument("--schemas", default=pathlib.Path(__file__).parents[2] / "evidence-schema")
    arguments = parser.parse_args(argv)
    try:
        verdict, findings = judge(arguments.bundle, dict(arguments.key), arguments.schemas)
        code = {"whole": 0, None: 1}.get(verdict, 4)
    except NoZip as e:
        findings = [{"check": "container", "level": "error", "path": None, "what": f"no zip: {e}"}]
        verdict, code = "broken", 4
    except NoBundle as e:
        verdict, findings, code = None, [{"check": "container", "level": "error", "path": None, "what": str(e)}], 1
    try:
        print(json.dumps({"verdict": verdict, "findings": findings}, indent=1), flush=True)
    except BrokenPipeError:  # nobody listens any more; the exit code is still an answer
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
