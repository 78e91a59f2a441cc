"""Jobs of real processes whose disks are full, read-only, or not shared.

A disk is a tmpfs of a few MB, mounted for the test alone; that takes root. A job whose machines
share no disk is one whose processes each see another folder in the place of `checkpoints`.
"""

import os
import subprocess
import time

import pytest

from tests.dist.jobs import alone

pytestmark = pytest.mark.slow

MB = 1 << 20
SCRIPT = ("--slow=0.05", "--epochs=6")
NAMESPACES = "unshare --mount --propagation private true"


def may_mount():
    return os.geteuid() == 0 and subprocess.run(NAMESPACES.split(), check=False).returncode == 0


needs_root = pytest.mark.skipif(not may_mount(), reason="only root mounts file systems")


# --- a disk that is full, or read-only ----------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """The folder of the job, on a disk of its own."""
    folder = tmp_path / "job"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    """Write until nothing more goes."""
    with open(disk / "others", "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def alarms(job):
    return [a["text"] for m in job.status().get("members", []) for a in m["alarms"]]


def whole(disk):
    """Shards that are on the disk: name -> bytes."""
    return {path.name: path.read_bytes() for path in (disk / "checkpoints").glob("shard-*.saf*s")}


@needs_root
def test_a_full_disk_stops_no_training_and_is_said(start, disk):
    job = start(*SCRIPT, checkpoint_every=2, servers=2).wait_for_checkpoint(4)
    fill(disk)
    saved = whole(disk)
    job.wait_until(lambda: any("the disk is full" in text for text in alarms(job)), "an alarm")
    step = job.status()["step"]
    job.wait_until(lambda: job.status()["step"] > step + 6, "that the training goes on")
    assert len(whole(disk).keys() & saved.keys()) >= 2  # of one checkpoint at least
    assert job.status()["checkpoint_step"] < step
    (disk / "others").unlink()
    job.wait_for_checkpoint(step + 8)
    assert job.finish() == alone("--slots=2", "--epochs=6")
    assert job.status()["checkpoint_step"] == 54


@needs_root
def test_a_disk_that_is_read_only_for_a_while(start, disk):
    job = start(*SCRIPT, checkpoint_every=2).wait_for_checkpoint(4)
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
    time.sleep(1)
    job.kill("worker1")  # its next life can write neither log nor events
    time.sleep(2)
    subprocess.run(["umount", disk], check=True)
    job.wait_until(lambda: job.member("worker1").get("restarts") == 1, "another life")
    job.wait_for_checkpoint(20)
    assert any("ead-only file system" in text for text in alarms(job))
    assert job.finish() == alone("--slots=2", "--epochs=6")


@needs_root
def test_a_job_on_a_disk_that_stays_full_ends_with_the_right_weights(start, disk):
    """All but the last checkpoint, for which it waits a minute in vain."""
    job = start("--slow=0.02", checkpoint_every=5).wait_for_checkpoint(5)
    fill(disk)
    assert job.finish() == alone("--slots=2")
    assert "the last checkpoint could not be saved" in job.output
    assert "there is no timeline.html" in job.output


# --- disks that are not shared ------------------------------------------------------------------

SHELL = """#!/bin/sh
# SHELL HOST COMMAND...: runs it where the folder of checkpoints is that of the host
host=$1; shift
exec unshare --mount --propagation private sh -c '
mount --bind {disks}/'$host' {folder}/checkpoints && exec "$@"' sh "$@"
"""


@pytest.fixture
def hosts(tmp_path):
    """Options of a job on two machines that share all but the folder of checkpoints."""
    for name in ("a", "b"):
        (tmp_path / "disks" / name).mkdir(parents=True)
    shell = tmp_path / "shell"
    shell.write_text(SHELL.format(disks=tmp_path / "disks", folder=tmp_path / "job"))
    shell.chmod(0o755)
    return {"hosts": "a=127.0.0.1,b=127.0.0.1", "shell": str(shell)}


def shards(tmp_path, host, server):
    return sorted(path.stem for path in (tmp_path / "disks" / host).glob(f"shard-*-{server}.*"))


@needs_root
def test_each_server_deletes_its_old_files(start, hosts, tmp_path):
    job = start("--epochs=6", servers=2, checkpoint_every=1, **hosts)
    assert job.finish() == alone("--slots=2", "--epochs=6")
    assert not list((tmp_path / "job" / "checkpoints").iterdir())
    for host, server in (("a", "server0"), ("b", "server1")):
        kept = shards(tmp_path, host, server)
        assert 1 <= len(kept) <= 5, kept  # three checkpoints, and what was not complete
        assert len(kept) == len(list((tmp_path / "disks" / host).glob("shard-*")))


@needs_root
def test_another_number_of_servers_without_a_shared_disk(start, hosts, tmp_path):
    job = start(*SCRIPT, servers=2, checkpoint_every=5, **hosts).wait_for_step(14).interrupt()
    job.finish(130)
    job.resume(servers=1).finish(1)
    last = job.output.split("error: ")[-1]
    assert "another number of servers is on disks that are not shared" in last
    (missing,) = {word for word in last.replace(",", " ").split() if word.startswith("shard-")}
    assert missing in shards(tmp_path, "b", "server1")
    assert "servers then  2" in last and "servers now  1" in last
    assert job.resume(servers=2).finish() == alone("--slots=2", "--epochs=6")
