from functools import partial

import numpy as np

from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import likeliest
from tests.op_cases.case import BadCase, Case, normal


def case(name, R, V, K, k, banned=None, torch=True):
    given = None if banned is None else tensor(banned)

    def call(x, w, b):
        classes, *logs = likeliest(x, w, b, k, given)
        return classes, *(log.to(x.dtype) for log in logs)

    def in_pytorch(torch, x, w, b):
        scores = x @ w.T + b
        log_p = torch.log_softmax(scores, 1)
        for row, numbers in enumerate(banned or []):
            log_p[row, [number for number in numbers if number >= 0]] = -float("inf")
        return *log_p.topk(k, 1)[::-1], scores.logsumexp(1)

    inputs = [normal(R, K), normal(V, K, seed=1), normal(V, seed=2)]
    return Case(
        "likeliest", name, call, inputs, torch=in_pytorch if torch else None, gradient=False
    )


def equal(x, w, b):
    classes, log_p, _ = likeliest(x, w, b, 3, tensor([[1], [-1]]))
    return classes, log_p.to(x.dtype)


CASES = [
    case("plain", 3, 50, 7, 3),
    case("one-row", 1, 300, 40, 2),
    case("all-of-them", 2, 5, 3, 5),
    case("banned", 3, 90, 5, 4, [[0, 1, 2], [5, -1, 89], [-1, -1, -1]]),
    case("no-rows", 0, 9, 4, 2, torch=False),
    Case("likeliest", "equal", equal, [np.zeros((2, 4)), np.zeros((40, 4)), np.zeros(40)],
         gradient=False),
]  # fmt: skip

x, w, b = ones(2, 3), ones(5, 3), ones(5)
bad = partial(BadCase, "likeliest")
BAD_CASES = [
    bad("k", lambda: likeliest(x, w, b, 6), ArgumentError, ["from 1 to 5", "6"]),
    bad("rows", lambda: likeliest(ones(3), w, b, 1), ShapeError, ["2 dimensions"]),
    bad("bias", lambda: likeliest(x, w, ones(4), 1), ShapeError, ["bias"]),
    bad("banned", lambda: likeliest(x, w, b, 1, tensor([[5], [0]])), ArgumentError, ["below 5"]),
    bad("banned-rows", lambda: likeliest(x, w, b, 1, tensor([[0]])), ShapeError, ["(R, n)"]),
    bad("dtypes", lambda: likeliest(x, w.to("float64"), b, 1), DtypeError, ["dtype"]),
]  # fmt: skip
