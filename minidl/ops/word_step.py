"""One step of an LSTM that reads words: what a search does between two words.

    x[n]        = embedding[words[n]]
    h'[n], c'[n]  from  x[n], h[parents[n]], c[parents[n]]        as in minidl/ops/lstm.py

In a beam, several sequences go on from the same state, and the same words come again and again.
This operation is told so: it may compute what they share once (kernels/cpu/word_step.py). There is
no gradient: what is learned from are whole sequences, by `lstm`.
"""

from __future__ import annotations

from typing import Any

from minidl import kernels
from minidl.checks import check_floating, check_ndim, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.tensor import Tensor

OP = "word_step"


def word_step(
    words: Tensor,
    embedding: Tensor,
    h: Tensor,
    c: Tensor,
    parents: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
) -> tuple[Tensor, Tensor]:
    """The state and cell of N sequences after one more word each.

    h' = o tanh(c'), c' = f c + i g, (i, f, g, o) from
    weight_ih embedding[word] + weight_hh h[parent] + bias; see lstm.

    Hochreiter and Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al.
    2000; words are read as by Vinyals et al. 2016, "Show and Tell: Lessons learned".

    Args:
        words: integers from 0 to V - 1, (N,).
        embedding: (V, I).
        h: (S, H), states from which sequences go on.
        c: (S, H), their cells.
        parents: integers from 0 to S - 1, (N,): from which of them each sequence goes on.
        weight_ih: (4H, I), rows in the order i, f, g, o.
        weight_hh: (4H, H), likewise.
        bias: (4H,), likewise.

    Returns:
        (h', c'), both (N, H).

    Raises:
        ArgumentError: a word or a parent is not the number of a row.
        ShapeError: the shapes do not fit.
        DtypeError: words or parents are not integers; the others are not floating point, or of
            different dtypes.

    >>> from minidl.ops.word_step import word_step
    >>> words, parents = minidl.tensor([4, 2, 4]), minidl.tensor([0, 1, 1])
    >>> state = minidl.zeros(2, 3)
    >>> weights = minidl.ones(12, 2), minidl.ones(12, 3), minidl.zeros(12)
    >>> h, c = word_step(words, minidl.ones(5, 2), state, state, parents, *weights)
    >>> h.shape
    (3, 3)
    """
    check_shapes(embedding, h, c, weight_ih, weight_hh, bias)
    read = check_rows("words", words, len(embedding.data))
    start = check_rows("parents", parents, len(h.data))
    if read.shape != start.shape:
        raise ShapeError(
            OP, "a sequence has a word and a parent", {"words": words, "parents": parents}
        )  # fmt: skip
    h_next, c_next = kernels.pick(OP, h.data).word_step(
        read, embedding.data, h.data, c.data, start, weight_ih.data, weight_hh.data, bias.data
    )
    return Tensor(h_next), Tensor(c_next)


def check_shapes(embedding, h, c, weight_ih, weight_hh, bias) -> None:
    """All are floating point, and fit each other."""
    given = {
        "h": h, "c": c, "embedding": embedding, "weight_ih": weight_ih, "weight_hh": weight_hh,
        "bias": bias,
    }  # fmt: skip
    check_floating(OP, **given)
    check_ndim(OP, "h", h, 2, "(S, H)")
    check_ndim(OP, "embedding", embedding, 2, "(V, I)")
    (S, H), I = h.data.shape, embedding.data.shape[1]
    shapes = {"c": (S, H), "weight_ih": (4 * H, I), "weight_hh": (4 * H, H), "bias": (4 * H,)}
    for name, shape in shapes.items():
        if given[name] is None or given[name].data.shape != shape:
            raise ShapeError(
                OP, f"{name} is {shape}: S={S} states, H={H} hidden units, I={I} inputs",
                {"h": h, "embedding": embedding, name: given[name]},
            )  # fmt: skip


def check_rows(name: str, numbers: Tensor, rows: int) -> Any:
    """An array of int64, all of them from 0 to rows - 1."""
    check_tensor(OP, **{name: numbers})
    check_ndim(OP, name, numbers, 1, "(N,)")
    if numbers.dtype.kind not in "iu":
        raise DtypeError(OP, f"{name} are integers", {name: f"{numbers.dtype}"})
    array = numbers.data.astype(array_module(numbers.data).int64, copy=False)
    if array.size and not (0 <= int(array.min()) and int(array.max()) < rows):
        raise ArgumentError(OP, f"{name} are from 0 to {rows - 1}", {name: numbers})
    return array
