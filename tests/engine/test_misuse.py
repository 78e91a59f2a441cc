"""What is asked of a Tensor wrongly gets an error that names what was wrong."""

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DtypeError, MinidlError, ShapeError


def x_with_grad():
    return minidl.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: minidl.tensor("text"), DtypeError, ["real numbers", "<U4"]),
        (lambda: minidl.tensor(1j), DtypeError, ["complex"]),
        (lambda: minidl.tensor(None), DtypeError, ["object"]),
        (lambda: minidl.tensor({"a": 1}), DtypeError, ["object"]),
        (lambda: minidl.tensor([[1], [2, 3]]), ShapeError, ["ragged"]),
        (lambda: minidl.tensor(1, dtype="flaot32"), DtypeError, ["did you mean float32?"]),
        (lambda: minidl.tensor(1, requires_grad=True), DtypeError, ["floating-point"]),
        (lambda: minidl.tensor(1, device="tpu"), ArgumentError, ["tpu"]),
        (lambda: minidl.zeros(2, dtype="int"), None, []),
        (lambda: minidl.zeros(2, dtype=object), DtypeError, ["no such element type"]),
        (lambda: minidl.zeros(-1), ArgumentError, ["sizes >= 0"]),
        (lambda: minidl.ones(2, dtype="int64", requires_grad=True), DtypeError, ["int64"]),
        (lambda: minidl.arange(), ArgumentError, ["expects end"]),
        (lambda: minidl.arange(0, 3, 0), ArgumentError, ["not 0"]),
        (lambda: minidl.arange("a"), ArgumentError, ["'a'"]),
        (lambda: minidl.arange(0, float("inf")), ArgumentError, ["inf"]),
        (lambda: minidl.arange(float("nan")), ArgumentError, ["nan"]),
        (lambda: minidl.tensor(1.0, device=3), ArgumentError, ["no such device", "3"]),
        (lambda: None in minidl.ones(2), DtypeError, ["Tensors and numbers"]),
        (lambda: x_with_grad().register_hook(3), DtypeError, ["a function"]),
        (lambda: minidl.full((2,), "x"), DtypeError, ["real numbers"]),
        (lambda: minidl.from_numpy([1]), DtypeError, ["NumPy array", "list"]),
        (lambda: minidl.from_numpy(np.array(["a"])), DtypeError, ["<U1"]),
        (lambda: minidl.from_dlpack([1]), DtypeError, ["__dlpack__", "list"]),
        (lambda: len(minidl.tensor(1.0)), DtypeError, ["no length"]),
        (lambda: minidl.ones(2).item(), ShapeError, ["one element", "(2,)"]),
        (lambda: bool(minidl.ones(2)), ShapeError, [".any() or .all()"]),
        (lambda: minidl.ones(2).size(1), ArgumentError, ["from -1 to 0"]),
        (lambda: range(minidl.tensor(1.5)), DtypeError, ["one integer"]),
        (lambda: minidl.manual_seed(-1), ArgumentError, ["2^63"]),
    ],
)
def test_misuse(call, error, says):
    if error is None:
        call()
        return
    with pytest.raises(error) as caught:
        call()
    for text in says:
        assert text in str(caught.value)


def test_errors_are_also_pythons_own():
    with pytest.raises(IndexError):
        minidl.ones(2)[5]
    with pytest.raises(ValueError):
        minidl.ones(2) + minidl.ones(3)
    with pytest.raises(TypeError):
        minidl.ones(2) * "a"
    assert issubclass(minidl.errors.BoundsError, MinidlError)
