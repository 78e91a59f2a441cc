"""Compare the gradients of backward with central differences.

    d f / d x_i  ~  (f(x + e_i h) - f(x - e_i h)) / (2 h)         error O(h^2) + O(eps |f| / h)

f is made scalar by a dot product with a random upstream gradient, so that every output element
counts with its own weight. In float64 with h = 1e-6 agreement is about 1e-8 relative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DtypeError, MinidlError
from minidl.function import enable_grad, no_grad
from minidl.ops.inplace import check_writeable
from minidl.shapes import is_int, is_number
from minidl.tensor import Tensor


class GradientError(MinidlError, AssertionError):
    """backward and finite differences disagree."""


def gradcheck(
    function: Callable,
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Check the gradients of a function at one point.

    The inputs keep the values and the `.grad` they have; other leaves that the function uses (the
    parameters of a module) get gradients added.

    Args:
        function: takes the inputs as Tensors, returns a Tensor or a tuple of them.
        inputs: Tensors; those with requires_grad must be float64 and are checked in every element.
        eps: the step h, > 0.
        atol, rtol: |analytic - numeric| <= atol + rtol |numeric|, both >= 0.
        seed: of the random upstream gradient, >= 0.

    Returns:
        True.

    Raises:
        GradientError: names the input, the element and both values.
        DtypeError: an input to check is not float64, or none requires a gradient; or function
            returns no floating-point Tensor, or inputs are none.
        ArgumentError: eps is not above 0, or a tolerance or the seed is below 0.
        GraphError: the memory of an input to check is read-only.

    >>> x = minidl.tensor([0.5, 2.0], dtype="float64", requires_grad=True)
    >>> minidl.debug.gradcheck(lambda x: x * x, [x])
    True
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else inputs
    if not isinstance(inputs, list | tuple):
        raise DtypeError("gradcheck", "inputs is a Tensor or a list of them", {"inputs": inputs})
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked or any(x.dtype != np.float64 for x in checked):
        raise DtypeError(
            "gradcheck",
            "expects at least one float64 input with requires_grad=True",
            {f"input {i}": f"{x.shape} {x.dtype}" for i, x in enumerate(checked)},
        )
    check_numbers(eps, atol, rtol, seed)
    check_writeable("gradcheck", **{f"input {i}": x for i, x in enumerate(checked)})
    with enable_grad():
        outputs = floating_outputs(function(*inputs))
    rng = np.random.default_rng(seed)
    upstream = [rng.standard_normal(y.shape) for y in outputs]
    analytics = analytic_gradients(outputs, upstream, checked)

    def scalar() -> float:
        with no_grad():
            ys = floating_outputs(function(*inputs))
        return sum(float((y.data * gy).sum()) for y, gy in zip(ys, upstream))

    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        analytic = analytics[x]
        numeric = central_differences(scalar, x, eps)
        error = np.abs(analytic - numeric) - (atol + rtol * np.abs(numeric))
        if error.size and not error.max() <= 0:  # "not <=" also catches NaN, as argmax does
            at = np.unravel_index(int(np.argmax(error)), x.shape)
            raise GradientError(
                "gradcheck",
                "the gradient of backward differs from central differences",
                {
                    "input": position,
                    "element": tuple(int(i) for i in at),
                    "backward": float(analytic[at]),
                    "differences": float(numeric[at]),
                },
            )
    return True


def check_numbers(eps: Any, atol: Any, rtol: Any, seed: Any) -> None:
    """A step, tolerances that something can be outside of, and a seed."""
    if not is_number(eps) or not 0 < eps < math.inf:
        raise ArgumentError("gradcheck", "eps is a number above 0", {"eps": eps})
    for name, value in {"atol": atol, "rtol": rtol}.items():
        if not is_number(value) or not 0 <= value < math.inf:
            raise ArgumentError("gradcheck", f"{name} is a number >= 0", {name: value})
    if not is_int(seed) or seed < 0:
        raise ArgumentError("gradcheck", "seed is an int >= 0", {"seed": seed})


def floating_outputs(y: Any) -> list[Tensor]:
    ys = y if isinstance(y, tuple | list) else (y,)
    if not all(isinstance(y, Tensor) for y in ys) or all(y.dtype.kind != "f" for y in ys):
        raise DtypeError(
            "gradcheck",
            "function returns a floating-point Tensor, or a tuple with one",
            {"returned": [type(y).__name__ for y in ys]},
        )
    return [y for y in ys if y.dtype.kind == "f"]


def analytic_gradients(outputs: list, upstream: list, checked: list) -> dict[Tensor, np.ndarray]:
    """What backward says: x -> gradient. `.grad` is put back as it was."""
    before = [(x, x.grad) for x in checked]
    for x in checked:
        x.grad = None
    for y, gy in zip(outputs, upstream):
        if y.requires_grad:
            y.backward(gy, retain_graph=True)
    found = {x: np.zeros(x.shape) if x.grad is None else x.grad.data for x in checked}
    for x, grad in before:
        x.grad = grad
    return found


def central_differences(scalar: Callable[[], float], x: Tensor, eps: float) -> np.ndarray:
    """d scalar / d x, element by element; x's memory is put back as it was."""
    numeric = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        original = x.data[at]
        x.data[at] = original + eps
        above = scalar()
        x.data[at] = original - eps
        below = scalar()
        x.data[at] = original
        numeric[at] = (above - below) / (2 * eps)
    return numeric
