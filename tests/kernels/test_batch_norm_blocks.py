"""Batch norm in rows of several pixels and in blocks: the reference's numbers, alone and shared."""

import numpy as np
import pytest

from minidl.kernels.cpu import batch_norm
from minidl.kernels.layout import channels_first
from minidl.kernels.reference import batch_norm as reference

SHAPES = {
    "rows of 16 pixels": (4, 5, 4, 8),
    "rows of 2 pixels": (3, 48, 2, 3),
    "an odd number of pixels": (3, 7, 3, 5),
    "rows of one pixel": (2, 130, 2, 3),
    "blocks, the last one short": (3, 40, 19, 16),
}
of_shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
of_groups = pytest.mark.parametrize("own", ["batch", "picture", "weights"])


def arrays(shape):
    """x with a mean far from 0, and gy; channels last."""
    rng = np.random.default_rng(0)
    N, C, H, W = shape
    x, gy = (rng.standard_normal((N, H, W, C), np.float32) for _ in range(2))
    return channels_first(x + 3), channels_first(gy)


def results(kernel, shape, own):
    """All that a kernel computes: of a batch, of each picture, or with weights for each picture."""
    x, gy = arrays(shape)
    rng = np.random.default_rng(1)
    mean, variance = kernel.statistics(x, own == "picture")
    of_x = mean, 1 / np.sqrt(variance + 1e-5)
    if own == "weights":
        of_x = [np.repeat(statistic, len(x), 0) for statistic in of_x]
    w, b = rng.standard_normal((2, *(shape[:2] if own == "weights" else shape[1:2])), np.float32)
    sums = kernel.gradient_sums(gy, x, *of_x)
    return (
        mean, variance, *sums,
        kernel.normalize(x, *of_x, w, b), kernel.normalize(x, *of_x, w, b, relu=True),
        kernel.backward_training(gy, x, *of_x, w, *(sum_ / 100 for sum_ in sums)),
        kernel.backward_evaluation(gy, of_x[1], w),
    )  # fmt: skip


@of_shapes
@of_groups
def test_as_the_reference(shape, own, monkeypatch):
    monkeypatch.setattr(batch_norm, "BLOCK_VALUES", 2**8)
    for actual, expected in zip(results(batch_norm, shape, own), results(reference, shape, own)):
        assert actual.shape == expected.shape and actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@of_shapes
@of_groups
def test_shared_among_threads_the_same_bits(shape, own, monkeypatch):
    monkeypatch.setattr(batch_norm, "BLOCK_VALUES", 2**8)
    alone = results(batch_norm, shape, own)
    monkeypatch.setattr(batch_norm, "LARGE", 0)
    for actual, expected in zip(results(batch_norm, shape, own), alone):
        np.testing.assert_array_equal(actual, expected)
