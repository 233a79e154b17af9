"""RFC 8493 and the root: `manifest`, `tag-manifest`, `root`, `layout`."""

import re

from files import MAX_FILES, is_path
from facts import COVERAGE, ITEMS, MANIFEST, MAX_DOCUMENT, MAX_LINE, SEGMENT, STATEMENT, TAGS

TYPE, PREDICATE = "https://in-toto.io/Statement/v1", "urn:freezeframe:predicate:acquisition:v1"
FORMS = {"coverage": 1, "exchange": 1, "item": 1, "journal": 1, "redaction": 1, "statement": 1}
KNOWN_TAGS = re.compile(
    r"bagit\.txt|bag-info\.txt|(tag)?manifest-sha256\.txt|meta/(items\.jsonl|coverage\.json|redactions\.jsonl|README\.txt|VERIFY\.txt|CERTIFICATION\.md)"
    r"|seal/(statement(\.dsse)?\.json|(public-key|kms-public)\.pem|root\.tsr|sealing\.json|identity\.kms|addenda/.*)|fetch\.txt"
)


def check(f):
    f.manifest = _manifest(f, "manifest", MANIFEST, lambda p: _top(p) == "data")
    f.tags = _manifest(f, "tag-manifest", TAGS, lambda p: _top(p) not in ("data", "seal", "tmp", TAGS))
    _root(f)
    _layout(f)


def _top(path):
    return path.split("/")[0]


def read_manifest(f, path, wrong):
    """path → digest; lines that are none are told by `wrong`."""
    listed = {}
    for n, line in enumerate(f.files[path].lines(MAX_LINE), 1):
        if n > MAX_FILES:
            wrong(path, "more lines than any bundle has; the rest was not read")
            break
        try:
            m = re.fullmatch(r"([0-9a-fA-F]{64})[ \t]+\*?([^\n]+)\n?", line.decode()) if line else None
        except UnicodeDecodeError:
            m = None
        if not m or not is_path(m[2]):
            wrong(path, f"line {n} is no digest and path")
            continue
        if m[2] in listed:
            wrong(path, f"lists {m[2]} twice")
        listed[m[2]] = m[1].lower()
    return listed


def _manifest(f, check, path, belongs):
    wrong = lambda p, what: f.tell(check, "error", p, what)
    unready = lambda p, what: f.tell(check, f.absence, p, what)
    if path not in f.files:
        return {}
    listed = read_manifest(f, path, unready)
    for p, digest in listed.items():
        if not belongs(p):
            wrong(p, "is listed in a manifest that does not speak of it")
        if p in f.files:
            if f.files[p].sha256 != digest:
                wrong(p, "its bytes are not those that were listed")
        elif p not in f.unreadable:
            unready(p, "is listed and missing")
    for p in sorted(set(f.files) | f.unreadable):
        if belongs(p) and p not in listed:
            unready(p, "is listed nowhere")
    return listed


def _root(f):
    wrong = lambda what: f.tell("root", "error", STATEMENT, what)
    s = f.statement
    if not s:
        return
    if s["_type"] != TYPE or s["predicateType"] != PREDICATE:
        wrong("a statement of an unknown type")
    if [x["name"] for x in s["subject"]] != [TAGS]:
        wrong("is about something else than the tag manifest")
    elif TAGS in f.files and s["subject"][0]["digest"].get("sha256") != f.files[TAGS].sha256:
        wrong("is about another root")
    for form, version in s["predicate"]["schemas"].items():
        if FORMS.get(form) != version:
            wrong(f"follows version {version} of {form}, which this checker does not know")
    if f.container.name and f.container.name != s["predicate"]["bundle"]:
        f.tell("root", "warn", None, "the zip's directory has another name than the bundle")


def tag_file(f, path):
    """[(label in lower case, value)] and whether all of it is `Label: value` in UTF-8; None where it is not there."""
    if path not in f.files:
        return None, True
    try:
        lines = (f.files[path].read(MAX_DOCUMENT) or b"\xff").decode().splitlines()
    except UnicodeDecodeError:
        return [], False
    fields, good = [], True
    for line in filter(str.strip, lines):
        label, colon, value = line.partition(":")
        if line[0] in " \t" and fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}")
        elif colon:
            fields.append((label.strip().lower(), value.strip()))
        else:
            good = False
    return fields, good


def labelled(f, label):
    return [v for l, v in tag_file(f, "bag-info.txt")[0] or [] if l == label.lower()]


def _layout(f):
    wrong = lambda path, what: f.tell("layout", "error", path, what)
    worth = lambda path, what: f.tell("layout", "warn", path, what)
    if not f.sealed:
        worth(STATEMENT, "no statement: unfinished")
    unready = lambda path, what: f.tell("layout", f.absence, path, what)
    if f.container.has_tmp:
        worth("tmp", "drafts are left: unfinished")
    if f.predicate and not f.predicate["finished"]:
        worth(STATEMENT, "the run was interrupted")
    for path in ("bagit.txt", "bag-info.txt", MANIFEST, TAGS, ITEMS, COVERAGE):
        if not f.there(path):
            unready(path, "missing")
    if not f.segments:
        unready("meta/journal", "missing")
    fields, good = tag_file(f, "bagit.txt")
    if fields is not None and (not good or sorted(fields) != [("bagit-version", "1.0"), ("tag-file-character-encoding", "UTF-8")]):
        unready("bagit.txt", "does not say BagIt 1.0 and UTF-8, and nothing else")
    if f.there("fetch.txt"):
        wrong("fetch.txt", "a bundle never sends its reader elsewhere")
    fields, good = tag_file(f, "bag-info.txt")
    if fields is not None:
        _bag_info(f, wrong, unready, good)
    for path in f.files:
        copied = path.startswith("meta/source/") and f.predicate.get("kind") == "disclosure"
        if copied or path.startswith(("data/", "tmp/")) or KNOWN_TAGS.fullmatch(path) or SEGMENT.fullmatch(path):
            continue
        # An unlisted one outside seal/ is told by `tag-manifest`.
        if path.startswith("seal/") or path in f.tags:
            worth(path, "no file of this format")


def _bag_info(f, wrong, unready, good):
    if not good:
        unready("bag-info.txt", "not all of it is `Label: value` in UTF-8")
    if f.predicate and any(case != f.predicate["case"] for case in labelled(f, "External-Identifier")):
        wrong("bag-info.txt", "names another case than the statement")
    sums = labelled(f, "Payload-Oxum")
    if len(sums) != 1:
        return unready("bag-info.txt", "states Payload-Oxum not exactly once")
    payload = {p: x for p, x in f.files.items() if p.startswith("data/")}
    unread = sum(p.startswith("data/") for p in f.unreadable)
    # Where the payload is not as the manifest lists it, that is told file by file.
    as_listed = not unread and payload.keys() == f.manifest.keys() and all(x.sha256 == f.manifest[p] for p, x in payload.items())
    oxum = f"{sum(x.size for x in payload.values())}.{len(payload) + unread}"
    if (as_listed or MANIFEST not in f.files) and sums[0] != oxum:
        unready("bag-info.txt", f"its Payload-Oxum is not {oxum}")
