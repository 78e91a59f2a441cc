"""The operations, one subject a file: mathematics, Function (forward and backward), checks.

Listed here are those of tensors: what minidl.X and x.X stand for. Those that only layers need,
such as conv2d, are listed in minidl/nn/functional.py alone.
"""

from minidl.ops.arithmetic import add, div, mul, neg, pow, sub
from minidl.ops.broadcasting import is_operand
from minidl.ops.casting import clone, to
from minidl.ops.comparison import (
    all,
    allclose,
    any,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    equal,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
)
from minidl.ops.elementary import (
    abs,
    ceil,
    cos,
    exp,
    expm1,
    floor,
    log,
    log1p,
    round,
    rsqrt,
    sign,
    sin,
    sqrt,
    square,
)
from minidl.ops.extremes import maximum, minimum
from minidl.ops.flip import flip, roll
from minidl.ops.indexing import gather, getitem, index_select, setitem
from minidl.ops.inplace import add_, copy_, div_, fill_, mul_, sub_, zero_
from minidl.ops.joining import cat, chunk, split, stack, unbind
from minidl.ops.lstm import lstm
from minidl.ops.matmul import matmul
from minidl.ops.norm import norm
from minidl.ops.reductions import cumsum, logsumexp, mean, prod, sum
from minidl.ops.relu import relu
from minidl.ops.remainder import floor_divide, remainder
from minidl.ops.repetition import broadcast_to, expand, repeat, tile
from minidl.ops.selection import amax, amin, argmax, argmin, max, min
from minidl.ops.shape import (
    contiguous,
    flatten,
    permute,
    reshape,
    squeeze,
    transpose,
    transpose_matrix,
    unsqueeze,
)
from minidl.ops.sigmoid import sigmoid
from minidl.ops.softmax import log_softmax, softmax
from minidl.ops.tanh import tanh
from minidl.ops.variance import std, var
from minidl.ops.where import clamp, masked_fill, where
