"""Runs of the command line that are killed, and what is compared of them."""

import json
import signal
import time

import numpy as np


def done(path):
    """Epochs that are done; -1 before the first checkpoint."""
    if not path.with_name("checkpoint.safetensors").exists() or not path.exists():
        return -1
    return len(path.read_text().splitlines())


def wait_for(process, metrics, epochs):
    """Until so many epochs are done."""
    deadline = time.monotonic() + 120
    while done(metrics) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kill_after(process, metrics, epochs):
    """SIGKILL once so many epochs are done."""
    wait_for(process, metrics, epochs)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def assert_same_weights(found, wanted):
    """Two state dicts are equal, bit for bit."""
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name].data, tensor.data, err_msg=name)


def assert_same_metrics(folder, expected):
    """Two runs have the same metrics of each epoch, but for the time that they took."""
    lines = [(one / "metrics.jsonl").read_text().splitlines() for one in (folder, expected)]
    timed = ("seconds", "images_per_second")
    for one, other in zip(*lines, strict=True):
        one, other = json.loads(one), json.loads(other)
        assert {k: v for k, v in one.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }
