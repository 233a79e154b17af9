"""What was sealed and what was disclosed: `secrets`, `disclosure`."""

import re

from bag import labelled, read_manifest
from crypto import Key, Malformed, decode64, pre_authentication
from documents import NotJson, parse
from facts import MANIFEST, MAX_DOCUMENT, REDACTIONS, STATEMENT, TAGS

SEALED, COMMITMENT_KEY, SOURCE = "data/sealed/", "data/sealed/commitment-key.age", "meta/source/"
SUFFIX, MAX_TWIN = ".redacted.json", 64 << 20
COMMIT = re.compile("hmac-sha256:[0-9a-f]{64}")
# Of a disclosed copy: the files of meta/ that are not the source's.
OWN = ("meta/README.txt", "meta/VERIFY.txt", "meta/CERTIFICATION.md")


def check(f):
    disclosed = f.predicate.get("kind") == "disclosure"
    manifests = {}
    for name in (MANIFEST, TAGS):
        if SOURCE + name in f.files:
            manifests[name] = read_manifest(f, SOURCE + name, lambda path, what: f.tell("disclosure", "error", path, what))
    if f.sealed or f.there(REDACTIONS):
        _secrets(f, manifests.get(MANIFEST, {}) if disclosed else None)
    if disclosed:
        _disclosure(f, manifests)
    elif f.predicate and (labelled(f, "Source-Bag-Digest") or any(p.startswith(SOURCE) for p in f.files)):
        f.tell("disclosure", "error", "bag-info.txt", "names a source, and is no copy")


# ── secrets ──


def _secrets(f, source):
    """`source`: what the source's manifest lists, in a disclosed copy."""
    wrong = lambda path, what: f.tell("secrets", f.absence, path, what)
    payload = f.manifest if MANIFEST in f.files else {p: x.sha256 for p, x in f.files.items() if p.startswith("data/")}
    sealed_in = payload if source is None else source
    known = "redaction" not in f.partial
    before, seen = "", set()
    for r in f.redactions:
        twin, sealed = r["twin"], r["sealed"]
        if twin["path"] <= before:
            wrong(REDACTIONS, "not sorted by the twins' paths")
        before = twin["path"]
        bare = twin["path"].removesuffix(SUFFIX) if "whole" in r else twin["path"]
        if sealed["path"] != SEALED + bare.removeprefix("data/") + ".age" or "whole" in r and not twin["path"].endswith(SUFFIX):
            wrong(REDACTIONS, f"the paths of {twin['path']} and its original do not belong together")
        for file, listed in ((twin, payload), (sealed, sealed_in)):
            if listed.get(file["path"]) != file["sha256"]:
                wrong(REDACTIONS, f"{file['path']} does not lie here as it says")
            elif file["path"] in f.files and f.files[file["path"]].sha256 == file["sha256"] and f.files[file["path"]].size != file["bytes"]:
                wrong(REDACTIONS, f"{file['path']} has not the size that it says")
        if twin["path"] in f.files and twin["path"] not in seen:
            seen.add(twin["path"])  # a second line about it is out of order
            _twin(f, wrong, r)
    here = sorted(p for p in f.files if p.startswith(SEALED))
    for path in here:
        # Where a run died before its line about a file was in the bucket, the item that says so names the original.
        if known and path not in {r["sealed"]["path"] for r in f.redactions} | {COMMITMENT_KEY} | _of_items(f):
            wrong(path, "no line names it")
        if next(f.files[path].lines(200), b"") != b"age-encryption.org/v1\n":
            wrong(path, "no age file")
    if f.redactions and COMMITMENT_KEY not in sealed_in:
        wrong(COMMITMENT_KEY, "missing: no commitment can be shown to hold")
    if known:
        _told(f, wrong, source)


def _of_items(f):
    """Sealed originals that items name."""
    return {file["path"] for i in f.items for file in i.get("files", []) if file["path"].startswith(SEALED)}


def _told(f, wrong, source):
    """Exchanges, journal and statement say the same as the list."""
    by_twin = {r["twin"]["path"]: r["sealed"] for r in f.redactions}
    for path, x in f.exchanges:
        if x.get("body") not in by_twin and x.get("sealed") in _of_items(f):
            continue
        if x.get("sealed") != by_twin.get(x.get("body"), {}).get("path"):
            wrong(path, "says otherwise than the list whether its body is sealed")
    told = {(e["twin"]["path"], e["sealed"]["sha256"]) for e in f.events if e["ev"] == "redact"}
    if "journal-line" not in f.partial and told != {(p, s["sha256"]) for p, s in by_twin.items()}:
        wrong(REDACTIONS, "the journal tells of other redactions")
    if not f.predicate:
        return
    stated = f.predicate.get("secrets")
    if (stated["sealed"] if stated else 0) != len(f.redactions):
        f.tell("secrets", "error", STATEMENT, f"does not count {len(f.redactions)} sealed originals")
    if stated and source is None:
        if "kmsKey" in stated and not f.there("seal/identity.kms"):
            f.tell("secrets", "warn", "seal/identity.kms", "missing: the KMS key opens nothing here")
        f.tell("secrets", "info", REDACTIONS, f"{len(f.redactions)} originals are sealed for {len(stated['recipients'])} recipients")


