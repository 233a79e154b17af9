"""Reads every document of a bundle once, holds it to its schema, and keeps what the other checks compare."""

import re

from documents import NotJson, Schemas, parse

MAX_DOCUMENT = 64 << 20
MAX_LINE = 16 << 20
STATEMENT, ENVELOPE, SEALING, STAMP = "seal/statement.json", "seal/statement.dsse.json", "seal/sealing.json", "seal/root.tsr"
MANIFEST, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
ITEMS, COVERAGE, ACTIONS, REDACTIONS = "meta/items.jsonl", "meta/coverage.json", "data/90-contain/actions.jsonl", "meta/redactions.jsonl"
SEGMENT = re.compile(r"meta/journal/([0-9]{6,})\.jsonl")
GAPS = {"denied", "throttled", "expired", "truncated", "too_large", "out_of_time", "unsupported", "transport", "not_acquirable", "internal"}


class Facts:
    def __init__(self, container, schemas, tell):
        self.container, self.files, self.unreadable, self.tell = container, container.files, container.unreadable, tell
        self.schemas = Schemas(schemas)
        # A kind of record of which something could not be read: then nothing may be said to be missing from it.
        self.partial = set()
        self.sealed = STATEMENT in self.files or STATEMENT in self.unreadable
        self.statement = self.document("statement", STATEMENT) if self.sealed else None
        self.predicate = self.statement["predicate"] if self.statement else {}
        self.coverage = self.document("coverage", COVERAGE)
        if self.coverage and not self.version(self.coverage, COVERAGE):
            self.coverage = None
        self.items = [i for _, i, _ in self.records("item", ITEMS)]
        self.exchanges = []
        for path in sorted(self.files | dict.fromkeys(self.unreadable)):
            if path.startswith("data/") and path.endswith(".http.json"):
                self.exchange(path)
        self.journal()
        self.envelope = self.document("envelope", ENVELOPE) if self.sealed else None
        self.sealing = self.document("sealing", SEALING) if self.sealed else None
        if self.sealing and not self.version(self.sealing, SEALING):
            self.sealing = None
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
            self.tell("schema", "error", path, what)
            self.partial.add(schema)
            return None
        return value

    def valued(self, schema, raw):
        """(value, None) or (None, what is wrong)."""
        if raw is None:
            return None, "larger than any document of this format"
        try:
            value = parse(raw)
        except NotJson as e:
            return None, str(e)
        what = self.schemas.wrong(schema, value)
        return (None, what) if what else (value, None)

    def version(self, value, path):
        if value["v"] != 1:
            self.tell("schema", "error", path, f"version {value['v']}, which this checker does not know")
            self.partial.add({COVERAGE: "coverage", SEALING: "sealing"}.get(path, "journal-line"))
        return value["v"] == 1

    def records(self, schema, path, last=True):
        """Each line: (its bytes without the newline, its value or None, whether it ended with a newline)."""
        if path in self.unreadable:
            self.partial.add(schema)
        if path not in self.files:
            return
        lines, line = self.files[path].lines(MAX_LINE), None
        n = 0
        for line in lines:
            n += 1
            whole = line is not None and line.endswith(b"\n")
            value, what = self.valued(schema, line and line.removesuffix(b"\n"))
            if what is None and schema == "journal-line" and not self.version(value, path):
                value = None
            elif what:
                # The end of a line that was being written when the run was killed contradicts nothing.
                torn = line is not None and not whole and last and not self.sealed
                self.tell("schema", "warn" if torn else "error", path, f"line {n}: {what}")
                self.partial.add(schema)
            if value is not None or schema == "journal-line":
                yield line and line.removesuffix(b"\n"), value, whole

    def exchange(self, path):
        value = self.document("exchange", path)
        if value is None:
            return
        self.exchanges.append((path, value))
        for name, _ in value["request_headers"]:
            if name.lower() in ("authorization", "x-amz-security-token"):
                self.tell("schema", "warn", path, f"a credential was recorded: the header {name.lower()}")
        if "x-amz-signature=" in value["uri"].lower() or "x-amz-security-token=" in value["uri"].lower():
            self.tell("schema", "warn", path, "the query of a presigned address was recorded")

    def journal(self):
        """All segments in order: (path, number, [(bytes, value, whole)])."""
        names = sorted((int(m[1]), p) for p in self.files | dict.fromkeys(self.unreadable) if (m := SEGMENT.fullmatch(p)))
        if any(p in self.unreadable for _, p in names):
            self.partial.add("journal-line")
        self.segments = [(p, n, list(self.records("journal-line", p, last=p == names[-1][1]))) for n, p in names]
        self.events = [v for _, _, lines in self.segments for _, v, _ in lines if v is not None]
