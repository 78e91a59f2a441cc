import numpy as np

import minidl
from minidl.creation import tensor
from minidl.errors import DtypeError
from tests.op_cases.case import BadCase, distinct, normal, twin
from tests.oracles import onnx

x = distinct(2, 3, 4) + 0.02  # no zeros, no ties, no whole or half numbers
positive = np.abs(x) + 0.1


def unary(name, inputs, operator=None, **options):
    """One function of one argument, the same name in both libraries."""
    oracle = onnx(operator) if operator else None
    return [
        twin(name, "3d", lambda lib, x: getattr(lib, name)(x), inputs, oracle=oracle, **options),
        twin(name, "0d", lambda lib, x: getattr(x, name)(), inputs[0, 0, 0], **options),
    ]


CASES = [
    *unary("exp", x, "Exp"),
    *unary("expm1", x),
    *unary("log", positive, "Log"),
    *unary("log1p", positive),
    *unary("sqrt", positive, "Sqrt"),
    *unary("rsqrt", positive),
    *unary("sin", x, "Sin"),
    *unary("cos", x, "Cos"),
    *unary("square", x),
    *unary("abs", x, "Abs"),
    *unary("sign", x, "Sign"),
    *unary("floor", x, "Floor"),
    *unary("ceil", x, "Ceil"),
    *unary("round", x, "Round"),
    *(
        twin(name, "ints", lambda lib, x, name=name: getattr(lib, name)(x), np.arange(-2, 3),
             gradient=False)
        for name in ("floor", "ceil", "round")
    ),
    twin("exp", "empty", lambda lib, x: lib.exp(x), normal(0, 3)),
    twin("abs", "kink", lambda lib, x: lib.abs(x), np.array([0.0, -1.0]), smooth=False),
    twin("round", "halves", lambda lib, x: lib.round(x), np.array([0.5, 1.5, -2.5]), smooth=False,
         oracle=onnx("Round")),
]  # fmt: skip

BAD_CASES = [
    *(
        BadCase(name, "array", lambda name=name: getattr(minidl, name)(x), DtypeError,
                ["must be a Tensor", "ndarray"])
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "square",
                     "sign", "floor", "ceil", "round")
    ),
    *(
        BadCase(name, "bools", lambda name=name: getattr(minidl, name)(tensor([True])),
                DtypeError, ["not bools"])
        for name in ("floor", "ceil", "round")
    ),
    BadCase("abs", "number", lambda: minidl.abs(-2), DtypeError, ["minidl.tensor(input)"]),
    BadCase("sign", "bools", lambda: tensor([True]).sign(), DtypeError, ["no sign"]),
]  # fmt: skip
