"""Loading values into named tensors: what Module.load_state_dict checks and does.

Nothing here knows modules: their tensors come as a dict of dotted names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minidl.device import to_device
from minidl.dtypes import check_fits
from minidl.errors import ArgumentError, CheckpointError, DtypeError
from minidl.tensor import Tensor

NAMES_SHOWN = 5  # of each list in an error


class IncompatibleKeys(NamedTuple):
    """What load_state_dict did not load."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_values(own: dict[str, Tensor], values: Any, strict: bool) -> IncompatibleKeys:
    """Copy `values` into the tensors of the same names in `own`; see Module.load_state_dict.

    Everything is checked before the first value is written.
    """
    if not isinstance(values, Mapping):
        raise DtypeError(
            "load_state_dict", "expects a dict name -> Tensor", {"received": type(values).__name__}
        )
    missing = [name for name in own if name not in values]
    unexpected = [name for name in values if name not in own]
    arrays = {name: as_numbers(name, values[name]) for name in own if name in values}
    check_shapes(own, arrays)
    if strict and (missing or unexpected):
        lacks = counted(len(missing), "name is", "names are")
        raise CheckpointError(
            "load_state_dict",
            f"{lacks} missing and {len(unexpected)} unexpected",
            {"missing": shorten(missing), "unexpected": shorten(unexpected)},
            "strict=False loads the names that match",
        )
    check_numbers(own, arrays)
    for name, array in arrays.items():
        data = own[name].data
        data[...] = to_device(array, own[name].device)  # in place: keeps dtype and memory layout
    return IncompatibleKeys(missing, unexpected)


def as_numbers(name: str, value: Any) -> Any:
    """The array behind a Tensor, a NumPy array or another library's tensor."""
    try:
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
    except ValueError:  # a ragged list
        array = np.empty((), object)
    except (TypeError, RuntimeError) as error:  # of PyTorch: bfloat16, a parameter not detached
        raise CheckpointError(
            "load_state_dict", f"{name} cannot be read: {str(error).splitlines()[0]}",
            {name: type(value).__name__},
        ) from None  # fmt: skip
    if array.dtype.kind not in "biuf":
        raise CheckpointError(
            "load_state_dict", f"{name} is no array of numbers", {name: type(value).__name__}
        )
    return array


def check_shapes(own: dict[str, Tensor], arrays: dict[str, Any]) -> None:
    wrong = {
        name: f"expects {own[name].shape}, received {array.shape}"
        for name, array in arrays.items()
        if array.shape != own[name].shape
    }
    if wrong:
        first = dict(list(wrong.items())[:NAMES_SHOWN])
        raise CheckpointError(
            "load_state_dict",
            f"the shapes differ in {counted(len(wrong), 'tensor', 'tensors')}",
            {name: Plain(text) for name, text in first.items()},
            "was the model built with the same arguments?",
        )


def check_numbers(own: dict[str, Tensor], arrays: dict[str, Any]) -> None:
    """Integers, such as the counter of batch norm, take no NaN and nothing out of their range."""
    for name, array in arrays.items():
        try:
            check_fits("load_state_dict", array, own[name].data.dtype)
        except ArgumentError as error:
            raise CheckpointError(
                "load_state_dict", f"{name}: {error.rule}", {name: array}
            ) from None


def counted(count: int, one: str, more: str) -> str:
    """A number and what it counts, in the singular or the plural: "1 name is", "2 names are"."""
    return f"{count} {one if count == 1 else more}"


def shorten(names: list[str]) -> Any:
    """A list of names as an error shows it: the first few and how many more there are."""
    if len(names) <= NAMES_SHOWN:
        return names
    shown = ", ".join(repr(name) for name in names[:NAMES_SHOWN])
    return Plain(f"[{shown}, and {len(names) - NAMES_SHOWN} more]")


class Plain(str):
    """Text that an error prints without quotes."""

    __repr__ = str.__str__
