"""Two processes in one run folder."""

import os
import signal
import subprocess
import sys

import pytest

from apps.shared.folder_lock import alone_in
from apps.shared.options import OptionError
from apps.shared.run_folder import in_run_folder
from minidl.training import slots
from tests.training.processes import posix

HOLD = """
import sys, time
from pathlib import Path
from apps.shared.folder_lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """A process that is in tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"inside\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@posix
def test_the_second_process_is_refused(tmp_path, other):
    with pytest.raises(OptionError, match="another process trains in this folder"):
        with alone_in(tmp_path):
            pass


@posix
def test_the_folder_is_free_when_the_first_was_killed(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with alone_in(tmp_path):
        pass
    with alone_in(tmp_path):  # and again after one that ended in order
        pass


@posix
def test_a_refusal_touches_nothing(tmp_path, other):
    """The other process has written no state yet; the folder would count as empty."""
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(OptionError):
        with in_run_folder(tmp_path, "minidl train --resume"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@posix
def test_those_who_train_together_share_a_folder(tmp_path, other, monkeypatch):
    monkeypatch.setattr(slots, "in_use", object())
    with alone_in(tmp_path):
        pass
