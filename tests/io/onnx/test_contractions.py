"""Einsum and the scattering operators: values, gradients, and what they cost."""

import time
import tracemalloc

import numpy as np
import pytest
from onnx import helper

from minidl import Tensor
from minidl.errors import MinidlError
from minidl.io.onnx.importers import IMPORTERS
from minidl.io.onnx.node import Node

SIZES = dict(zip("ijklbc", (2, 3, 4, 1, 5, 2)))
EQUATIONS = [
    "ij,jk->ik", "ij,jk", "ij,kj->ik", "bij,bjk->bik", "bij,jk->bik", "ij,ij->", "ij,ij->ij",
    "i,j->ij", "i,i", "ij,j->i", "ij,k->i", "ij->ji", "ii->i", "iij,jk->ik", "ijk,jil->kl",
    "bl,lk->bk", "ij,jk,kb->ib", "ij,jk,kb", "ijb,jkb,kc->cib", "bijc,bkjc->bcik",
    "...ij,...jk->...ik", "...ij,jk->...ik", "...ij,...ij->...",
]  # fmt: skip


def run(operator, *inputs, **attributes):
    names = [f"x{i}" for i in range(len(inputs))]
    node = Node(helper.make_node(operator, names, ["y"], **attributes), 18)
    return IMPORTERS[operator](node, *inputs)


def check_gradients(function, arrays, y, tensors):
    """y was made of tensors, which hold the arrays; function computes it in NumPy."""
    gy = np.random.default_rng(9).standard_normal(y.shape)
    y.backward(gy)
    for x, array in zip(tensors, arrays):
        for place in np.ndindex(array.shape):
            value, ends = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = value + step
                ends.append((function(*arrays) * gy).sum())
            array[place] = value
            slope = (ends[0] - ends[1]) / 2e-6
            assert x.grad.numpy()[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    rng = np.random.default_rng(0)
    arrays = []
    for term in equation.split("->")[0].split(","):
        batch = (3, 2) if "..." in term else ()
        arrays.append(rng.standard_normal((*batch, *(SIZES[n] for n in term if n != "."))))
    tensors = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    y = run("Einsum", *tensors, equation=equation)
    np.testing.assert_allclose(y.detach().numpy(), np.einsum(equation, *arrays), atol=1e-12)
    check_gradients(lambda *xs: np.einsum(equation, *xs), arrays, y, tensors)


def test_einsum_of_sizes_that_differ_is_refused():
    with pytest.raises(MinidlError, match="a name stands for two sizes"):
        run("Einsum", Tensor(np.ones((2, 3))), Tensor(np.ones((4, 2))), equation="ij,jk->ik")


def test_einsum_of_two_matrices_takes_no_more_memory_than_their_product():
    a = Tensor(np.ones((200, 200), np.float32))
    tracemalloc.start()
    y = run("Einsum", a, a, equation="ij,jk->ik")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20  # the product has 160 KB, all terms of its sums 32 MB
    np.testing.assert_array_equal(y.numpy(), np.full((200, 200), 200, np.float32))


UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


@pytest.mark.parametrize("reduction", UFUNCS)
@pytest.mark.parametrize("updates", [0, 1, 2, 7, 40])
def test_scattering_with_a_reduction(reduction, updates):
    rng = np.random.default_rng(updates)
    arrays = [rng.standard_normal(6), rng.standard_normal(updates)]
    index = rng.integers(-6, 6, updates)

    def reduced(x, values):
        y = x.copy()
        UFUNCS[reduction].at(y, index, values)
        return y

    x, values = tensors = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    y = run("ScatterElements", x, Tensor(index), values, reduction=reduction)
    np.testing.assert_allclose(y.detach().numpy(), reduced(*arrays), rtol=1e-12)
    check_gradients(reduced, arrays, y, tensors)


def test_many_updates_of_one_place_are_quick():
    n = 30_000
    x, index = Tensor(np.zeros(1000, np.float32)), Tensor(np.zeros(n, np.int64))
    start = time.process_time()
    y = run("ScatterElements", x, index, Tensor(np.ones(n, np.float32)), reduction="add")
    assert time.process_time() - start < 2
    assert y.numpy()[0] == n and not y.numpy()[1:].any()
