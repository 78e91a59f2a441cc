"""A folder of code as a zip that travels: packed with care, and unpacked with suspicion.

Packing leaves out what is not code of the job (.git, environments, caches, runs) and files that
usually hold secrets (.env, *.pem, id_rsa), follows no links, and refuses a folder that is too
large, naming its largest part. Two packings of the same files have the same bytes, so that a store
keeps one of them.

Unpacking compares the SHA-256, which comes with a process's instructions and not from the store,
and lets nothing out of its folder: no absolute path, no "..", no link, no file twice, no more bytes
than allowed, whatever the zip's directory claims.
"""

from __future__ import annotations

import fnmatch
import io
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from minidl.errors import DataError
from minidl_dist.checksum import sha256

MAX_BYTES = 64 << 20  # of all files together, unpacked
MAX_FILES = 5_000
BROKEN = (  # what zipfile raises for a damaged zip
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
LEFT_OUT = (
    ".git", ".hg", ".svn", ".venv*", "venv", "__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".ipynb_checkpoints", "*.egg-info", "node_modules", "runs",
    # secrets
    ".env", ".env.*", ".netrc", ".ssh", ".aws", "*.pem", "*.key", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*",
)  # fmt: skip


# --- packing ------------------------------------------------------------------------------------


def pack(folder: Path) -> bytes:
    """A zip of a folder.

    Raises:
        DataError: it holds too much, and where most of it is.
    """
    files = sorted(files_of(folder))
    check_size(folder, files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = path.relative_to(folder).as_posix()
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return out.getvalue()


def files_of(folder: Path) -> Iterator[Path]:
    """The regular files that belong into the archive; no link is one, and none is followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_left_out(name)]
        for name in names:
            path = Path(place, name)
            if not is_left_out(name) and stat.S_ISREG(path.lstat().st_mode):
                yield path


def is_left_out(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in LEFT_OUT)


def check_size(folder: Path, files: list[Path]) -> None:
    sizes: Counter[str] = Counter()
    for path in files:
        parts = path.relative_to(folder).parts
        sizes[f"{parts[0]}/" if len(parts) > 1 else parts[0]] += path.stat().st_size
    total = sum(sizes.values())
    if total > MAX_BYTES or len(files) > MAX_FILES:
        largest, size = sizes.most_common(1)[0]
        raise DataError(
            "dist",
            f"the folder is too large to travel as code: {megabytes(total)} in {len(files):,} "
            f"files, of which {largest} has {megabytes(size)}",
            {"folder": str(folder)},
            f"at most {megabytes(MAX_BYTES)} in {MAX_FILES:,} files; data belong into the store: "
            "name them as `data` in job.toml",
        )


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


# --- unpacking ----------------------------------------------------------------------------------


def unpack(data: bytes, wanted: str, folder: Path) -> None:
    """Unpack an archive into a new folder.

    Args:
        data: the zip.
        wanted: its SHA-256.
        folder: is made; what is unpacked stays inside it.

    Raises:
        DataError: it is another archive, damaged, or not one that `pack` would make.
    """
    found = sha256(data)
    if found != wanted:
        raise DataError(
            "dist", "the code is not the one that was submitted: its SHA-256 differs",
            {"expected": wanted, "received": found},
        )  # fmt: skip
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            check_entries(entries)
            left = MAX_BYTES
            for entry in entries:
                left -= write_entry(archive, entry, folder, left)
    except DataError:
        raise
    except BROKEN as error:
        raise refused(f"it cannot be read: {error}") from None


def check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Every name is a relative path of a plain file, and comes once."""
    if len(entries) > MAX_FILES:
        raise refused(f"it has more than {MAX_FILES:,} files")
    names = Counter(entry.filename for entry in entries)
    for entry in entries:
        name, path = entry.filename, PurePosixPath(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if path.is_absolute() or {"..", *"\\:"} & {*path.parts, *name} or not path.parts:
            raise refused(f"{name!r} leads out of the folder")
        if ".git" in path.parts:
            raise refused(f"{name!r} belongs to git, not to the code")
        if kind not in (0, stat.S_IFREG) or entry.is_dir():
            raise refused(f"{name!r} is not a plain file")
        if names[name] > 1:
            raise refused(f"{name!r} is in it twice")


def write_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Write a file; how many bytes it has. What its entry claims about that is not believed."""
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with archive.open(entry) as source, open(path, "xb") as target:
        while part := source.read(1 << 16):
            size += len(part)
            if size > left:
                raise refused(f"unpacked it has more than {megabytes(MAX_BYTES)}")
            target.write(part)
    return size


def refused(why: str) -> DataError:
    return DataError("dist", f"the code archive is refused: {why}")
