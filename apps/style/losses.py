"""What a picture lacks in content and in style (Gatys et al. 2016, section 2, equations 1 to 7).

F, P   features of the picture and of the content picture, C maps of M = H W positions
G, A   Gram matrices of the picture and of the style picture, C x C

The Gram matrix here is G = F F^T / M, the mean over positions: pictures of any two sizes compare.

Three normalisations of the losses, with d = F - P and D = G - A:

             content                    style                       total variation
    target   sum d^2 / sum P^2          sum D^2 / sum A^2           mean over all values
    paper    sum d^2 / 2                sum D^2 / (4 C^2)           sum
    port     sum d^2 / (C M)            sum D^2 / C^4               sum

"target" makes 1 of every layer's loss for a picture without features, whatever the network, its
weights and the size: layers and pictures need no weights of their own. "paper" is Gatys et al.'s,
whose Gram matrix is M times this one and whose divisor is 4 C^2 M^2. "port" is what ports make of
it (jcjohnson/neural-style, PyTorch's tutorial): mean squared errors of the features and of
F F^T / (C M). So paper = port C^2 / 4 for style and paper = port C M / 2 for content.

These are the formulas of a layer. How large features are is the network's matter: the paper's is a
VGG-19 rescaled so that the mean of every feature is 1, the port's sees pixels from 0 to 255. The
networks here have neither scale, so weights of the paper or the port do not weigh the same here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import kernels
from minidl.device import array_module
from minidl.errors import ArgumentError, nearest
from minidl.function import Function
from minidl.kernels.sums import dot
from minidl.tensor import Tensor

NORMS = ("target", "paper", "port")


class Grams(Function):
    """G[n] = sum_p m_p f_p f_p^T / sum_p m_p over positions p of picture n; gradient
    gf_p = m_p (gG[n] + gG[n]^T) f_p over the same sum. Without a mask every m_p is 1.

    Two products of matrices instead of the four that matmul(F, F^T) would need. Rows of features
    are a view where channels are last in memory, as convolutions leave them.
    """

    makes_new = True

    def __init__(self, mask: Any = None):
        self.mask = mask

    def forward(self, x: Any) -> Any:
        self.shape = N, C, H, W = x.shape
        self.rows = weighted = x.transpose(0, 2, 3, 1).reshape(N, H * W, C)
        self.total = x.dtype.type(H * W)
        if self.mask is not None:
            self.mask = self.mask.reshape(-1, 1).astype(x.dtype)
            weighted = self.rows * self.mask
            self.total = x.dtype.type(self.mask.sum()) or x.dtype.type(1)
        kernel, grams = kernels.pick("matmul", x), array_module(x).empty((N, C, C), x.dtype)
        for rows, other, out in zip(self.rows, weighted, grams):
            kernel.product(rows.T, other, out)
        grams /= self.total
        return grams

    def backward(self, gy: Any) -> Any:
        N, C, H, W = self.shape
        both = (gy + gy.transpose(0, 2, 1)) / self.total
        kernel, gx = kernels.pick("matmul", gy), array_module(gy).empty((N, H * W, C), gy.dtype)
        for rows, weights, out in zip(self.rows, both, gx):
            kernel.product(rows, weights, out)
        if self.mask is not None:
            gx *= self.mask
        return gx.reshape(N, H, W, C).transpose(0, 3, 1, 2)


def grams(x: Tensor) -> Tensor:
    """The Gram matrix of each picture's features, (N, C, H, W) -> (N, C, C); see gram."""
    return Grams().apply(x)


def gram(x: Tensor, mask: Any = None) -> Tensor:
    """The Gram matrix of features, the mean over positions (Gatys et al. 2016, equation 3).

    Args:
        x: (1, C, H, W).
        mask: array (H, W) of at least 0, how much each position counts; None for all alike.

    Returns:
        (C, C), symmetric.

    >>> import minidl
    >>> from apps.style.losses import gram
    >>> gram(minidl.ones(1, 2, 3, 3))
    tensor([[1., 1.],
            [1., 1.]])
    """
    return Grams(mask).apply(x).reshape(x.shape[1], x.shape[1])


