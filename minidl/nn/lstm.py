"""LSTM layers: minidl.ops.lstm for each layer and direction, and a single step for decoders."""

from __future__ import annotations

import math
from typing import Any

from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import init
from minidl.nn.checks import check_flags, check_sizes, new_weight
from minidl.nn.dropout import check_probability
from minidl.nn.module import Module, Parameter
from minidl.ops.dropout import dropout
from minidl.ops.joining import cat, stack, unbind
from minidl.ops.lstm import lstm
from minidl.ops.shape import transpose, unsqueeze
from minidl.tensor import Tensor


class LSTM(Module):
    """Layers of long short-term memory over whole sequences; see minidl.ops.lstm.

    The output of a layer is the input of the next; with two directions a layer's output is the
    forward one and the reverse one side by side. All parameters start uniform in +-1/sqrt(H). Names
    and shapes are PyTorch's: weight_ih_l0 (4H, I), weight_hh_l0 (4H, H), bias_ih_l0, bias_hh_l0
    (4H), with rows in the order i, f, g, o; then layer 1; "_reverse" is the other direction.

    Where PyTorch differs: it takes sequences of several lengths as a PackedSequence, here they are
    one tensor and `lengths` (in any order, 0 among them); it also takes an input without N, and
    has proj_size; it warns of dropout with one layer, which has no effect.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: how many layers.
        bias: learn biases.
        batch_first: input and output are (N, T, ...) instead of (T, N, ...); states are not.
        dropout: probability of dropping an element between layers, in training.
        bidirectional: D = 2 directions instead of 1.

    Shapes: (T, N, I), optional (h0, c0) of (layers D, N, H) each -> (T, N, D H), (h, c).

    >>> y, (h, c) = minidl.nn.LSTM(3, 5, num_layers=2)(minidl.ones(7, 4, 3))
    >>> y.shape, h.shape
    ((7, 4, 5), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__()
        check_sizes(
            "LSTM", input_size=input_size, hidden_size=hidden_size, num_layers=num_layers
        )  # fmt: skip
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        check_flags("LSTM", bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = check_probability("LSTM", dropout)
        for layer in range(num_layers):
            for suffix in self.suffixes(layer):
                self.add_cell(suffix, input_size if layer == 0 else hidden_size * self.directions)
        self.reset_parameters()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def suffixes(self, layer: int) -> list[str]:
        """How the parameters' names of each direction of a layer end."""
        return [f"l{layer}", f"l{layer}_reverse"][: self.directions]

    def add_cell(self, suffix: str, features: int) -> None:
        """Register the parameters of one layer and direction, empty."""
        rows = 4 * self.hidden_size
        shapes = {"weight_ih": (rows, features), "weight_hh": (rows, self.hidden_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            self.register_parameter(f"{name}_{suffix}", Parameter(new_weight("LSTM", *shape)))

    def reset_parameters(self) -> None:
        """Draw all weights and biases afresh."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None, lengths: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over sequences from a state, zeros where it is None.

        Args:
            x: (T, N, I), or (N, T, I) with batch_first.
            state: (h0, c0), each (layers D, N, H), or None.
            lengths: how many steps each sequence has, N ints; None for T each. The output is 0
                past a sequence's end, and (h, c) are those at its end.

        Returns:
            (y, (h, c)) of shapes (T, N, D H), or (N, T, D H), and (layers D, N, H).
        """
        self.check_input(x, state)
        x = transpose(x, 0, 1) if self.batch_first else x
        h0, c0 = self.zero_states(x) if state is None else (unbind(state[0]), unbind(state[1]))
        h, c = [], []
        for layer in range(self.num_layers):
            if layer > 0:
                x = dropout(x, self.dropout, self.training)
            outputs = []
            for suffix in self.suffixes(layer):
                at, reverse = len(h), suffix.endswith("reverse")
                y, h_end, c_end = lstm(x, h0[at], c0[at], *self.weights(suffix), lengths, reverse)
                outputs.append(y)
                h.append(h_end)
                c.append(c_end)
            x = cat(outputs, 2) if self.bidirectional else outputs[0]
        y = transpose(x, 0, 1) if self.batch_first else x
        return y, (stack(h), stack(c))

    def weights(self, suffix: str) -> list[Parameter | None]:
        """weight_ih, weight_hh and the biases of one layer and direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [self.parameters_here.get(f"{name}_{suffix}") for name in names]

    def check_input(self, x: Tensor, state: Any) -> None:
        check_tensor("LSTM", input=x)
        dims = "(N, T, I)" if self.batch_first else "(T, N, I)"
        if x.data.ndim != 3 or x.data.shape[2] != self.input_size:
            raise ShapeError(
                "LSTM", f"expects an input {dims} with I = {self.input_size}", {"input": x}
            )
        if state is None:
            return
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise ArgumentError("LSTM", "state is a pair (h0, c0)", {"state": state})
        check_tensor("LSTM", h0=state[0], c0=state[1])
        batch = x.data.shape[0 if self.batch_first else 1]
        expected = (self.num_layers * self.directions, batch, self.hidden_size)
        for name, part in zip(("h0", "c0"), state):
            if part is None or part.data.shape != expected:
                raise ShapeError("LSTM", f"{name} is {expected}", {"input": x, name: part})

    def zero_states(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """h0 and c0 of each layer and direction where none are given; x is (T, N, I).

        All of them are one Tensor (N, H) of zeros, of x's dtype and device.
        """
        array = x.data
        zeros = Tensor(array_module(array).zeros((array.shape[1], self.hidden_size), array.dtype))
        states = [zeros] * (self.num_layers * self.directions)
        return states, states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, default in (defaults | {"bidirectional": False}).items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


class LSTMCell(Module):
    """One step of long short-term memory; see minidl.ops.lstm.

    For a decoder that chooses its next input from its last output. Parameters are those of one
    layer of LSTM: weight_ih (4H, I), weight_hh (4H, H), bias_ih, bias_hh (4H). As in PyTorch, but
    that an input always has its N.

    Args:
        input_size: I.
        hidden_size: H.
        bias: learn biases.

    Shapes: (N, I), optional (h, c) of (N, H) each -> (h, c).

    >>> h, c = minidl.nn.LSTMCell(3, 5)(minidl.ones(4, 3))
    >>> h.shape
    (4, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True):
        super().__init__()
        check_sizes("LSTMCell", input_size=input_size, hidden_size=hidden_size)
        check_flags("LSTMCell", bias=bias)
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = 4 * hidden_size
        self.weight_ih = Parameter(new_weight("LSTMCell", rows, input_size))
        self.weight_hh = Parameter(new_weight("LSTMCell", rows, hidden_size))
        self.bias_ih = Parameter(new_weight("LSTMCell", rows)) if bias else None
        self.bias_hh = Parameter(new_weight("LSTMCell", rows)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases afresh."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The state and cell after one step from (h, c), zeros where it is None."""
        check_tensor("LSTMCell", input=x)
        if x.data.ndim != 2 or x.data.shape[1] != self.input_size:
            raise ShapeError(
                "LSTMCell", f"expects an input (N, I) with I = {self.input_size}", {"input": x}
            )
        if state is None:
            zeros = array_module(x.data).zeros((len(x.data), self.hidden_size), x.data.dtype)
            state = Tensor(zeros), Tensor(zeros)
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise ArgumentError("LSTMCell", "state is a pair (h, c)", {"state": state})
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        _, h, c = lstm(unsqueeze(x, 0), *state, *weights)  # a sequence of one step
        return h, c

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias_ih is not None else text + ", bias=False"
