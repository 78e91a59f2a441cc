"""The gradient of x with few channels, quad by quad: the numbers, the memory, when it is used."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import quads
from minidl.kernels.reference import conv2d as reference
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    run_in_python,
)
from tests.kernels.test_winograd import pictures

GEOMETRY = (2, 2), (1, 1), (1, 1), 1
SHAPES = [(1, 1, 1, 2, 16), (2, 3, 32, 32, 32), (3, 4, 5, 6, 18), (1, 2, 17, 4, 64)]


def problem(seed, N, C, K, H, W):
    rng = np.random.default_rng(seed)
    return pictures(rng, N, K, H // 2, W // 2), pictures(rng, K, C, 4, 4), (N, C, H, W)


def assert_right(gy, w, x_shape):
    gx = quads.backward_input(gy, w, x_shape, *GEOMETRY)
    right = reference.backward_input(gy.astype(float), w.astype(float), x_shape, *GEOMETRY)
    assert gx.shape == right.shape and gx.dtype == np.float32
    np.testing.assert_allclose(gx, right, rtol=0, atol=1e-6 * np.abs(right).max())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4), st.integers(1, 40),
    st.integers(1, 9), st.integers(1, 20),
)  # fmt: skip
def test_any_shape(seed, N, C, K, OH, OW):
    """Also narrower ones than it is used for."""
    assert_right(*problem(seed, N, C, K, 2 * OH, 2 * OW))


@pytest.mark.parametrize("shape", SHAPES)
def test_stays_inside_its_memory(monkeypatch, shape):
    gy, w, x_shape = problem(2, *shape)
    expected = quads.backward_input(gy, w, x_shape, *GEOMETRY)
    guarded, scratch = GuardedNumpy(), guarded_scratch(monkeypatch)
    monkeypatch.setattr(quads, "aligned", guarded.empty)
    actual = quads.backward_input(between_nans(gy), between_nans(w), x_shape, *GEOMETRY)
    np.testing.assert_array_equal(actual, expected)
    assert len(guarded.buffers) == 1 and len(scratch.buffers) == 1
    guarded.check()
    scratch.check()


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    code = f"""
from tests.kernels import test_quads as t
assert t.quads.WIDTH == {width}
t.assert_right(*t.problem(0, 2, 3, 5, 6, 18))
print("right")
"""
    assert run_in_python(code, processor) == "right\n"


def test_the_same_bits_with_any_number_of_threads():
    arrays = problem(1, 32, 3, 64, 32, 32)
    assert_same_bits_with_any_number_of_threads(
        lambda: [quads.backward_input(*arrays, *GEOMETRY)]
    )  # fmt: skip


def test_what_is_not_finite_reaches_the_pixels_that_see_it():
    gy, w, x_shape = problem(4, 1, 3, 8, 16, 16)
    clean = quads.backward_input(gy, w, x_shape, *GEOMETRY)
    gy[0, 2, 3, 4] = np.nan
    gx = quads.backward_input(gy, w, x_shape, *GEOMETRY)
    assert np.isnan(gx[:, :, 5:9, 7:11]).all()
    gx[:, :, 5:9, 7:11] = clean[:, :, 5:9, 7:11]
    np.testing.assert_array_equal(gx, clean)


def test_where_it_is_used():
    def is_used(N=2, C=3, K=32, H=32, W=32, result="gx", geometry=GEOMETRY, dtype=np.float32):
        gy = np.empty((N, K, H // 2, W // 2), dtype)
        return conv2d.choose(result, gy, (N, C, H, W), (K, C, 4, 4), *geometry) is quads

    assert is_used() and is_used(C=1) and is_used(C=4)
    assert not is_used(C=5) and not is_used(K=257) and not is_used(W=8) and not is_used(H=31)
    assert not is_used(result="y") and not is_used(result="gw") and not is_used(dtype=np.float64)
    for geometry in (
        ((2, 2), (0, 0), (1, 1), 1), ((2, 2), (1, 1, 2, 1), (1, 1), 1), ((1, 1), (1, 1), (1, 1), 1)
    ):  # fmt: skip
        assert not is_used(geometry=geometry)
