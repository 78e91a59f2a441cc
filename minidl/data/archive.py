"""Archives as file trees: .zip, .tar, and .tar compressed with gzip, bzip2 or xz.

Nothing is ever unpacked onto the disk. What an archive claims is not trusted: names that leave
the archive ("../x", "/etc/x"), links and devices are refused, and so is more data than the limits
below, however small the archive is.

A .zip or plain .tar can be read anywhere, so members are read when they are asked for. A
compressed .tar can only be read from front to back: it is read once, into memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from minidl.data.files import FileTree, file_stamp, is_hidden, unreadable
from minidl.errors import DataError

MAX_MEMBER = 1 << 30  # bytes of one file inside an archive
MAX_IN_MEMORY = 4 << 30  # bytes of a compressed tar, unpacked
MAX_MEMBERS = 10_000_000

DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    ValueError, NotImplementedError, RuntimeError,
)  # fmt: skip


def open_archive(path: str | Path, op: str = "open_dataset") -> FileTree:
    """The files in an archive, whose kind is recognised by its content.

    Raises:
        DataError: not readable, no archive, damaged, or one that tries to do harm.
    """
    path = Path(path)
    head = read_head(path, op)
    try:
        if head.startswith(b"PK") and zipfile.is_zipfile(path):
            return ZipFiles(path, op)
        opener = compression(head)
        if opener:
            return CompressedTarFiles(path, opener, op)
        if head[257:262] == b"ustar":
            return TarFiles(path, op)
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise broken(op, path, error) from None
    raise DataError(
        op, "neither a picture list nor a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive, or cut "
        "short", {"file": str(path)},
    )  # fmt: skip


def is_archive(path: Path, op: str) -> bool:
    """Whether a file starts like an archive or is named like one."""
    head = read_head(path, op)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or compression(head):
        return True
    suffixes = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".txz", ".7z", ".rar")
    return head[257:262] == b"ustar" or path.suffix.lower() in suffixes


def compression(head: bytes) -> Any:
    """What opens a compressed file that starts so: gzip.open, bz2.open, lzma.open, or None."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.open
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.open
    return lzma.open if head.startswith(b"\xfd7zXZ\0") else None


def read_head(path: Path, op: str) -> bytes:
    """The first 512 bytes of a file."""
    try:
        with open(path, "rb") as file:
            return file.read(512)
    except OSError as error:
        raise unreadable(error, op, str(path)) from None


