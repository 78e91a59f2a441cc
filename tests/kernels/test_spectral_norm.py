"""Power iteration of the spectral norm: either set, either order in memory, digits, odd weights."""

import numpy as np
import pytest

from minidl.kernels.cpu import spectral_norm as cpu
from minidl.kernels.reference import spectral_norm as reference
from tests.kernels.guards import between_nans, read_only, with_gaps

LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "gaps": with_gaps,
    "read-only": read_only,
    "between": between_nans,
    "columns between": lambda w: between_nans(w.T).T,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (33, 1), (17, 40), (64, 30)])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_both_sets_iterate_alike(layout, shape, steps):
    rng = np.random.default_rng(0)
    w, u, v = (rng.standard_normal(size, np.float32) for size in (shape, *shape))
    found, expected = (kernel.iterate(layout(w), u, v, steps, 1e-12) for kernel in (cpu, reference))
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert found[0].dtype == found[1].dtype == np.float32
    if steps == 0:
        np.testing.assert_array_equal(found[0], u)
        np.testing.assert_array_equal(found[1], v)
        assert found[2] == 0


def test_many_steps_find_the_largest_singular_value():
    w = np.random.default_rng(0).standard_normal((40, 60))
    start = np.ones(40), np.ones(60)
    for matrix in (w, np.asfortranarray(w)):
        u, v, length = cpu.iterate(matrix, *start, 2000, 1e-12)
        assert length == pytest.approx(np.linalg.svd(w)[1][0], rel=1e-9)
        np.testing.assert_allclose(w @ v, length * u, atol=1e-6)


def test_long_sums_keep_their_digits():
    n = 200_000
    w = np.full((2, n), 0.1, np.float32)
    for matrix in (w, np.asfortranarray(w)):
        u, _, length = cpu.iterate(matrix, np.ones(2), np.ones(n), 1, 1e-12)
        np.testing.assert_allclose(u, np.sqrt(0.5), rtol=1e-6)
        assert length == pytest.approx(float(w[0, 0]) * np.sqrt(2 * n), rel=1e-6)


@pytest.mark.parametrize("kernel", [cpu, reference], ids=["cpu", "reference"])
def test_zeros_and_nan(kernel):
    zeros, ones = np.zeros((3, 2), np.float32), (np.ones(3, np.float32), np.ones(2, np.float32))
    u, v, length = kernel.iterate(zeros, *ones, 1, 1e-12)
    assert not u.any() and not v.any() and length == 0
    zeros[1, 1] = np.nan
    u, v, length = kernel.iterate(zeros, *ones, 1, 1e-12)
    assert np.isnan(u).all() and np.isnan(v).all() and np.isnan(length)
