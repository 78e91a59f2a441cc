"""The likeliest classes of a linear layer: what a search for words asks for at each step.

    score[v]  =  b[v] + sum_i x[i] w[v, i]
    log p(v)  =  score[v] - log_sum          log_sum  =  log sum_u e^(score[u])
    the k largest of log p(v), over all v that are not banned

One operation, as the scores of ten thousand words are many to write down and to read again where
three of them are wanted. There is no gradient: the result is a choice.
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_ndim, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.linear import check_arguments
from minidl.shapes import is_int
from minidl.tensor import Tensor


def likeliest(
    input: Tensor, weight: Tensor, bias: Tensor, k: int, banned: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The k likeliest classes of each row, the logarithms of their probabilities, and of the sum.

    log p(v) = score[v] - log_sum,  log_sum = log sum_u e^(score[u]),
    score[v] = b[v] + sum_i x[i] w[v, i]

    As log_softmax(linear(input, weight, bias)) would tell, without an array of all scores.

    Args:
        input: (R, in).
        weight: (V, in).
        bias: (V,).
        k: from 1 to V.
        banned: integers (R, n) below V, classes that are not chosen from a row; -1 stands for none.
            They count in the sum all the same.

    Returns:
        The classes, int64 (R, k), the likeliest first and of equal ones the first; log p, float64
        (R, k), which is -inf where fewer than k are left; and log_sum, float64 (R,), which makes
        the score of any other class a log p.

    Raises:
        ArgumentError: k is out of range.
        ShapeError: the shapes do not fit.
        DtypeError: not floating point, or of different dtypes.

    >>> x, w = minidl.tensor([[2.0]]), minidl.tensor([[0.0], [1.0], [-1.0]])
    >>> minidl.nn.functional.likeliest(x, w, minidl.zeros(3), 2)[:2]
    (tensor([[1, 0]]), tensor([[-0.1429, -2.1429]], dtype=float64))
    """
    op = "likeliest"
    check_arguments(input, weight, bias)
    check_ndim(op, "input", input, 2, "(R, in)")
    R, V = len(input.data), len(weight.data)
    if not is_int(k) or not 1 <= k <= V:
        raise ArgumentError(op, f"k is an int from 1 to {V}", {"k": k})
    xp = array_module(input.data)
    if banned is None:
        numbers = xp.full((R, 0), -1, xp.int64)
    else:
        check_tensor(op, banned=banned)
        numbers = banned.data.astype(xp.int64, copy=False)
        if numbers.ndim != 2 or len(numbers) != R:
            raise ShapeError(op, "banned is (R, n)", {"input": input, "banned": banned})
        if numbers.size and int(numbers.max()) >= V:
            raise ArgumentError(op, f"banned classes are below {V}", {"banned": banned})
    classes, log_probs, log_sum = kernels.pick("likeliest", input.data).likeliest(
        input.data, weight.data, bias.data, int(k), numbers
    )
    return Tensor(classes), Tensor(log_probs), Tensor(log_sum)
