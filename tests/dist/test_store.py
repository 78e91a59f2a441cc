"""Object stores: what they refuse in words, and a store that does not answer at once.

fsspec's memory:// stands for a store that is elsewhere; what it raises is what S3 raises, as
tests/dist/test_s3.py sees with a real server.
"""

import errno
import os
import re
import signal

import fsspec
import pytest

from minidl_dist import references, results, store
from minidl_dist.ending import EndSignals
from minidl_dist.store import StoreError


@pytest.fixture
def memory(monkeypatch):
    """The file system of memory://, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    monkeypatch.setattr(store, "WAITS", (0.0, 0.0))
    yield system
    system.store.clear()


def failing(system, monkeypatch, name, error, times=99):
    """Let a method of the store raise, so many times; the calls."""
    real, calls = getattr(system, name), []

    def act(*arguments, **options):
        calls.append(arguments)
        if len(calls) <= times:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(system, name, act)
    return calls


class EndpointConnectionError(Exception):
    """botocore's has this name, and no other base than Exception."""


# --- retries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(), ConnectionResetError(), OSError(errno.EBUSY, "slow down")]
)
def test_a_store_that_is_away_for_a_moment_is_asked_again(memory, monkeypatch, error):
    calls = failing(memory, monkeypatch, "pipe_file", error, times=2)
    store.put_bytes("memory://a/b", b"1")
    assert len(calls) == 3 and store.get_bytes("memory://a/b", 10) == b"1"


def test_a_store_that_stays_away_is_named(memory, monkeypatch):
    monkeypatch.setattr(store, "WAITS", (0.01, 0.02))
    slept = []
    monkeypatch.setattr(store.time, "sleep", slept.append)
    calls = failing(memory, monkeypatch, "pipe_file", EndpointConnectionError())
    with pytest.raises(StoreError, match="does not answer: 3 attempts in 0.03 s") as error:
        store.put_bytes("memory://a/b", b"1")
    assert error.value.cause == "silent" and "memory://a/b" in str(error.value)
    assert len(calls) == 3 and slept == [0.01, 0.02]


@pytest.mark.parametrize(
    "error, cause, words",
    [
        (PermissionError("Forbidden"), "denied", "writing is not allowed: Forbidden"),
        (FileNotFoundError("The specified bucket does not exist"), "missing", "no such bucket"),
        (FileNotFoundError("a/b"), "missing", "no such object"),
        (OSError(errno.EROFS, "read-only"), "denied", "the store is read-only"),
        (OSError(errno.ENOSPC, "full"), "full", "the disk is full"),
        (ValueError("a checksum"), "other", "ValueError: a checksum"),
    ],
)
def test_what_a_second_attempt_would_not_change_is_an_error_at_once(
    memory, monkeypatch, error, cause, words
):
    calls = failing(memory, monkeypatch, "pipe_file", error)
    with pytest.raises(StoreError, match=words) as found:
        store.check_writable("memory://a")
    assert found.value.cause == cause and len(calls) == 1


# --- URLs ---------------------------------------------------------------------------------------


def test_a_url_holds_no_credentials():
    with pytest.raises(StoreError, match="holds no credentials") as error:
        store.as_url("s3://key:secret@bucket/folder")
    assert "secret" not in str(error.value) and "bucket/folder" in str(error.value)
    assert store.as_url("s3://bucket/folder") == "s3://bucket/folder"


def test_paths_and_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store.as_url("a b") == f"file://{tmp_path}/a b"
    assert store.path_of(store.as_url("a")) == f"{tmp_path}/a" and store.path_of("s3://b/c") is None
    store.check_writable("new/folder")
    assert (tmp_path / "new" / "folder").is_dir() and not list((tmp_path / "new/folder").iterdir())


# --- data ---------------------------------------------------------------------------------------


def put(**files):
    for name, text in files.items():
        store.put_bytes(f"memory://data/{name}", text.encode())
    return "memory://data"


