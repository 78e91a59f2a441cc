"""The methods of Tensor: each is one line that names the operation behind it.

`x.exp()` is minidl.ops.exp(x), and so on: to step into an operation, go to minidl/ops; its
docstring explains the arguments. Names, arguments and defaults are PyTorch's. The operators
(+, ==, []) are in minidl/tensor_operators.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import minidl

if TYPE_CHECKING:
    import builtins  # bool and int are methods here

    from minidl.tensor import Tensor


class TensorMethods:
    """Mixed into Tensor."""

    __slots__ = ()

    # --- arithmetic -------------------------------------------------------------------------------

    def add(self, other) -> Tensor:
        """x + other."""
        return minidl.ops.add(self, other)

    def sub(self, other) -> Tensor:
        """x - other."""
        return minidl.ops.sub(self, other)

    def mul(self, other) -> Tensor:
        """x * other."""
        return minidl.ops.mul(self, other)

    def div(self, other) -> Tensor:
        """x / other; integers give float32."""
        return minidl.ops.div(self, other)

    def pow(self, exponent) -> Tensor:
        """x ** exponent."""
        return minidl.ops.pow(self, exponent)

    def neg(self) -> Tensor:
        """-x."""
        return minidl.ops.neg(self)

    def matmul(self, other) -> Tensor:
        """x @ other: the matrix product."""
        return minidl.ops.matmul(self, other)

    def maximum(self, other) -> Tensor:
        """The larger of x and other, element by element."""
        return minidl.ops.maximum(self, other)

    def minimum(self, other) -> Tensor:
        """The smaller of x and other, element by element."""
        return minidl.ops.minimum(self, other)

    # --- in place: minidl/ops/inplace.py says when ------------------------------------------------

    def add_(self, other) -> Tensor:
        """x += other, in place."""
        return minidl.ops.add_(self, other)

    def sub_(self, other) -> Tensor:
        """x -= other, in place."""
        return minidl.ops.sub_(self, other)

    def mul_(self, other) -> Tensor:
        """x *= other, in place."""
        return minidl.ops.mul_(self, other)

    def div_(self, other) -> Tensor:
        """x /= other, in place."""
        return minidl.ops.div_(self, other)

    def copy_(self, other) -> Tensor:
        """Overwrite x with other's values, converted to its dtype."""
        return minidl.ops.copy_(self, other)

    def fill_(self, value) -> Tensor:
        """Overwrite every element with one number."""
        return minidl.ops.fill_(self, value)

    def zero_(self) -> Tensor:
        """Overwrite every element with 0."""
        return minidl.ops.zero_(self)

    # --- element by element -----------------------------------------------------------------------

    def exp(self) -> Tensor:
        """e^x."""
        return minidl.ops.exp(self)

    def expm1(self) -> Tensor:
        """e^x - 1, exact for x near 0."""
        return minidl.ops.expm1(self)

    def log(self) -> Tensor:
        """Natural logarithm; -inf at 0, NaN below."""
        return minidl.ops.log(self)

    def log1p(self) -> Tensor:
        """log(1 + x), exact for x near 0."""
        return minidl.ops.log1p(self)

    def sqrt(self) -> Tensor:
        """Square root; NaN below 0."""
        return minidl.ops.sqrt(self)

    def rsqrt(self) -> Tensor:
        """1 / sqrt(x)."""
        return minidl.ops.rsqrt(self)

    def sin(self) -> Tensor:
        """Sine."""
        return minidl.ops.sin(self)

    def cos(self) -> Tensor:
        """Cosine."""
        return minidl.ops.cos(self)

    def square(self) -> Tensor:
        """x^2."""
        return minidl.ops.square(self)

    def abs(self) -> Tensor:
        """|x|. The gradient at the kink x = 0 is 0."""
        return minidl.ops.abs(self)

    def sign(self) -> Tensor:
        """-1, 0 or 1. The gradient is 0."""
        return minidl.ops.sign(self)

    def floor(self) -> Tensor:
        """The largest whole number <= x. The gradient is 0."""
        return minidl.ops.floor(self)

    def ceil(self) -> Tensor:
        """The smallest whole number >= x. The gradient is 0."""
        return minidl.ops.ceil(self)

    def round(self) -> Tensor:
        """The nearest whole number; halves go to the even one. The gradient is 0."""
        return minidl.ops.round(self)

    def relu(self) -> Tensor:
        """max(x, 0)."""
        return minidl.ops.relu(self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + e^-x)."""
        return minidl.ops.sigmoid(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return minidl.ops.tanh(self)

    def softmax(self, dim) -> Tensor:
        """e^x / sum(e^x) along dim."""
        return minidl.ops.softmax(self, dim)

    def log_softmax(self, dim) -> Tensor:
        """log(softmax(x)) along dim, computed so that nothing overflows."""
        return minidl.ops.log_softmax(self, dim)

    def clamp(self, min=None, max=None) -> Tensor:
        """Move values below min up to it and values above max down to it."""
        return minidl.ops.clamp(self, min, max)

    def clip(self, min=None, max=None) -> Tensor:
        """Another name of clamp."""
        return minidl.ops.clamp(self, min, max)

    def where(self, condition, other) -> Tensor:
        """x where the condition holds, other elsewhere."""
        return minidl.ops.where(condition, self, other)

    def masked_fill(self, mask, value) -> Tensor:
        """x with `value` where the mask holds."""
        return minidl.ops.masked_fill(self, mask, value)

    # --- comparison and logic ---------------------------------------------------------------------

    def eq(self, other) -> Tensor:
        """x == other."""
        return minidl.ops.eq(self, other)

    def ne(self, other) -> Tensor:
        """x != other."""
        return minidl.ops.ne(self, other)

    def lt(self, other) -> Tensor:
        """x < other."""
        return minidl.ops.lt(self, other)

    def le(self, other) -> Tensor:
        """x <= other."""
        return minidl.ops.le(self, other)

    def gt(self, other) -> Tensor:
        """x > other."""
        return minidl.ops.gt(self, other)

    def ge(self, other) -> Tensor:
        """x >= other."""
        return minidl.ops.ge(self, other)

    def isnan(self) -> Tensor:
        """True where x is not a number."""
        return minidl.ops.isnan(self)

    def isinf(self) -> Tensor:
        """True where x is +inf or -inf."""
        return minidl.ops.isinf(self)

    def isfinite(self) -> Tensor:
        """True where x is neither NaN nor infinite."""
        return minidl.ops.isfinite(self)

    def logical_not(self) -> Tensor:
        """True where x is zero or False."""
        return minidl.ops.logical_not(self)

    def logical_and(self, other) -> Tensor:
        """True where both are non-zero."""
        return minidl.ops.logical_and(self, other)

    def logical_or(self, other) -> Tensor:
        """True where one or both are non-zero."""
        return minidl.ops.logical_or(self, other)

    def logical_xor(self, other) -> Tensor:
        """True where exactly one is non-zero."""
        return minidl.ops.logical_xor(self, other)

    def equal(self, other) -> builtins.bool:
        """Whether both have the same shape and the same elements."""
        return minidl.ops.equal(self, other)

    def allclose(self, other, rtol=1e-5, atol=1e-8, equal_nan=False) -> builtins.bool:
        """Whether |x - other| <= atol + rtol |other| everywhere."""
        return minidl.ops.allclose(self, other, rtol, atol, equal_nan)

    # --- reductions -------------------------------------------------------------------------------

    def sum(self, dim=None, keepdim=False) -> Tensor:
        """The sum; integers and bools add up as int64."""
        return minidl.ops.sum(self, dim, keepdim)

    def mean(self, dim=None, keepdim=False) -> Tensor:
        """The arithmetic mean."""
        return minidl.ops.mean(self, dim, keepdim)

    def prod(self, dim=None, keepdim=False) -> Tensor:
        """The product; integers and bools multiply as int64."""
        return minidl.ops.prod(self, dim, keepdim)

    def max(self, dim=None, keepdim=False) -> Any:
        """The largest element; along a dimension also where it is: (values, indices)."""
        return minidl.ops.max(self, dim, keepdim)

    def min(self, dim=None, keepdim=False) -> Any:
        """The smallest element; along a dimension also where it is: (values, indices)."""
        return minidl.ops.min(self, dim, keepdim)

    def amax(self, dim=None, keepdim=False) -> Tensor:
        """The largest elements over one or more dimensions, without indices."""
        return minidl.ops.amax(self, dim, keepdim)

    def amin(self, dim=None, keepdim=False) -> Tensor:
        """The smallest elements over one or more dimensions, without indices."""
        return minidl.ops.amin(self, dim, keepdim)

    def argmax(self, dim=None, keepdim=False) -> Tensor:
        """Where the largest element is; the first of several."""
        return minidl.ops.argmax(self, dim, keepdim)

    def argmin(self, dim=None, keepdim=False) -> Tensor:
        """Where the smallest element is; the first of several."""
        return minidl.ops.argmin(self, dim, keepdim)

    def any(self, dim=None, keepdim=False) -> Tensor:
        """Whether an element is True (non-zero)."""
        return minidl.ops.any(self, dim, keepdim)

    def all(self, dim=None, keepdim=False) -> Tensor:
        """Whether every element is True (non-zero)."""
        return minidl.ops.all(self, dim, keepdim)

    def var(self, dim=None, unbiased=True, keepdim=False, *, correction=None) -> Tensor:
        """The variance, sum (x - mean)^2 / (n - correction)."""
        return minidl.ops.var(self, dim, unbiased, keepdim, correction=correction)

    def std(self, dim=None, unbiased=True, keepdim=False, *, correction=None) -> Tensor:
        """The standard deviation, the square root of the variance."""
        return minidl.ops.std(self, dim, unbiased, keepdim, correction=correction)

    def logsumexp(self, dim, keepdim=False) -> Tensor:
        """log(sum(exp(x))), computed so that no exponential overflows."""
        return minidl.ops.logsumexp(self, dim, keepdim)

    def norm(self, p=2, dim=None, keepdim=False) -> Tensor:
        """The p-norm, (sum |x|^p)^(1/p); p = inf is the largest magnitude."""
        return minidl.ops.norm(self, p, dim, keepdim)

    def cumsum(self, dim) -> Tensor:
        """Running sums along one dimension."""
        return minidl.ops.cumsum(self, dim)

    # --- shape ------------------------------------------------------------------------------------

    def reshape(self, *shape) -> Tensor:
        """The elements in row-major order in another shape; -1 is worked out."""
        return minidl.ops.reshape(self, *shape)

    def view(self, *shape) -> Tensor:
        """Another name of reshape."""
        return minidl.ops.reshape(self, *shape)

    def flatten(self, start_dim=0, end_dim=-1) -> Tensor:
        """Merge the dimensions from start_dim to end_dim into one."""
        return minidl.ops.flatten(self, start_dim, end_dim)

    def squeeze(self, dim=None) -> Tensor:
        """Drop dimensions of size 1."""
        return minidl.ops.squeeze(self, dim)

    def unsqueeze(self, dim) -> Tensor:
        """Insert a dimension of size 1."""
        return minidl.ops.unsqueeze(self, dim)

    def permute(self, *dims) -> Tensor:
        """Put the dimensions into another order, without moving memory."""
        return minidl.ops.permute(self, *dims)

    def transpose(self, dim0, dim1) -> Tensor:
        """Exchange two dimensions, without moving memory."""
        return minidl.ops.transpose(self, dim0, dim1)

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix."""
        return minidl.ops.transpose_matrix(self)

    def t(self) -> Tensor:
        """The transpose of a matrix, as x.T."""
        return minidl.ops.transpose_matrix(self)

    def expand(self, *sizes) -> Tensor:
        """Stretch dimensions of size 1 without copying; new dimensions may come in front."""
        return minidl.ops.expand(self, *sizes)

    def expand_as(self, other) -> Tensor:
        """expand() to the shape of another tensor."""
        return minidl.ops.expand(self, other.shape)

    def broadcast_to(self, shape) -> Tensor:
        """expand() with the new shape as one tuple."""
        return minidl.ops.broadcast_to(self, shape)

    def repeat(self, *repeats) -> Tensor:
        """Copies side by side along each dimension; new dimensions may come in front."""
        return minidl.ops.repeat(self, *repeats)

    def tile(self, *dims) -> Tensor:
        """repeat(), with missing numbers in front taken as 1."""
        return minidl.ops.tile(self, *dims)

    def flip(self, *dims) -> Tensor:
        """Reverse the order along dimensions."""
        return minidl.ops.flip(self, *dims)

    def roll(self, shifts, dims=None) -> Tensor:
        """Move elements along dimensions; those that leave at the end enter at the start."""
        return minidl.ops.roll(self, shifts, dims)

    def contiguous(self) -> Tensor:
        """The same elements in row-major memory."""
        return minidl.ops.contiguous(self)

    # --- parts ------------------------------------------------------------------------------------

    def split(self, split_size, dim=0) -> tuple[Tensor, ...]:
        """Cut into parts along a dimension: of one size, or of the sizes in a list."""
        return minidl.ops.split(self, split_size, dim)

    def chunk(self, chunks, dim=0) -> tuple[Tensor, ...]:
        """Cut into a number of equal parts; the last may be smaller, or missing."""
        return minidl.ops.chunk(self, chunks, dim)

    def unbind(self, dim=0) -> tuple[Tensor, ...]:
        """The slices along a dimension, without that dimension."""
        return minidl.ops.unbind(self, dim)

    def index_select(self, dim, index) -> Tensor:
        """The slices of a dimension that a 1-d tensor of indices names, in its order."""
        return minidl.ops.index_select(self, dim, index)

    def gather(self, dim, index) -> Tensor:
        """Take one element along dim for each entry of index."""
        return minidl.ops.gather(self, dim, index)

    # --- copies and conversions -------------------------------------------------------------------

    def clone(self) -> Tensor:
        """A copy in memory of its own, through which the gradient passes."""
        return minidl.ops.clone(self)

    def to(self, *targets, dtype=None, device=None) -> Tensor:
        """Convert to an element type, a device, both, or those of another tensor."""
        return minidl.ops.to(self, *targets, dtype=dtype, device=device)

    def cpu(self) -> Tensor:
        """This tensor in main memory."""
        return minidl.ops.to(self, "cpu")

    def cuda(self) -> Tensor:
        """This tensor on the GPU."""
        return minidl.ops.to(self, "cuda")

    def float(self) -> Tensor:
        """Convert to float32."""
        return minidl.ops.to(self, "float32")

    def double(self) -> Tensor:
        """Convert to float64."""
        return minidl.ops.to(self, "float64")

    def half(self) -> Tensor:
        """Convert to float16."""
        return minidl.ops.to(self, "float16")

    def long(self) -> Tensor:
        """Convert to int64."""
        return minidl.ops.to(self, "int64")

    def int(self) -> Tensor:
        """Convert to int32."""
        return minidl.ops.to(self, "int32")

    def bool(self) -> Tensor:
        """Convert to bool: True where non-zero."""
        return minidl.ops.to(self, "bool")

    def type_as(self, other) -> Tensor:
        """Convert to the dtype of another tensor."""
        return minidl.ops.to(self, other.dtype)
