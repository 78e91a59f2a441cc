"""A long run needs no more memory than a short one."""

import gc
import statistics
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import minidl
from minidl import callbacks
from minidl.kernels import memory
from tests.training.small import make, make_loader


class Watch(callbacks.Callback):
    """Bytes that Python and NumPy hold at the end of each epoch."""

    order = 200

    def __init__(self):
        self.held = []

    def on_epoch_end(self, run):
        gc.collect()
        self.held.append(tracemalloc.get_traced_memory()[0])


def growth(held):
    """Bytes that each turn adds: the median, as something else may take memory once on the way."""
    return statistics.median(after - before for before, after in zip(held, held[1:]))


def test_a_leak_would_show():
    kept, held = [], []
    tracemalloc.start()
    try:
        for _ in range(20):
            kept.append(bytes(2000))
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert growth(held) > 1500


def test_a_step_leaves_nothing_behind():
    """Neither the graph nor a gradient outlives its step: one matrix here is 40,000 bytes."""
    w = minidl.randn(100, 100, requires_grad=True)
    (w @ w).exp().sum().backward()  # compiles, untraced
    held = []
    tracemalloc.start()
    try:
        for step in range(40):
            w.grad = None
            ((w @ w).exp() * 0).sum().backward()
            if step % 5 == 4:
                gc.collect()  # also empties Python's lists of tuples to use again
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert growth(held[1:]) < 5000


def test_training_and_saving_stay_flat(tmp_path):
    """Epochs add their entries in the history: one batch kept per epoch would be twice that."""
    watch = Watch()
    model, _, loss, optimizer = make()
    minidl.fit(model, make_loader(num_workers=0), loss, optimizer, 1)  # compiles, untraced
    # Without threads: coverage keeps a record of each thread that ever ran.
    loader, validation = make_loader(num_workers=0), make_loader(num_workers=0, shuffle=False)
    chosen = [
        callbacks.Checkpoint(tmp_path, every_steps=2),
        callbacks.Metrics(tmp_path / "metrics.jsonl"),
        callbacks.EarlyStopping(patience=100, restore_best=True),
        callbacks.StopOnNaN(),
        watch,
    ]
    tracemalloc.start()
    try:
        minidl.fit(model, loader, loss, optimizer, 26, validation, chosen)
    finally:
        tracemalloc.stop()
    assert growth(watch.held[9:]) < 1500


def test_a_graph_is_freed_without_the_garbage_collector():
    """No cycles: the arrays of a step go when its loss does."""
    model, loader, loss, optimizer = make()
    x, labels = next(iter(loader))
    step_bytes = []
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(40):
            optimizer.zero_grad()
            loss(model(x), labels).backward()
            optimizer.step()
            step_bytes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
    assert growth(step_bytes[9:]) < 1000  # Python keeps some small tuples for reuse


LONG_RUN = """
import minidl
from minidl import nn, optim
from minidl.kernels import memory

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024

minidl.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10),
)
optimizer = optim.AdamW(net.parameters(), lr=1e-3)
for step in range(10_001):
    x = minidl.randn(3 + step % 5, 3, 12, 12)  # batches of several sizes
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), minidl.zeros(len(x), dtype="int64")).backward()
    optimizer.step()
    if step % 2000 == 0:
        print(resident(), sum(buffer.nbytes for buffer in memory.unused) // 2**20)
"""


@pytest.mark.slow  # a minute
def test_ten_thousand_steps_take_no_more_memory_than_two_thousand():
    """What the system counts: the C library's heap, and the memory that kernels keep, too."""
    done = subprocess.run([sys.executable, "-c", LONG_RUN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    resident, kept = np.array([line.split() for line in done.stdout.splitlines()], int).T
    assert len(resident) == 6
    assert resident[-1] <= resident[1] + 4, resident  # MB: half a kilobyte a step
    assert kept.max() <= memory.KEPT_BYTES >> 20


def test_working_memory_has_a_bound_and_can_be_given_back(monkeypatch):
    minidl.empty_cache()
    monkeypatch.setattr(memory, "KEPT_BYTES", 2**20)
    for size in (2**10, 2**14, 2**16, 2**17, 2**19, 2**20):
        with memory.scratch(size, size) as (a, b):
            assert a.size >= size and not np.shares_memory(a, b)
        assert sum(buffer.nbytes for buffer in memory.unused) <= 2**20
    assert memory.unused
    minidl.empty_cache()
    assert not memory.unused


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_stays_until_it_is_given_back():
    code = """
import numpy as np
import minidl
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
minidl.ops.relu(minidl.ones(2))  # whoever computes, keeps
minidl.empty_cache()
start = resident()
held = [np.ones(2**18) for _ in range(50)]
full = resident()
del held
kept = resident()
minidl.empty_cache()
print(full - start, kept - start, resident() - start)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    full, kept, left = map(int, done.stdout.split())
    assert full > 100e6 and kept > 0.9 * full and left < 0.5 * full
