"""What was sealed and what was disclosed: `secrets`, `disclosure`."""

import re

from bag import labelled, read_manifest
from documents import NotJson, canonical, parse
from facts import MAX_DOCUMENT, MAX_LINE, REDACTIONS, STATEMENT, TAGS

SEALED, COMMITMENT_KEY, SOURCE = "data/sealed/", "data/sealed/commitment-key.age", "meta/source/"
RULES = {"environment", "presigned", "session-token", "whole", "unreadable"}
DIGEST, COMMIT = re.compile("[0-9a-f]{64}"), re.compile("hmac-sha256:[0-9a-f]{64}")
# Of a disclosed copy: the files of meta/ that are not the source's.
OWN = ("meta/README.txt", "meta/VERIFY.txt", "meta/CERTIFICATION.md")


def check(f):
    disclosed = f.predicate.get("kind") == "disclosure"
    listed = _source(f) if disclosed else None
    _secrets(f, listed)
    if disclosed:
        _disclosure(f, listed)


def _source(f):
    path = SOURCE + "manifest-sha256.txt"
    wrong = lambda p, what: f.tell("disclosure", "error", p, what)
    if path not in f.files:
        return None
    return read_manifest(f, path, wrong)


# ── secrets ──


def _secrets(f, listed):
    wrong = lambda path, what: f.tell("secrets", "error", path, what)
    sealed_here = {p for p in f.files if p.startswith(SEALED)}
    named, count, before = {COMMITMENT_KEY}, 0, ""
    for n, line in enumerate(f.files[REDACTIONS].lines(MAX_LINE) if REDACTIONS in f.files else (), 1):
        count += 1
        try:
            value = parse(line or b"")
            _form(value)
            if canonical(value) + b"\n" != line:
                raise NotJson("not in canonical form")
        except NotJson as e:
            wrong(REDACTIONS, f"line {n}: {e}")
            named |= sealed_here  # what this line named nobody can tell
            continue
        twin, sealed = value["twin"], value["sealed"]
        if twin["path"] <= before:
            wrong(REDACTIONS, f"line {n}: not sorted by its twin's path")
        before = twin["path"]
        named.add(sealed["path"])
        whole = not value["fields"]
        bare = twin["path"].removesuffix(".redacted.json") if whole else twin["path"]
        if not bare.startswith("data/") or sealed["path"] != SEALED + bare.removeprefix("data/") + ".age":
            wrong(REDACTIONS, f"line {n}: its two paths do not belong together")
        if _lies(f, wrong, twin):
            _twin(f, wrong, value)
        if listed is None:
            _lies(f, wrong, sealed)
        elif listed.get(sealed["path"]) != sealed["sha256"]:
            wrong(sealed["path"], "the source does not list it so")
    for path in sorted(sealed_here - named):
        wrong(path, "no line names it")
    for path in sorted(sealed_here):
        first = next(f.files[path].lines(200), b"")
        if first != b"age-encryption.org/v1\n":
            wrong(path, "no age file")
    if count and listed is None and not f.there(COMMITMENT_KEY):
        wrong(COMMITMENT_KEY, "missing: no commitment can be shown to hold")
    stated = f.predicate.get("secrets") if f.predicate else None
    if f.predicate and (stated or {}).get("sealed", 0) != count:
        wrong(STATEMENT, f"does not count {count} sealed originals")
    if count:
        f.tell("secrets", "info", REDACTIONS, f"{count} originals are sealed")


def _form(v):
    """A line of redactions.jsonl has no schema yet: its members are those that the document names."""

    def of(value, *members):
        if not isinstance(value, dict) or set(value) != set(members):
            raise NotJson(f"its members are not {', '.join(members)}")

    def path(value):
        if not isinstance(value, str) or not DIGEST.fullmatch(str(file["sha256"])) or type(file["bytes"]) is not int:
            raise NotJson("no file as it was when it was written")

    of(v, "twin", "sealed", "original", "fields")
    for file in (v["twin"], v["sealed"]):
        of(file, "path", "bytes", "sha256")
        path(file["path"])
    of(v["original"], "bytes", "commit")
    if not COMMIT.fullmatch(str(v["original"]["commit"])) or type(v["original"]["bytes"]) is not int:
        raise NotJson("its original has no commitment")
    if not isinstance(v["fields"], list):
        raise NotJson("fields is no list")
    for field in v["fields"]:
        of(field, "at", "rule")
        if not isinstance(field["at"], str) or field["rule"] not in RULES - {"whole", "unreadable"}:
            raise NotJson("a field of no known rule")


