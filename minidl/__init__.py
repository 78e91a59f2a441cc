"""minidl: a deep-learning library written to be read, stepped through and measured.

Where to start reading: tensor.py, function.py and backward.py are the engine; ops/conv2d.py is an
operation with its mathematics; kernels/reference/conv2d.py its arithmetic.

Importing needs only NumPy. Numba and CuPy load when a kernel first needs them.
"""

from minidl import data, debug, errors, kernels, nn, ops, random
from minidl.creation import (
    arange,
    empty,
    empty_like,
    from_dlpack,
    from_numpy,
    full,
    ones,
    ones_like,
    rand,
    randn,
    tensor,
    zeros,
    zeros_like,
)
from minidl.errors import MinidlError
from minidl.function import Function, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minidl.kernels import cpu_kernels, use_cpu_kernels
from minidl.random import manual_seed
from minidl.tensor import Tensor

__version__ = "0.1.0"

__all__ = [
    "Function", "MinidlError", "Tensor", "arange", "cpu_kernels", "data", "debug", "empty",
    "empty_like", "enable_grad", "errors", "from_dlpack", "from_numpy", "full", "is_grad_enabled",
    "kernels", "manual_seed", "nn", "no_grad", "ones", "ones_like", "ops", "rand", "randn",
    "random", "set_grad_enabled", "tensor", "use_cpu_kernels", "zeros", "zeros_like",
]  # fmt: skip
