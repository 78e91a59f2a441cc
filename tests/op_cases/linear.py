from minidl.creation import arange, ones
from minidl.errors import DtypeError, ShapeError
from minidl.nn.functional import linear
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, w, b=True):
    inputs = [normal(*x), normal(*w, seed=1)] + ([normal(w[0], seed=2)] if b else [])
    return Case(
        "linear",
        name,
        linear,
        inputs,
        oracle=onnx("Gemm", transB=1) if len(x) == 2 else None,  # Gemm takes matrices only
        torch=lambda torch, *tensors: torch.nn.functional.linear(*tensors),
    )


CASES = [
    case("plain", (3, 5), (4, 5)),
    case("no-bias", (3, 5), (4, 5), b=False),
    case("one-row", (5,), (4, 5)),
    case("sequence", (2, 3, 5), (4, 5)),
    case("size-one", (1, 1), (1, 1)),
    case("batch-zero", (0, 5), (4, 5)),
    case("no-features", (3, 0), (4, 0)),
    case("no-outputs", (2, 3, 5), (0, 5)),
]
for last in CASES[-3:]:
    last.oracle = None  # ONNX Runtime refuses empty arrays

x, w = ones(2, 3), ones(4, 3)
BAD_CASES = [
    BadCase(
        "linear", "no-weight", lambda: linear(x, None), DtypeError, ["weight must be a Tensor"]
    ),
    BadCase(
        "linear",
        "features",
        lambda: linear(ones(2, 5), w),
        ShapeError,
        ["weight expects 3 input features", "ends in 5", "(2, 5)", "(4, 3)"],
    ),
    BadCase(
        "linear",
        "forgot-flatten",
        lambda: linear(ones(2, 3, 4, 5), ones(7, 60)),
        ShapeError,
        ["(2, 3, 4, 5)", "nn.Flatten()"],
    ),
    BadCase("linear", "scalar", lambda: linear(ones(2, 3)[0, 0], w), ShapeError, ["no dimensions"]),
    BadCase("linear", "weight-1d", lambda: linear(x, ones(3)), ShapeError, ["(out, in)"]),
    BadCase(
        "linear", "bias", lambda: linear(x, w, ones(3)), ShapeError, ["one value per output", "4"]
    ),
    BadCase("linear", "integers", lambda: linear(arange(3), w), DtypeError, ["floating-point"]),
    BadCase("linear", "array", lambda: linear(x.data, w), DtypeError, ["must be a Tensor"]),
    BadCase(
        "linear",
        "dtypes",
        lambda: linear(ones(2, 3, dtype="float64"), w),
        DtypeError,
        ["one dtype", "float64", "float32"],
    ),
]
