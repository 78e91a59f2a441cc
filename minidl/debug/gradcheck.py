"""Compare the gradients of backward with central differences.

    d f / d x_i  ~  (f(x + e_i h) - f(x - e_i h)) / (2 h)         error O(h^2) + O(eps |f| / h)

f is made scalar by a dot product with a random upstream gradient, so that every output element
counts with its own weight. In float64 with h = 1e-6 agreement is about 1e-8 relative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minidl.errors import DtypeError, MinidlError
from minidl.function import no_grad
from minidl.tensor import Tensor


class GradientError(MinidlError, AssertionError):
    """backward and finite differences disagree."""


def gradcheck(
    function: Callable,
    inputs: Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Check the gradients of a function at one point.

    Args:
        function: takes the inputs as Tensors, returns a Tensor or a tuple of them.
        inputs: Tensors; those with requires_grad must be float64 and are checked in every element.
        eps: the step h.
        atol, rtol: |analytic - numeric| <= atol + rtol |numeric|.
        seed: of the random upstream gradient.

    Returns:
        True.

    Raises:
        GradientError: names the input, the element and both values.
        DtypeError: an input to check is not float64, or none requires a gradient.

    >>> x = minidl.tensor([0.5, 2.0], dtype="float64", requires_grad=True)
    >>> minidl.debug.gradcheck(lambda x: x * x, [x])
    True
    """
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked or any(x.dtype != np.float64 for x in checked):
        raise DtypeError(
            "gradcheck",
            "expects at least one float64 input with requires_grad=True",
            {f"input {i}": f"{x.shape} {x.dtype}" for i, x in enumerate(checked)},
        )
    for x in checked:
        x.grad = None
    outputs = floating_outputs(function(*inputs))
    rng = np.random.default_rng(seed)
    upstream = [rng.standard_normal(y.shape) for y in outputs]
    for y, gy in zip(outputs, upstream):
        if y.requires_grad:
            y.backward(gy, retain_graph=True)

    def scalar() -> float:
        with no_grad():
            ys = floating_outputs(function(*inputs))
        return sum(float((y.data * gy).sum()) for y, gy in zip(ys, upstream))

    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        analytic = np.zeros(x.shape) if x.grad is None else x.grad.data
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


def floating_outputs(y) -> list[Tensor]:
    ys = y if isinstance(y, tuple | list) else (y,)
    return [y for y in ys if y.dtype.kind == "f"]


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
