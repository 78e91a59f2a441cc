"""`minidl dist test` and `submit`: a job folder tried here, or packed, uploaded and started."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, MinidlError, nearest
from minidl_dist import folder as job_folder
from minidl_dist import store as object_store
from minidl_dist.archive import pack, sha256
from minidl_dist.job import check_functions, launch_of, read_job_file
from minidl_dist.launch.spec import Launch, check_launch
from minidl_dist.run import completed, note, run_job

ENGINES = ("local",)
STARTS_WITHIN = 15.0  # seconds


def test_job(job: str, output: str | None, typed: str, compress: str | None = None) -> None:
    """Run a job folder here, with one server and two workers, as submit would: from its archive."""
    folder = Path(job)
    described = read_job_file(folder)
    check_functions(folder, described)
    size = len(pack(folder))
    launch = launch_of(folder, described, servers=1, workers=2, store="", compress=compress)
    check_launch(launch)
    launch = completed(launch)
    place = job_folder.make_folder(output, f"test-{launch.name}")
    launch = with_code(launch, folder, object_store.as_url(str(place)))
    job_folder.write_job(place, launch, typed)
    run_job(launch, place)
    note(f"{folder} runs; its code is {size:,} bytes. Start it: minidl dist submit {folder}")


def submit_job(
    job: str, engine: str, store: str | None, output: str | None, typed: str, **changed: Any
) -> Path:
    """Pack a job's code, upload it, and start the job in the background.

    Returns:
        The folder of the job.
    """
    if engine not in ENGINES:
        raise ArgumentError(
            "dist submit", "there is no such engine", {"--engine": engine}, nearest(engine, ENGINES)
        )
    folder = Path(job)
    described = read_job_file(folder)
    check_functions(folder, described)
    launch = launch_of(folder, described, **changed)
    check_launch(launch)
    launch = completed(launch)
    if store is not None:
        launch = replace(launch, store=store)
    if launch.store:
        launch = replace(launch, store=object_store.as_url(launch.store))
        object_store.check_writable(launch.store)
    place = job_folder.make_folder(output, described.name)
    if launch.store:
        launch = replace(launch, store=object_store.join(launch.store, place.name))
    launch = with_code(launch, folder, launch.store or object_store.as_url(str(place)))
    job_folder.write_job(place, launch, typed)
    start_in_background(place)
    return place


def with_code(launch: Launch, folder: Path, url: str) -> Launch:
    """Upload the code of a job; the launch with where it is, and its SHA-256."""
    data = pack(folder)
    place = object_store.join(url, f"code-{sha256(data)[:16]}.zip")
    object_store.put_bytes(place, data)
    return replace(launch, code={"url": place, "sha256": sha256(data)})


def start_in_background(folder: Path) -> None:
    """A launcher of its own session; its output goes to logs/launcher.log.

    Raises:
        MinidlError: it ended at once, with what it said.
    """
    log = folder / job_folder.LOGS / "launcher.log"
    with open(log, "ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "minidl_dist.run", str(folder)],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + STARTS_WITHIN
    while job_folder.launcher_of(folder) is None and time.monotonic() < deadline:
        if process.poll() is not None:
            if process.returncode == 0:  # a short job
                return
            said = log.read_text(errors="replace").strip().splitlines()[-10:]
            raise MinidlError("dist submit", "the job ended at once", {}, "\n".join(said))
        time.sleep(0.02)
