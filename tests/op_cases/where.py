import numpy as np

import minidl
from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.ops import clamp, masked_fill, where
from tests.op_cases.case import BadCase, distinct, normal, twin
from tests.oracles import onnx

x, y = normal(3, 4), normal(3, 4, seed=1)
mask = normal(3, 4, seed=2) > 0
apart = distinct(3, 4) + 0.02

CASES = [
    twin("where", "same", lambda lib, m, x, y: lib.where(m, x, y), mask, x, y,
         oracle=onnx("Where")),
    twin("where", "stretch", lambda lib, m, x, y: lib.where(m, x, y), mask[0], x[:, :1], y[:1]),
    twin("where", "number", lambda lib, m, x: lib.where(m, x, 0.5), mask, x),
    twin("where", "method", lambda lib, m, x, y: x.where(m, y), mask, x, y),
    twin("clamp", "both", lambda lib, x: lib.clamp(x, -0.3, 0.2), apart,
         oracle=onnx("Clip", constants=(np.float32(-0.3), np.float32(0.2)))),
    twin("clamp", "min-above-max", lambda lib, x: x.clamp(1, -1), np.array([-2.0, -1.0, 0.0, 1.0]),
         smooth=False),
    twin("clamp", "min", lambda lib, x: x.clamp(min=0.1), apart),
    twin("clamp", "max", lambda lib, x: x.clip(max=0.1), apart),
    twin("clamp", "at-the-bound", lambda lib, x: x.clamp(-1, 1), np.array([-1.0, 1.0, 2.0]),
         smooth=False),
    twin("clamp", "tensors", lambda lib, x, y: x.clamp(y, y + 0.5), apart, distinct(4) - 0.01),
    twin("masked_fill", "number", lambda lib, x, m: x.masked_fill(m, -1.5), x, mask),
    twin("masked_fill", "stretch", lambda lib, x, m: lib.masked_fill(x, m, 2), x, mask[:, :1]),
    twin("maximum", "same", lambda lib, x, y: lib.maximum(x, y), x, y, oracle=onnx("Max")),
    twin("maximum", "stretch", lambda lib, x, y: x.maximum(y), x, y[:, :1], oracle=onnx("Max")),
    twin("maximum", "ties", lambda lib, x, y: lib.maximum(x, y), np.ones(3), np.ones(3),
         smooth=False),
    twin("minimum", "same", lambda lib, x, y: lib.minimum(x, y), x, y, oracle=onnx("Min")),
    twin("minimum", "ties", lambda lib, x, y: x.minimum(y), np.ones(3), np.array([1.0, 2.0, 0.0]),
         smooth=False),
]  # fmt: skip

m, truth = ones(2, 3), tensor([True, False, True])
BAD_CASES = [
    BadCase("where", "ints", lambda: where(tensor([1, 0, 1]), m, m), DtypeError, ["bools"]),
    BadCase("where", "array", lambda: where(mask, m, m), DtypeError, ["condition must be"]),
    BadCase("where", "shape", lambda: where(truth, ones(2), 0.0), ShapeError, ["3 and 2"]),
    BadCase("clamp", "nothing", lambda: clamp(m), ArgumentError, ["min, max or both"]),
    BadCase("clamp", "text", lambda: clamp(m, "0"), DtypeError, ["min is a number"]),
    BadCase("masked_fill", "shape", lambda: masked_fill(m, truth[:2], 0), ShapeError, ["2 and 3"]),
    *(
        BadCase(name, "text", lambda name=name: getattr(minidl, name)(m, "2"), DtypeError,
                ["Tensors and numbers", "str '2'"])
        for name in ("maximum", "minimum")
    ),
    BadCase("minimum", "shapes", lambda: minidl.minimum(m, ones(4)), ShapeError, ["3 and 4"]),
    BadCase("maximum", "shapes", lambda: minidl.maximum(m, ones(4)), ShapeError, ["3 and 4"]),
]  # fmt: skip
