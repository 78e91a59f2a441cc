"""Matrix products."""

from __future__ import annotations

import math
import re

import numpy as np

from minidl import ops
from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.tensor import Tensor


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha a b + beta c, a and b transposed where said so. A linear layer in most files."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if a.ndim != 2 or b.ndim != 2:
        node.refuse("expects two matrices", {"a": a, "b": b})
    a = a.transpose(0, 1) if node.get("transA", 0) else a
    transposed = bool(node.get("transB", 0))
    is_layer = transposed and alpha == 1 and a.dtype.kind == "f" and a.dtype == b.dtype
    if is_layer and (c is None or (beta == 1 and c.shape == (b.shape[0],))):
        return F.linear(a, b, c)
    y = ops.matmul(a, b.transpose(0, 1) if transposed else b)
    y = y if alpha == 1 else scaled(y, alpha)
    if c is None:
        return y
    return y + (c if beta == 1 else scaled(c, beta))


def scaled(x: Tensor, factor: float) -> Tensor:
    return x * factor if x.dtype.kind == "f" else (x * factor).to(x.dtype)


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return ops.matmul(a, b)


def einsum(node: Node, *xs: Tensor) -> Tensor:
    """Sum of products over named dimensions, two operands at a time.

    Each operand has all names as dimensions, with size 1 where it lacks one. What no later operand
    has is summed at once, as a matrix product where both have it.
    """
    equation = str(node.required("equation")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(xs) or not re.fullmatch(r"[A-Za-z.,]*(->[A-Za-z.]*)?", equation):
        node.refuse("the equation names the dimensions of each input", {"equation": equation})
    stretched = max((x.ndim - len(t.replace("...", "")) for t, x in zip(terms, xs) if "." in t),
                    default=0)  # fmt: skip
    letters = [t.replace("...", "") for t in terms]
    named = sorted(set("".join(letters)))
    if not arrow:
        joined = "".join(letters)
        right = "..." * any("." in t for t in terms) + "".join(
            n for n in named if joined.count(n) == 1
        )
    kept = right.replace("...", "")
    if not set(kept) <= set(named):
        node.refuse("the result has a dimension that no input has", {"equation": equation})
    order = [*kept, *(n for n in named if n not in kept)]
    y, *others = [in_order(node, x, term, order, stretched) for term, x in zip(terms, xs)]
    summed = tuple(stretched + i for i in range(len(kept), len(order)))
    for i, x in enumerate(others, 1):
        done = [d for d in summed if all(later.shape[d] == 1 for later in others[i:])]
        y = contracted(node, y, x, done)
    y = ops.sum(y, summed) if summed else y
    dots_at = right.find("...")
    if dots_at > 0:  # the dimensions of ... are in front so far
        y = y.permute(*range(stretched, stretched + dots_at), *range(stretched),
                      *range(stretched + dots_at, y.ndim))  # fmt: skip
    if "..." not in right and stretched:
        y = ops.sum(y, tuple(range(stretched)))
    return y.to(xs[0].dtype)


def contracted(node: Node, a: Tensor, b: Tensor, summed: list[int]) -> Tensor:
    """a b, summed over some dimensions, which stay with size 1."""
    if any(m != n and 1 not in (m, n) for m, n in zip(a.shape, b.shape)):
        node.refuse("a name stands for two sizes", {"a": a, "b": b})
    a = total(a, [d for d in summed if b.shape[d] == 1])
    b = total(b, [d for d in summed if a.shape[d] == 1])
    inner = [d for d in summed if a.shape[d] != 1]
    if not inner:
        return a * b
    rest = [d for d in range(a.ndim) if d not in inner]
    both = [d for d in rest if a.shape[d] != 1 and b.shape[d] != 1]
    of_a = [d for d in rest if a.shape[d] != 1 and b.shape[d] == 1]
    of_b = [d for d in rest if a.shape[d] == 1]
    rows, columns = grouped(a, both, of_a, inner), grouped(b, both, inner, of_b)
    sizes = [a.shape[d] for d in both + of_a] + [b.shape[d] for d in of_b] + [1] * len(inner)
    y = ops.matmul(rows, columns).reshape(*sizes)
    return y.permute(*np.argsort(both + of_a + of_b + inner).tolist())


def total(x: Tensor, dims: list[int]) -> Tensor:
    return ops.sum(x, tuple(dims), keepdim=True) if dims else x


def grouped(x: Tensor, *groups: list[int]) -> Tensor:
    """A dimension for each group of dimensions; x has size 1 in those of no group."""
    order = [d for group in groups for d in group]
    others = [d for d in range(x.ndim) if d not in order]
    return x.permute(*order, *others).reshape(*(
        math.prod(x.shape[d] for d in group) for group in groups
    ))  # fmt: skip


def in_order(node: Node, x: Tensor, term: str, order: list[str], stretched: int) -> Tensor:
    """x with the dimensions of ... first, then those in `order`, size 1 where it has none."""
    names = list(term.replace("...", "#"))
    if "#" in names:
        at = names.index("#")
        dots = x.ndim - len(names) + 1
        names[at : at + 1] = [f"#{stretched - dots + i}" for i in range(dots)]
    if len(names) != x.ndim:
        node.refuse("a term does not name the dimensions of its input", {"term": term, "x": x})
    while len(set(names)) < len(names):  # a name twice: the diagonal of the two
        name = next(n for n in names if names.count(n) > 1)
        first, second = [i for i, n in enumerate(names) if n == name][:2]
        x = diagonal(node, x, first, second)
        del names[second]
    whole = [f"#{i}" for i in range(stretched)] + order
    present = [n for n in whole if n in names]
    x = x.permute(*(names.index(n) for n in present)) if x.ndim else x
    sizes = dict(zip(present, x.shape))
    return x.reshape(*(sizes.get(n, 1) for n in whole))


def diagonal(node: Node, x: Tensor, first: int, second: int) -> Tensor:
    """The elements with equal indices along two dimensions, at the place of the first."""
    if x.shape[first] != x.shape[second]:
        node.refuse("a name stands for two sizes", {"x": x})
    n = x.shape[first]
    rest = [i for i in range(x.ndim) if i not in (first, second)]
    flat = x.permute(first, second, *rest).reshape(n * n, *(x.shape[i] for i in rest))
    taken = ops.index_select(flat, 0, Tensor(np.arange(n) * (n + 1)))
    return taken.permute(*range(1, first + 1), 0, *range(first + 1, taken.ndim))


IMPORTERS = {"Einsum": einsum, "Gemm": gemm, "MatMul": matmul}
