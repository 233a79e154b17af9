"""A stranger's zip. Read by hand, because `zipfile` believes much of what must be checked here: see "Zips" in `evidence-schema/README.md`."""

import os
import re
import stat
import struct
import unicodedata
import zlib

from files import CHUNK, MAX_FILES, TOPS, File, NoBundle, NoZip, Unreadable, is_path

MAX_NAME = 1024
MAX_DIRECTORY = MAX_FILES * (46 + MAX_NAME)
BOMB_FROM, BOMB_RATIO = 64 << 20, 250
DEFLATE_MOST = 1032  # no deflate stream holds more bytes in one


class Entry:
    """One line of the central directory."""

    def __init__(self, name, flags, method, crc, packed, size, mode, offset):
        self.name, self.flags, self.method, self.crc = name, flags, method, crc
        self.packed, self.size, self.mode, self.offset = packed, size, mode, offset
        self.data = self.end = self.wrong = None


class Zip:
    def __init__(self, container, place):
        self.container, self.place = container, place
        self.file = open(place, "rb")
        self.length, self.total = os.fstat(self.file.fileno()).st_size, 0

    def at(self, offset, n):
        if offset < 0 or offset + n > self.length:
            return b""
        self.file.seek(offset)
        return self.file.read(n)

    def read(self):
        entries = self.entries(*self.end_record())
        for e in entries:
            self.local_header(e)
        self.extents(entries)
        self.names(entries)

    # ── where the directory is ──

    def end_record(self):
        """Finds the directory: (its first byte, its length, how many entries it declares, what lies before the archive)."""
        tail_at = max(0, self.length - 22 - 65535)
        tail = self.at(tail_at, self.length - tail_at)
        found = [m.start() for m in re.finditer(rb"PK\x05\x06", tail) if m.start() + 22 <= len(tail)]
        ends = {p: p + 22 + struct.unpack_from("<H", tail, p + 20)[0] for p in found}
        # The end record whose comment ends where the file ends; where there is none, the last that can be one.
        exact = [p for p in found if ends[p] == len(tail)]
        fit = exact or [p for p in found if ends[p] < len(tail)]
        if not fit:
            raise NoZip("it has no end record")
        wrong = lambda what: self.container.wrong(None, what)
        if len(exact) > 1:
            wrong("more than one end record: readers will disagree about what is in it")
        at = fit[-1]
        _, disk, cd_disk, here, count, size, start, comment = struct.unpack_from("<4s4H2IH", tail, at)
        end = tail_at + at
        if comment:
            wrong("an archive comment")
        if end + 22 + comment < self.length:
            wrong(f"{self.length - end - 22 - comment} bytes follow the end of the archive")
        disks = (disk, cd_disk) != (0, 0) or here != count
        locator = self.at(end - 20, 20)
        if locator[:4] == b"PK\x06\x07":
            short = (count, size, start)
            # One record, in front of its locator, where the locator says: whoever looks for it another way finds the same.
            at_disk, record_at, of_disks = struct.unpack_from("<IQI", locator, 4)
            record = self.at(record_at, 56)
            if record[:4] != b"PK\x06\x06" or record_at + 56 != end - 20 or struct.unpack_from("<Q", record, 4)[0] != 44:
                raise NoZip("its 64-bit end record is not where it should be")
            disks = (disk, cd_disk) not in ((0, 0), (0xFFFF, 0xFFFF)) or here != count
            disks |= any(struct.unpack_from("<2I", record, 16)) or at_disk != 0 or of_disks > 1
            here, count, size, start = struct.unpack_from("<4Q", record, 24)
            disks |= here != count
            if any(a not in (b, ones) for a, b, ones in zip(short, (count, size, start), (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))):
                wrong("two end records that disagree")
            end = record_at
        if disks:
            wrong("an archive of several disks")
        slack = end - size - start
        if size > MAX_DIRECTORY or slack < 0:
            raise NoZip("its directory lies outside of it")
        if slack and self.at(start + slack, 4) == b"PK\x01\x02" and self.at(start, 4) != b"PK\x01\x02":
            wrong(f"{slack} bytes in front of the archive")
            return slack, slack + start, size, count
        if slack:
            wrong(f"{slack} bytes between the directory and its end record")
        return 0, start, size, count

    def entries(self, base, start, size, count):
        self.base, self.directory_at = base, start
        directory, entries, at = self.at(start, size), [], 0
        while at + 46 <= len(directory) and directory[at : at + 4] == b"PK\x01\x02":
            flags, method = struct.unpack_from("<2H", directory, at + 8)
            crc, packed, full, n, x, c = struct.unpack_from("<3I3H", directory, at + 16)
            mode, offset = struct.unpack_from("<2I", directory, at + 38)
            if c:
                self.container.wrong(None, "a comment to an entry, which no digest covers")
            fields = directory[at + 46 : at + 46 + n + x]
            if len(fields) != n + x:
                break
            # The mode is believed whatever system it says it was made on: some programs do too.
            e = Entry(fields[:n], flags, method, crc, packed, full, mode >> 16, offset)
            e.size, e.packed, e.offset = self.extra(e, fields[n:], (e.size, e.packed, e.offset))
            entries.append(e)
            at += 46 + n + x + c
            if len(entries) > MAX_FILES:
                self.container.wrong(None, "more entries than any bundle has; the rest was not read")
                return entries
        if at != len(directory):
            self.container.wrong(None, "the zip's directory is damaged")
        if len(entries) != count:
            self.container.wrong(None, f"it declares {count} entries and has {len(entries)}")
        return entries

    @staticmethod
    def extra(e, field, values):
        """Extra fields: what is wrong with them is the entry's. Gives `values` with 64 bits where they are all ones."""
        at, values, seen = 0, list(values), False
        while at < len(field):
            kind, n = struct.unpack_from("<2H", field, at) if at + 4 <= len(field) else (0, len(field))
            body = field[at + 4 : at + 4 + n]
            if len(body) != n or kind == 1 and seen:
                e.wrong = e.wrong or "a malformed extra field"
                break
            if kind == 0x7075:
                e.wrong = e.wrong or "a second name in an extra field"
            elif kind == 0x9901:
                e.wrong = e.wrong or "encrypted"
            elif kind == 1:
                seen, wide = True, iter(struct.unpack_from(f"<{n // 8}Q", body))
                values = [next(wide, None) if v == 0xFFFFFFFF else v for v in values]
                if None in values:
                    e.wrong = e.wrong or "a malformed extra field"
                    values = [0xFFFFFFFF if v is None else v for v in values]
            at += 4 + n
        return values

    # ── one entry ──

    def local_header(self, e):
        """Where its data lies, and whether the header there says the same as the directory."""
        at = self.base + e.offset
        head = self.at(at, 30)
        if head[:4] != b"PK\x03\x04":
            e.wrong = e.wrong or "no header where the directory says"
            return
        flags, method, _, crc, packed, full, n, x = struct.unpack_from("<2HI3I2H", head, 6)
        e.data = at + 30 + n + x
        e.end = e.data + e.packed
        if e.end > self.directory_at:
            e.wrong = e.wrong or "its data lie outside of the archive"
        if self.at(at + 30, n) != e.name:
            e.wrong = e.wrong or "the local header has another name than the directory"
        if method != e.method or (flags ^ e.flags) & 1:
            e.wrong = e.wrong or "the local header says another compression than the directory"
        full, packed = self.extra(e, self.at(at + 30 + n, x), (full, packed))
        # Where the sizes follow the data, the header may leave them open.
        is_open = flags & 8 and crc == 0 and {full, packed} <= {0, 0xFFFFFFFF}
        if flags != e.flags or (crc, packed, full) != (e.crc, e.packed, e.size) and not is_open:
            e.wrong = e.wrong or "the local header says another size than the directory"
        if e.flags & 0x2041:
            e.wrong = e.wrong or "encrypted"
        elif e.method not in (0, 8):
            e.wrong = e.wrong or "compressed in a way that bundles do not use"
        elif e.method == 0 and e.size != e.packed:
            e.wrong = e.wrong or "stored, and its two sizes differ"
        elif e.method == 8 and e.size > (e.packed + 1) * DEFLATE_MOST:
            e.wrong = e.wrong or "it declares more bytes than its data can hold"
        elif e.size > BOMB_FROM and e.size > e.packed * BOMB_RATIO:
            e.wrong = e.wrong or "a bomb: it would be inflated beyond all measure"
        self.total += e.size
        if self.total > max(1 << 30, self.length * BOMB_RATIO):
            e.wrong = e.wrong or "a bomb: with it the archive would be inflated beyond all measure"

    def descriptor(self, e, n):
        """Whether the `n` bytes behind its data are sizes that follow the data: four forms, and they say what the directory says."""
        after = self.at(e.end, n) if n <= 24 else b""
        forms = (sign + struct.pack(form, e.crc, e.packed, e.size)
                 for sign in (b"PK\x07\x08", b"") for form in ("<3I", "<I2Q") if form == "<I2Q" or max(e.packed, e.size) < 1 << 32)  # fmt: skip
        return after in forms

    def extents(self, entries):
        """Every byte before the directory belongs to exactly one entry."""
        reached, gap, before = self.base, 0, None

        def behind(to):
            """How many bytes there belong to nothing."""
            if before and before.flags & 8:
                if reached == to:
                    before.wrong = before.wrong or "no descriptor follows its data"
                elif self.descriptor(before, to - reached):
                    return 0
            return max(0, to - reached)

        for e in sorted((e for e in entries if e.data is not None), key=lambda e: e.offset):
            start = self.base + e.offset
            if start < reached:
                e.wrong = "lies over another entry"
                before.wrong = before.wrong or "another entry lies over it"
            else:
                gap += behind(start)
            if e.end >= reached:
                reached, before = e.end, e
        gap += behind(self.directory_at)
        if gap and not any(e.wrong for e in entries):
            self.container.wrong(None, f"{gap} bytes belong to no entry")

    # ── names ──

    def names(self, entries):
        plain = []
        for e in entries:
            name, what = self.name(e.name)
            if what:
                self.container.wrong(name, what)
            else:
                plain.append((name, e))
        top = self.top([n for n, _ in plain])
        self.container.name = top or None
        if not any(n[len(top) + 1 if top else 0 :].split("/")[0] in TOPS for n, _ in plain if not top or n.startswith(top + "/")):
            raise NoBundle("nothing of a bundle lies in it")
        seen = {}
        for name, e in plain:
            if top and not name.startswith(top + "/"):
                self.container.wrong(name, "outside the bundle's own directory")
                continue
            path, kind = name[len(top) + 1 :] if top else name, stat.S_IFMT(e.mode)
            self.container.has_tmp |= path.startswith("tmp/")
            steps = path.lower().split("/")
            self.container.directories.update("/".join(steps[:n]) for n in range(1, len(steps)))
            if path.endswith("/") or not path:
                # Deflated, nothing is two bytes.
                content = e.size or e.packed and (e.method, self.at(e.data or 0, min(e.packed, 3))) != (8, b"\x03\0")
                if content or e.wrong or kind not in (0, stat.S_IFDIR, stat.S_IFREG):
                    self.container.wrong(path, e.wrong or "a directory that is none")
                continue
            if kind == stat.S_IFLNK:
                e.wrong = "a symbolic link"
            elif kind not in (0, stat.S_IFREG):
                e.wrong = "a device, a pipe or another thing that is no file"
            if not is_path(path):
                self.container.wrong(path, "a name that no bundle has")
                continue
            if path in seen:
                e.wrong = "two entries have this name"
                self.container.files.pop(path, None)
            seen[path] = e
            if e.wrong:
                self.container.wrong(path, e.wrong)
                self.container.unreadable.add(path)
            else:
                self.container.files[path] = File(lambda e=e: self.bytes_of(e))

    @staticmethod
    def name(raw):
        """The name as text, and what is wrong with it."""
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return ascii(raw[:100]), "a name that is no UTF-8"
        tame = name[:200]
        if len(raw) > MAX_NAME:
            return tame, "a name longer than any path"
        if any(unicodedata.category(c) == "Cc" for c in name):
            return tame, "control characters in a name"
        if "\\" in name:
            return tame, "a backslash in a name"
        if name.startswith("/"):
            return tame, "an absolute path"
        if re.match(r"[A-Za-z]:", name):
            return tame, "a drive letter"
        if ".." in name.split("/"):
            return tame, "a name that leads out of the bundle"
        if any(s in ("", ".") for s in name.removesuffix("/").split("/")):
            return tame, "empty segments in a name"
        return name, None

    @staticmethod
    def top(names):
        """The one directory that RFC 8493 has an archive hold; empty where the bundle's own files lie at the top."""
        if "bagit.txt" in names:
            return ""
        for n in names:
            if n.count("/") == 1 and n.endswith("/bagit.txt"):
                return n.split("/")[0]
        # An unfinished bundle may have no bagit.txt yet.
        if any(n.split("/")[0] in TOPS for n in names):
            return ""
        return next((n.split("/")[0] for n in names if "/" in n), "")

    def bytes_of(self, e):
        """Its bytes, never more than it declares."""
        crc, size, at, left = 0, 0, e.data, e.packed
        inflate = zlib.decompressobj(-15) if e.method == 8 else None
        while left:
            raw = self.at(at, min(CHUNK, left))
            at, left = at + len(raw), left - len(raw)
            if not raw:
                raise Unreadable("cut off")
            pieces = self.inflated(inflate, raw) if inflate else [raw]
            for piece in pieces:
                size += len(piece)
                if size > e.size:
                    raise Unreadable(f"it holds more than the {e.size} bytes that it declares")
                crc = zlib.crc32(piece, crc)
                yield piece
            if inflate and inflate.eof and (left or inflate.unused_data):
                raise Unreadable("bytes follow its compressed stream")
        if inflate and not inflate.eof:
            raise Unreadable("its compressed stream is damaged: cut off")
        if size != e.size:
            raise Unreadable(f"it ends after {size} bytes where its header declares {e.size}")
        if crc != e.crc:
            raise Unreadable("its checksum is wrong")

    @staticmethod
    def inflated(inflate, raw):
        while raw:
            try:
                piece = inflate.decompress(raw, CHUNK)
            except zlib.error:
                raise Unreadable("its compressed stream is damaged") from None
            yield piece
            raw = inflate.unconsumed_tail
            if inflate.eof:
                return