def test_data_are_fetched_once_and_are_those_that_were_submitted(memory, tmp_path, monkeypatch):
    reference = references.refer(put(a="1", b="22"))
    assert (reference["files"], reference["bytes"], reference["of"]) == (2, 3, "content")
    found = references.fetch(reference, tmp_path / "data")
    assert (tmp_path / "data").glob("*") and open(f"{found}/b").read() == "22"
    calls = failing(memory, monkeypatch, "get_file", OSError("not again"))
    assert references.fetch(reference, tmp_path / "data") == found and not calls


def test_data_that_the_store_has_changed(memory, tmp_path):
    reference = references.refer(put(a="1", b="22"))
    put(b="23")
    with pytest.raises(references.DataError, match="not those that were submitted"):
        references.fetch(reference, tmp_path / "data")


def test_one_object_is_a_file(memory, tmp_path):
    put(a="hello")
    reference = references.refer("memory://data/a")
    assert open(references.fetch(reference, tmp_path)).read() == "hello"


@pytest.mark.parametrize("what", ["a", ""], ids=["a file", "a folder"])
def test_data_on_this_machine_stay_where_they_are(tmp_path, what):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "a").write_text("1")
    (tmp_path / "data" / "sub" / "b").write_text("2")
    place = str(tmp_path / "data" / what).rstrip("/")
    reference = references.refer(place)
    assert references.fetch(reference, tmp_path / "copy") == place
    assert not (tmp_path / "copy").exists()
    (tmp_path / "data" / "a").write_text("2")
    with pytest.raises(references.DataError, match="SHA-256 differs"):
        references.fetch(reference, tmp_path / "copy")


def test_the_hash_is_that_of_a_command(tmp_path):
    import subprocess

    for name in ("b", "a", "sub/c", ".hidden", "of two words"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (command,) = re.findall(r"cd DATA && (.*)", references.__doc__)
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert references.refer(str(tmp_path))["sha256"] == done.stdout.split()[0]


def test_large_data_are_known_by_names_and_sizes(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(references, "LARGE", 2)
    reference = references.refer(put(a="1", b="22"))
    assert reference["of"] == "sizes" and references.fetch(reference, tmp_path) == "memory://data"
    put(b="333")
    with pytest.raises(references.DataError):
        references.fetch(reference, tmp_path)


def test_no_data():
    with pytest.raises(StoreError, match="no such object"):
        references.refer("/nowhere/at/all")


# --- results ------------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path):
    """The folder of a job that has ended."""
    for name in ("run/model", "logs/worker0.log", "timeline.html", "status.json", "job.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_results_logs_and_timeline_are_uploaded(memory, job):
    found = results.upload("memory://out", job, EndSignals())
    assert found == {"url": "memory://out", "files": 4}
    assert store.get_bytes("memory://out/logs/worker0.log", 99) == b"logs/worker0.log"
    assert not store.exists("memory://out/job.json")


def test_a_store_that_goes_away_while_results_are_uploaded(memory, job, monkeypatch):
    failing(memory, monkeypatch, "put_file", EndpointConnectionError())
    found = results.upload("memory://out", job, EndSignals())
    assert "does not answer" in found["error"] and "memory://out/run/model" in found["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_an_upload_in_order(memory, job, monkeypatch, number):
    """So that the status says that not all is there, instead of a process that is just gone."""
    put_file, sent = store.put_file, []

    def put(url, file):
        put_file(url, file)
        sent.append(url)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGUSR1)  # of `scale`: too late, and no reason to end

    monkeypatch.setattr(store, "put_file", put)
    before = signal.getsignal(number)
    with EndSignals() as signals:
        found = results.upload("memory://out", job, signals)
        os.kill(os.getpid(), number)  # once more: the status is still to be written
    assert found["error"].startswith(signal.Signals(number).name) and len(sent) == 1
    assert signal.getsignal(number) is before


def test_a_signal_before_the_upload_is_not_forgotten(memory, job):
    with EndSignals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        found = results.upload("memory://out", job, signals)
    assert "SIGTERM" in found["error"]
    assert not store.exists("memory://out/logs/worker0.log")
