"""The records against each other and against what lies there: `chain`, `items`, `coverage`, `custody`, `provider-digest`."""

import base64
import re
from collections import Counter

from facts import ACTIONS, COVERAGE, GAPS, ITEMS, MANIFEST, MAX_DOCUMENT, MAX_LINE, STATEMENT


def check(f):
    _chain(f)
    _items(f)
    _coverage(f)
    _custody(f)
    _provider(f)


def _chain(f):
    wrong = lambda path, what: f.tell("chain", "error", path, what)
    numbers = [number for _, number, _ in f.segments]
    if numbers != list(range(1, len(numbers) + 1)):
        wrong("meta/journal", "a segment is missing")
    # A chain with a link that cannot be read, or was not, ends there, wherever it is.
    if any(p in f.unreadable for p, _, _ in f.segments) or not f.room["journal-line"]:
        return
    prev, seq, count = "0" * 64, 1, 0
    for path, _, lines in f.segments:
        for digest, value, whole in lines:
            count += 1
            if not whole:
                f.tell("chain", f.absence, path, "ends within a line")
            # A line that is not of its form is told by `schema`, and counts by its bytes alone.
            if value is not None:
                if value["prev"] != prev or value["seq"] != seq:
                    wrong(path, f"line {count} does not follow the line before it")
                seq = value["seq"]
            prev, seq = digest, seq + 1
    if f.predicate and f.segments:
        if (f.predicate["journalHead"], f.predicate["journalCount"]) != (prev, count):
            wrong(STATEMENT, "states another end of the journal")


def _items(f):
    wrong = lambda path, what: f.tell("items", f.absence, path, what)
    # Compared with what the manifest lists: that the bytes are others is the manifest check's to tell, once.
    payload = f.manifest if MANIFEST in f.files else {p: x.sha256 for p, x in f.files.items() if p.startswith("data/")}

    def agree(who, path, digest, size):
        if path in f.unreadable or path in f.files and path.startswith("data/") and path not in payload:
            return
        if path not in payload:
            wrong(path, f"{who} names it, and it is neither there nor listed")
        elif digest != payload[path]:
            wrong(path, f"{who} states another digest")
        elif path in f.files and f.files[path].sha256 == digest and f.files[path].size != size:
            wrong(path, f"{who} states another size")

    ids, exchanges, named = Counter(i["id"] for i in f.items), Counter(x["id"] for _, x in f.exchanges), set()
    for path, x in f.exchanges:
        if x["id"] in exchanges and exchanges.pop(x["id"]) > 1:
            wrong(path, f"a second exchange {x['id']}")
    exchanges = {x["id"]: x for _, x in reversed(f.exchanges)}
    for id_, x in exchanges.items():
        if body := x.get("body"):
            named.add(body)
            agree(id_, body, x.get("body_sha256"), x["body_bytes"])
    known = not {"item", "exchange", "redaction"} & f.partial
    for i in f.items:
        if ids[i["id"]] > 1:
            wrong(ITEMS, f"a second item {i['id']}")
        if known:
            for x in set(i.get("exchanges", [])) - set(exchanges):
                wrong(ITEMS, f"{i['id']} rests on {x}, which is not there")
            for d in set(i.get("derived_from", [])) - set(ids):
                wrong(ITEMS, f"{i['id']} was computed from {d}, which is not there")
        for file in i.get("files", []):
            named.add(file["path"])
            agree(i["id"], file["path"], file["sha256"], file["bytes"])
    if known and f.there(ITEMS):
        changed = about(f) in ("containment", "restore")
        own = re.compile(r"data/(00-plan/[^/]*|sealed/commitment-key\.age|.*\.http\.json" + ("|90-contain/[^/]*)" if changed else ")"))
        named |= {r["sealed"]["path"] for r in f.redactions}
        for path in payload:
            if path not in named and not own.fullmatch(path):
                wrong(path, "no item and no exchange names it")


def about(f):
    """What the bundle is about; of a disclosed copy, what its source is about."""
    kind = f.predicate.get("kind")
    source = f.files.get("meta/source/seal/statement.json") if kind == "disclosure" else None
    if source is None:
        return kind
    value, _ = f.valued("statement", source.read(MAX_DOCUMENT))
    return value["predicate"]["kind"] if value else None


def _coverage(f):
    wrong = lambda what: f.tell("coverage", f.absence, COVERAGE, what)
    if ITEMS not in f.files or "item" in f.partial:
        return  # the items are not all known
    c, gaps, p = f.coverage, [i for i in f.items if i["status"] in GAPS], f.predicate
    if p and (p["items"], p["gaps"]) != (len(f.items), len(gaps)):
        f.tell("coverage", f.absence, STATEMENT, f"states other numbers than {len(f.items)} items with {len(gaps)} gaps")
    if not c:
        return
    if p and c["finished"] != p["finished"]:
        wrong("says otherwise than the statement whether the run came to its end")
    if Counter((i["group"], i["status"]) for i in f.items) != Counter({(g, s): n for g, all_ in c["groups"].items() for s, n in all_.items()}):
        wrong("counts otherwise than the items")
    key = lambda kind, g: (kind, g["collector"], g["subject"])
    if Counter(key(g["kind"], g) for g in c["gaps"]) != Counter(key(i["status"], i) for i in gaps):
        wrong("its gaps are not those of the items")
    if any(not g["question"].strip() or not g["subject"].strip() for g in c["gaps"]):
        wrong("a gap without its question")
    by_id = {i["id"]: i for i in f.items}
    for unit in c["planned"]:
        for i in unit["items"]:
            if i not in by_id:
                wrong(f"claims {i}, which is not there")
            elif by_id[i]["collector"] != unit["unit"]:
                wrong(f"gives {i} to another unit")
        if unit["ended"] == "done" and not unit["items"]:
            f.tell("coverage", "warn", COVERAGE, f"{unit['unit']} is done, and left nothing")


