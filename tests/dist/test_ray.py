"""A job on a Ray cluster of one node, started here."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.dist.job_folder import WATCHDOG, JobFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'minidl[ray]'"
    ),
]


@pytest.fixture(scope="module")
def cluster():
    """Its address. All of its processes know a folder of their own, by which they are found."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        done = subprocess.run(
            [
                sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}",
                f"--temp-dir={folder}", "--num-cpus=3", "--include-dashboard=false",
                "--disable-usage-stats", "--object-store-memory=100000000",
            ],
            capture_output=True, text=True, timeout=WATCHDOG,
            env=os.environ | {"MARK": str(folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        address = done.stdout.split("--address='")[1].split("'")[0]
        yield address
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder):
    """Those whose environment has the mark, and their children, some of which write over theirs."""
    found, parents = set(), {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            stat = (place / "stat").read_text().rpartition(")")[2].split()
            parents[int(place.name)] = int(stat[1])
            if f"MARK={folder}\0".encode() in (place / "environ").read_bytes():
                found.add(int(place.name))
        except OSError:  # it has ended
            continue
    return found | {pid for pid, parent in parents.items() if parent in found}


def test_a_job_on_ray_from_which_a_worker_is_lost(cluster, tmp_path):
    job = JobFolder(tmp_path, RAY_ADDRESS=cluster)
    job.wait.touch()
    assert "runs" in job.submit("--engine=ray")
    deadline = time.monotonic() + WATCHDOG
    while job.status().get("step", -1) < 8 and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(pid_of("worker1"), signal.SIGKILL)
    job.wait.unlink()
    while "done in" not in job.log():
        assert time.monotonic() < deadline and "error: " not in job.log(), job.log()
        time.sleep(0.2)
    assert "worker1     | (killed by SIGKILL; starts again" in job.log()
    assert job.weights() == job.alone()


def pid_of(name):
    """The relay of a process: with it, Ray takes the process away."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"minidl_dist.launch.ray" in words and name.encode() in words:
            return int(place.name)
    raise AssertionError(f"no relay of {name}")


def test_no_cluster(tmp_path):
    hurry = {f"RAY_gcs_rpc_server_{what}connect_timeout_s": "1" for what in ("", "re")}
    job = JobFolder(tmp_path, RAY_ADDRESS="127.0.0.1:1", **hurry)
    said = job.submit("--engine=ray", code=2)
    assert "no node of a Ray cluster" in said and "Traceback" not in said
