from functools import partial

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import avg_pool2d
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, kernel, stride=None, padding=(0, 0), ceil=False, count_pad=True, divisor=None):
    options = {
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil,
        "count_include_pad": count_pad,
        "divisor_override": divisor,
    }
    oracle = onnx(
        "AveragePool",
        kernel_shape=kernel,
        strides=stride or kernel,
        pads=[*padding, *padding],
        ceil_mode=int(ceil),
        count_include_pad=int(count_pad),
    )
    return Case(
        "avg_pool2d",
        name,
        lambda x: avg_pool2d(x, kernel, **options),
        [normal(*x)],
        oracle=oracle if divisor is None and x[0] else None,  # ONNX has no divisor, no empty batch
        torch=lambda torch, x: torch.nn.functional.avg_pool2d(x, kernel, **options),
    )


CASES = [
    case("plain", (2, 3, 6, 4), (2, 2)),
    case("overlapping", (2, 3, 7, 9), (3, 2), stride=(2, 1)),
    case("padding-counts", (1, 2, 5, 6), (3, 4), stride=(2, 1), padding=(1, 2)),
    case("padding-does-not-count", (1, 2, 5, 6), (3, 4), (2, 1), (1, 2), count_pad=False),
    case("ceil", (1, 2, 6, 8), (2, 3), stride=(3, 3), ceil=True),
    case("ceil-padding-counts", (1, 2, 6, 7), (3, 4), (2, 3), (1, 2), ceil=True),
    case("ceil-padding-does-not-count", (1, 2, 6, 7), (3, 4), (2, 3), (1, 2), True, False),
    case("ceil-last-window-in-padding", (1, 1, 4, 5), (2, 2), (3, 2), (1, 1), ceil=True),
    case("divisor", (2, 2, 5, 4), (3, 2), stride=(1, 2), padding=(1, 1), divisor=-5),
    case("stride-above-kernel", (2, 2, 9, 8), (2, 1), stride=(4, 3)),
    case("window-is-picture", (2, 3, 4, 5), (4, 5)),
    case("size-one", (1, 1, 1, 1), (1, 1)),
    case("batch-zero", (0, 3, 5, 5), (2, 2)),
]

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "avg_pool2d")
BAD_CASES = [
    bad("ndim", lambda: avg_pool2d(ones(3, 8, 8), 2), ShapeError, ["4 dimensions"]),
    bad("kernel", lambda: avg_pool2d(x, (2, 0)), ArgumentError, ["kernel_size"]),
    bad("stride", lambda: avg_pool2d(x, 2, "2"), ArgumentError, ["stride", "'2'"]),
    bad("padding", lambda: avg_pool2d(x, 2, padding=2), ArgumentError, ["half"]),
    bad("window", lambda: avg_pool2d(x, 5), ShapeError, ["5 pixels in height, the padded input 4"]),
    bad(
        "divisor", lambda: avg_pool2d(x, 2, divisor_override=0), ArgumentError,
        ["divisor_override", "other than 0"],
    ),
    bad(
        "integers", lambda: avg_pool2d(arange(9).reshape(1, 1, 3, 3), 2), DtypeError,
        ["floating-point", "int64"],
    ),
    bad("array", lambda: avg_pool2d(x.data, 2), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
