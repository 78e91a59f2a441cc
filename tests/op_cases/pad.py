from functools import partial

import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import pad
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx

ONNX_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def case(name, shape, widths, mode="constant", value=None, torch_has_it=True):
    run_onnx = onnx("Pad", mode=ONNX_MODES[mode])

    def oracle(x):
        n_left = x.ndim - len(widths) // 2
        starts = [0] * n_left + list(widths[0::2])[::-1]  # ONNX: all starts, then all ends
        ends = [0] * n_left + list(widths[1::2])[::-1]
        return run_onnx(x, np.array(starts + ends), np.array(value or 0, np.float32))

    return Case(
        "pad",
        name,
        lambda x: pad(x, widths, mode, value),
        [normal(*shape)],
        oracle=oracle if min(shape) > 0 else None,
        torch=(lambda torch, x: torch.nn.functional.pad(x, widths, mode, value))
        if torch_has_it
        else None,
    )


CASES = [
    case("constant", (2, 3, 4, 5), (1, 3, 2, 0), value=1.5),
    case("constant-all-axes", (1, 2, 3), (1, 0, 0, 2, 3, 1)),
    case("constant-negative", (2, 3, 5, 6), (-1, 2, 3, -2), value=-0.5),
    case("constant-takes-all", (2, 1, 3, 4), (-2, -2, 4, -3), value=2.0),
    case("reflect", (2, 3, 4, 5), (1, 3, 2, 0), "reflect"),
    case("reflect-widest", (1, 2, 3, 4), (3, 3, 2, 2), "reflect"),
    case("reflect-one-end", (1, 2, 3, 4), (0, 3, 0, 2), "reflect"),
    case("reflect-3d", (2, 3, 5), (4, 1), "reflect"),
    case("replicate", (2, 3, 4, 5), (1, 3, 2, 0), "replicate"),
    case("replicate-wider-than-picture", (1, 2, 2, 3), (5, 4, 3, 6), "replicate"),
    case("replicate-size-one", (1, 1, 1, 1), (2, 1, 0, 3), "replicate"),
    case("replicate-matrix", (3, 4), (1, 2, 2, 1), "replicate", torch_has_it=False),
    case("nothing", (2, 3, 4, 5), (0, 0, 0, 0), "reflect"),
    case("batch-zero", (0, 2, 3, 4), (1, 2, 2, 1), "reflect"),
]

x = ones(1, 3, 4, 5)
bad = partial(BadCase, "pad")
BAD_CASES = [
    bad("mode", lambda: pad(x, (1, 1), "reflekt"), ArgumentError, ["'reflekt'", "mean reflect?"]),
    bad("odd", lambda: pad(x, (1, 1, 1)), ArgumentError, ["even number of ints", "(1, 1, 1)"]),
    bad("int", lambda: pad(x, 1), ArgumentError, ["even number of ints"]),
    bad("axes", lambda: pad(ones(3), (1, 1, 1, 1)), ShapeError, ["2 axes", "(3,)"]),
    bad("value", lambda: pad(x, (1, 1), "reflect", 1.0), ArgumentError, ["takes a value"]),
    bad("value-text", lambda: pad(x, (1, 1), value="0"), ArgumentError, ["a number", "'0'"]),
    bad(
        "value-nan", lambda: pad(arange(3), (1, 1), value=float("nan")), ArgumentError,
        ["does not fit into int64", "nan"],
    ),
    bad("reflect-wide", lambda: pad(x, (0, 5), "reflect"), ShapeError, ["axis 3", "5 pixels"]),
    bad("reflect-negative", lambda: pad(x, (-1, 0), "reflect"), ArgumentError, [">= 0", "slice"]),
    bad("replicate-empty", lambda: pad(ones(1, 0), (1, 0), "replicate"), ShapeError, ["no pixel"]),
    bad("takes-too-much", lambda: pad(x, (-3, -3)), ShapeError, ["the 5 pixels of axis 3"]),
    bad("array", lambda: pad(x.data, (1, 1)), DtypeError, ["input must be a Tensor"]),
]  # fmt: skip
