"""Reads every document of a bundle once, holds it to its schema, and keeps what the other checks compare."""

import hashlib
import re

from documents import NotJson, Schemas, canonical, parse
from files import MAX_FILES

MAX_DOCUMENT = 16 << 20
MAX_LINE = 4 << 20
# Of each kind of line that is kept: so many, and so many bytes of them. A journal's are those of all its segments.
MOST_LINES = {"item": MAX_FILES // 2, "redaction": MAX_FILES // 2, "journal-line": 500_000}
MOST_BYTES = 256 << 20
STATEMENT, ENVELOPE, SEALING, STAMP = "seal/statement.json", "seal/statement.dsse.json", "seal/sealing.json", "seal/root.tsr"
MANIFEST, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
ITEMS, COVERAGE, ACTIONS, REDACTIONS = "meta/items.jsonl", "meta/coverage.json", "data/90-contain/actions.jsonl", "meta/redactions.jsonl"
SEGMENT = re.compile(r"meta/journal/((?!000000)[0-9]{6}|[1-9][0-9]{6,})\.jsonl")
CASE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
CANONICAL = {"journal-line", "redaction"}
VERSIONED = {"coverage", "sealing", "journal-line"}
GAPS = {"denied", "throttled", "expired", "truncated", "too_large", "out_of_time", "unsupported", "transport", "not_acquirable", "internal"}


def is_case(name):
    return bool(CASE.fullmatch(name)) and name.lower() != "control"


class OtherVersion(str):
    """What is wrong is that a newer build wrote it."""


class Facts:
    def __init__(self, container, schemas, tell):
        self.container, self.files, self.unreadable, self.tell = container, container.files, container.unreadable, tell
        self.schemas = Schemas(schemas)
        # A kind of record of which something could not be read: then nothing may be said to be missing from it.
        self.partial = set()
        # What there is still room for: lines and bytes; none where some did not fit.
        self.room = {schema: (lines, MOST_BYTES) for schema, lines in MOST_LINES.items()}
        # How bad it is that something is missing or torn: a run that was killed leaves such things, a sealed bundle has none.
        self.sealed = STATEMENT in self.files or STATEMENT in self.unreadable
        self.absence = "error" if self.sealed else "warn"
        self.statement = self.document("statement", STATEMENT)
        self.predicate = self.statement["predicate"] if self.statement else {}
        self.coverage = self.document("coverage", COVERAGE)
        self.items = [i for _, i, _ in self.records("item", ITEMS)]
        self.exchanges = []
        for path in sorted(self.files | dict.fromkeys(self.unreadable)):
            if path.startswith("data/") and path.endswith(".http.json"):
                self.exchange(path)
        self.journal()
        self.redactions = [r for _, r, _ in self.records("redaction", REDACTIONS)]
        self.envelope = self.document("envelope", ENVELOPE)
        self.sealing = self.document("sealing", SEALING)
        self.manifest, self.tags = {}, {}

    def there(self, path):
        return path in self.files or path in self.unreadable

    def document(self, schema, path):
        """A whole file: its value if it is of its form. None where it is not there, or is told to be wrong."""
        if path in self.unreadable:
            self.partial.add(schema)
        if path not in self.files:
            return None
        raw = self.files[path].read(MAX_DOCUMENT)
        value, what = self.valued(schema, raw)
        if what:
            self.formless(schema, path, what)
            return None
        return value

    def formless(self, schema, path, what):
        """It is not of its form; so nothing may be said to be missing that it could have told of."""
        self.tell("schema", "error" if isinstance(what, OtherVersion) else self.absence, path, what)
        self.partial.add(schema)

    def valued(self, schema, raw):
        """(value, None) or (None, what is wrong)."""
        if raw is None:
            return None, "larger than any document of this format"
        try:
            value = parse(raw)
        except NotJson as e:
            return None, str(e)
        if schema in VERSIONED and isinstance(value, dict) and value.get("v", 1) != 1:
            return None, OtherVersion(f"version {str(value['v'])[:40]}, which this checker does not know")
        what = self.schemas.wrong(schema, value)
        if schema == "statement" and not what and not is_case(value["predicate"]["case"]):
            what = "a case that no case is named"
        return (None, what) if what else (value, None)

    def records(self, schema, path):
        """Each line: (its bytes without the newline or None if it is endless, its value or None, whether it came to its end)."""
        if path in self.unreadable:
            self.partial.add(schema)
        if path not in self.files:
            return
        for n, line in enumerate(self.files[path].lines(MAX_LINE), 1):
            if not self.has_room(schema, path, line):
                return
            whole = line is None or line.endswith(b"\n")
            value, what = self.valued(schema, line and line.removesuffix(b"\n"))
            if what:
                self.formless(schema, path, type(what)(f"line {n}: {what}"))
            elif schema in CANONICAL and canonical(value) != line.removesuffix(b"\n"):
                self.formless(schema, path, f"line {n}: not in canonical form")
            if value is not None or schema == "journal-line":
                yield line and line.removesuffix(b"\n"), value, whole

    def has_room(self, schema, path, line):
        if not self.room[schema]:
            return False
        lines, size = self.room[schema]
        lines, size = lines - 1, size - len((line or b"").removesuffix(b"\n"))
        self.room[schema] = (lines, size) if lines >= 0 and size >= 0 else None
        if not self.room[schema]:
            self.formless(schema, path, "more lines than any bundle has, or longer ones; the rest was not read")
        return self.room[schema] is not None

    def exchange(self, path):
        value = self.document("exchange", path)
        if value is None:
            return
        self.exchanges.append((path, value))
        for name, _ in value["request_headers"]:
            if name.lower() in ("authorization", "x-amz-security-token", "cookie"):
                self.tell("schema", "warn", path, f"a credential was recorded: the header {name.lower()}")
        if "x-amz-signature=" in value["uri"].lower():
            self.tell("schema", "warn", path, "the query of a presigned address was recorded")

    def journal(self):
        """All segments in order: (path, number, [(digest of the line, value, whole)]). The lines themselves are not kept."""
        names = sorted((int(m[1]), p) for p in self.files | dict.fromkeys(self.unreadable) if (m := SEGMENT.fullmatch(p)))
        if any(p in self.unreadable for _, p in names):
            self.partial.add("journal-line")
        digest = lambda raw: "0" * 64 if raw is None else hashlib.sha256(raw).hexdigest()
        self.segments = [(p, n, [(digest(raw), v, whole) for raw, v, whole in self.records("journal-line", p)]) for n, p in names]
        self.events = [v for _, _, lines in self.segments for _, v, _ in lines if v is not None]