def _lies(f, wrong, file):
    path = file["path"]
    if path in f.unreadable or path in f.manifest and path in f.files and f.manifest[path] != f.files[path].sha256:
        return False  # told already
    if path not in f.files:
        if path not in f.manifest:
            wrong(path, "a line names it, and it is not there")
        return False
    if (file["bytes"], file["sha256"]) != (f.files[path].size, f.files[path].sha256):
        wrong(path, "is not as its line says")
        return False
    return True


def _twin(f, wrong, line):
    path = line["twin"]["path"]
    raw = f.files[path].read(MAX_DOCUMENT)
    try:
        twin = parse(raw or b"")
    except NotJson as e:
        return wrong(path, f"a twin that is {e}")
    if not line["fields"]:
        ok = _is_redaction(twin, {"whole", "unreadable"}) and raw.endswith(b"}\n")
        said = line["original"]
        if not ok or (twin["len"], twin["commit"]) != (said["bytes"], said["commit"]):
            wrong(path, "is no redaction of a whole file, or of another")
        return
    for field in line["fields"]:
        if not any(_is_redaction(v, {field["rule"]}) for v in _at(twin, field["at"])):
            wrong(path, f"at {field['at'][:200]} stands no redaction of the rule {field['rule']}")


def _is_redaction(value, rules):
    # In this order: Python keeps the order of members as it was read.
    return (isinstance(value, dict) and list(value) == ["redacted", "rule", "len", "commit"] and value["redacted"] is True
            and value["rule"] in rules and type(value["len"]) is int and bool(COMMIT.fullmatch(str(value["commit"]))))  # fmt: skip


def _at(value, pointer):
    """Every value that the pointer can mean. `#` may also be a part of a member's name, so both are tried."""
    if pointer == "":
        yield value
    if isinstance(value, str) and pointer.startswith("#"):
        try:
            yield from _at(parse(value.encode()), pointer[1:])
        except NotJson:
            return
    if not pointer.startswith("/"):
        return
    token, slash, rest = pointer[1:].partition("/")
    heads = [(token, slash + rest)] + [(token[:n], token[n:] + slash + rest) for n, c in enumerate(token) if c == "#"][:8]
    for head, tail in heads:
        name = head.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            yield from _at(value[name], tail)
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,8}", name) and int(name) < len(value):
            yield from _at(value[int(name)], tail)


# ── disclosure ──


def _disclosure(f, listed):
    wrong = lambda path, what: f.tell("disclosure", "error", path, what)
    previous, root = f.predicate["previous"], f.files.get(SOURCE + TAGS)
    if root is None or listed is None:
        return wrong(SOURCE, "the source's manifests are missing")
    tags = read_manifest(f, SOURCE + TAGS, wrong)
    if not previous or previous["root"] != root.sha256:
        wrong(STATEMENT, "does not name the root of the source")
    if [d.removeprefix("sha256:") for d in labelled(f, "Source-Bag-Digest")] != [root.sha256]:
        wrong("bag-info.txt", "does not name the root of the source")
    for name in ("bag-info.txt", "manifest-sha256.txt"):
        here = f.files.get(SOURCE + name)
        if here is None or tags.get(name) != here.sha256:
            wrong(SOURCE + name, "is not the source's")
    for path, digest in listed.items():
        if path.startswith(SEALED):
            continue
        if path not in f.manifest:
            wrong(path, "the source lists it, and it is missing")
        elif f.manifest[path] != digest:
            wrong(path, "is not the same as in the source")
    for path in f.manifest:
        if path not in listed:
            wrong(path, "the source does not list it")
    metas = {p: d for p, d in tags.items() if p.startswith("meta/") and p not in OWN}
    ours = {p: d for p, d in f.tags.items() if p.startswith("meta/") and p not in OWN and not p.startswith(SOURCE)}
    for path in sorted(metas.keys() | ours.keys()):
        if metas.get(path) != ours.get(path):
            wrong(path, "is not the same as in the source")
    if previous:
        f.tell("disclosure", "info", SOURCE, f"a copy of {previous['bundle']} without its sealed originals")
