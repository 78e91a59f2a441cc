"""minidl.set_num_threads: compiled loops and matrix products, and nothing that is out of range."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.threads import blas

CORES = numba.config.NUMBA_NUM_THREADS


@pytest.fixture(autouse=True)
def as_before():
    yield
    minidl.set_num_threads(CORES)


def blas_threads():
    """Of the libraries that were loaded when the first product asked."""
    return [library.num_threads for library in blas.libraries]


@pytest.mark.skipif(CORES < 2, reason="one core: there is nothing to choose")
@pytest.mark.parametrize("n", sorted({1, CORES}))
def test_both_kinds_of_threads(n):
    minidl.set_num_threads(n)
    assert minidl.get_num_threads() == numba.get_num_threads() == n
    assert blas_threads() and set(blas_threads()) == {n}
    matmul.product(np.ones((3, 4)), np.ones((4, 5)))  # sets one thread, and puts back what was
    assert set(blas_threads()) == {n}


@pytest.mark.skipif(CORES < 2, reason="one core: there is nothing to choose")
def test_inside_of_a_small_product_it_holds_from_its_end_on():
    minidl.set_num_threads(CORES)
    with blas.one_thread():
        minidl.set_num_threads(1)
        minidl.set_num_threads(CORES)
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {CORES}


@pytest.mark.parametrize("n", [0, -1, CORES + 1, 1.0, True, "2", None])
def test_what_is_no_number_of_cores(n):
    with pytest.raises(ArgumentError, match=f"from 1 to {CORES}"):
        minidl.set_num_threads(n)
    assert minidl.get_num_threads() == CORES


@pytest.mark.parametrize("layer", ["pthreads", "unknown", "disabled"])
def test_openblas_is_told_directly_where_threadpoolctl_heeds_a_single_thread(layer):
    def told_by_one_thread(n): ...

    library = SimpleNamespace(
        internal_api="openblas", threading_layer=layer, _get_symbol=lambda name: name,
        set_num_threads=told_by_one_thread,
    )  # fmt: skip
    assert blas.setter_of(library) == "openblas_set_num_threads"
    library.threading_layer = "openmp"
    assert blas.setter_of(library) is told_by_one_thread
