from functools import partial

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import unfold
from tests.op_cases.case import BadCase, Case, normal


def case(name, shape, kernel_size, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    """No oracle: ONNX has no operator of this kind (Col2Im is its adjoint)."""
    options = {"dilation": dilation, "padding": padding, "stride": stride}
    return Case(
        "unfold",
        name,
        lambda x: unfold(x, kernel_size, **options),
        [normal(*shape)],
        torch=lambda torch, x: torch.nn.functional.unfold(x, kernel_size, **options),
    )


CASES = [
    case("plain", (2, 3, 5, 4), (3, 2)),
    case("stride", (1, 2, 7, 8), (2, 3), stride=(2, 3)),
    case("stride-above-kernel", (1, 2, 7, 8), (2, 1), stride=(3, 2)),
    case("dilation", (2, 2, 7, 8), (3, 2), dilation=(2, 3), padding=(2, 1), stride=(1, 2)),
    case("padding-above-kernel", (1, 1, 2, 3), (2, 2), padding=(3, 4)),
    case("pointwise", (2, 3, 2, 3), (1, 1)),
    case("window-is-picture", (2, 3, 4, 5), (4, 5)),
    case("batch-zero", (0, 3, 5, 5), (2, 2)),
]

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "unfold")
BAD_CASES = [
    bad("ndim", lambda: unfold(ones(3, 8, 8), 2), ShapeError, ["4 dimensions"]),
    bad("kernel", lambda: unfold(x, (2, 0)), ArgumentError, ["kernel_size", ">= 1"]),
    bad("stride", lambda: unfold(x, 2, stride=1.5), ArgumentError, ["stride", "1.5"]),
    bad("padding", lambda: unfold(x, 2, padding=-1), ArgumentError, ["padding"]),
    bad("window", lambda: unfold(x, 3, dilation=2), ShapeError, ["5 pixels in height", "input 4"]),
    bad(
        "integers", lambda: unfold(arange(9).reshape(1, 1, 3, 3), 2), DtypeError,
        ["floating-point", "int64"],
    ),
    bad("array", lambda: unfold(x.data, 2), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
