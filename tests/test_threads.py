"""Two Python threads train two models at once and get what each gets alone."""

import threading

import numba
import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl.nn import functional as F


def train(seed, results):
    """Five steps of a small convolutional net, with a look under no_grad in between."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 5),
    )  # fmt: skip
    for p in model.parameters():  # minidl's generator belongs to all threads together
        p.data[...] = rng.standard_normal(p.shape) / 5
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        x = minidl.tensor(rng.standard_normal((6, 1, 14, 14)), dtype="float32")
        with minidl.no_grad():
            before = model(x)
        assert not before.requires_grad
        optimizer.zero_grad()
        F.cross_entropy(model(x), minidl.tensor(rng.integers(0, 5, 6))).backward()
        optimizer.step()
    results[seed] = [p.data.copy() for p in model.parameters()]


@pytest.mark.parametrize("kernels", ["reference", "numba"])
def test_two_trainings_at_once(kernels):
    alone, together = {}, {}
    with minidl.use_cpu_kernels(kernels):
        for seed in range(3):
            train(seed, alone)  # compiles, too
        if kernels == "numba" and numba.threading_layer() == "workqueue":
            pytest.skip("Numba found no OpenMP: its own thread pool serves one thread at a time")
        threads = [threading.Thread(target=train, args=(seed, together)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for seed in range(3):
        for one, other in zip(alone[seed], together[seed], strict=True):
            np.testing.assert_array_equal(one, other)
