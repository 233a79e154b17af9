"""The records against each other and against what lies there: `chain`, `items`, `coverage`, `custody`, `provider-digest`."""

import base64
import hashlib
from collections import Counter

from documents import NotJson, canonical, parse
from facts import ACTIONS, COVERAGE, GAPS, ITEMS, MAX_LINE, STATEMENT


def check(f):
    _chain(f)
    _items(f)
    _coverage(f)
    _custody(f)
    _containment(f)
    _provider(f)


def _chain(f):
    wrong = lambda path, what: f.tell("chain", "error", path, what)
    prev, seq, torn = "0" * 64, 0, False
    for n, (path, number, lines) in enumerate(f.segments, 1):
        if number != n:
            wrong(path, f"is segment {number} where {n} was to come")
            return
        if path in f.unreadable:
            return
        for raw, value, whole in lines:
            if not whole:
                if f.sealed or path != f.segments[-1][0]:
                    wrong(path, "ends within a line")
                    return
                f.tell("chain", "warn", path, "ends within a line")
                torn = True
                break
            seq += 1
            if raw is None:
                return
            try:
                line = value or parse(raw)
                if canonical(line) != raw:
                    wrong(path, f"line {seq} is not in canonical form")
                    return
            except (NotJson, RecursionError):
                return  # told by `schema`; nobody can say more
            if not isinstance(line, dict) or line.get("prev") != prev or line.get("seq") != seq:
                wrong(path, f"line {seq} does not follow the line before it")
                return
            prev = hashlib.sha256(raw).hexdigest()
    if f.predicate and f.segments and not torn and (f.predicate["journalHead"], f.predicate["journalCount"]) != (prev, seq):
        wrong(STATEMENT, "states another end of the journal")


def intact(f, path):
    """Whether the manifest has nothing to say against this file."""
    return path in f.files and (path not in f.manifest or f.manifest[path] == f.files[path].sha256)


def excused(f, path):
    """Changed, missing or unreadable: told already."""
    return path in f.unreadable or path in f.manifest and not intact(f, path)


def _items(f):
    wrong = lambda path, what: f.tell("items", "error", path, what)
    ids, exchanges, named = set(), set(), set()
    for path, x in f.exchanges:
        if x["id"] in exchanges:
            wrong(path, f"a second exchange {x['id']}")
        exchanges.add(x["id"])
        if body := x.get("body"):
            named.add(body)
            _body(f, wrong, path, x, body)
    for i in f.items:
        if i["id"] in ids:
            wrong(ITEMS, f"a second item {i['id']}")
        ids.add(i["id"])
    for i in f.items:
        if "exchange" not in f.partial:
            for x in set(i.get("exchanges", [])) - exchanges:
                wrong(ITEMS, f"{i['id']} rests on {x}, which is not there")
        if "item" not in f.partial:
            for d in set(i.get("derived_from", [])) - ids:
                wrong(ITEMS, f"{i['id']} was computed from {d}, which is not there")
        for file in i.get("files", []):
            path = file["path"]
            named.add(path)
            if excused(f, path):
                continue
            if path not in f.files:
                wrong(path, f"{i['id']} names it, and it is not there")
            elif (file["bytes"], file["sha256"]) != (f.files[path].size, f.files[path].sha256):
                wrong(path, f"{i['id']} says another size or digest")
    if f.sealed and not f.partial & {"item", "exchange"}:
        for path in f.manifest:
            own = path.startswith(("data/00-plan/", "data/sealed/")) or path.endswith(".http.json")
            if not own and path not in named and path in f.files:
                wrong(path, "no item and no exchange names it")


def _body(f, wrong, path, x, body):
    if excused(f, body):
        return
    if body not in f.files:
        wrong(path, f"{x['id']} names {body}, which is not there")
    elif (x["body_bytes"], x.get("body_sha256")) != (f.files[body].size, f.files[body].sha256):
        wrong(path, f"{x['id']} says another size or digest of its body")


def _coverage(f):
    wrong = lambda what: f.tell("coverage", "error", COVERAGE, what)
    c, gaps = f.coverage, [i for i in f.items if i["status"] in GAPS]
    if f.predicate and ITEMS in f.files and "item" not in f.partial:
        if (f.predicate["items"], f.predicate["gaps"]) != (len(f.items), len(gaps)):
            f.tell("coverage", "error", STATEMENT, f"states other numbers than {len(f.items)} items with {len(gaps)} gaps")
    if not c:
        return
    if f.predicate and c["finished"] != f.predicate["finished"]:
        wrong("says otherwise than the statement whether the run came to its end")
    if any(not g["question"].strip() for g in c["gaps"]):
        wrong("a gap without its question")
    for unit in c["planned"]:
        if unit["ended"] == "done" and not unit["items"]:
            f.tell("coverage", "warn", COVERAGE, f"{unit['unit']} is done, and left nothing")
    if "item" in f.partial or ITEMS not in f.files:
        return
    by_id = {i["id"]: i for i in f.items}
    for unit in c["planned"]:
        for i in unit["items"]:
            if i not in by_id:
                wrong(f"claims {i}, which is not there")
            elif by_id[i]["collector"] != unit["unit"]:
                wrong(f"gives {i} to another unit")
    planned = {i for unit in c["planned"] for i in unit["items"]}
    if len(by_id) != len(f.items) or set(by_id) - planned:
        wrong("there are items that it does not name")
    counts = Counter((i["group"], i["status"]) for i in f.items)
    if counts != Counter({(g, s): n for g, all_ in c["groups"].items() for s, n in all_.items()}):
        wrong("counts otherwise than the items")
    key = lambda kind, g: (kind, g["collector"], g["subject"])
    if Counter(key(g["kind"], g) for g in c["gaps"]) != Counter(key(i["status"], i) for i in gaps):
        wrong("its gaps are not those of the items")


