"""Downloading a file: from the first address that has it, checked, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30  # seconds; without a network the answer comes at once


class DownloadError(Exception):
    """No address gave the file; says for each of them why. The caller adds what to do instead."""


def download(
    addresses: Sequence[str], target: Path, sha256: str, label: str = "", progress: bool = True
) -> None:
    """Get a file from the first address that has it.

    Args:
        addresses: complete ones, in the order to try them.
        target: where the file goes; its folder is made.
        sha256: of the content in hexadecimal, or the first digits of it.
        label: what the progress bar says.
        progress: show a progress bar.

    Raises:
        DownloadError: no address has the file, or what they have does not match.
        OSError: the folder or the file cannot be written.
    """
    import requests

    failures = []
    for address in addresses:
        try:
            with written_beside(target) as temporary:
                receive(address, temporary, label if progress else None)
                check_hash(temporary, sha256)
            return
        except requests.RequestException as error:
            failures.append(f"{address}: {reason(error)}")
        except ValueError as error:
            failures.append(f"{address}: {error}")
    raise DownloadError("; ".join(failures))


@contextlib.contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """A temporary file in target's folder that becomes target at the end, unless an error comes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".downloading-")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp's are for the user alone
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def receive(address: str, target: Path, label: str | None) -> None:
    """Write what an address answers into a file, with a progress bar if there is a label."""
    import pooch

    bar = ProgressBar(label) if label is not None else None
    try:
        get = pooch.HTTPDownloader(
            progressbar=bar or False, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
        )
        get(address, str(target), None)
    finally:
        if bar is not None:
            bar.close()


def check_hash(file: Path, sha256: str) -> None:
    """The file's content has the SHA-256, or a ValueError says that it has not."""
    from minidl.data.cache import file_hash

    if not file_hash(file).startswith(sha256):
        raise ValueError("the content does not match its SHA-256")


def reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


class ProgressBar:
    """A rich progress bar with the methods that pooch calls (those of tqdm)."""

    def __init__(self, text: str):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        self.progress = Progress(
            "[progress.description]{task.description}", BarColumn(), DownloadColumn(),
            TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.task = self.progress.add_task(text, total=None)
        self.progress.start()

    @property
    def total(self) -> Any:
        return self.progress.tasks[0].total

    @total.setter
    def total(self, total: int) -> None:
        self.progress.update(self.task, total=total or None)

    def update(self, count: int) -> None:
        self.progress.advance(self.task, count)

    def reset(self) -> None:
        self.progress.update(self.task, completed=0)

    def close(self) -> None:
        self.progress.stop()
