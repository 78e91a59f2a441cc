"""A tree of files under names, wherever they are: a folder, or an archive (archive.py).

The readers of data formats (mnist.py, cifar.py, folder.py, list_file.py) see only this, so each
format works in a folder and in any archive alike.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from minidl.errors import DataError


class FileTree:
    """Files under relative names with "/" between the parts.

    Attributes:
        location: what errors call it, the path of the folder or archive.
        names: the files, sorted; hidden ones and what operating systems leave behind are not in it.
        folders: the folders, sorted, empty ones included.
    """

    location: str
    names: list[str]
    folders: list[str]
    name_set: frozenset | None = None

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if self.name_set is None:
            self.name_set = frozenset(self.names)
        return name in self.name_set

    def read(self, name: str) -> bytes:
        """The content of a file. Safe to call from several threads."""
        raise NotImplementedError(f"{type(self).__name__}.read")

    def stamp(self, name: str) -> str:
        """A text that is another one when the content of a file has changed, found quickly."""
        return hashlib.sha256(self.read(name)).hexdigest()

    def describe(self, name: str) -> str:
        """A file's name for messages: the folder or archive it is in, and its name there."""
        return f"{self.location}/{name}"

    def inside(self, prefix: str) -> FileTree:
        """The part below a folder ("train"); self for ""."""
        return Below(self, prefix + "/") if prefix else self


class Below(FileTree):
    """The part of a tree below a folder, under names relative to it."""

    def __init__(self, tree: FileTree, prefix: str):
        self.tree, self.prefix = tree, prefix
        self.location = tree.describe(prefix.rstrip("/"))
        self.names = [n[len(prefix) :] for n in tree.names if n.startswith(prefix)]
        self.folders = [n[len(prefix) :] for n in tree.folders if n.startswith(prefix)]

    def read(self, name: str) -> bytes:
        return self.tree.read(self.prefix + name)

    def stamp(self, name: str) -> str:
        return self.tree.stamp(self.prefix + name)

    def describe(self, name: str) -> str:
        return self.tree.describe(self.prefix + name)


class FolderFiles(FileTree):
    """The files below a folder on disk. Links are followed, but not in circles.

    Raises:
        DataError: no such folder, a file, or not readable.
    """

    def __init__(self, path: str | Path, op: str = "open_dataset"):
        self.op = op
        self.location = str(path).rstrip("/") or "/"
        if not os.path.exists(path):
            raise DataError(op, "no such folder", {"path": str(path)})
        if not os.path.isdir(path):
            raise DataError(op, "expects a folder, this is a file", {"path": str(path)})
        self.root = Path(path)
        self.names, self.folders = [], []
        above = {str(path): {os.path.realpath(path)}}  # folder -> itself and those it is in
        for folder, subfolders, files in os.walk(str(path), True, self.refuse, followlinks=True):
            below = os.path.relpath(folder, path).replace(os.sep, "/")
            prefix = "" if below == "." else below + "/"
            outer = above.pop(folder)
            kept = []
            for name in subfolders:
                real = os.path.realpath(os.path.join(folder, name))
                if not is_hidden(name) and real not in outer:  # else a link goes in a circle
                    above[os.path.join(folder, name)] = outer | {real}
                    kept.append(name)
            subfolders[:] = kept  # os.walk goes on with these
            self.folders += [prefix + name for name in kept]
            self.names += [prefix + name for name in files if not is_hidden(name)]
        self.names.sort()
        self.folders.sort()

    def refuse(self, error: OSError) -> None:
        raise unreadable(error, self.op, error.filename or self.location) from None

    def read(self, name: str) -> bytes:
        return read_file(self.root / name, self.op)

    def stamp(self, name: str) -> str:
        return file_stamp(self.root / name, self.op)

    def describe(self, name: str) -> str:
        return str(self.root / name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is left out: dot files, and what macOS and Windows add."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def read_file(path: Path, op: str) -> bytes:
    """The content of a file on disk.

    Raises:
        DataError: missing, a folder, a pipe or device (which may never end), or not readable.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise DataError(op, "expects a file, this is a pipe or device", {"path": str(path)})
        return path.read_bytes()
    except OSError as error:
        raise unreadable(error, op, str(path)) from None


def file_stamp(path: Path, op: str) -> str:
    """Size and time of change of a file on disk.

    Raises:
        DataError: missing or not readable.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(error, op, str(path)) from None
    return f"{status.st_size} {status.st_mtime_ns}"


def unreadable(error: OSError, op: str, path: str) -> DataError:
    """The DataError for a file that could not be read."""
    if isinstance(error, FileNotFoundError):
        return DataError(op, "no such file", {"path": path})
    if isinstance(error, IsADirectoryError):
        return DataError(op, "expects a file, this is a folder", {"path": path})
    if isinstance(error, PermissionError):
        return DataError(op, "no permission to read", {"path": path}, "check its owner and mode")
    return DataError(op, f"cannot be read ({error.strerror or error})", {"path": path})