def _twin(f, wrong, r):
    path, file = r["twin"]["path"], f.files[r["twin"]["path"]]
    raw = file.read(MAX_TWIN)
    if raw is None:
        return wrong(path, "longer than any twin")
    if "whole" in r:
        value = _parsed(raw)
        if not _is_redaction(value, r["whole"]) or not raw.endswith(b"}\n"):
            wrong(path, "no redaction of a whole file")
        elif (value["len"], value["commit"]) != (r["original"]["bytes"], r["original"]["commit"]):
            wrong(path, "is a redaction of another file")
        return
    places = []
    for field in r["fields"]:
        m = re.fullmatch(r"([1-9][0-9]{0,8}):(.*)", field["at"], re.S)
        places.append((int(m[1]), m[2], field) if m else (0, field["at"], field))
    # One line after the other, and in it one text after the other: each is read once, however many places are in it.
    lines, open_line, texts = None, None, {}
    for n, pointer, field in sorted(places, key=lambda p: p[:2]):
        if n != open_line:
            lines = raw.split(b"\n") if n and lines is None else lines
            open_line, texts = n, {"": _parsed(raw if not n else lines[n - 1] if n <= len(lines) else b"")}
        if not _is_redaction(_at(texts, pointer), field["rule"]):
            return wrong(path, f"at {field['at'][:200]} stands no redaction of the rule {field['rule']}")


def _parsed(raw):
    try:
        return parse(raw)
    except NotJson:
        return None


def _is_redaction(value, rule):
    # In this order: Python keeps the order of members as it was read.
    return (isinstance(value, dict) and list(value) == ["redacted", "rule", "len", "commit"] and value["redacted"] is True
            and value["rule"] == rule and type(value["len"]) is int and value["len"] >= 0
            and bool(COMMIT.fullmatch(str(value["commit"]))))  # fmt: skip


def _at(texts, pointer):
    """What the pointer names, or None; a place has one pointer. Behind `#` it goes on in the JSON text that the string there is; `~2` is a `#` in a name.

    `texts`: what is parsed already, by the pointer up to its `#`."""
    *texts_in, last = pointer.split("#")
    begins = ""
    for part in texts_in:
        value, begins = texts[begins], f"{begins}{part}#"
        if begins not in texts:
            text = _member(value, part)
            texts[begins] = _parsed(text.encode()) if isinstance(text, str) else None
        if texts[begins] is None:
            return None
    return _member(texts[begins], last)


def _member(value, pointer):
    if pointer and not pointer.startswith("/"):
        return None
    for token in pointer.split("/")[1:]:
        if re.search("~(?![012])", token):
            return None
        name = token.replace("~2", "#").replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,8}", name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


# ── disclosure ──


def _disclosure(f, manifests):
    wrong = lambda path, what: f.tell("disclosure", "error", path, what)
    previous, root = f.predicate["previous"], f.files.get(SOURCE + TAGS)
    if not previous:
        return wrong(STATEMENT, "a copy that does not say of what")
    if root is None or previous["root"] != root.sha256:
        wrong(SOURCE + TAGS, "is not the root that the statement names")
    if labelled(f, "Source-Bag-Digest") != [previous["root"]]:
        wrong("bag-info.txt", "does not name the root of the source")
    _same(f, wrong, manifests)
    _signed(f, wrong, previous)


def _same(f, wrong, manifests):
    """All that the source lists is here as it lists it, or is sealed there; and nothing else is here."""
    listed, tags = manifests.get(MANIFEST), manifests.get(TAGS)
    if listed is None or tags is None:
        return wrong(SOURCE, "the source's manifests are missing")
    digest = lambda path: f.files[path].sha256 if path in f.files else None
    for name in (MANIFEST, "bag-info.txt"):
        if name not in tags or digest(SOURCE + name) != tags[name]:
            wrong(SOURCE + name, "is not the source's")
    for path, d in listed.items():
        if not path.startswith(SEALED) and digest(path) != d:
            wrong(path, "is not here as the source lists it")
    for path in f.files:
        if path.startswith("data/") and (path not in listed or path.startswith(SEALED)):
            wrong(path, "the source does not list it, or it is sealed there")
    for path, d in tags.items():
        if path.startswith("meta/") and path not in OWN and digest(path) != d:
            wrong(path, "is not here as the source lists it")
    if "meta/items.jsonl" not in tags:
        wrong(SOURCE + TAGS, "lists no items")


def _signed(f, wrong, previous):
    """The source's own seal: about this root; and if it was signed, every signature holds by a key that lies beside it."""
    at = SOURCE + "seal/"
    read = lambda name: f.files[at + name].read(MAX_DOCUMENT) if at + name in f.files else None
    raw = read("statement.json")
    statement, _ = f.valued("statement", raw) if raw is not None else (None, None)
    if not statement or not statement["subject"] or statement["subject"][0]["digest"].get("sha256") != previous["root"]:
        return wrong(at, "no statement of the source about that root")
    raw_envelope = read("statement.dsse.json")
    envelope, _ = f.valued("envelope", raw_envelope) if raw_envelope is not None else (None, None)
    if not envelope:
        return f.tell("disclosure", "info", at, f"a copy of {previous['bundle']}, which is unsigned")
    keys = {}
    for name in ("public-key.pem", "kms-public.pem"):
        try:
            key = Key(read(name) or b"")
            keys[key.id] = key
        except Malformed:
            pass
    try:
        payload = decode64(envelope["payload"])
        message = pre_authentication(envelope["payloadType"], payload)
        holds = [keys[s["keyid"]].holds(decode64(s["sig"]), message) for s in envelope["signatures"][:8] if s["keyid"] in keys]
    except Malformed:
        payload, holds = None, []
    if payload != raw or not holds or not all(holds) or len(holds) < len(envelope["signatures"][:8]):
        return wrong(at, "a signature of the source does not hold")
    f.tell("disclosure", "info", at, f"a copy of {previous['bundle']}, which is signed")
