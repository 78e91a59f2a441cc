"""Checks of the tensors that an operation or a layer is given, and of what should be in order.

Those of sizes and dimensions are in minidl/shapes.py, which knows no Tensor.
"""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Sequence, Set
from typing import Any

from minidl.errors import ArgumentError, DeviceError, DtypeError, ShapeError
from minidl.tensor import Tensor

# Arguments that are never None.
REQUIRED = {"input", "other", "target", "index", "mask", "condition"}


def check_tensor(op: str, **arguments: Any) -> None:
    """Each argument is a Tensor: a forgotten minidl.tensor(...) says so.

    None is accepted where it can stand for a missing tensor (bias, h0), not for an input.
    """
    for name, value in arguments.items():
        if isinstance(value, Tensor) or (value is None and name not in REQUIRED):
            continue
        raise DtypeError(
            op,
            f"{name} must be a Tensor",
            {name: type(value).__name__},
            f"wrap it: minidl.tensor({name})" if value is not None else "",
        )


def check_floating(op: str, **tensors: Any) -> None:
    """All are Tensors (or None, as in check_tensor), floating point, of one dtype and device.

    Raises:
        DtypeError, DeviceError
    """
    try:
        kinds = [(t.data.dtype, type(t.data)) for t in tensors.values() if t is not None]
    except AttributeError:
        check_tensor(op, **tensors)
        raise
    if len(set(kinds)) == 1 and kinds[0][0].kind == "f" and tensors.get("input", 0) is not None:
        return  # the usual case; what follows finds out what is wrong
    check_tensor(op, **tensors)
    if not kinds:
        return
    if any(dtype.kind != "f" for dtype, _ in kinds):
        raise DtypeError(
            op, "expects floating-point tensors", with_dtypes(tensors),
            'convert with x.to("float32")',
        )  # fmt: skip
    if any(dtype != kinds[0][0] for dtype, _ in kinds):
        raise DtypeError(op, "expects tensors of one dtype", with_dtypes(tensors))
    raise DeviceError(
        op,
        "expects tensors on one device",
        {name: t.device for name, t in tensors.items() if t is not None},
        'move with x.to("cuda")',
    )


def with_dtypes(tensors: dict[str, Any]) -> dict[str, str]:
    """For the `received` part of an error: shape and dtype of each tensor."""
    return {name: f"{tuple(t.shape)} {t.dtype}" for name, t in tensors.items() if t is not None}


def check_ndim(op: str, name: str, x: Any, ndim: int, dims: str) -> None:
    """x has `ndim` dimensions; `dims` says which, for example "(N, C, H, W)"."""
    if x is None:
        raise DtypeError(op, f"{name} must be a Tensor", {name: "NoneType"})
    if x.data.ndim != ndim:
        raise ShapeError(op, f"{name} has {ndim} dimensions {dims}", {name: x})


def check_ordered(op: str, name: str, values: Any, hint: str = "pass a list") -> None:
    """values, of which each has its place, are no set: it has another order in each run.

    What belongs to the first would belong to another one after a resume. Views of a dict are in
    the order in which it was filled, and pass.

    Raises:
        ArgumentError
    """
    if isinstance(values, Set) and not isinstance(values, Sequence | KeysView | ItemsView):
        raise ArgumentError(
            op, f"{name} have an order, and a set has none", {name: type(values).__name__}, hint
        )