def _custody(f):
    wrong = lambda path, what: f.tell("custody", "error", path, what)
    if not f.sealed or not f.events or "journal-line" in f.partial and not f.events:
        return
    first, last, where = f.events[0], f.events[-1], f.segments[0][0]
    p = f.predicate
    if p and "journal-line" not in f.partial:
        about = p["previous"] if p["kind"] == "disclosure" and p["previous"] else p
        opened = first["ev"] == "bundle-open" and (first["bundle"], first["case"], first["run"]) == (about["bundle"], p["case"], p["run"])
        if not opened:
            wrong(where, "does not begin with the opening of this bundle")
        if last["ev"] != "seal":
            wrong(f.segments[-1][0], "does not end with the sealing")
        elif (last["items"], last["gaps"], last["finished"]) != (p["items"], p["gaps"], p["finished"]):
            wrong(f.segments[-1][0], "the sealing counts otherwise than the statement")
    if not {"exchange", "journal-line"} & f.partial:
        told = [(e["exchange"], e.get("status"), e.get("sha256")) for e in f.events if e["ev"] == "req"]
        there = [(x["id"], x.get("status"), x.get("body_sha256")) for _, x in f.exchanges]
        _same(wrong, "exchange", told, there)
    if not {"item", "journal-line"} & f.partial:
        told = [(e["item"], e["status"]) for e in f.events if e["ev"] == "item-stored"]
        _same(wrong, "item", told, [(i["id"], i["status"]) for i in f.items])


def _same(wrong, kind, told, there):
    for lost in sorted(map(str, set(told) - set(there))):
        wrong(None, f"the journal tells of an {kind} {lost} that is not there so")
    for silent in sorted(map(str, set(there) - set(told))):
        wrong(None, f"the journal does not tell of the {kind} {silent}")


ENDS = {"already-contained": "already-contained", "intent": "intended", "applied": "applied", "apply-failed": "apply-failed",
        "restore-intent": "restore-intended", "restored": "restored", "restore-failed": "restore-failed", "drift": "drifted",
        "drift-overruled": "drift-overruled", "held-elsewhere": "held-elsewhere", "refused": "refused"}  # fmt: skip


def _containment(f):
    """The statement's `containment`: of each cell the last that the lines of the case journal say."""
    stated = f.predicate.get("containment")
    if not f.predicate or ACTIONS in f.unreadable or excused(f, ACTIONS):
        return
    ends = {}
    for line in f.files[ACTIONS].lines(MAX_LINE) if ACTIONS in f.files else ():
        value, what = f.valued("journal-line", line and line.removesuffix(b"\n"))
        if what:
            f.tell("schema", "error", ACTIONS, what)
            return
        if value.get("cell"):
            if value["ev"] == "read-back":
                ends[value["cell"]] = "holds" if value["holds"] else "does-not-hold"
            elif value["ev"] in ENDS:
                ends[value["cell"]] = ENDS[value["ev"]]
    if {c["cell"]: c["ended"] for c in stated or []} != ends or len(stated or []) != len(ends):
        f.tell("custody", "error", STATEMENT, f"says how {len(stated or [])} cells ended, and not as the case journal does")


def _provider(f):
    for i in f.items:
        digest = i.get("provider_digest")
        if not digest:
            continue
        tell = lambda level, what: f.tell("provider-digest", level, ITEMS, f"{i['id']}: {what}")
        files = [x["path"] for x in i.get("files", [])]
        try:
            known = digest["name"] == "CodeSha256" and len(base64.b64decode(digest["value"], validate=True)) == 32
        except ValueError:
            known = False
        if not known or len(files) != 1:
            tell("warn", "a digest of no known form")
        elif files[0] in f.files:
            holds = base64.b64encode(bytes.fromhex(f.files[files[0]].sha256)).decode() == digest["value"]
            if holds != digest["matches"]:
                tell("error", "says otherwise than its bytes whether they are what AWS stated")
            elif not holds:
                tell("warn", "its bytes are not what AWS stated")
