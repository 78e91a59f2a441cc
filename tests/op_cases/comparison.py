import numpy as np

import minidl
from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from tests.op_cases.case import BadCase, normal, twin
from tests.oracles import onnx

inf, nan = float("inf"), float("nan")
x = np.array([[1.0, 2.0, nan], [inf, -1.0, 2.0]])
y = np.array([1.0, 3.0, nan])
truth, other = x > 1, y < 2


def compare(name, operator=None):
    oracle = onnx(operator) if operator else None
    f = lambda lib, x, y: getattr(lib, name)(x, y)  # noqa: E731
    return twin(name, "stretch", f, x, y, gradient=False, oracle=oracle)


def bits(name, f, operator):
    return twin(name, "bools", f, truth, other, gradient=False, oracle=onnx(operator))


def logic(name, operator):
    f = lambda lib, x, y: getattr(lib, name)(x, y)  # noqa: E731
    return twin(name, "bools", f, truth, other, gradient=False, oracle=onnx(operator))


CASES = [
    compare("eq", "Equal"),
    compare("ne"),
    compare("lt", "Less"),
    compare("le", "LessOrEqual"),
    compare("gt", "Greater"),
    compare("ge", "GreaterOrEqual"),
    compare("logical_and"),
    compare("logical_or"),
    compare("logical_xor"),
    logic("logical_and", "And"),
    logic("logical_or", "Or"),
    logic("logical_xor", "Xor"),
    bits("bitwise_and", lambda lib, x, y: x & y, "And"),
    bits("bitwise_or", lambda lib, x, y: x | y, "Or"),
    bits("bitwise_xor", lambda lib, x, y: x ^ y, "Xor"),
    twin("bitwise_not", "bools", lambda lib, x: ~x, truth, gradient=False, oracle=onnx("Not")),
    twin("bitwise_not", "ints", lambda lib, x: ~x, np.array([5, 6]), gradient=False),
    twin("logical_not", "floats", lambda lib, x: lib.logical_not(x), x, gradient=False),
    twin("logical_not", "bools", lambda lib, x: x.logical_not(), truth, gradient=False,
         oracle=onnx("Not")),
    twin("isnan", "2d", lambda lib, x: lib.isnan(x), x, gradient=False, oracle=onnx("IsNaN")),
    twin("isinf", "2d", lambda lib, x: lib.isinf(x), x, gradient=False, oracle=onnx("IsInf")),
    twin("isfinite", "2d", lambda lib, x: lib.isfinite(x), x, gradient=False),
    twin("any", "all", lambda lib, x: lib.any(x > 1), x, gradient=False),
    twin("any", "dim", lambda lib, x: x.any(1, keepdim=True), x > 2, gradient=False),
    twin("all", "dims", lambda lib, x: x.all((0, 1)), x > 0, gradient=False),
    twin("all", "empty", lambda lib, x: lib.all(x, dim=0), normal(0, 3), gradient=False),
]  # fmt: skip

BAD_CASES = [
    BadCase("lt", "shapes", lambda: ones(2, 3) < ones(2), ShapeError, ["3 and 2"]),
    BadCase("ge", "text", lambda: ones(2) >= "a", DtypeError, ["'a'"]),
    *(
        BadCase(name, "text", lambda name=name: getattr(minidl.ops, name)(ones(2), "a"),
                DtypeError, ["Tensors and numbers", "str 'a'"])
        for name in ("eq", "ne", "lt", "le", "gt", "logical_and", "logical_or", "logical_xor",
                     "bitwise_xor")
    ),
    *(
        BadCase(name, "shapes", lambda name=name: getattr(minidl.ops, name)(ones(2, 3), ones(2)),
                ShapeError, ["3 and 2"])
        for name in ("eq", "ne", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
    ),
    *(
        BadCase(name, "array", lambda name=name: getattr(minidl.ops, name)(y), DtypeError,
                ["must be a Tensor", "ndarray"])
        for name in ("logical_not", "bitwise_not", "isnan", "isinf", "isfinite", "any", "all")
    ),
    BadCase("all", "dim", lambda: ones(2).all(1), ArgumentError, ["from -1 to 0"]),
    BadCase("bitwise_and", "floats", lambda: ones(2) & ones(2), DtypeError, ["compare first"]),
    BadCase("bitwise_not", "floats", lambda: ~ones(2), DtypeError, ["bools or integers"]),
    BadCase("bitwise_or", "mixed", lambda: tensor([True]) | 0.5, DtypeError, ["compare first"]),
    BadCase("equal", "array", lambda: minidl.equal(ones(3), y), DtypeError, ["other must be"]),
]  # fmt: skip