def _custody(f):
    wrong = lambda path, what: f.tell("custody", f.absence, path, what)
    # What is not of its form in meta/ might have told what is missing here.
    if ITEMS not in f.files or {"item", "coverage", "journal-line"} & f.partial or not f.events:
        return
    if f.predicate:
        _ends(f, wrong)
        _containment(f, wrong)
    exchanges = {x["id"]: x for _, x in reversed(f.exchanges)}
    items = {i["id"]: i for i in f.items}
    for event, member, there, what in (("req", "exchange", exchanges, "body_sha256"), ("item-stored", "item", items, None)):
        told = {}
        for e in f.events:
            if e["ev"] == event:
                if e[member] in told:
                    wrong(None, f"the journal tells of {e[member]} twice")
                told[e[member]] = e
        for id_, e in told.items():
            x = there.get(id_)
            if x is None:
                if "exchange" not in f.partial:
                    wrong(None, f"the journal tells of {id_}, which is not there")
            elif e.get("status") != x.get("status") or what and "sha256" in e and e["sha256"] != x.get(what):
                wrong(None, f"the journal says otherwise of {id_}")
        for id_ in there.keys() - told.keys():
            wrong(None, f"the journal does not tell of {id_}")


def _ends(f, wrong):
    """The first line opens this very bundle; the last seals it with the numbers that the statement gives."""
    p, first, last = f.predicate, f.events[0], f.events[-1]
    # The journal of a disclosed copy is its source's.
    about = p["previous"] if p["kind"] == "disclosure" and p["previous"] else p
    if first["ev"] != "bundle-open" or (first["bundle"], first["case"], first["run"]) != (about["bundle"], p["case"], p["run"]):
        wrong(f.segments[0][0], "does not begin with the opening of this bundle")
    if last["ev"] == "seal":
        if (last["items"], last["gaps"], last["finished"]) != (p["items"], p["gaps"], p["finished"]) or last["items"] != len(f.items):
            wrong(f.segments[-1][0], "the sealing counts otherwise than the statement")
    elif sum(len(lines) for _, _, lines in f.segments) == p["journalCount"]:
        wrong(f.segments[-1][0], "does not end with the sealing")  # of a journal cut short `chain` tells


ENDS = {"already-contained": "already-contained", "intent": "intended", "applied": "applied", "apply-failed": "apply-failed",
        "restore-intent": "restore-intended", "restored": "restored", "restore-failed": "restore-failed", "drift": "drifted",
        "drift-overruled": "drift-overruled", "held-elsewhere": "held-elsewhere", "refused": "refused"}  # fmt: skip


def _containment(f, wrong):
    """The statement's `containment`: of each cell the last that the lines of the case journal say, in the order of the cells' names."""
    stated, ends = f.predicate.get("containment"), None
    if stated is None:
        return
    if ACTIONS in f.files:
        ends = {}
        for line in f.files[ACTIONS].lines(MAX_LINE):
            value, what = f.valued("journal-line", line and line.removesuffix(b"\n"))
            if what:
                ends = None
                break
            cell = value.get("cell")
            if cell and value["ev"] == "read-back":
                ends[cell] = "holds" if value["holds"] else "does-not-hold"
            elif cell and value["ev"] in ENDS:
                ends[cell] = ENDS[value["ev"]]
    if ends is None or [(c["cell"], c["ended"]) for c in stated] != sorted(ends.items(), key=lambda e: e[0].encode()):
        wrong(STATEMENT, f"says how {len(stated)} cells ended, and not as the case journal does")


def _provider(f):
    for i in f.items:
        digest = i.get("provider_digest")
        if not digest:
            continue
        tell = lambda level, what: f.tell("provider-digest", level, ITEMS, f"{i['id']}: {what}")
        value, files = digest["value"], i.get("files", [])
        if {x["path"] for x in files} & {r["twin"]["path"] for r in f.redactions if "whole" in r}:
            tell("info", "can be recomputed only from the sealed original")
            continue
        hex_ = value.removeprefix("sha256:")
        if not (len(value) == 44 and value.endswith("=")) and not re.fullmatch("[0-9a-fA-F]{64}", hex_) or not files:
            tell("warn", "a digest of no known form, or no file goes with it")
            continue
        digests = [f.files[x["path"]].sha256 for x in files if x["path"] in f.files]
        if not digests:
            continue  # told elsewhere
        holds = any(d == hex_.lower() or base64.b64encode(bytes.fromhex(d)).decode() == value for d in digests)
        if holds != digest["matches"]:
            tell("error", "says otherwise than its bytes whether they are what AWS stated")
        elif not holds:
            tell("warn", "its bytes are not what AWS stated")
