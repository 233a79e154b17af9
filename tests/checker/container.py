"""Opens a bundle, a directory or a zip, without following, overwriting or inflating anything: what is wrong with the container itself."""

import os
import stat

from files import CHUNK, MAX_DEPTH, MAX_FILES, TOPS, File, NoBundle, Unreadable, is_path
from zips import Zip


class Container:
    """`files`: what can be read. `unreadable`: names that are there and whose bytes are not to be had. `name`: a zip's own directory."""

    def __init__(self, tell):
        self.files, self.unreadable, self.name, self.has_tmp, self.tell = {}, set(), None, False, tell
        # Of a zip, in lower case: what its entries lie in, and directories that are entries themselves.
        self.of_zip, self.directories = False, set()

    def wrong(self, path, what):
        self.tell("container", "error", path, what)

    def hash_all(self):
        for path, file in sorted(self.files.items()):
            try:
                file.hash()
            except (Unreadable, OSError) as e:
                self.wrong(path, str(e))
                self.unreadable.add(path)
        for path in self.unreadable:
            self.files.pop(path, None)

    def check_names(self):
        """Two names that one file system takes for the same; a file where a directory is. In a zip its bytes are not looked at."""
        seen, directories = {}, set(self.directories)
        names = set(self.files) | self.unreadable
        for path in sorted(names):
            other = seen.setdefault(path.lower(), path)
            if other != path:
                self.wrong(path, f"differs from {other} in upper and lower case only")
            parts = path.split("/")
            directories.update("/".join(parts[:n]).lower() for n in range(1, len(parts)))
        for path in sorted(p for p in names if p.lower() in directories):
            self.wrong(path, "the name of a file is a directory's as well")
            if self.of_zip:
                self.unreadable.add(path)


def open_container(place, tell):
    container = Container(tell)
    try:
        mode = os.stat(place).st_mode
        if stat.S_ISDIR(mode):
            _walk(container, place)
        elif stat.S_ISREG(mode):
            container.of_zip = True
            Zip(container, place).read()
        else:
            raise NoBundle("neither a directory nor a file")
    except OSError as e:
        raise NoBundle(str(e)) from None
    container.check_names()
    container.hash_all()
    return container


def _walk(container, place):
    """Every regular file below `place`. Links, pipes, sockets and devices are told of, and are not there."""
    pending, tops, seen = [("", place, 1)], set(), 0
    while pending:
        below, directory, depth = pending.pop()
        for entry in os.scandir(directory):
            path, seen = below + entry.name, seen + 1
            if seen > MAX_FILES:
                return container.wrong(None, "more files than any bundle has; the rest was not read")
            if entry.is_symlink():
                container.wrong(path, "a symbolic link")
                continue
            tops.add(path.split("/")[0])
            if entry.is_dir(follow_symlinks=False):
                container.has_tmp |= path == "tmp"
                if depth > MAX_DEPTH:
                    container.wrong(path, "nested deeper than a bundle is; not read")
                else:
                    pending.append((path + "/", entry.path, depth + 1))
            elif not entry.is_file(follow_symlinks=False):
                container.wrong(path, "neither a file nor a directory")
            elif not is_path(path):
                container.wrong(path, "a name that no bundle has")
            else:
                container.files[path] = File(lambda at=entry.path: _chunks(at))
    if container.files and not tops & TOPS:
        raise NoBundle("nothing of a bundle lies there")


def _chunks(path):
    # Opened without following: what was a file when it was listed may be a link by now.
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as f:
        while chunk := f.read(CHUNK):
            yield chunk
