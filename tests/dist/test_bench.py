"""`minidl dist bench`: it measures what it says, with processes of its own, and leaves none."""

import json
import subprocess
import sys

import pytest

from minidl.errors import ArgumentError, MinidlError
from minidl_dist.bench import WAYS, bench, parse_size, report
from minidl_dist.other_process import started


@pytest.mark.parametrize("ways", [("raw unix", "ipc"), pytest.param(WAYS, marks=pytest.mark.slow)])
def test_every_way_is_measured(ways):
    found = bench(3_000_000, rounds=1, pings=5, ways=ways)
    assert tuple(found) == ways
    for way, one in found.items():
        assert all(value > 0 for value in one.values()), way
    assert found["raw unix"]["ratio"] == found["raw unix"]["p50 ratio"] == 1
    lines = report(3_000_000, found).splitlines()
    assert [line[:9].strip() for line in lines] == ["", *ways]


@pytest.mark.parametrize(
    "text, size", [("250MB", 250_000_000), ("1.5 gb", 1_500_000_000), ("64kB", 64_000), ("8B", 8)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "250", "MB", "0MB", "-1MB", "1TB", "1e3MB", "nanMB"])
def test_what_is_no_size(text):
    with pytest.raises(ArgumentError, match="a size is a number and a unit"):
        parse_size(text)


@pytest.mark.parametrize("way", ["ipc", "zmq alone"])
def test_a_server_ends_with_the_process_that_started_it(way, tmp_path):
    """Even where that is killed, and cannot end it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "minidl_dist.bench"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    told = {"way": way, "folder": str(tmp_path), "chunks": 1}
    server.stdin.write(json.dumps(told).encode() + b"\n")
    server.stdin.flush()
    assert server.stdout.readline()
    server.stdin.close()
    assert server.wait(20) == 0
    server.stdout.close()


def test_a_server_that_does_not_start_is_an_error(tmp_path):
    module = "minidl_dist.not_there"
    with pytest.raises(MinidlError, match="did not start"), started(module, "ipc", tmp_path):
        pass
