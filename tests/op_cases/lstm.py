import numpy as np

from minidl import Tensor
from minidl.creation import arange, ones, zeros
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.ops import lstm
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def onnx_lstm(lengths, reverse):
    """ONNX orders the rows of the weights i, o, f, g and has an axis of directions."""

    def reorder(w):
        i, f, g, o = np.split(w, 4)
        return np.concatenate([i, o, f, g])[None]

    def run(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None):
        b = None
        if b_ih is not None:
            b = np.concatenate([reorder(b_ih), reorder(b_hh)], axis=1)
        ends = None if lengths is None else np.array(lengths, np.int32)
        operator = onnx(
            "LSTM",
            outputs=3,
            hidden_size=h0.shape[1],
            direction="reverse" if reverse else "forward",
        )
        y, h, c = operator(x, reorder(w_ih), reorder(w_hh), b, ends, h0[None], c0[None])
        return [y[:, 0], h[0], c[0]]

    return run


def torch_lstm(lengths, reverse):
    """A layer of torch.nn.LSTM with the given weights, on a packed sequence."""

    def run(torch, x, h0, c0, w_ih, w_hh, *biases):
        T, N, I = x.shape
        H = h0.shape[1]
        layer = torch.nn.LSTM(I, H, bias=bool(biases), dtype=x.dtype)
        weights = dict(zip(layer.state_dict(), (w_ih, w_hh, *biases)))
        ends = [T] * N if lengths is None else lengths
        if reverse:
            x = flip(torch, x, ends)
        pack = torch.nn.utils.rnn.pack_padded_sequence(x, ends, enforce_sorted=False)
        arguments = (pack, (h0[None], c0[None]))
        y, (h, c) = torch.func.functional_call(layer, weights, arguments)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=T)
        return flip(torch, y, ends) if reverse else y, h[0], c[0]

    return run


def flip(torch, x, ends):
    """Each sequence turned around within its own length."""
    turned = [
        torch.cat([x[:end, n].flip(0), x[end:, n]]) for n, end in enumerate(ends)
    ]  # fmt: skip
    return torch.stack(turned, dim=1)


def case(name, T, N, I, H, bias=True, lengths=None, reverse=False):
    inputs = [normal(T, N, I), normal(N, H, seed=1), normal(N, H, seed=2)]
    inputs += [normal(4 * H, I, seed=3), normal(4 * H, H, seed=4)]
    inputs += [normal(4 * H, seed=5), normal(4 * H, seed=6)] if bias else []

    def call(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None):
        return lstm(x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, reverse)

    return Case(
        "lstm", name, call, inputs,
        oracle=onnx_lstm(lengths, reverse), torch=torch_lstm(lengths, reverse),
    )  # fmt: skip


CASES = [
    case("plain", T=4, N=2, I=3, H=2),
    case("no-bias", T=3, N=2, I=2, H=3, bias=False),
    case("reverse", T=4, N=3, I=2, H=2, reverse=True),
    case("lengths", T=4, N=3, I=2, H=2, lengths=[2, 4, 1]),
    case("lengths-reverse", T=4, N=3, I=2, H=2, lengths=[3, 1, 4], reverse=True),
    case("lengths-below-T", T=3, N=2, I=1, H=2, lengths=[2, 1]),
    case("length-zero", T=3, N=2, I=2, H=2, lengths=[0, 2]),
    case("one-step", T=1, N=1, I=1, H=1),
    case("batch-zero", T=2, N=0, I=3, H=2),
]
for last in CASES[-1:] + CASES[-3:-2]:
    last.oracle = last.torch = None  # both refuse empty batches and empty sequences

x, h, wi, wh, b = ones(4, 2, 3), zeros(2, 5), ones(20, 3), ones(20, 5), ones(20)
BAD_CASES = [
    BadCase("lstm", "input-ndim", lambda: lstm(ones(4, 3), h, h, wi, wh),
            ShapeError, ["3 dimensions (T, N, I)"]),
    BadCase("lstm", "weight-ndim", lambda: lstm(x, h, h, wi, b),
            ShapeError, ["weight_hh", "(4H, H)"]),
    BadCase("lstm", "no-step", lambda: lstm(ones(0, 2, 3), h, h, wi, wh),
            ShapeError, ["at least one step"]),
    BadCase("lstm", "input-size", lambda: lstm(ones(4, 2, 7), h, h, wi, wh), ShapeError,
            ["weight_ih is (20, 7)", "I=7 inputs", "(20, 3)"]),
    BadCase("lstm", "h0", lambda: lstm(x, zeros(3, 5), h, wi, wh),
            ShapeError, ["h0 is (2, 5)", "(3, 5)"]),
    BadCase("lstm", "c0", lambda: lstm(x, h, zeros(2, 4), wi, wh), ShapeError, ["c0 is (2, 5)"]),
    BadCase("lstm", "bias", lambda: lstm(x, h, h, wi, wh, b, ones(5)),
            ShapeError, ["bias_hh is (20,)"]),
    BadCase("lstm", "one-bias", lambda: lstm(x, h, h, wi, wh, b), ArgumentError, ["come together"]),
    BadCase("lstm", "lengths-above-T", lambda: lstm(x, h, h, wi, wh, lengths=[4, 5]), ArgumentError,
            ["from 0 to T = 4", "[4, 5]"]),
    BadCase("lstm", "lengths-count", lambda: lstm(x, h, h, wi, wh, lengths=[4]),
            ArgumentError, ["each of 2"]),
    BadCase("lstm", "lengths-ragged", lambda: lstm(x, h, h, wi, wh, lengths=[[4], [1, 2]]),
            ArgumentError, ["one int for each of 2", "[[4], [1, 2]]"]),
    BadCase("lstm", "lengths-float", lambda: lstm(x, h, h, wi, wh, lengths=Tensor(h.data[:, 0])),
            ArgumentError, ["one int for each"]),
    BadCase("lstm", "no-weight", lambda: lstm(x, h, h, wi, None),
            DtypeError, ["weight_hh must be a Tensor"]),
    BadCase("lstm", "no-state", lambda: lstm(x, None, h, wi, wh),
            DtypeError, ["h0 must be a Tensor"]),
    BadCase("lstm", "integers", lambda: lstm(arange(6).reshape(1, 2, 3), h, h, wi, wh),
            DtypeError, ["int64"]),
    BadCase("lstm", "array", lambda: lstm(x.data, h, h, wi, wh), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
