"""`minidl dist test` and `submit`: a job folder tried here, or packed, uploaded and started."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from minidl.errors import MinidlError
from minidl_dist import folder as job_folder
from minidl_dist import store as object_store
from minidl_dist.archive import pack
from minidl_dist.checksum import sha256
from minidl_dist.job import check_functions, launch_of, read_job_file
from minidl_dist.launch import sbatch
from minidl_dist.launch.engines import check_engine, engine_of
from minidl_dist.launch.ray import check_cluster
from minidl_dist.launch.reach import check_hosts
from minidl_dist.launch.spec import Launch, check_launch
from minidl_dist.references import refer
from minidl_dist.run import completed, note, run_job

STARTS_WITHIN = 15.0  # seconds
LOG = "launcher.log"


def test_job(
    job: str,
    output: str | None,
    typed: str,
    hosts: str = "",
    shell: str = "",
    compress: str | None = None,
) -> None:
    """Run a job folder here, with one server and two workers, as submit would: from its archive.

    Args:
        job: its folder.
        output: for what it writes; None for a new one.
        typed: the command line.
        hosts, shell: machines that must reach each other, see launch/reach.py.
        compress: instead of job.toml's, see compress.py.
    """
    folder = Path(job)
    described = read_job_file(folder)
    check_functions(folder, described)
    size = len(pack(folder))
    if hosts:
        engine = engine_of(Launch(["test"], engine="ssh", hosts=hosts, shell=shell))
        check_hosts(engine)
        note(f"{hosts}: each reaches the others, and has minidl")
    launch = launch_of(folder, described, servers=1, workers=2, store="", compress=compress)
    check_launch(launch)
    launch = with_data(completed(launch), described.data)
    place = job_folder.make_folder(output, f"test-{launch.name}")
    launch = with_code(launch, folder, object_store.as_url(str(place)))
    job_folder.write_job(place, launch, typed)
    run_job(launch, place)
    note(f"{folder} runs; its code is {size:,} bytes. Start it: minidl dist submit {folder}")


def submit_job(job: str, store: str | None, output: str | None, typed: str, **changed: Any) -> Path:
    """Pack a job's code, upload it, and start the job in the background.

    Returns:
        The folder of the job.
    """
    folder = Path(job)
    described = read_job_file(folder)
    check_functions(folder, described)
    launch = launch_of(folder, described, **changed)
    check_launch(launch)
    check_engine(launch)
    if launch.engine == "ray":
        check_cluster()
    launch = completed(launch)
    if store is not None:
        launch = replace(launch, store=store)
    if launch.store:
        launch = replace(launch, store=object_store.as_url(launch.store))
        object_store.check_writable(launch.store)
    launch = with_data(launch, described.data)
    place = job_folder.make_folder(output, described.name)
    if launch.store:
        launch = replace(launch, store=object_store.join(launch.store, place.name))
    launch = with_code(launch, folder, launch.store or object_store.as_url(str(place)))
    job_folder.write_job(place, launch, typed)
    if launch.store:
        url = object_store.join(launch.store, job_folder.JOB)
        object_store.put_file(url, place / job_folder.JOB)
    begin(place, launch)
    return place


def begin(folder: Path, launch: Launch) -> None:
    """Start the launcher of a job: here in the background, or on a machine that Slurm chooses."""
    if launch.engine != "slurm":
        return start_in_background(folder)
    if (number := sbatch.job_of(folder)) and (state := sbatch.state_of(number)):
        raise MinidlError(
            "dist", "the job is in Slurm's hands already", {"job": number, "state": state},
            f"minidl dist status {folder}",
        )  # fmt: skip
    number = sbatch.submit(folder, launch, folder / job_folder.LOGS / LOG)
    print(f"job {number} of Slurm")


def with_code(launch: Launch, folder: Path, url: str) -> Launch:
    """Upload the code of a job; the launch with where it is, and its SHA-256."""
    data = pack(folder)
    place = object_store.join(url, f"code-{sha256(data)[:16]}.zip")
    object_store.put_bytes(place, data)
    return replace(launch, code={"url": place, "sha256": sha256(data)})


def with_data(launch: Launch, data: str | None) -> Launch:
    """The launch with what identifies its data, as they are now."""
    return replace(launch, data=refer(data)) if data is not None else launch


def start_in_background(folder: Path) -> None:
    """A launcher of its own session; its output goes to logs/launcher.log.

    Raises:
        MinidlError: it ended at once, with what it said.
    """
    log = folder / job_folder.LOGS / LOG
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
