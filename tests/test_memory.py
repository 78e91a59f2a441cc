"""A long run needs no more memory than a short one."""

import gc
import statistics
import tracemalloc

import minidl
from minidl import callbacks
from tests.training import make, make_loader


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
    """30 epochs add their entries in the history: one batch kept per epoch would be twice that."""
    watch = Watch()
    model, _, loss, optimizer = make()
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
        minidl.fit(model, loader, loss, optimizer, 40, validation, chosen)
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