class ArchiveFiles(FileTree):
    """What the three kinds of archive share: checked names, and folders derived from them."""

    def __init__(self, path: Path, op: str):
        self.path, self.op, self.location = path, op, str(path)
        self.members: dict[str, Any] = {}
        self.found_folders: set[str] = set()

    def add(self, name: str, member: Any, folder: bool, size: int) -> str:
        """Note a member. The name it is kept under, or "" for what is no file or hidden."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or (parts and parts[0].endswith(":")):
            raise self.refuse("a name leads out of the archive", name)
        if size > MAX_MEMBER:
            raise self.refuse(f"a file has {size:,} bytes, more than {MAX_MEMBER:,}", name)
        if len(self.members) + len(self.found_folders) >= MAX_MEMBERS:
            raise self.refuse(f"more than {MAX_MEMBERS:,} files", name)
        if not parts or any(is_hidden(part) for part in parts):
            return ""
        above = parts if folder else parts[:-1]
        for depth in range(len(above), 0, -1):
            joined = "/".join(above[:depth])
            if joined in self.found_folders:
                break
            self.found_folders.add(joined)
        if folder:
            return ""
        kept = "/".join(parts)
        self.members[kept] = member
        return kept

    def finish(self) -> None:
        self.names, self.folders = sorted(self.members), sorted(self.found_folders)

    def refuse(self, what: str, member: str) -> DataError:
        return DataError(self.op, what, {"archive": self.location, "member": member})

    def describe(self, name: str) -> str:
        return f"{self.location}: {name}"


class ZipFiles(ArchiveFiles):
    """A .zip; members are unpacked when they are read."""

    def __init__(self, path: Path, op: str):
        super().__init__(path, op)
        self.zip = zipfile.ZipFile(path)
        for info in self.zip.infolist():
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                raise self.refuse("links are refused", info.filename)
            if info.flag_bits & 1:
                raise self.refuse("a member is encrypted", info.filename)
            self.add(info.filename, info, info.is_dir(), info.file_size)
        self.finish()

    def read(self, name: str) -> bytes:
        info = self.members[name]
        try:  # at most file_size bytes come out, which add() has checked, and the CRC is compared
            with self.zip.open(info) as member:
                return member.read()
        except DAMAGE as error:
            raise broken(self.op, self.describe(name), error) from None

    def stamp(self, name: str) -> str:
        return f"{self.members[name].file_size} {self.members[name].CRC}"


class TarFiles(ArchiveFiles):
    """An uncompressed .tar; members are read from their places in the file."""

    def __init__(self, path: Path, op: str):
        super().__init__(path, op)
        length = path.stat().st_size
        with tarfile.open(path, "r:") as tar:
            for info in regular_members(tar, self):
                if info.offset_data + info.size > length:
                    raise DataError(op, "cut short", {"archive": self.location, "in": info.name})
                place = (info.offset_data, info.size)
                self.add(info.name, place, info.isdir(), info.size)
            with open(path, "rb") as file:
                file.seek(tar.offset)
                check_end(file.read(512), self)
        self.finish()

    def read(self, name: str) -> bytes:
        offset, size = self.members[name]
        try:
            with open(self.path, "rb") as file:
                file.seek(offset)
                content = file.read(size)
        except OSError as error:
            raise unreadable(error, self.op, self.location) from None
        if len(content) < size:
            raise DataError(self.op, "cut short", {"archive": self.location, "in": name})
        return content

    def stamp(self, name: str) -> str:
        return f"{self.members[name]} of {file_stamp(self.path, self.op)}"


class CompressedTarFiles(ArchiveFiles):
    """A .tar.gz, .tar.bz2 or .tar.xz, read once from front to back into memory."""

    def __init__(self, path: Path, opener: Any, op: str):
        super().__init__(path, op)
        with opener(path, "rb") as unpacked:
            stream = BoundedReader(unpacked, self)
            with self.open_tar(stream) as tar:
                for info in regular_members(tar, self):
                    kept = self.add(info.name, b"", info.isdir(), info.size)
                    if kept:
                        content = tar.extractfile(info).read()
                        if len(content) < info.size:
                            raise EOFError("ends inside a member")
                        self.members[kept] = content
            check_end(stream.last[-512:], self)
            while stream.read(1 << 20):  # what follows the end mark is read for its checksum
                pass
        self.finish()

    def open_tar(self, stream: BoundedReader) -> tarfile.TarFile:
        try:
            return tarfile.open(fileobj=stream, mode="r|")
        except tarfile.ReadError as error:
            raise DataError(
                self.op, f"there is no .tar inside of the compression ({error})",
                {"file": self.location}, "idx.gz files: name the folder they are in",
            ) from None  # fmt: skip

    def read(self, name: str) -> bytes:
        return self.members[name]


class BoundedReader:
    """Passes reads on to a stream, up to MAX_IN_MEMORY bytes in all."""

    def __init__(self, stream: Any, archive: ArchiveFiles):
        self.stream, self.archive = stream, archive
        self.left = MAX_IN_MEMORY
        self.last = b""

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DataError(
                self.archive.op, f"unpacks to more than {MAX_IN_MEMORY:,} bytes",
                {"archive": self.archive.location}, "unpack it into a folder, and use that",
            )  # fmt: skip
        self.last = data or self.last
        return data


def regular_members(tar: tarfile.TarFile, archive: ArchiveFiles) -> Iterator[tarfile.TarInfo]:
    """Files and folders of a tar. Links, devices and sparse files are refused."""
    if tar.firstmember is None:
        return  # empty: next() of Python 3.10 would try to seek back in a stream
    end = 0
    while (info := tar.next()) is not None:
        tar.members = []  # tarfile would keep every header in memory
        if info.size < 0 or info.offset_data <= end:  # a damaged header can lead back
            raise tarfile.ReadError("a header leads back")
        end = info.offset_data
        if not (info.isdir() or info.isreg()) or info.issparse():
            kind = "links are" if info.issym() or info.islnk() else "special files are"
            raise archive.refuse(f"{kind} refused", info.name)
        yield info


def check_end(block: bytes, archive: ArchiveFiles) -> None:
    """After the last member of a tar comes a block of zeros; tarfile does not insist on it."""
    if len(block) < 512 or block.strip(b"\0"):
        raise DataError(archive.op, "cut short: no end mark", {"archive": archive.location})


def broken(op: str, where: Any, error: Exception) -> DataError:
    """The DataError for an archive that cannot be read."""
    short = isinstance(error, EOFError) or "end of" in str(error) or "truncated" in str(error)
    reason = "cut short" if short else "damaged"
    return DataError(op, f"the archive is {reason} ({error})", {"archive": str(where)})
