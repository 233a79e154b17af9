"""Who vouches for the statement: `envelope`, `signature`, `key`, `timestamp`."""

import datetime
import hashlib

from crypto import Key, Malformed, decode64, pre_authentication, timestamp
from facts import MAX_DOCUMENT, ENVELOPE, SEALING, STAMP, STATEMENT

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEYS = ("seal/public-key.pem", "seal/kms-public.pem")
MOST = 32


def check(f, demanded):
    """`demanded`: fingerprint → Key, or None where only the fingerprint is known."""
    f.signed_by = set()
    signatures, payload = [], None
    signatures, payload = _envelope(f)
    held = _signatures(f, demanded, signatures, payload)
    if f.sealed:
        _tell_signatures(f, demanded, signatures, held)
    same = payload is not None and payload == statement(f)
    for key in sorted(demanded):
        if key not in f.signed_by:
            f.tell("key", "error", ENVELOPE, f"the key {key}, which was demanded, did not sign it")
        elif not same:
            f.tell("key", "error", ENVELOPE, f"the key {key}, which was demanded, did not sign this statement")
    if f.sealed:
        _timestamp(f, signatures)


def statement(f):
    return f.files[STATEMENT].read(MAX_DOCUMENT) if STATEMENT in f.files else None


def _envelope(f):
    """([(key id, signature or None)], payload)."""
    wrong = lambda what: f.tell("envelope", "error", ENVELOPE, what)
    e = f.envelope
    if not e:
        return [], None
    if e["payloadType"] != PAYLOAD_TYPE:
        wrong("its payload is of an unknown type")
    try:
        payload = decode64(e["payload"])
    except Malformed:
        wrong("its payload is no base64")
        return [], None
    if STATEMENT in f.files and payload != statement(f):
        wrong("what was signed is not seal/statement.json")
    if not e["signatures"]:
        wrong("an envelope without a signature")
    if len(e["signatures"]) > MOST:
        wrong(f"more than {MOST} signatures")
    signatures = []
    for s in e["signatures"][:MOST]:
        if s["keyid"] in (k for k, _ in signatures):
            wrong(f"two signatures of the key {s['keyid']}")
            continue
        try:
            signatures.append((s["keyid"], decode64(s["sig"])))
        except Malformed:
            signatures.append((s["keyid"], None))
    return signatures, payload


def _signatures(f, demanded, signatures, payload):
    """Key id → "holds", "wrong", or "no key"; and the keys that lie here, each with its path."""
    keys = {}
    f.keys = {}
    for path in KEYS:
        if path in f.files:
            try:
                f.keys[path] = key = Key(f.files[path].read(16 << 10) or b"")
                keys[key.id] = key
            except Malformed as e:
                f.keys[path] = str(e)
    keys |= {id_: key for id_, key in demanded.items() if key}
    pae = pre_authentication(f.envelope["payloadType"], payload) if payload is not None else b""
    held = {}
    for id_, signature in signatures:
        holds = id_ in keys and signature is not None and keys[id_].holds(signature, pae)
        held[id_] = "holds" if holds else "wrong" if id_ in keys else "no key"
    f.signed_by = {id_ for id_, how in held.items() if how == "holds"}
    return held


def _tell_signatures(f, demanded, signatures, held):
    tell = lambda level, path, what: f.tell("signature", level, path, what)
    for path, key in f.keys.items():
        if isinstance(key, str):
            tell("error", path, f"a key file that is none: {key}")
        elif key.id not in held:
            tell("warn", path, "a key of no signature")
    signers = f.predicate.get("signers") or []
    named = {s.get("key") for s in signers}
    for id_, how in held.items():
        if how == "no key":
            tell("error", ENVELOPE, f"signed by the key {id_}, whose public half is not here")
        elif how == "wrong":
            tell("error", ENVELOPE, f"the signature of the key {id_} is wrong")
        elif id_ not in named:
            tell("warn", ENVELOPE, f"signed by the key {id_}, which the statement does not name")
        elif id_ not in demanded:
            tell("info", ENVELOPE, f"signed by the key {id_}, which you must compare")
    ended = f.sealing["signatures"] if f.sealing else []
    for s in signers:
        if s.get("key") in held:
            continue
        note = next((e for e in ended if e["signer"] == s), None)
        if note and note["ended"] == "failed":
            tell("warn", STATEMENT, f"a {s['kind']} key was to sign and could not")
        else:
            tell("error", STATEMENT, f"a {s['kind']} key was to sign, and its signature was taken away")
    if not signers and not signatures:
        tell("info", STATEMENT, "unsigned")


def _timestamp(f, signatures):
    tell = lambda level, what: f.tell("timestamp", level, STAMP, what)
    p = f.predicate
    authority = p.get("timestampAuthority")
    if STAMP not in f.files:
        note = f.sealing and f.sealing.get("timestamp")
        if authority:
            if note and note["ended"] == "failed":
                tell("warn", "the authority was to stamp it, and did not")
            else:
                tell("error", "an authority was to stamp it, and its stamp was taken away")
        return
    try:
        digest, time = timestamp(f.files[STAMP].read(256 << 10) or b"")
    except Malformed as e:
        return tell("error", f"no answer of RFC 3161: {e}")
    first = signatures[0][1] if signatures else None
    if first is None or hashlib.sha256(first).digest() != digest:
        return tell("error", "it stamps something else than the first signature")
    if not p:
        return
    if not authority:
        tell("warn", "the statement names no authority")
    try:
        sealed = datetime.datetime.fromisoformat(p["sealed"]) + datetime.timedelta(milliseconds=p["clockSkewMs"] or 0)
        late = (time - sealed).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return  # the statement does not say in a known form when it was sealed
    if late < -300:
        tell("warn", "older than the statement: a clock was wrong")
    elif late > 3600:
        tell("warn", "more than an hour after the seal")
    tell("info", f"{time.isoformat()}; that the authority is to be believed was not looked at")
