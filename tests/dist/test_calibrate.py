"""`minidl dist calibrate`: it finds a cost for everything. How large they are is the machine's."""

import gc
import math

import pytest
from typer.testing import CliRunner

from minidl_dist import calibrate as c
from minidl_dist.commands import app
from minidl_dist.costs import ROLES, Costs
from minidl_dist.rehearse import SGD


def test_the_other_process_is_measured():
    found = c.exchange("ipc", messages=20, chunks=3)
    assert found["message"] > 0 and found["io_message"] > 0
    assert all(0 <= seconds < 1 for seconds in found.values())


def test_work_is_measured():
    numbers = [*c.aggregation("SGD", SGD, 2), *c.training(2)]
    numbers += c.of_an_item(c.reports, 2) + c.of_an_item(c.entries, 2)
    assert all(0 <= seconds < 1 for seconds in numbers)
    assert c.seconds_of(lambda: sum(range(10_000)), 2) > 0


def test_processor_time_of_what_is_not_there_is_an_error():
    with pytest.raises(c.ArgumentError, match="Linux"):
        c.threads_of(2**31 - 1)


def test_no_collection_of_garbage_is_measured(monkeypatch):
    """In a process with many imports one took as long as a thousand events: with 1,000 workers the
    coordinator of a forecast then needed a millisecond for each, and no step came to its end."""
    enabled = []
    some = dict.fromkeys(ROLES, 1e-5)
    monkeypatch.setattr(c, "mean_seconds", lambda *_: enabled.append(gc.isenabled()) or some)
    assert c.handling()["coordinator"][0] > 0
    assert enabled == [False, False] and gc.isenabled()


@pytest.mark.slow
def test_the_command(tmp_path):
    file = tmp_path / "costs.json"
    done = CliRunner().invoke(app, ["dist", "calibrate", "--output", str(file)])
    assert done.exit_code == 0, done.output
    costs = Costs.read(file)  # which checks that all is there
    assert math.isfinite(costs.message) and costs.handle["worker"][0] > 0
    assert costs.io_byte["curve"] > costs.io_byte["ipc"]  # to encrypt costs more than to copy
    assert str(file) in done.output
