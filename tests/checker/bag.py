"""RFC 8493 and the root: `manifest`, `tag-manifest`, `root`, `layout`."""

import re

from container import MAX_PATH, PATH
from facts import COVERAGE, ITEMS, MANIFEST, MAX_LINE, SEGMENT, STATEMENT, TAGS

TYPE, PREDICATE = "https://in-toto.io/Statement/v1", "urn:freezeframe:predicate:acquisition:v1"
FORMS = {"coverage": 1, "exchange": 1, "item": 1, "journal": 1, "statement": 1}
KNOWN_TAGS = re.compile(
    r"bagit\.txt|bag-info\.txt|(tag)?manifest-sha256\.txt|meta/(items\.jsonl|coverage\.json|redactions\.jsonl|README\.txt|VERIFY\.txt|CERTIFICATION\.md)"
    r"|meta/journal/[0-9]{6,}\.jsonl|seal/(statement(\.dsse)?\.json|(public-key|kms-public)\.pem|root\.tsr|sealing\.json|identity\.kms)|meta/source/.*"
)


def check(f):
    f.manifest = _manifest(f, "manifest", MANIFEST, lambda p: p.startswith("data/"))
    f.tags = _manifest(f, "tag-manifest", TAGS, lambda p: not p.startswith(("data/", "seal/", "tmp/")) and p != TAGS)
    _root(f)
    _layout(f)


def read_manifest(f, path, wrong):
    """path → digest; lines that are none are told by `wrong`."""
    listed = {}
    for n, line in enumerate(f.files[path].lines(MAX_LINE), 1):
        try:
            m = re.fullmatch(r"([0-9a-f]{64})  ([^\n]+)\n", line.decode()) if line else None
        except UnicodeDecodeError:
            m = None
        if not m or not PATH.fullmatch(m[2]) or len(m[2]) > MAX_PATH:
            wrong(path, f"line {n} is no digest and path")
        elif m[2] in listed:
            wrong(path, f"lists {m[2]} twice")
        else:
            listed[m[2]] = m[1]
    return listed


def _manifest(f, check, path, belongs):
    # Before there is a statement a bundle is in the making: what is listed must be right, what is not yet listed is no contradiction.
    wrong = lambda p, what: f.tell(check, "error", p, what)
    unready = lambda p, what: f.tell(check, "error" if f.sealed else "warn", p, what)
    if path not in f.files:
        if f.sealed and path not in f.unreadable:
            wrong(path, "missing")
        return {}
    listed = read_manifest(f, path, unready)
    for p, digest in listed.items():
        if not belongs(p):
            wrong(p, "is listed in a manifest that does not speak of it")
        elif p in f.files:
            if f.files[p].sha256 != digest:
                wrong(p, "its bytes are not those that were listed")
        elif p not in f.unreadable:
            wrong(p, "is listed and missing")
    for p in f.files:
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


def bag_info(f):
    """Label → value, of `bag-info.txt`."""
    if "bag-info.txt" not in f.files:
        return None
    text = (f.files["bag-info.txt"].read(1 << 20) or b"").decode("utf-8", "replace")
    return dict(re.findall(r"^([^:\s]+): *(.*)$", text, re.M))


def _layout(f):
    wrong = lambda path, what: f.tell("layout", "error", path, what)
    worth = lambda path, what: f.tell("layout", "warn", path, what)
    if not f.sealed:
        worth(STATEMENT, "no statement: unfinished")
    if any(p.startswith("tmp/") for p in f.files):
        worth("tmp", "drafts are left: unfinished")
    if f.predicate and not f.predicate["finished"]:
        worth(STATEMENT, "the run was interrupted")
    if f.sealed:
        for path in ("bagit.txt", "bag-info.txt", ITEMS, COVERAGE):
            if not f.there(path) and path not in f.tags:
                wrong(path, "missing")
        if not f.segments:
            wrong("meta/journal", "missing")
    if "bagit.txt" in f.files and f.files["bagit.txt"].read(1000) != b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n":
        wrong("bagit.txt", "not BagIt 1.0 in UTF-8")
    if f.there("fetch.txt"):
        wrong("fetch.txt", "a bundle never sends its reader elsewhere")
    info = bag_info(f)
    if info is not None and f.sealed:
        payload = {p: x for p, x in f.files.items() if p.startswith("data/")}
        # What is changed or missing is told by `manifest` already.
        as_listed = payload.keys() == f.manifest.keys() and all(x.sha256 == f.manifest[p] for p, x in payload.items())
        oxum = f"{sum(x.size for x in payload.values())}.{len(payload)}"
        if "Payload-Oxum" not in info or as_listed and info["Payload-Oxum"] != oxum:
            wrong("bag-info.txt", f"its Payload-Oxum is not {oxum}")
        if f.predicate and info.get("External-Identifier") != f.predicate["case"]:
            wrong("bag-info.txt", "names another case than the statement")
    for path in f.files:
        if not path.startswith(("data/", "tmp/")) and path != "fetch.txt" and not KNOWN_TAGS.fullmatch(path):
            # An unlisted one outside seal/ is told by `tag-manifest`.
            if path.startswith("seal/") or path in f.tags:
                worth(path, "no file of this format")
