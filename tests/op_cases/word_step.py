from functools import partial

import numpy as np

from minidl.creation import ones, tensor, zeros
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.ops.word_step import word_step
from tests.op_cases.case import BadCase, Case, normal


def case(name, V, I, S, H, words, parents):
    """Of V words with I numbers each, and S states."""

    def call(*arrays):
        h, c = word_step(tensor(words, "int64"), *arrays[:3], tensor(parents, "int64"), *arrays[3:])
        return h, c

    def in_pytorch(torch, embedding, h, c, w_ih, w_hh, b):
        return torch.lstm_cell(
            embedding[words], (h[parents], c[parents]), w_ih, w_hh, b, torch.zeros_like(b)
        )

    shapes = (V, I), (S, H), (S, H), (4 * H, I), (4 * H, H), (4 * H,)
    inputs = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    torch = in_pytorch if words else None
    return Case("word_step", name, call, inputs, torch=torch, gradient=False)


CASES = [
    case("plain", 5, 3, 2, 4, [4, 0], [0, 1]),
    case("shared", 9, 5, 3, 32, [4, 4, 2, 4, 0], [1, 1, 0, 1, 0]),
    case("one", 2, 1, 1, 1, [1], [0]),
    case("no-sequences", 3, 2, 2, 4, [], []),
]

words, parents, embedding, state = tensor([1, 2]), tensor([0, 0]), ones(3, 2), zeros(1, 4)
weights = ones(16, 2), ones(16, 4), ones(16)
bad = partial(BadCase, "word_step")


def called(words=words, embedding=embedding, h=state, c=state, parents=parents, weights=weights):
    return lambda: word_step(words, embedding, h, c, parents, *weights)


BAD_CASES = [
    bad("word", called(tensor([1, 3])), ArgumentError, ["words", "0 to 2"]),
    bad("negative", called(tensor([1, -1])), ArgumentError, ["words", "0 to 2"]),
    bad("parent", called(parents=tensor([0, 1])), ArgumentError, ["parents", "0 to 0"]),
    bad("float-words", called(ones(2)), DtypeError, ["words", "integers"]),
    bad("array", called(np.array([1, 2])), DtypeError, ["words", "Tensor"]),
    bad("two-dimensions", called(tensor([[1, 2]])), ShapeError, ["words", "(N,)"]),
    bad("parents", called(parents=tensor([0])), ShapeError, ["words", "parents"]),
    bad("cell", called(c=zeros(2, 4)), ShapeError, ["c is (1, 4)"]),
    bad("state", called(h=zeros(4)), ShapeError, ["(S, H)"]),
    bad("embedding", called(embedding=ones(3)), ShapeError, ["(V, I)"]),
    bad("inputs", called(embedding=ones(3, 5)), ShapeError, ["weight_ih is (16, 5)"]),
    bad("bias", called(weights=(*weights[:2], ones(4))), ShapeError, ["bias is (16,)"]),
    bad("no-bias", called(weights=(*weights[:2], None)), ShapeError, ["bias"]),
    bad("dtypes", called(c=state.to("float64")), DtypeError, ["dtype"]),
]
