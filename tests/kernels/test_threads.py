"""Several Python threads train and compute at once and get what each gets alone."""

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


def gradients(make, shape, seed):
    """What a layer makes of an input, and the gradients of all."""
    rng = np.random.default_rng(seed)
    layer = make()
    for p in layer.parameters():
        p.data[...] = rng.standard_normal(p.shape) / 10
    x = minidl.tensor(rng.standard_normal(shape), dtype="float32", requires_grad=True)
    y = layer(x)
    y = y[0] if isinstance(y, tuple) else y
    (y * y).sum().backward()
    return [y.data, x.grad.data, *(p.grad.data for p in layer.parameters())]


LAYERS = {
    "winograd": (lambda: nn.Conv2d(32, 48, 3, padding=1), (4, 32, 20, 20)),
    "winograd-panels": (lambda: nn.Conv2d(128, 128, 3, padding=1), (1, 128, 12, 12)),
    "direct": (lambda: nn.Conv2d(3, 32, 7, stride=2, padding=3), (4, 3, 50, 50)),
    "batch-last": (lambda: nn.Conv2d(6, 16, 5), (64, 6, 14, 14)),
    "columns": (lambda: nn.Conv2d(24, 40, 3, stride=2, padding=1), (4, 24, 12, 12)),
    "lstm": (lambda: nn.LSTM(64, 128), (10, 8, 64)),
    "batch-norm": (lambda: nn.BatchNorm2d(32), (16, 32, 24, 24)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_at_once(name):
    """Kernels that take working memory, and start loops of several threads from several threads."""
    make, shape = LAYERS[name]
    with minidl.use_cpu_kernels("numba"):
        alone = [gradients(make, shape, seed) for seed in range(3)]
        if numba.threading_layer() == "workqueue":
            pytest.skip("Numba found no OpenMP: its own thread pool serves one thread at a time")
        found = [[] for _ in alone]

        def repeat(seed):
            found[seed].extend(gradients(make, shape, seed) for _ in range(10))

        threads = [threading.Thread(target=repeat, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for right, together in zip(alone, found):
        assert len(together) == 10
        for arrays in together:
            for one, other in zip(right, arrays, strict=True):
                np.testing.assert_array_equal(one, other)
