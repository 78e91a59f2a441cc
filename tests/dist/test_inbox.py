"""The queue by which other threads reach a node."""

import os
import select

from minidl_dist.inbox import Inbox


def test_events_come_in_order_and_wake_the_reader():
    inbox = Inbox()
    for event in ("a", "b"):
        inbox.post(event)
    assert select.select([inbox.reader], [], [], 1)[0] == [inbox.reader]
    assert list(inbox.take()) == ["a", "b"]
    assert select.select([inbox.reader], [], [], 0)[0] == []
    inbox.close()


def test_a_full_pipe_loses_no_event():
    inbox = Inbox()
    for event in range(100_000):  # a pipe holds 65,536 bytes
        inbox.post(event)
    assert list(inbox.take()) == list(range(100_000))
    inbox.close()


def test_an_event_after_the_end_is_written_into_no_file(tmp_path):
    """A training thread may post when its node is closed, and the pipe's number is a file's."""
    inbox = Inbox()
    number = inbox.writer
    inbox.close()
    with open(tmp_path / "file", "wb", buffering=0) as file:
        if file.fileno() != number:
            os.dup2(file.fileno(), number)
        inbox.post("late")
        if file.fileno() != number:
            os.close(number)
    assert (tmp_path / "file").read_bytes() == b""
    assert list(inbox.events) == []
