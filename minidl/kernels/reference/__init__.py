"""Kernels in NumPy, written to be read: what the operation means, one step after the other."""

from typing import Any


def set_for(op: str, dtype: Any) -> str:
    """The kernel set that computes an operation on arrays of a dtype: this one, whatever it is."""
    return "reference"
