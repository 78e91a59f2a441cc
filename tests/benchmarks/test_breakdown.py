"""The time of a run, divided among its operations."""

import time

import numpy as np

import minidl
from benchmarks import breakdown, machine
from minidl import Function, optim
from minidl.nn import functional as F


class Slow(Function):
    def forward(self, x):
        time.sleep(0.02)
        return x.copy()

    def backward(self, gy):
        return gy


def test_parts_and_bytes_of_a_step(monkeypatch):
    monkeypatch.setattr(breakdown, "SECONDS", 0.1)
    w = minidl.ones(100, requires_grad=True)
    optimizer = optim.AdamW([w], 0.1)  # calls the step of another class
    original = Slow.forward

    def step():
        optimizer.zero_grad()
        F.relu(Slow().apply(w)).sum().backward()
        optimizer.step()

    found = breakdown.profile_of(step)
    assert set(found.parts) == {
        "Slow forward", "Slow backward", "ReLU forward", "ReLU backward", "Sum forward",
        "Sum backward", "optimizer",
    }  # fmt: skip
    assert max(found.parts, key=found.parts.get) == "Slow forward"
    assert sum(found.parts.values()) <= found.seconds
    # Given and returned: 2 x 400 bytes by each of two operations forward and backward, 404 by each
    # of the sum's.
    assert found.moved == 4 * 800 + 2 * 404
    assert "Slow forward" in found.sentence(1e9, 1e11, 1e10)
    assert Slow.forward is original  # the clocks are gone


def test_a_copy_has_a_bandwidth():
    assert np.isfinite(machine.copy_bandwidth(2**16))
