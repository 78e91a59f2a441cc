"""What a job leaves in its store when it has ended: results, logs, timeline, status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidl.errors import MinidlError
from minidl_dist import folder as job_folder
from minidl_dist import store
from minidl_dist.ending import EndSignals, Interrupted

FOLDERS = (job_folder.RUN, job_folder.LOGS)
FILES = (job_folder.TIMELINE, job_folder.STATUS)


def upload(url: str, folder: Path, signals: EndSignals) -> dict[str, Any]:
    """Upload what the folder of a job holds for its user.

    Returns:
        For the status: {"url", "files"}, or {"url", "error"} where the store refuses, or a signal
        came. The training has succeeded or failed before; what it left is in the folder all the
        same.
    """
    files = 0
    try:
        with signals.raising():
            for name in FOLDERS:
                files += len(store.put_folder(store.join(url, name), folder / name))
            for name in filter(lambda name: (folder / name).exists(), FILES):
                store.put_file(store.join(url, name), folder / name)
                files += 1
    except (MinidlError, OSError) as error:
        return {"url": url, "error": str(error)}
    except Interrupted as signal:
        return {"url": url, "error": f"{signal} came before all of it was there"}
    return {"url": url, "files": files}
