"""Object stores: where code travels and results are kept, by URL.

    file:///home/me/store     a folder; also a plain path
    s3://bucket/folder        S3 and what speaks like it; needs pip install 'minidl[s3]'

fsspec does the work (fsspec.readthedocs.io); here are the few steps that a job needs, with errors
that say what is wrong with the store. A store that does not answer is asked again, a little later
each time. Its address and credentials are those of the usual variables (AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID and so on) or files of each machine; no URL, file or message of a job holds them.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minidl.errors import DataError
from minidl.io.atomic import reason

WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before each further attempt
SECONDS = {"connect_timeout": 10, "read_timeout": 30}
S3 = {  # botocore's own attempts would multiply ours; what is listed may have changed since
    "config_kwargs": {"retries": {"total_max_attempts": 1}, **SECONDS}, "use_listings_cache": False,
}  # fmt: skip
# What may be otherwise a second later: names of botocore's and aiohttp's errors, and error numbers.
PASSING = {
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
    "HTTPClientError", "ResponseStreamingError", "IncompleteReadError", "ClientPayloadError",
    "ClientConnectorError", "ServerDisconnectedError", "ClientOSError",
}  # fmt: skip
PASSING_NUMBERS = (errno.EBUSY, errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ENETUNREACH)
NO_KEY = {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}
KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws configure"


class StoreError(DataError):
    """A store does not do what it is asked.

    Attributes:
        cause: "missing", "denied", "full", "silent" (it does not answer) or "other".
    """

    def __init__(self, cause: str, rule: str, url: str, hint: str = ""):
        super().__init__("store", rule, {"url": url}, hint)
        self.cause = cause


# --- URLs ---------------------------------------------------------------------------------------


def as_url(place: str) -> str:
    """A path as a URL; a URL as it is.

    Raises:
        StoreError: it holds credentials.
    """
    if "://" not in place:
        return f"file://{os.path.abspath(place)}"
    parts = urlsplit(place)
    if "@" in parts.netloc:
        public = parts._replace(netloc="...@" + parts.netloc.rpartition("@")[2]).geturl()
        raise StoreError("denied", "the URL of a store holds no credentials", public, KEYS)
    return place


def join(store: str, *names: str) -> str:
    return "/".join([store.rstrip("/"), *names])


def path_of(url: str) -> str | None:
    """The path on this machine; None for what is elsewhere."""
    return url.removeprefix("file://") if url.startswith("file://") else None


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        StoreError: nothing here can reach such a store.
    """
    import fsspec

    scheme = url.split("://")[0]
    try:
        return fsspec.core.url_to_fs(url, **(S3 if scheme == "s3" else {}))
    except (ImportError, ValueError) as error:
        hint = "pip install 'minidl[s3]'" if scheme == "s3" else "file:// or s3://"
        raise StoreError("other", f"no such kind of store: {error}", url, hint) from None


# --- asking -------------------------------------------------------------------------------------


def ask(what: str, url: str, act: Callable[[Any, str], Any]) -> Any:
    """act(file system, path) on a store; where it does not answer, again and again.

    Raises:
        StoreError: it names the store and the cause, whatever kind of store it is.
    """
    system, path = opened(url)
    for wait in (*WAITS, None):
        try:
            return act(system, path)
        except DataError:
            raise
        except Exception as error:
            if wait is None or not is_passing(error):
                raise answered(what, url, error) from error
            time.sleep(wait)
    return None


def is_passing(error: Exception) -> bool:
    if type(error).__name__ in PASSING or isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in PASSING_NUMBERS


def answered(what: str, url: str, error: Exception) -> StoreError:
    """An error of a store, whose kinds all have their own, in our words."""
    kind, number = type(error).__name__, getattr(error, "errno", None)
    if isinstance(error, FileNotFoundError):
        is_bucket = "bucket" in str(error).lower() and "exist" in str(error)
        rule = "there is no such bucket" if is_bucket else "there is no such object"
        return StoreError("missing", rule, url)
    if kind in NO_KEY:
        return StoreError("denied", f"{what} is not allowed: there are no credentials", url, KEYS)
    if isinstance(error, PermissionError):
        return StoreError("denied", f"{what} is not allowed: {error}", url)
    if number == errno.EROFS:
        return StoreError("denied", f"{what} is not possible: the store is read-only", url)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StoreError("full", f"{what} failed: {reason(error)}", url)
    if is_passing(error):
        tries = f"{len(WAITS) + 1} attempts in {sum(WAITS):g} s"
        hint = "does it run, and is AWS_ENDPOINT_URL its address?" if url[:3] == "s3:" else ""
        return StoreError("silent", f"{what} failed, the store does not answer: {tries}", url, hint)
    return StoreError("other", f"{what} failed: {kind}: {error}", url)


# --- reading and writing ------------------------------------------------------------------------


def check_writable(store: str) -> None:
    """Write a small object and delete it: rights do not tell whether that works."""
    url = join(as_url(store), ".minidl-write-test")
    put_bytes(url, b"minidl")
    ask("deleting", url, lambda system, path: system.rm_file(path))


def put_bytes(url: str, data: bytes) -> None:
    """Write an object."""

    def act(system: Any, path: str) -> None:
        make_parent(url)
        system.pipe_file(path, data)

    ask("writing", url, act)


def put_file(url: str, file: Path) -> None:
    """Write an object from a file."""

    def act(system: Any, path: str) -> None:
        make_parent(url)
        system.put_file(str(file), path)

    ask("writing", url, act)


def make_parent(url: str) -> None:
    """Folders are made where they are real. In S3 they are not: s3fs would make the bucket."""
    path = path_of(url)
    if path is not None:
        os.makedirs(os.path.dirname(path), exist_ok=True)


def get_bytes(url: str, most: int) -> bytes:
    """Read an object of at most `most` bytes."""

    def act(system: Any, path: str) -> bytes:
        size = system.size(path)
        if size is not None and size > most:
            rule = f"the object has {size:,} bytes, more than {most:,}"
            raise StoreError("other", rule, url)
        return system.cat_file(path)

    return ask("reading", url, act)


def get_file(url: str, file: Path) -> None:
    """Read an object into a file."""
    ask("reading", url, lambda system, path: system.get_file(path, str(file)))


def put_folder(url: str, folder: Path) -> list[str]:
    """Write all files of a folder below a URL; the names."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    for name in names:
        put_file(join(url, name), folder / name)
    return names


def names_below(url: str) -> dict[str, int]:
    """The objects below a URL, or the one at it: name, "" for that, -> bytes.

    Raises:
        StoreError: there are none.
    """

    def act(system: Any, path: str) -> dict[str, int]:
        found = system.find(path, detail=True)
        start = path.rstrip("/")
        return {
            name.removeprefix(start).lstrip("/"): facts["size"] for name, facts in found.items()
        }

    names = ask("reading", url, act)
    if not names:
        raise StoreError("missing", "there is no such object", url)
    return names


def exists(url: str) -> bool:
    return ask("looking", url, lambda system, path: system.exists(path))
