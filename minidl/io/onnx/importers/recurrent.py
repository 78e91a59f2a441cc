"""Long short-term memory."""

from __future__ import annotations

from minidl import ops
from minidl.device import array_module
from minidl.io.onnx.importers.precision import in_float32
from minidl.io.onnx.node import Node, int_list
from minidl.tensor import Tensor

DEFAULT_ACTIVATIONS = ["Sigmoid", "Tanh", "Tanh"]


def lstm(
    node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None,
    lengths: Tensor | None = None, h0: Tensor | None = None, c0: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """All steps (T, D, N, H), the last state and the last cell (D, N, H), D directions."""
    directions = directions_of(node)
    check_variant(node, peepholes, len(directions))
    if x.ndim != 3 or w.ndim != 3 or r.ndim != 3 or w.shape[0] != len(directions):
        node.refuse("expects x (T, N, I) and weights (D, 4H, ...)", {"x": x, "w": w, "r": r})
    batch_first = bool(node.get("layout", 0))
    x = x.transpose(0, 1) if batch_first else x
    if batch_first:
        h0, c0 = (None if s is None else s.transpose(0, 1) for s in (h0, c0))
    counts = int_list(node, lengths, "sequence_lens")
    H = r.shape[2]
    parts = []
    for i, reverse in enumerate(directions):
        state = [zero_state(x, H) if s is None else s[i] for s in (h0, c0)]
        biases = (None, None)
        if b is not None:
            biases = in_our_order(b[i, : 4 * H]), in_our_order(b[i, 4 * H :])
        parts.append(
            ops.lstm(x, *state, in_our_order(w[i]), in_our_order(r[i]), *biases, counts, reverse)
        )
    y, h, c = (ops.stack(list(each)) for each in zip(*parts))  # (D, T, N, H), (D, N, H)
    if batch_first:
        return y.permute(2, 1, 0, 3), h.transpose(0, 1), c.transpose(0, 1)
    return y.transpose(0, 1), h, c


def directions_of(node: Node) -> list[bool]:
    """For each direction, whether it walks from the last step to the first."""
    name = node.choice("direction", "forward", ("forward", "reverse", "bidirectional"))
    return {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[name]


def check_variant(node: Node, peepholes: Tensor | None, directions: int) -> None:
    """The cell is the usual one."""
    if peepholes is not None:
        node.refuse("peepholes (weights from the cell to the gates) are not supported")
    activations = node.get("activations", DEFAULT_ACTIVATIONS * directions)
    if activations != DEFAULT_ACTIVATIONS * directions:
        node.refuse("only sigmoid gates and tanh are supported", {"activations": activations})
    for name in ("clip", "input_forget"):
        if node.get(name):
            node.refuse(f"{name} is not supported", {name: node.get(name)})


def zero_state(x: Tensor, H: int) -> Tensor:
    return Tensor(array_module(x.data).zeros((x.shape[1], H), x.dtype))


def in_our_order(rows: Tensor) -> Tensor:
    """Rows of the gates i, o, f, g (ONNX's order) as i, f, g, o (minidl's and PyTorch's)."""
    H = rows.shape[0] // 4
    i, o, f, g = (rows[gate * H : (gate + 1) * H] for gate in range(4))
    return ops.cat([i, f, g, o])


IMPORTERS = {"LSTM": in_float32(lstm)}
