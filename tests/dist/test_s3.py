"""Jobs whose code, data and results are in S3: s3fs against moto's server, over HTTP.

Needs the extra s3 and moto[server], which .ci/run installs for the slow tests.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from minidl_dist import references, store
from minidl_dist.store import StoreError
from tests.dist.jobs import COMMAND, ONE_THREAD, WATCHDOG

pytestmark = pytest.mark.slow
pytest.importorskip("s3fs", reason="S3 is an extra: pip install 'minidl[s3]'")
pytest.importorskip("moto.server", reason="moto plays S3: pip install 'moto[server]'")

SERVER = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
SECRET = "a-secret-that-nobody-may-find"
BUCKET = "s3://team"


class S3:
    """moto's server as a process of its own, with one bucket."""

    def __init__(self):
        self.port = 0
        self.start()

    def start(self):
        """At the same port as before, with nothing in it but the bucket."""
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER, str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.ask("PUT", "/team", b"")

    def ask(self, method, path, data):
        """A request without credentials, which moto takes as long as it is not told to look."""
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(self.url + path, data, kind, method=method)
        urllib.request.urlopen(request, timeout=30).close()

    def stop(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def s3(monkeypatch):
    server = S3()
    for name, value in {
        "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "launcher", "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    forget_systems()
    yield server
    server.stop()
    forget_systems()


def forget_systems():
    """fsspec keeps them, with the address that they had."""
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()


# --- what a store answers -----------------------------------------------------------------------


def test_objects_come_and_go(s3, tmp_path):
    store.check_writable(f"{BUCKET}/folder")
    store.put_bytes(f"{BUCKET}/folder/a", b"hello")
    assert store.get_bytes(f"{BUCKET}/folder/a", 5) == b"hello"
    with pytest.raises(StoreError, match="5 bytes, more than 4"):
        store.get_bytes(f"{BUCKET}/folder/a", 4)
    (tmp_path / "large").write_bytes(bytes(12 << 20))  # comes in several parts
    store.put_file(f"{BUCKET}/folder/large", tmp_path / "large")
    assert store.names_below(f"{BUCKET}/folder") == {"a": 5, "large": 12 << 20}
    found = references.fetch(references.refer(f"{BUCKET}/folder"), tmp_path / "data")
    assert os.path.getsize(f"{found}/large") == 12 << 20


@pytest.mark.parametrize(
    "act, words",
    [
        (lambda: store.check_writable("s3://none/folder"), "there is no such bucket"),
        (lambda: store.get_bytes("s3://none/folder/a", 9), "no such"),
        (lambda: store.get_bytes(f"{BUCKET}/none", 9), "there is no such object"),
        (lambda: references.refer(f"{BUCKET}/none"), "there is no such object"),
    ],
)
def test_what_is_not_there(s3, act, words):
    for _ in range(2):  # a bucket that is missing is not made meanwhile
        with pytest.raises(StoreError, match=words) as error:
            act()
        assert error.value.cause == "missing" and "s3://" in str(error.value)


def test_without_permission_and_without_credentials(s3, monkeypatch):
    store.put_bytes(f"{BUCKET}/a", b"1")
    s3.ask("POST", "/moto-api/reset-auth", b"0")  # from now on it looks at keys
    for act in (
        lambda: store.check_writable(BUCKET),
        lambda: store.get_bytes(f"{BUCKET}/a", 9),
    ):
        with pytest.raises(StoreError, match="not allowed") as error:
            act()
        assert error.value.cause == "denied" and SECRET not in str(error.value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    forget_systems()
    with pytest.raises(StoreError, match="there are no credentials(.*\n)*.*AWS_ACCESS_KEY_ID"):
        store.check_writable(BUCKET)


def test_a_server_that_is_away_for_a_moment_and_for_good(s3, monkeypatch):
    store.put_bytes(f"{BUCKET}/a", b"1")
    s3.stop()
    waits = []
    monkeypatch.setattr(store.time, "sleep", lambda wait: (waits.append(wait), s3.start()))
    store.put_bytes(f"{BUCKET}/b", b"2")
    assert waits == [0.5]
    s3.stop()
    monkeypatch.setattr(store.time, "sleep", waits.append)
    with pytest.raises(StoreError, match="the store does not answer: 5 attempts") as error:
        store.get_bytes(f"{BUCKET}/b", 9)
    assert error.value.cause == "silent" and "AWS_ENDPOINT_URL" in str(error.value)
    assert waits[1:] == list(store.WAITS)


# --- jobs ---------------------------------------------------------------------------------------

TOML = """
name = "bars"
data = "s3://team/bars"
workers = 2
threads = 1
checkpoint_every = 10
[settings]
seconds = {seconds}
"""
TRAIN = """
import time
from pathlib import Path
import numpy as np
import minidl
from minidl import nn
from minidl.data import DataLoader

class Bars:
    classes = ["a", "b", "c", "d"]
    def __init__(self, folder):
        self.pictures = np.load(Path(folder) / "pictures.npy")
    def __len__(self):
        return len(self.pictures)
    def __getitem__(self, i):
        time.sleep(SECONDS)
        return self.pictures[i], i % 4

def build_model():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    return model, minidl.optim.SGD(model.parameters(), lr=0.1)

def run_model(model, optimizer, job):
    global SECONDS
    SECONDS = job.settings["seconds"]
    print("data in", job.data)
    loader = DataLoader(Bars(job.data), 4, shuffle=True, seed=job.seed)
    minidl.fit(model, loader, nn.CrossEntropyLoss(), optimizer, 3, accumulate=job.slots)
    if job.is_chief:
        minidl.io.save_checkpoint(job.output / "model.safetensors", model)
"""


@pytest.fixture
def job(s3, tmp_path):
    """make(seconds) makes a job folder whose data are in the bucket."""

    def make(seconds=0.0):
        folder = tmp_path / "bars"
        folder.mkdir()
        (folder / "job.toml").write_text(TOML.format(seconds=seconds))
        (folder / "train.py").write_text(TRAIN)
        pictures = np.random.default_rng(1).integers(0, 255, (96, 4, 4, 1), np.uint8)
        np.save(tmp_path / "pictures.npy", pictures)
        store.put_file(f"{BUCKET}/bars/pictures.npy", tmp_path / "pictures.npy")
        return folder

    yield make
    launcher = tmp_path / "out" / "launcher.pid"
    if launcher.exists():  # it ends at the latest when it is told so
        subprocess.run([*COMMAND, "dist", "cancel", str(launcher.parent)], capture_output=True)


def minidl_dist(*arguments, code=0):
    """All that a command prints."""
    done = subprocess.run(
        [*COMMAND, "dist", *map(str, arguments)], capture_output=True, text=True,
        timeout=WATCHDOG, env=os.environ | ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for(folder, ready):
    """The status of a job once `ready` says so of it."""
    deadline = time.monotonic() + WATCHDOG
    while True:
        try:
            status = json.loads((folder / "status.json").read_text())
            if ready(status):
                return status
        except (OSError, ValueError):
            pass
        assert time.monotonic() < deadline, (folder / "logs" / "launcher.log").read_text()
        time.sleep(0.05)


def test_a_job_goes_through_s3(job, tmp_path):
    out = tmp_path / "out"
    minidl_dist("submit", job(), "--store", f"{BUCKET}/jobs", "-o", out)
    uploaded = wait_for(out, lambda status: "uploaded" in status)["uploaded"]
    assert uploaded["url"] == f"{BUCKET}/jobs/out" and "error" not in uploaded
    names = store.names_below(uploaded["url"])
    assert {"job.json", "run/model.safetensors", "logs/worker0.log", "timeline.html"} <= set(names)
    model = (out / "run" / "model.safetensors").read_bytes()
    assert store.get_bytes(f"{BUCKET}/jobs/out/run/model.safetensors", 1 << 20) == model
    assert f"data in {out}/data/" in (out / "logs" / "worker1.log").read_text()
    assert "files uploaded to s3://team/jobs/out" in minidl_dist("status", out)
    for path in filter(lambda path: path.is_file(), out.rglob("*")):
        assert SECRET.encode() not in path.read_bytes(), path
    for name in names:
        assert SECRET.encode() not in store.get_bytes(f"{BUCKET}/jobs/out/{name}", 1 << 24), name
    # What is in the store is not believed: the hash of the code came from the launcher.
    (archive,) = (name for name in names if name.startswith("code-"))
    store.put_bytes(f"{BUCKET}/jobs/out/{archive}", b"another program")
    shutil.rmtree(out / "code")
    text = minidl_dist("resume", out, code=2)
    assert "the code is not the one that was submitted: its SHA-256 differs" in text


def test_a_store_that_goes_away_while_a_job_runs(job, s3, tmp_path):
    out = tmp_path / "out"
    minidl_dist("submit", job(0.02), "--store", f"{BUCKET}/jobs", "-o", out)
    wait_for(out, lambda status: status.get("step", -1) >= 3)
    s3.stop()
    found = wait_for(out, lambda status: "uploaded" in status)
    assert "does not answer" in found["uploaded"]["error"] and found["finished"]
    assert (out / "run" / "model.safetensors").exists()
    text = minidl_dist("status", out)
    assert "done at step 36 of 36" in text and "not uploaded to s3://team/jobs/out" in text
    said = (out / "logs" / "launcher.log").read_text()
    assert f"the results are in {out}, and could not be uploaded" in said
    assert "Traceback" not in said
    s3.start()
    assert "files uploaded to s3://team/jobs/out" in minidl_dist("resume", out)
    assert store.exists(f"{BUCKET}/jobs/out/run/model.safetensors")


def test_a_store_that_refuses_is_said_before_anything_starts(job, tmp_path):
    text = minidl_dist("submit", job(), "--store", "s3://none/jobs", "-o", tmp_path / "out", code=2)
    assert "there is no such bucket" in text and "s3://none/jobs" in text
    assert not (tmp_path / "out").exists()
