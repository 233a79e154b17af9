"""What a file of a bundle is, whatever holds it: its name, its bytes, and when they cannot be had."""

import hashlib
import re

CHUNK = 1 << 16
MAX_FILES, MAX_DEPTH = 200_000, 32
PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
RESERVED = re.compile(r"(con|prn|aux|nul|com|lpt)[0-9]*(\..*)?", re.I)
TOPS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "data", "meta", "seal", "tmp"}


def is_path(name):
    """Whether a file of a bundle may have this name."""
    if len(name) > 480 or not PATH.fullmatch(name):
        return False
    return all(len(s) <= 120 and not s.endswith(".") and not RESERVED.fullmatch(s) for s in name.split("/"))


class NoBundle(Exception):
    """Not something to be judged: exit code 1."""


class NoZip(Exception):
    """A file whose directory of entries cannot be found: broken, and there is nothing else to say."""


class Unreadable(Exception):
    """An entry whose bytes cannot be had; says why."""


class File:
    """One file of the bundle: `chunks` gives its bytes; size and digest are known once all of it was read."""

    def __init__(self, chunks):
        self.chunks, self.size, self.sha256 = chunks, 0, ""

    def hash(self):
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        self.size, self.sha256 = size, digest.hexdigest()

    def read(self, limit):
        """All of its bytes, or None if there are more than `limit`."""
        if self.size > limit:
            return None
        return b"".join(self.chunks())

    def lines(self, limit):
        """Lines with their newline; one longer than `limit` comes as None, and is skipped."""
        rest, skipping = b"", False
        for chunk in self.chunks():
            parts = (rest + chunk).split(b"\n")
            rest = parts.pop()
            for part in parts:
                yield None if skipping or len(part) > limit else part + b"\n"
                skipping = False
            if len(rest) > limit:
                rest, skipping = b"", True
        if rest or skipping:
            yield None if skipping else rest
