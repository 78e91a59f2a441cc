import numpy as np

import minidl
from minidl.creation import arange, ones, tensor
from minidl.errors import ArgumentError, DtypeError, GraphError, ShapeError
from tests.op_cases.case import BadCase, Case, distinct, normal, twin
from tests.oracles import onnx

a, b = normal(3, 4), normal(3, 4, seed=1)
row, column = normal(4, seed=2), normal(3, 1, seed=3)
positive = np.abs(normal(2, 3)) + 0.5
away_from_zero = distinct(3, 4) + 0.02

TENSOR_INT64, TENSOR_BOOL = 7, 9  # numbers of the element types in ONNX's TensorProto

CASES = [
    twin("add", "same", lambda lib, x, y: x + y, a, b, oracle=onnx("Add")),
    twin("add", "row", lambda lib, x, y: lib.add(x, y), a, row, oracle=onnx("Add")),
    twin("add", "both-stretch", lambda lib, x, y: x + y, column, row, oracle=onnx("Add")),
    twin("add", "0d", lambda lib, x, y: x + y, np.array(0.3), np.array(-2.0)),
    twin("add", "empty", lambda lib, x, y: x + y, normal(0, 4), normal(1, 4)),
    twin("add", "twice-the-same", lambda lib, x: x + x, a),
    twin("sub", "same", lambda lib, x, y: x - y, a, b, oracle=onnx("Sub")),
    twin("sub", "new-axes", lambda lib, x, y: x.sub(y), row, normal(2, 1, 4), oracle=onnx("Sub")),
    twin("sub", "number-left", lambda lib, x: 1.5 - x, a),
    twin("mul", "same", lambda lib, x, y: x * y, a, b, oracle=onnx("Mul")),
    twin("mul", "column", lambda lib, x, y: lib.mul(x, y), column, a, oracle=onnx("Mul")),
    twin("mul", "square", lambda lib, x: x * x, a),
    twin("mul", "number", lambda lib, x: -0.5 * x, a),
    twin("div", "same", lambda lib, x, y: x / y, a, away_from_zero, oracle=onnx("Div")),
    twin("div", "row", lambda lib, x, y: lib.div(x, y), a, positive[0, :1], oracle=onnx("Div")),
    twin("div", "number-left", lambda lib, x: 2 / x, away_from_zero),
    twin("remainder", "same", lambda lib, x, y: x % y, a, away_from_zero),
    twin("remainder", "number", lambda lib, x: lib.remainder(x, 0.7), a),
    twin("remainder", "integers", lambda lib, x, y: x % y, np.arange(-4, 4),
         np.array([3, -3, 5, -5, 3, -3, 5, -5]), gradient=False, oracle=onnx("Mod")),
    twin("floor_divide", "row", lambda lib, x, y: x // y, a, positive[0, :1], gradient=False),
    Case("floor_divide", "gradient", lambda x, y: x // y, [a, away_from_zero[:1]]),
    twin("neg", "2d", lambda lib, x: -x, a, oracle=onnx("Neg")),
    twin("pow", "square", lambda lib, x: x**2, a),
    twin("pow", "cube", lambda lib, x: lib.pow(x, 3), a),
    twin("pow", "zeroth", lambda lib, x: x**0, a),
    twin("pow", "root", lambda lib, x: x**0.5, positive),
    twin("pow", "reciprocal", lambda lib, x: x**-1, away_from_zero),
    twin("pow", "number-base", lambda lib, x: 2.5**x, a),
    twin("pow", "tensors", lambda lib, x, y: x**y, positive, normal(3), oracle=onnx("Pow")),
    twin("copy_", "stretches", lambda lib, x, y: x.clone().copy_(y), a, row, gradient=False,
         oracle=lambda x, y: onnx("Expand", constants=(x.shape,))(y)),
    twin("to", "integers", lambda lib, x: (3 * x).to(lib.int64), a, gradient=False,
         oracle=lambda x: onnx("Cast", to=TENSOR_INT64)(3 * x)),
    twin("to", "bools", lambda lib, x: x.bool(), np.array([0.0, -0.0, 0.3, -2]),
         gradient=False, oracle=onnx("Cast", to=TENSOR_BOOL)),
    # Powers at 0: PyTorch's gradients there are 0 where the limit is, not NaN.
    twin("pow", "zeros", lambda lib, x, y: x**y, np.zeros(3), np.array([0.0, 2.0, 3.0]),
         smooth=False),
]  # fmt: skip

matrix = ones(2, 3)
weight = ones(3, requires_grad=True)
BAD_CASES = [
    BadCase("add", "shapes", lambda: matrix + ones(4), ShapeError,
            ["sizes 3 and 4 meet", "(2, 3)", "(4,)", "equal or 1"]),
    BadCase("mul", "text", lambda: matrix * "2", DtypeError, ["Tensors and numbers", "str '2'"]),
    BadCase("div", "none", lambda: matrix / None, DtypeError, ["NoneType"]),
    BadCase("sub", "bools", lambda: tensor([True]) - tensor([True]), DtypeError, ["~"]),
    BadCase("neg", "bools", lambda: -tensor([True]), DtypeError, ["difference"]),
    BadCase("neg", "array", lambda: minidl.ops.neg(a), DtypeError, ["must be a Tensor"]),
    BadCase("pow", "negative-integers", lambda: arange(3) ** -1, ArgumentError, [".float()"]),
    BadCase("add", "overflow", lambda: ones(2, dtype="uint8") + 300, ArgumentError, ["uint8"]),
    BadCase("remainder", "shapes", lambda: matrix % ones(2), ShapeError, ["3 and 2"]),
    BadCase("floor_divide", "text", lambda: matrix // "2", DtypeError, ["str '2'"]),
    BadCase("remainder", "zero", lambda: arange(3) % 0, ArgumentError, ["divided by 0"]),
    BadCase("floor_divide", "zero", lambda: 5 // arange(3), ArgumentError, ["divided by 0"]),
    BadCase("add_", "recorded", lambda: weight.add_(1), GraphError, ["minidl.no_grad()"]),
    BadCase("sub_", "computed", lambda: (weight * 2).sub_(1), GraphError, ["computed", "detach"]),
    BadCase("mul_", "operand-recorded", lambda: ones(3).mul_(weight), GraphError, ["no_grad"]),
    BadCase("add_", "stretches", lambda: ones(3).add_(matrix), ShapeError, ["input's shape"]),
    BadCase("add_", "stretches-ones", lambda: ones(3, 1).add_(ones(3, 2)), ShapeError, ["(3, 2)"]),
    BadCase("add_", "floats-into-integers", lambda: arange(3).add_(0.5), DtypeError, ["int64"]),
    BadCase("div_", "integers", lambda: arange(3).div_(2), DtypeError, ["quotient"]),
    BadCase("copy_", "stretches", lambda: ones(3).copy_(matrix), ShapeError, ["input's shape"]),
    BadCase("copy_", "recorded", lambda: weight.copy_(ones(3)), GraphError, ["no_grad"]),
    BadCase("fill_", "text", lambda: ones(3).fill_("x"), DtypeError, ["numbers"]),
    BadCase("zero_", "expanded", lambda: ones(1).expand(3).zero_(), GraphError, ["clone()"]),
    BadCase("to", "dtype", lambda: matrix.to("flaot32"), DtypeError, ["did you mean float32?"]),
    BadCase("to", "device", lambda: matrix.to("gpu"), DtypeError, ["'gpu'"]),
]  # fmt: skip
