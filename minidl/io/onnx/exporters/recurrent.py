"""Recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.lstm import LSTM

INT32 = 6  # ONNX's number


def lstm(g: Writer, f: Any, x: str, h: str, c: str, w: str, r: str, *rest: str) -> list[str]:
    """The gates in ONNX's order, a dimension for the direction; a state of zeros is left out."""
    biases, lengths = rest[: len(rest) // 2 * 2], rest[len(rest) // 2 * 2 :]
    first = g.ints(0)
    w, r = (g.add("Unsqueeze", gates_in_order(g, rows), first) for rows in (w, r))
    bias = ""
    if biases:
        both = g.add("Concat", *(gates_in_order(g, rows) for rows in biases), axis=0)
        bias = g.add("Unsqueeze", both, first)
    if lengths:
        counts = g.add("Cast", *lengths, to=INT32)
    else:
        counts = "" if f.lengths is None else g.constant(f.lengths, np.int32)
    states = []
    for name, x0 in zip((h, c), f.inputs[1:3]):
        zero = x0 not in g.made and x0 not in g.names and not x0.data.any()
        states.append("" if zero else g.add("Unsqueeze", name, first))
    y, h, c = g.add(
        "LSTM", x, w, r, bias, counts, *states, outputs=3, hidden_size=f.inputs[4].shape[1],
        direction="reverse" if f.reverse else "forward",
    )  # fmt: skip
    return [g.add("Squeeze", y, g.ints(1)), g.add("Squeeze", h, first), g.add("Squeeze", c, first)]


def gates_in_order(g: Writer, rows: str) -> str:
    """Rows in the order i, f, g, o (minidl's and PyTorch's) as i, o, f, g (ONNX's)."""
    i, f, cell, o = g.add(
        "Split", rows, axis=0, outputs=4, num_outputs=4 if g.opset >= 18 else None
    )
    return g.add("Concat", i, o, f, cell, axis=0)


EXPORTERS = {LSTM: lstm}
