"""Where an atomic write goes when the path is a link, a device or a pipe."""

import os

import pytest

from minidl.errors import CheckpointError
from minidl.io.atomic import write_atomically

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "disk" / "weights", tmp_path / "weights"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["disk", "weights"] and os.listdir(target.parent) == [
        "weights"
    ]


def test_a_pipe_or_device_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CheckpointError, match="it is a folder or a device"):
        write_atomically(pipe, b"new")
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]
