"""Object stores: where code travels and results are kept, by URL.

    file:///home/me/store     a folder; also a plain path
    s3://bucket/folder        S3 and what speaks like it; needs pip install 'minidl[s3]'

fsspec does the work (fsspec.readthedocs.io); here are the few steps that a job needs, with errors
that say what is wrong with the store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidl.errors import DataError


def as_url(place: str) -> str:
    """A path as a URL; a URL as it is."""
    return place if "://" in place else f"file://{os.path.abspath(place)}"


def join(store: str, *names: str) -> str:
    return "/".join([store.rstrip("/"), *names])


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        DataError: nothing here can reach such a store.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        scheme = url.split("://")[0]
        hint = "pip install 'minidl[s3]'" if scheme == "s3" else "file:// or s3://"
        raise DataError("store", f"no such kind of store: {error}", {"url": url}, hint) from None


@contextmanager
def answering(what: str, url: str) -> Iterator[None]:
    """Whatever a store raises becomes an error that names the store and the cause."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError("store", "there is no such object", {"url": url}) from None
    except PermissionError as error:
        raise DataError("store", f"{what} is not allowed: {error}", {"url": url}) from None
    except Exception as error:  # each kind of store has its own
        raise DataError(
            "store", f"{what} failed: {type(error).__name__}: {error}", {"url": url}
        ) from error


def check_writable(store: str) -> None:
    """Write a small object and delete it: rights do not tell whether that works."""
    url = join(as_url(store), ".minidl-write-test")
    with answering("writing", url):
        system, path = opened(url)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, b"minidl")
        system.rm_file(path)


def put_bytes(url: str, data: bytes) -> None:
    """Write an object."""
    with answering("writing", url):
        system, path = opened(url)
        system.makedirs(system._parent(path), exist_ok=True)
        system.pipe_file(path, data)


def get_bytes(url: str, most: int) -> bytes:
    """Read an object of at most `most` bytes."""
    with answering("reading", url):
        system, path = opened(url)
        size = system.size(path)
        if size is not None and size > most:
            rule = f"the object has {size:,} bytes, more than {most:,}"
            raise DataError("store", rule, {"url": url})
        return system.cat_file(path)


def put_folder(url: str, folder: Path) -> list[str]:
    """Write all files of a folder below a URL; the names."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    for name in names:
        put_bytes(join(url, name), (folder / name).read_bytes())
    return names


def exists(url: str) -> bool:
    with answering("looking", url):
        system, path = opened(url)
        return system.exists(path)
