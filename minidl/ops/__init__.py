"""The operations, one subject a file: mathematics, Function (forward and backward), checks."""

from minidl.ops.adaptive_avg_pool2d import adaptive_avg_pool2d
from minidl.ops.arithmetic import add, div, mul, neg, pow, sub
from minidl.ops.avg_pool2d import avg_pool2d
from minidl.ops.batch_norm import batch_norm
from minidl.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
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
from minidl.ops.conv2d import conv2d
from minidl.ops.conv_transpose2d import conv_transpose2d
from minidl.ops.cosine_similarity import cosine_similarity
from minidl.ops.cross_entropy import cross_entropy
from minidl.ops.dropout import dropout, dropout2d
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
from minidl.ops.embedding import embedding
from minidl.ops.extremes import maximum, minimum
from minidl.ops.flip import flip, roll
from minidl.ops.hinge_embedding_loss import hinge_embedding_loss
from minidl.ops.indexing import gather, getitem, index_select, setitem
from minidl.ops.inplace import add_, copy_, div_, fill_, mul_, sub_, zero_
from minidl.ops.instance_norm import instance_norm
from minidl.ops.interpolate import interpolate
from minidl.ops.joining import cat, chunk, split, stack, unbind
from minidl.ops.l1_loss import l1_loss
from minidl.ops.leaky_relu import leaky_relu
from minidl.ops.linear import linear
from minidl.ops.lrn import local_response_norm
from minidl.ops.lstm import lstm
from minidl.ops.matmul import matmul
from minidl.ops.max_pool2d import max_pool2d
from minidl.ops.mse_loss import mse_loss
from minidl.ops.multi_margin_loss import multi_margin_loss
from minidl.ops.nll_loss import nll_loss
from minidl.ops.norm import norm
from minidl.ops.normalize import normalize
from minidl.ops.pad import pad
from minidl.ops.pairwise_distance import cdist, pairwise_distance
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
from minidl.ops.softplus import softplus
from minidl.ops.tanh import tanh
from minidl.ops.unfold import unfold
from minidl.ops.variance import std, var
from minidl.ops.where import clamp, masked_fill, where

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "add_", "all", "allclose", "amax", "amin", "any", "argmax",
    "argmin", "avg_pool2d", "batch_norm", "binary_cross_entropy_with_logits", "bitwise_and",
    "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast_to", "cat", "cdist", "ceil", "chunk",
    "clamp", "clone", "contiguous", "conv2d", "conv_transpose2d", "copy_", "cos",
    "cosine_similarity", "cross_entropy", "cumsum", "div", "div_", "dropout", "dropout2d",
    "embedding", "eq", "equal", "exp", "expand", "expm1", "fill_", "flatten", "flip", "floor",
    "floor_divide", "gather", "ge", "getitem", "gt", "hinge_embedding_loss", "index_select",
    "instance_norm", "interpolate", "is_operand", "isfinite", "isinf", "isnan", "l1_loss", "le",
    "leaky_relu", "linear", "local_response_norm", "log", "log1p", "log_softmax", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logsumexp", "lstm", "lt", "masked_fill", "matmul",
    "max", "max_pool2d", "maximum", "mean", "min", "minimum", "mse_loss", "mul", "mul_",
    "multi_margin_loss", "ne", "neg", "nll_loss", "norm", "normalize", "pad", "pairwise_distance",
    "permute", "pow", "prod", "relu", "remainder", "repeat", "reshape", "roll", "round", "rsqrt",
    "setitem", "sigmoid", "sign", "sin", "softmax", "softplus", "split", "sqrt", "square",
    "squeeze", "stack", "std", "sub", "sub_", "sum", "tanh", "tile", "to", "transpose",
    "transpose_matrix", "unbind", "unfold", "unsqueeze", "var", "where", "zero_",
]  # fmt: skip
