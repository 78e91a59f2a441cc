"""One recorded operation.

An operation is a subclass of Function with its forward and backward side by side, both on raw
arrays (NumPy or CuPy). Applying one to Tensors computes the output and, when a gradient will be
needed, leaves the Function in the graph:

        x ──┐
            ├── Function ── y          y.grad_fn is the Function
        w ──┘                          Function.inputs is (x, w)

That is the whole graph: Tensors point at the Function that made them, Functions at their inputs.
minidl/graph.py walks it, minidl/backward.py differentiates along the walk.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DtypeError, GraphError
from minidl.shapes import check_flag
from minidl.tensor import Tensor

# attrgetter is C: one step in a debugger for all inputs.
requires_grad_of = attrgetter("requires_grad")
array_of = attrgetter("data")
FLOAT = np.dtype("float32")  # stands for the dtype of what is no array: Tensor refuses it
REUSED = "make a new one for each: MyFunction().apply(x)"


class Function:
    """Base class of operations. `Conv2d(stride, padding).apply(x, w)` runs one and records it.

    A subclass takes its parameters in `__init__` and defines

    - `forward(*arrays)`: the output array, or a tuple of them. Whatever backward will need is kept
      as attributes of self, where `self.needs_grad` says that it will be needed.
    - `backward(*gys)`: given the gradient with respect to each output (None for an output that
      nothing used), the gradient with respect to each input, in order, or None where
      `self.needs_grad` is False. A returned array is either new or shares memory with a gy (an
      op may pass gy through); it is never an array kept elsewhere, and gy is never changed.

    Two promises spare large arrays a trip through memory (minidl/backward.py):

    - `makes_new`: every array that backward returns is new, and nothing else holds it, so that
      other gradients may be added to it in place.
    - `adds`: backward also takes `add_to`, an array of the first input's shape and of gy's dtype,
      or None. Its first result is then the sum of both, which it may compute in place.

    A subclass that defines backward inherits neither promise: it makes its own.

    summary also asks for its `receptive_field` and its `multiply_accumulates`; ops/ states both.

    Attributes:
        inputs: the Tensors that apply was called with (empty until recorded).
        needs_grad: for each input, whether backward has to compute its gradient.

    >>> class Double(minidl.Function):
    ...     def forward(self, x): return 2 * x
    ...     def backward(self, gy): return 2 * gy
    >>> x = minidl.ones(2, requires_grad=True)
    >>> Double().apply(x).sum().backward(); x.grad
    tensor([2., 2.])
    """

    inputs: tuple = ()
    needs_grad: Sequence[bool] = ()
    n_outputs: int = 1
    makes_new: bool = False
    adds: bool = False
    output_hooks: dict | None = None  # output index -> hooks, see Tensor.register_hook
    retained: dict | None = None  # output index -> weak reference, see Tensor.retain_grad
    freed: bool = False
    receptive_field: Any = "-"  # what a pixel of the output depends on: ops/receptive_field.py

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "backward" in vars(cls):
            cls.makes_new = vars(cls).get("makes_new", False)
            cls.adds = vars(cls).get("adds", False)

    def apply(self, *inputs):
        """Compute the output Tensor (or a tuple of them) and record self if a gradient flows."""
        if self.inputs or self.freed:
            raise GraphError(type(self).__name__, "a Function records one call", hint=REUSED)
        try:
            needs_grad = [*map(requires_grad_of, inputs)]
        except AttributeError:
            raise not_tensors(self, inputs) from None
        self.needs_grad = needs_grad if grad_mode.enabled else [False] * len(inputs)
        y = self.forward(*map(array_of, inputs))
        self.inputs = inputs if (any_grad := True in self.needs_grad) else ()
        if isinstance(y, tuple):
            return outputs_of(self, y)
        # An output that is no float (the label of the largest score, say) is a constant.
        recorded = any_grad and getattr(y, "dtype", FLOAT).kind == "f"
        return Tensor(y, recorded, self if recorded else None)

    def forward(self, *arrays: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, *gys: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def multiply_accumulates(self, y: Any, *inputs: tuple) -> int:
        """How many products forward sums up, from the shapes of its first output and its inputs."""
        return 0

    def free(self) -> None:
        """Drop inputs and everything forward kept. A second walk through self is an error."""
        self.__dict__.clear()
        self.freed = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' (freed)' if self.freed else ''}>"


def not_tensors(function: Function, inputs: tuple) -> DtypeError:
    """Says which inputs are numbers or arrays."""
    wrong = {
        f"input {i}": type(x).__name__ for i, x in enumerate(inputs) if not isinstance(x, Tensor)
    }
    return DtypeError(
        type(function).__name__, "apply takes Tensors", wrong,
        "wrap arrays with minidl.tensor(x); parameters belong in __init__",
    )  # fmt: skip


class GradMode(threading.local):
    """Whether operations are recorded, for each thread its own: see no_grad."""

    enabled = True


grad_mode = GradMode()


class set_grad_enabled:
    """Record operations or not, from here on or, as a context manager, inside the block.

    Args:
        enabled: whether operations of this thread are recorded.

    >>> with minidl.set_grad_enabled(False):
    ...     minidl.is_grad_enabled()
    False
    """

    def __init__(self, enabled: bool):
        check_flag("set_grad_enabled", "enabled", enabled)
        self.previous = grad_mode.enabled
        grad_mode.enabled = bool(enabled)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.previous


class no_grad:
    """`with minidl.no_grad():` nothing inside is recorded, and leaves may change in place.

    `@minidl.no_grad()` above a function does the same for its calls.
    """

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            raise ArgumentError(
                "no_grad", "the call of a generator function runs nothing of it yet",
                {"function": function.__name__}, "put the loop that uses it into no_grad()",
            )  # fmt: skip

        @functools.wraps(function)
        def without_recording(*arguments, **options):
            with no_grad():
                return function(*arguments, **options)

        return without_recording

    def __enter__(self):
        self.previous = grad_mode.enabled
        grad_mode.enabled = False
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.previous


class enable_grad:
    """`with minidl.enable_grad():` records again inside a no_grad block."""

    def __enter__(self):
        self.previous = grad_mode.enabled
        grad_mode.enabled = True
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.previous


def outputs_of(function: Function, arrays: tuple) -> tuple:
    """What apply returns where forward has several outputs; those that are no floats: constants."""
    function.n_outputs = len(arrays)
    outputs = []
    for index, array in enumerate(arrays):
        recorded = bool(function.inputs) and array.dtype.kind == "f"
        outputs.append(Tensor(array, recorded, function if recorded else None, index))
    return tuple(outputs)


def is_grad_enabled() -> bool:
    """Whether operations of this thread are being recorded."""
    return grad_mode.enabled
