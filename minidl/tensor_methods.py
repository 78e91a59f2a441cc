"""The methods of Tensor: each is one line that names the operation behind it.

`x.exp()` is minidl.ops.exp(x), and so on: to step into an operation, go to minidl/ops; its
docstring explains the arguments. Names, arguments and defaults are PyTorch's. The operators
(+, ==, []) are in minidl/tensor_operators.py.
"""

from __future__ import annotations

import minidl


class TensorMethods:
    """Mixed into Tensor."""

    __slots__ = ()

    # --- arithmetic -------------------------------------------------------------------------------

    def add(self, other):
        return minidl.ops.add(self, other)

    def sub(self, other):
        return minidl.ops.sub(self, other)

    def mul(self, other):
        return minidl.ops.mul(self, other)

    def div(self, other):
        return minidl.ops.div(self, other)

    def pow(self, exponent):
        return minidl.ops.pow(self, exponent)

    def neg(self):
        return minidl.ops.neg(self)

    def matmul(self, other):
        return minidl.ops.matmul(self, other)

    def maximum(self, other):
        return minidl.ops.maximum(self, other)

    def minimum(self, other):
        return minidl.ops.minimum(self, other)

    # --- in place: minidl/ops/inplace.py says when ------------------------------------------------

    def add_(self, other):
        return minidl.ops.add_(self, other)

    def sub_(self, other):
        return minidl.ops.sub_(self, other)

    def mul_(self, other):
        return minidl.ops.mul_(self, other)

    def div_(self, other):
        return minidl.ops.div_(self, other)

    def copy_(self, other):
        return minidl.ops.copy_(self, other)

    def fill_(self, value):
        return minidl.ops.fill_(self, value)

    def zero_(self):
        return minidl.ops.zero_(self)

    # --- element by element -----------------------------------------------------------------------

    def exp(self):
        return minidl.ops.exp(self)

    def expm1(self):
        return minidl.ops.expm1(self)

    def log(self):
        return minidl.ops.log(self)

    def log1p(self):
        return minidl.ops.log1p(self)

    def sqrt(self):
        return minidl.ops.sqrt(self)

    def rsqrt(self):
        return minidl.ops.rsqrt(self)

    def sin(self):
        return minidl.ops.sin(self)

    def cos(self):
        return minidl.ops.cos(self)

    def square(self):
        return minidl.ops.square(self)

    def abs(self):
        return minidl.ops.abs(self)

    def sign(self):
        return minidl.ops.sign(self)

    def floor(self):
        return minidl.ops.floor(self)

    def ceil(self):
        return minidl.ops.ceil(self)

    def round(self):
        return minidl.ops.round(self)

    def relu(self):
        return minidl.ops.relu(self)

    def sigmoid(self):
        return minidl.ops.sigmoid(self)

    def tanh(self):
        return minidl.ops.tanh(self)

    def softmax(self, dim):
        return minidl.ops.softmax(self, dim)

    def log_softmax(self, dim):
        return minidl.ops.log_softmax(self, dim)

    def clamp(self, min=None, max=None):
        return minidl.ops.clamp(self, min, max)

    def clip(self, min=None, max=None):
        return minidl.ops.clamp(self, min, max)

    def where(self, condition, other):
        return minidl.ops.where(condition, self, other)

    def masked_fill(self, mask, value):
        return minidl.ops.masked_fill(self, mask, value)

    # --- comparison and logic ---------------------------------------------------------------------

    def eq(self, other):
        return minidl.ops.eq(self, other)

    def ne(self, other):
        return minidl.ops.ne(self, other)

    def lt(self, other):
        return minidl.ops.lt(self, other)

    def le(self, other):
        return minidl.ops.le(self, other)

    def gt(self, other):
        return minidl.ops.gt(self, other)

    def ge(self, other):
        return minidl.ops.ge(self, other)

    def isnan(self):
        return minidl.ops.isnan(self)

    def isinf(self):
        return minidl.ops.isinf(self)

    def isfinite(self):
        return minidl.ops.isfinite(self)

    def logical_not(self):
        return minidl.ops.logical_not(self)

    def logical_and(self, other):
        return minidl.ops.logical_and(self, other)

    def logical_or(self, other):
        return minidl.ops.logical_or(self, other)

    def logical_xor(self, other):
        return minidl.ops.logical_xor(self, other)

    def equal(self, other):
        return minidl.ops.equal(self, other)

    def allclose(self, other, rtol=1e-5, atol=1e-8, equal_nan=False):
        return minidl.ops.allclose(self, other, rtol, atol, equal_nan)

    # --- reductions -------------------------------------------------------------------------------

    def sum(self, dim=None, keepdim=False):
        return minidl.ops.sum(self, dim, keepdim)

    def mean(self, dim=None, keepdim=False):
        return minidl.ops.mean(self, dim, keepdim)

    def prod(self, dim=None, keepdim=False):
        return minidl.ops.prod(self, dim, keepdim)

    def max(self, dim=None, keepdim=False):
        return minidl.ops.max(self, dim, keepdim)

    def min(self, dim=None, keepdim=False):
        return minidl.ops.min(self, dim, keepdim)

    def amax(self, dim=None, keepdim=False):
        return minidl.ops.amax(self, dim, keepdim)

    def amin(self, dim=None, keepdim=False):
        return minidl.ops.amin(self, dim, keepdim)

    def argmax(self, dim=None, keepdim=False):
        return minidl.ops.argmax(self, dim, keepdim)

    def argmin(self, dim=None, keepdim=False):
        return minidl.ops.argmin(self, dim, keepdim)

    def any(self, dim=None, keepdim=False):
        return minidl.ops.any(self, dim, keepdim)

    def all(self, dim=None, keepdim=False):
        return minidl.ops.all(self, dim, keepdim)

    def var(self, dim=None, unbiased=True, keepdim=False, *, correction=None):
        return minidl.ops.var(self, dim, unbiased, keepdim, correction=correction)

    def std(self, dim=None, unbiased=True, keepdim=False, *, correction=None):
        return minidl.ops.std(self, dim, unbiased, keepdim, correction=correction)

    def logsumexp(self, dim, keepdim=False):
        return minidl.ops.logsumexp(self, dim, keepdim)

    def norm(self, p=2, dim=None, keepdim=False):
        return minidl.ops.norm(self, p, dim, keepdim)

    def cumsum(self, dim):
        return minidl.ops.cumsum(self, dim)

    # --- shape ------------------------------------------------------------------------------------

    def reshape(self, *shape):
        return minidl.ops.reshape(self, *shape)

    def view(self, *shape):
        return minidl.ops.reshape(self, *shape)

    def flatten(self, start_dim=0, end_dim=-1):
        return minidl.ops.flatten(self, start_dim, end_dim)

    def squeeze(self, dim=None):
        return minidl.ops.squeeze(self, dim)

    def unsqueeze(self, dim):
        return minidl.ops.unsqueeze(self, dim)

    def permute(self, *dims):
        return minidl.ops.permute(self, *dims)

    def transpose(self, dim0, dim1):
        return minidl.ops.transpose(self, dim0, dim1)

    @property
    def T(self):
        return minidl.ops.transpose_matrix(self)

    def t(self):
        return minidl.ops.transpose_matrix(self)

    def expand(self, *sizes):
        return minidl.ops.expand(self, *sizes)

    def expand_as(self, other):
        return minidl.ops.expand(self, other.shape)

    def broadcast_to(self, shape):
        return minidl.ops.broadcast_to(self, shape)

    def repeat(self, *repeats):
        return minidl.ops.repeat(self, *repeats)

    def tile(self, *dims):
        return minidl.ops.tile(self, *dims)

    def flip(self, *dims):
        return minidl.ops.flip(self, *dims)

    def roll(self, shifts, dims=None):
        return minidl.ops.roll(self, shifts, dims)

    def contiguous(self):
        return minidl.ops.contiguous(self)

    # --- parts ------------------------------------------------------------------------------------

    def split(self, split_size, dim=0):
        return minidl.ops.split(self, split_size, dim)

    def chunk(self, chunks, dim=0):
        return minidl.ops.chunk(self, chunks, dim)

    def unbind(self, dim=0):
        return minidl.ops.unbind(self, dim)

    def index_select(self, dim, index):
        return minidl.ops.index_select(self, dim, index)

    def gather(self, dim, index):
        return minidl.ops.gather(self, dim, index)

    # --- copies and conversions -------------------------------------------------------------------

    def clone(self):
        return minidl.ops.clone(self)

    def to(self, *targets, dtype=None, device=None):
        return minidl.ops.to(self, *targets, dtype=dtype, device=device)

    def cpu(self):
        return minidl.ops.to(self, "cpu")

    def cuda(self):
        return minidl.ops.to(self, "cuda")

    def float(self):
        return minidl.ops.to(self, "float32")

    def double(self):
        return minidl.ops.to(self, "float64")

    def half(self):
        return minidl.ops.to(self, "float16")

    def long(self):
        return minidl.ops.to(self, "int64")

    def int(self):
        return minidl.ops.to(self, "int32")

    def bool(self):
        return minidl.ops.to(self, "bool")

    def type_as(self, other):
        return minidl.ops.to(self, other.dtype)
