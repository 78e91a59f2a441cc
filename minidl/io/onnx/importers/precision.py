"""float16 for operators whose kernels compute in float32 and float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.io.onnx.node import Node
from minidl.tensor import Tensor


def in_float32(function: Callable) -> Callable:
    """The function for float16, too: computed in float32, the results rounded to float16."""

    def computed(node: Node, *inputs: Tensor | None) -> Any:
        if inputs[0].dtype != np.float16:
            return function(node, *inputs)
        y = function(node, *(with_dtype(x, np.float16, np.float32) for x in inputs))
        if isinstance(y, tuple):
            return tuple(with_dtype(part, np.float32, np.float16) for part in y)
        return with_dtype(y, np.float32, np.float16)

    return computed


def with_dtype(x: Tensor | None, old: Any, new: Any) -> Tensor | None:
    """x converted, if it has the old type."""
    return x.to(new) if x is not None and x.dtype == old else x
