"""Tensor: an array, and how it was made.

    data          the NumPy or CuPy array itself
    requires_grad whether backward should compute a gradient for it
    grad          that gradient after backward, a Tensor of the same shape (leaves only)
    grad_fn       the Function that made it, None for a leaf

A leaf is a Tensor that no recorded operation made: a parameter, an input. What one can compute
with Tensors is in minidl/ops; the table minidl/tensor_methods.py says which method or operator of
Tensor is which operation.
"""

from __future__ import annotations

import weakref
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.device import device_of, to_device
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.shapes import check_flag, normalize_dim

# Editors find x.exp() in this base class. At run time there is none: the operations need Tensor, so
# they become its methods once they are loaded (minidl/tensor_methods.py).
if TYPE_CHECKING:
    from minidl.tensor_methods import TensorMethods
else:
    TensorMethods = object


class Tensor(TensorMethods):
    """An n-dimensional array that remembers how it was computed. Make one with minidl.tensor.

    Args:
        data: NumPy or CuPy array, kept without a copy.
        requires_grad: compute a gradient for this tensor in backward.
        grad_fn: the Function that made it, None for a leaf.
        output_index: which of that Function's outputs it is.
    """

    __slots__ = (
        "data", "_requires_grad", "grad", "grad_fn", "output_index", "hooks", "hooks_after",
        "__weakref__",
    )  # fmt: skip
    hooks: dict | None  # of register_hook
    hooks_after: dict | None  # of register_post_accumulate_grad_hook

    def __init__(self, data: Any, requires_grad=False, grad_fn=None, output_index: int = 0):
        self.data = data if isinstance(data, np.ndarray) else held_array(data)
        self._requires_grad = requires_grad
        self.grad: Tensor | None = None
        self.grad_fn = grad_fn
        self.output_index = output_index
        self.hooks = self.hooks_after = None

    # --- what it is -----------------------------------------------------------------------------

    @property
    def shape(self) -> tuple:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def device(self) -> str:
        """ "cpu" or "cuda:0" and so on."""
        return device_of(self.data)

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    def set_requires_grad(self, requires_grad: bool) -> None:
        """Set requires_grad; `x.requires_grad = True` comes here."""
        check_flag("requires_grad", "requires_grad", requires_grad)
        if self.grad_fn is not None and not requires_grad:
            raise GraphError(
                "requires_grad",
                "a computed tensor cannot stop requiring a gradient",
                {"tensor": self},
                "use detach()",
            )
        if requires_grad:
            check_differentiable(self.data)
        self._requires_grad = bool(requires_grad)

    # Reading is on the path of every operation: attrgetter is C, nothing to step through.
    requires_grad = property(attrgetter("_requires_grad"), set_requires_grad)

    def numel(self) -> int:
        """The number of elements."""
        return self.data.size

    def dim(self) -> int:
        return self.data.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one entry of it."""
        if dim is None:
            return self.data.shape
        return self.data.shape[normalize_dim("size", dim, self.data.ndim)]

    def __len__(self) -> int:
        if self.data.ndim == 0:
            raise DtypeError("len", "a 0-d tensor has no length")
        return self.data.shape[0]

    def __repr__(self) -> str:
        array = to_device(self.data, "cpu")
        parts = [np.array2string(array, separator=", ", prefix="tensor(", precision=4)]
        if array.size == 0 and array.ndim > 1:
            parts.append(f"size={array.shape}")
        if self.data.dtype not in (np.float32, np.int64, np.bool_):
            parts.append(f"dtype={self.data.dtype}")
        if self.device != "cpu":
            parts.append(f"device={self.device!r}")
        if self.grad_fn is not None:
            parts.append(f"grad_fn={self.grad_fn}")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        """f"{loss:.3f}" formats the number in a 0-d tensor."""
        return format(self.item(), spec) if self.data.ndim == 0 else format(repr(self), spec)

    __hash__ = object.__hash__  # == compares elements; a dict needs identity

    # --- differentiation ------------------------------------------------------------------------

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set requires_grad on a leaf and return it."""
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same data as a leaf without gradient. Shares memory."""
        return Tensor(self.data)

    def register_hook(self, hook) -> HookHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete in backward.

        The hook gets a Tensor; if it returns one, that replaces the gradient from there on.

        Returns:
            A handle whose remove() takes the hook away.
        """
        if not self.requires_grad:
            raise GraphError("register_hook", "this tensor does not require a gradient")
        if not callable(hook):
            raise DtypeError(
                "register_hook", "a hook is a function of the gradient", {"hook": hook}
            )
        if self.grad_fn is None:
            if self.hooks is None:
                self.hooks = {}
            hooks = self.hooks
        else:
            if self.grad_fn.output_hooks is None:
                self.grad_fn.output_hooks = {}
            hooks = self.grad_fn.output_hooks.setdefault(self.output_index, {})
        return HookHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook) -> HookHandle:
        """Call `hook(tensor)` in backward once this leaf's `.grad` is complete, as PyTorch does.

        Backward is not over by then: the gradients of the layers before are still to come. The hook
        may hand the gradient on, or use it up and set `.grad` to None.

        Returns:
            A handle whose remove() takes the hook away.

        Raises:
            GraphError: the tensor is no leaf, or requires no gradient.
            DtypeError: the hook is no function.

        >>> w = minidl.ones(2, requires_grad=True)
        >>> handle = w.register_post_accumulate_grad_hook(lambda w: print(w.grad))
        >>> (w * 3).sum().backward()
        tensor([3., 3.])
        """
        op = "register_post_accumulate_grad_hook"
        if not self.requires_grad:
            raise GraphError(op, "this tensor does not require a gradient")
        if self.grad_fn is not None:
            rule, hint = "only a leaf keeps its gradient", "register_hook sees that of a result"
            raise GraphError(op, rule, {"tensor": self}, hint)
        if not callable(hook):
            raise DtypeError(op, "a hook is a function of the tensor", {"hook": hook})
        if self.hooks_after is None:
            self.hooks_after = {}
        return HookHandle(self.hooks_after, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of this computed tensor in backward, too (leaves always keep theirs)."""
        if not self.requires_grad:
            raise GraphError("retain_grad", "this tensor does not require a gradient")
        if self.grad_fn is None:
            return
        if self.grad_fn.retained is None:
            self.grad_fn.retained = {}
        self.grad_fn.retained[self.output_index] = weakref.ref(self)

    # --- in and out -----------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The data as a NumPy array: the same memory on the CPU, a copy from the GPU."""
        if self.requires_grad:
            raise GraphError(
                "numpy",
                "changes to the array would be invisible to the recorded graph",
                {"tensor": self},
                "use .detach().numpy()",
            )
        return to_device(self.data, "cpu")

    def item(self) -> Any:
        """The only element as a Python number."""
        if self.data.size != 1:
            raise ShapeError("item", "only a tensor of one element has a value", {"tensor": self})
        return self.data.item()

    def tolist(self) -> Any:
        return self.data.tolist()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError("a conversion of dtype needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **options):
        """Hand the memory to another library (NumPy, PyTorch, CuPy) without a copy."""
        if self.requires_grad:
            raise GraphError(
                "__dlpack__", "a tensor that requires a gradient cannot be exported",
                {"tensor": self}, "export .detach()",
            )  # fmt: skip
        if any(stride < 0 for stride in self.data.strides):  # PyTorch would end the process
            raise ShapeError(
                "__dlpack__", "a tensor that runs backwards in memory cannot be exported",
                {"tensor": self, "strides": self.data.strides}, "export .contiguous()",
            )  # fmt: skip
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ShapeError(
                "bool", "the truth of a tensor with several elements is ambiguous",
                {"tensor": self}, "use .any() or .all()",
            )  # fmt: skip
        return bool(self.data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.data.dtype.kind not in "iub" or self.data.size != 1:
            raise DtypeError("index", "only one integer can stand for an int", {"tensor": self})
        return int(self.data.item())

    def __reduce__(self):
        return rebuild, (to_device(self.data, "cpu"), self.requires_grad)


def held_array(data: Any) -> Any:
    """What a Tensor holds of data that is no NumPy array: of a 0-d result NumPy makes a scalar.

    Raises:
        DtypeError: it is no CuPy array either.
    """
    if isinstance(data, np.generic):
        return np.asarray(data)
    if hasattr(data, "__cuda_array_interface__"):
        return data
    raise DtypeError(
        "Tensor", "holds a NumPy or CuPy array", {"data": type(data).__name__},
        "minidl.tensor(...) makes a Tensor of numbers and lists",
    )  # fmt: skip


class HookHandle:
    """What registering a hook returns; remove() takes the hook away again."""

    def __init__(self, hooks: dict, hook):
        self.hooks = hooks
        self.key = object()
        hooks[self.key] = hook

    def remove(self) -> None:
        self.hooks.pop(self.key, None)


def check_differentiable(array: Any) -> None:
    if array.dtype.kind != "f":
        raise DtypeError(
            "requires_grad",
            "only floating-point tensors have gradients",
            {"dtype": str(array.dtype)},
        )


def rebuild(array: np.ndarray, requires_grad: bool) -> Tensor:
    """Unpickle or deep-copy: the graph is not part of a copy."""
    return Tensor(array, requires_grad)
