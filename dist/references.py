"""The data of a job: named by URL, and identified by what is in them.

`submit` looks at the data that job.toml names, and keeps their SHA-256 with what a process is told
by its launcher. Each worker compares it before training: so all train on what was submitted, and
the store is not believed. Data in an object store are fetched once for each machine.

The SHA-256 is that of the lines of `sha256sum` for all files, sorted by name:

    cd DATA && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum

Of data larger than LARGE only names and sizes are compared, and they are not fetched.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from minidl.errors import DataError
from minidl_dist import store
from minidl_dist.checksum import sha256_of

LARGE = 8 << 30  # bytes


def refer(url: str) -> dict[str, Any]:
    """What identifies the data at a URL or path: {"url", "files", "bytes", "of", "sha256"}.

    Raises:
        StoreError: there are none, or they cannot be read.
    """
    url = store.as_url(url)
    sizes = store.names_below(url)
    total = sum(sizes.values())
    kind = "content" if total <= LARGE else "sizes"
    return {
        "url": url, "files": len(sizes), "bytes": total, "of": kind,
        "sha256": digest(url, sizes, kind),
    }  # fmt: skip


def digest(url: str, sizes: dict[str, int], kind: str) -> str:
    """Of the contents, or names and sizes, of all files below a URL."""
    lines = []
    for name in sorted(sizes):
        what = str(sizes[name]) if kind == "sizes" else content_of(url, name)
        lines.append(f"{what}  {name or '-'}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def content_of(url: str, name: str) -> str:
    """The SHA-256 of a file at a URL (no name), or below it."""
    place = store.join(url, name) if name else url
    path = store.path_of(place)
    if path is not None:
        return sha256_of(Path(path))
    with tempfile.TemporaryDirectory() as folder:
        store.get_file(place, Path(folder) / "file")
        return sha256_of(Path(folder) / "file")


def fetch(reference: dict[str, Any], place: Path) -> str:
    """Where a worker finds the data of a reference: a path, if they can be had in files.

    Args:
        reference: from refer.
        place: folder into which those of an object store are fetched.

    Raises:
        DataError: they are others than those that were submitted.
    """
    url, kind = reference["url"], reference["of"]
    path = store.path_of(url)
    if path is not None or kind == "sizes":
        check(reference, digest(url, store.names_below(url), kind))
        return url if path is None else path
    folder = place / reference["sha256"][:16]
    if not folder.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as temporary:
            new = Path(temporary) / "data"
            download(url, new)
            try:
                new.rename(folder)
            except OSError:  # another worker was faster
                if not folder.is_dir():
                    raise
    found = folder / "-" if (folder / "-").is_file() else folder
    here = f"file://{found.resolve()}"
    check(reference, digest(here, store.names_below(here), kind))
    return str(found)


def download(url: str, folder: Path) -> None:
    """All objects below a URL as files of a folder, or the one at it as its file "-"."""
    folder.mkdir()
    for name in store.names_below(url):
        path = folder.joinpath(name or "-")
        if ".." in path.parts:
            raise DataError("dist", "an object's name leads out of the folder", {"name": name})
        path.parent.mkdir(parents=True, exist_ok=True)
        store.get_file(store.join(url, name) if name else url, path)


def check(reference: dict[str, Any], found: str) -> None:
    """
    Raises:
        DataError: a digest is not that of the reference.
    """
    if found != reference["sha256"]:
        raise DataError(
            "dist", "the data are not those that were submitted: their SHA-256 differs",
            {"url": reference["url"], "expected": reference["sha256"], "received": found},
            "submit the job again, or bring back what was changed",
        )  # fmt: skip
