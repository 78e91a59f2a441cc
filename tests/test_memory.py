"""A long run needs no more memory than a short one."""

import gc
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


def test_training_and_saving_stay_flat(tmp_path):
    """30 epochs add their entries in the history: one batch kept per epoch would be twice that."""
    watch = Watch()
    model, loader, loss, optimizer = make()
    chosen = [
        callbacks.Checkpoint(tmp_path, every_steps=2),
        callbacks.Metrics(tmp_path / "metrics.jsonl"),
        callbacks.EarlyStopping(patience=100, restore_best=True),
        callbacks.StopOnNaN(),
        watch,
    ]
    tracemalloc.start()
    try:
        minidl.fit(model, loader, loss, optimizer, 40, make_loader(shuffle=False), chosen)
    finally:
        tracemalloc.stop()
    assert (watch.held[-1] - watch.held[9]) / 30 < 1500


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
    assert (step_bytes[-1] - step_bytes[9]) / 30 < 1000  # Python keeps some small tuples for reuse
