"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

At each step t, with all four products in one matrix of 4H rows:

    z = w_ih x[t] + b_ih + w_hh h + b_hh            rows in the order i, f, g, o, as in PyTorch
    i, f, o = sigmoid(zi), sigmoid(zf), sigmoid(zo)          g = tanh(zg)
    c' = f c + i g                                           h' = o tanh(c')

(ONNX orders the rows i, o, f, g; cuDNN as PyTorch.) Backward through time, from the last step to
the first, gh and gc being the gradients of h' and c':

    gh += gy[t]                     gc += gh o (1 - tanh(c')^2)
    gzi = gc g i (1 - i)            gzf = gc c f (1 - f)
    gzg = gc i (1 - g^2)            gzo = gh tanh(c') o (1 - o)
    gh <- w_hh^T gz                 gc <- gc f

    gx[t] = w_ih^T gz[t]            gb    = sum gz[t]
    gw_ih = sum gz[t] x[t]^T        gw_hh = sum gz[t] h[t]^T

What does not depend on the step before (the products with x and the gradients of the weights) is
one matrix product over all steps, here; the kernel only walks through time.

Sentences of several lengths share a batch by a mask: at steps past its end, a sequence keeps h and
c, and its y is 0. In the reverse direction those steps come first, so it starts at its own end
with h0 and c0. That equals packing in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import kernels
from minidl.checks import check_floating, check_ndim
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.receptive_field import UNKNOWN
from minidl.tensor import Tensor


class LSTM(Function):
    """One layer in one direction. Inside, arrays are in the order in which steps are taken."""

    receptive_field = UNKNOWN

    def __init__(self, lengths, reverse, has_biases):
        self.lengths, self.reverse, self.has_biases = lengths, reverse, has_biases

    def forward(self, x, h0, c0, w_ih, w_hh, *rest):
        """rest: b_ih and b_hh or none; the tensor of lengths, if it is one, for an export."""
        xp = array_module(x)
        T, N, size = x.shape
        if T == 1 and self.lengths is None and not any(self.needs_grad):
            b = rest[0] + rest[1] if self.has_biases else xp.zeros(len(w_ih), x.dtype)
            h, c = kernels.pick("lstm", x).step(x[0], h0, c0, w_ih, w_hh, b)
            return h[None], h.copy(), c
        x, valid = self.in_order(x), self.in_order(self.mask(xp, T, N))
        if self.lengths is not None:
            x = xp.where(valid[:, :, None], x, 0)  # what stands there, even a NaN, is not looked at
        # As one matrix: with three dimensions NumPy would make one product for each step.
        product = kernels.pick("matmul", x).product
        z = product(x.reshape(T * N, size), w_ih.T).reshape(T, N, len(w_ih))
        if self.has_biases:
            z += rest[0] + rest[1]
        h, c, gates = kernels.pick("lstm", x).forward(z, h0, c0, w_hh, valid)
        if any(self.needs_grad):
            self.x, self.w_ih, self.w_hh, self.valid = x, w_ih, w_hh, valid
            self.h, self.c, self.gates = h, c, gates
        y = h[1:] if self.lengths is None else xp.where(valid[:, :, None], h[1:], 0)
        return self.in_order(y), h[-1].copy(), c[-1].copy()

    def backward(self, gy, gh, gc):
        xp = array_module(self.h)
        T, N, H = self.h[1:].shape
        gy = xp.zeros_like(self.h[1:]) if gy is None else self.in_order(gy)
        gh = xp.zeros_like(self.h[0]) if gh is None else gh
        gc = xp.zeros_like(self.c[0]) if gc is None else gc
        kernel = kernels.pick("lstm", gy)
        gz, gh, gc = kernel.backward(gy, gh, gc, self.c, self.gates, self.w_hh, self.valid)
        rows, product = gz.reshape(T * N, 4 * H), kernels.pick("matmul", gz).product
        gx = gw_ih = gw_hh = None
        if self.needs_grad[0]:
            gx = self.in_order(product(rows, self.w_ih).reshape(self.x.shape))
        if self.needs_grad[3]:
            gw_ih = product(rows.T, self.x.reshape(T * N, self.x.shape[2]))
        if self.needs_grad[4]:
            gw_hh = product(rows.T, self.h[:-1].reshape(T * N, H))
        gradients = gx, gh, gc, gw_ih, gw_hh
        if not self.has_biases:
            return *gradients, None
        gb = total(rows, (0,))
        return *gradients, gb, gb.copy(), None

    def multiply_accumulates(self, y, x, h0, c0, w_ih, w_hh, *rest):
        T, N, _ = x
        return T * N * (math.prod(w_ih) + math.prod(w_hh))

    def in_order(self, steps):
        """From the order of time to the order in which steps are taken, or back: a view."""
        return steps[::-1] if self.reverse else steps

    def mask(self, xp, T, N):
        """(T, N): whether step t belongs to sequence n."""
        if self.lengths is None:
            return xp.ones((T, N), bool)
        return xp.arange(T)[:, None] < xp.asarray(self.lengths)


def lstm(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer of long short-term memory over whole sequences, in one direction.

    c' = f c + i g,  h' = o tanh(c'),  with (i, f, g, o) from weight_ih x + weight_hh h + biases

    Hochreiter and Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al.
    2000. minidl.nn.LSTM stacks layers and directions.

    Args:
        input: (T, N, I), N sequences of T steps.
        h0: (N, H), the state before the first step.
        c0: (N, H), the cell before the first step.
        weight_ih: (4H, I), rows in the order i, f, g, o.
        weight_hh: (4H, H), likewise.
        bias_ih: (4H,), or None together with bias_hh.
        bias_hh: (4H,), likewise.
        lengths: N ints from 0 to T, how many steps each sequence has; None for T each.
        reverse: take the steps from the last to the first.

    Returns:
        (y, h, c): the state after each step, (T, N, H), zero past a sequence's end; and the state
        and cell after each sequence's last step taken, both (N, H).

    Raises:
        ShapeError: the shapes do not fit, or T is 0.
        ArgumentError: lengths are not N ints from 0 to T.
        DtypeError: not floating point, or of different dtypes.

    >>> x, state = minidl.ones(5, 1, 2), minidl.zeros(1, 3)
    >>> y, h, c = minidl.ops.lstm(x, state, state, minidl.ones(12, 2), minidl.ones(12, 3))
    >>> y.shape, h.shape
    ((5, 1, 3), (1, 3))
    """
    check_arguments(input, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh)
    T, N, _ = input.data.shape
    has_biases = bias_ih is not None
    rest = [bias_ih, bias_hh] if has_biases else []
    if isinstance(lengths, Tensor):
        rest.append(lengths)
    function = LSTM(check_lengths("lstm", lengths, T, N), reverse, has_biases)
    return function.apply(input, h0, c0, weight_ih, weight_hh, *rest)


def check_arguments(input, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh) -> None:
    """Every argument has the shape that input and weight_hh ask for."""
    rest = {
        "h0": h0, "c0": c0, "weight_ih": weight_ih, "weight_hh": weight_hh,
        "bias_ih": bias_ih, "bias_hh": bias_hh,
    }  # fmt: skip
    check_floating("lstm", input=input, **rest)
    for name in ("h0", "c0", "weight_ih"):
        if rest[name] is None:
            raise DtypeError("lstm", f"{name} must be a Tensor", {name: "NoneType"})
    check_ndim("lstm", "input", input, 3, "(T, N, I)")
    check_ndim("lstm", "weight_hh", weight_hh, 2, "(4H, H)")
    if (bias_ih is None) != (bias_hh is None):
        given = {"bias_ih": bias_ih, "bias_hh": bias_hh}
        raise ArgumentError("lstm", "bias_ih and bias_hh come together", given)
    T, N, I = input.data.shape
    if T == 0:
        raise ShapeError("lstm", "a sequence has at least one step", {"input": input})
    H = weight_hh.data.shape[1]
    expected = {
        "h0": (N, H), "c0": (N, H), "weight_ih": (4 * H, I), "weight_hh": (4 * H, H),
        "bias_ih": (4 * H,), "bias_hh": (4 * H,),
    }  # fmt: skip
    for name, tensor in rest.items():
        if tensor is not None and tensor.data.shape != expected[name]:
            raise ShapeError(
                "lstm",
                f"{name} is {expected[name]}: N={N} sequences, I={I} inputs, H={H} hidden units",
                {"input": input, name: tensor, "weight_hh": weight_hh},
            )


def check_lengths(op: str, lengths: Any, T: int, N: int) -> np.ndarray | None:
    """lengths as an int array, from a list, an array or a Tensor."""
    if lengths is None:
        return None
    values = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    try:
        array = np.asarray(values)
    except ValueError:  # a ragged list
        array = np.empty(())
    if array.shape != (N,) or (N and array.dtype.kind not in "iu"):
        raise ArgumentError(
            op, f"lengths holds one int for each of {N} sequences", {"lengths": values}
        )
    if N and (array.min() < 0 or array.max() > T):
        raise ArgumentError(op, f"lengths are from 0 to T = {T}", {"lengths": array.tolist()})
    return array