def content_loss(x: Tensor, target: Tensor, norm: str = "target") -> Tensor:
    """How far features are from those of the content picture (Gatys et al. 2016, equation 1).

    Args:
        x, target: (1, C, H, W).
        norm: "target", "paper" or "port"; the top of this file says what they are.

    Returns:
        A number, 0 where x is the target.
    """
    size = squared_size(target) if norm == "target" else 0.0
    return squared_distance(x, target) / content_divisor(norm, size, x.data.size)


def content_divisor(norm: str, squared: float, count: int) -> float:
    """What the squared distance of features is divided by.

    Args:
        norm: "target", "paper" or "port".
        squared: the sum of the squares of the content's features.
        count: how many they are.
    """
    check_norm(norm)
    return {"target": squared or 1.0, "paper": 2.0, "port": float(count)}[norm]


def style_loss(x: Tensor, target: Tensor, norm: str = "target") -> Tensor:
    """How far a Gram matrix is from that of the style picture (Gatys et al. 2016, equation 4).

    Args:
        x, target: (C, C), from gram.
        norm: "target", "paper" or "port"; the top of this file says what they are.

    Returns:
        A number, 0 where x is the target.
    """
    check_norm(norm)
    error, C = squared_distance(x, target), float(x.data.shape[0])
    if norm == "target":
        return error / squared_size(target)
    return error / (4.0 * C**2 if norm == "paper" else C**4)


def total_variation(x: Tensor, norm: str = "target") -> Tensor:
    """Squared differences between neighbours, whose sum keeps a picture smooth (Mahendran and
    Vedaldi 2015, section 3.1, with beta = 2).

    Args:
        x: (1, 3, H, W).
        norm: "target" for the mean over all values, "paper" or "port" for the sum.

    Returns:
        A number, 0 for a picture of one colour.

    >>> import minidl
    >>> from apps.style.losses import total_variation
    >>> total_variation(minidl.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]))
    tensor(2.)
    """
    check_norm(norm)
    found = TotalVariation().apply(x)
    return found / float(x.data.size) if norm == "target" else found


class TotalVariation(Function):
    """sum (x[i+1] - x[i])^2 along rows and columns; gradient 2 (x[i] - x[i+1]) and its mirror."""

    def forward(self, x: Any) -> Any:
        self.down, self.right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
        return squares(self.down) + squares(self.right)

    def backward(self, gy: Any) -> Any:
        (N, C), H, W = self.down.shape[:2], self.right.shape[2], self.down.shape[3]
        xp = array_module(gy)
        gx = xp.zeros((N, H, W, C), self.down.dtype).transpose(0, 3, 1, 2)  # channels last
        gx[..., 1:, :] += self.down
        gx[..., :-1, :] -= self.down
        gx[..., 1:] += self.right
        gx[..., :-1] -= self.right
        gx *= 2 * gy
        return gx


class SquaredDistance(Function):
    """sum (x - t)^2 for a constant t; gradient 2 (x - t)."""

    makes_new = True

    def __init__(self, target: Any):
        self.target = target

    def forward(self, x: Any) -> Any:
        self.difference = x - self.target
        return squares(self.difference)

    def backward(self, gy: Any) -> Any:
        return self.difference * (2 * gy)


def added(parts: Sequence[Tensor]) -> Tensor:
    """The sum of at least one number."""
    first, *others = parts
    return sum(others, first)


def grad_of(x: Tensor) -> Tensor:
    """The gradient of a leaf after backward."""
    assert x.grad is not None
    return x.grad


def squared_distance(x: Tensor, target: Tensor) -> Tensor:
    """sum (x - target)^2; the target is a constant."""
    return SquaredDistance(target.data).apply(x)


def squared_size(target: Tensor) -> float:
    """Sum of the squares of a target, which is a constant; 1 for one that is 0 everywhere."""
    return float(squares(target.data)) or 1.0


def squares(x: Any) -> Any:
    """The sum of squares, 0-d, of x's dtype."""
    flat = x.ravel(order="K")
    return array_module(x).asarray(dot(flat, flat), x.dtype)


def check_norm(norm: str) -> None:
    if norm not in NORMS:
        raise ArgumentError("style", "no such norm", {"norm": norm}, nearest(norm, NORMS))
