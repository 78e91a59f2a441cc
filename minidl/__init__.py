"""minidl: a deep-learning library written to be read, stepped through and measured.

Where to start reading: tensor.py, function.py and backward.py are the engine; tensor_methods.py
says which operation each method of Tensor is; ops/conv2d.py is an operation with its mathematics;
kernels/reference/conv2d.py its arithmetic.

Importing needs only NumPy. Numba and CuPy load when a kernel first needs them, and the parts
named in LOADED_WHEN_USED when they are first named.
"""

import importlib
from typing import TYPE_CHECKING, Any

from minidl import errors, kernels, nn, ops, optim, random
from minidl.creation import (
    arange,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minidl.dtypes import float16, float32, float64, int32, int64, uint8
from minidl.errors import MinidlError
from minidl.function import Function, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minidl.kernels import cpu_kernels, use_cpu_kernels
from minidl.kernels.memory import empty_cache
from minidl.kernels.settings import use_exact_conv
from minidl.kernels.threads import get_num_threads, set_num_threads
from minidl.ops import (
    abs,
    add,
    all,
    allclose,
    amax,
    amin,
    any,
    argmax,
    argmin,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    broadcast_to,
    cat,
    ceil,
    chunk,
    clamp,
    clone,
    cos,
    cumsum,
    div,
    eq,
    equal,
    exp,
    expm1,
    flatten,
    flip,
    floor,
    floor_divide,
    gather,
    ge,
    gt,
    index_select,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logsumexp,
    lt,
    masked_fill,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mul,
    ne,
    neg,
    norm,
    permute,
    pow,
    prod,
    relu,
    remainder,
    reshape,
    roll,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    softmax,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    sub,
    sum,
    tanh,
    tile,
    transpose,
    unbind,
    unsqueeze,
    var,
    where,
)
from minidl.ops import clamp as clip
from minidl.random import manual_seed
from minidl.tensor import Tensor
from minidl.tensor_methods import attach_methods
from minidl.training.evaluate import evaluate
from minidl.training.fit import fit
from minidl.version import __version__ as __version__

attach_methods()

if TYPE_CHECKING:
    from minidl import callbacks, data, debug, io, metrics

LOADED_WHEN_USED = ("callbacks", "data", "debug", "io", "metrics")  # modules of this package


def __getattr__(name: str) -> Any:
    """Python asks this for a name that the module does not have (PEP 562)."""
    if name in LOADED_WHEN_USED:
        return importlib.import_module(f"minidl.{name}")
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *LOADED_WHEN_USED})


__all__ = [
    "Function", "MinidlError", "Tensor", "abs", "add", "all", "allclose", "amax", "amin", "any",
    "arange", "argmax", "argmin", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor",
    "broadcast_to", "callbacks", "cat", "ceil", "chunk", "clamp", "clip", "clone", "cos",
    "cpu_kernels", "cumsum", "data", "debug", "div", "empty", "empty_cache",
    "empty_like", "enable_grad", "eq", "equal", "errors", "evaluate", "exp", "expm1", "eye",
    "fit", "flatten", "flip", "float16",
    "float32", "float64", "floor", "floor_divide", "from_dlpack", "from_numpy", "full",
    "full_like", "gather", "ge", "get_num_threads", "gt", "index_select", "int32", "int64", "io",
    "is_grad_enabled", "isfinite", "isinf", "isnan", "kernels", "le", "linspace", "log",
    "log1p", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "lt",
    "manual_seed", "masked_fill", "matmul", "max", "maximum", "mean", "metrics", "min", "minimum",
    "mul", "ne", "neg", "nn", "no_grad", "norm", "ones", "ones_like", "ops", "optim", "permute",
    "pow", "prod", "rand", "randint", "randn", "random", "randperm", "relu", "remainder", "reshape",
    "roll", "round", "rsqrt", "set_grad_enabled", "set_num_threads", "sigmoid", "sign", "sin",
    "softmax", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "tanh",
    "tensor", "tile", "transpose", "uint8", "unbind", "unsqueeze", "use_cpu_kernels",
    "use_exact_conv", "var", "where", "zeros", "zeros_like",
]  # fmt: skip
