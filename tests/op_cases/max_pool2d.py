from functools import partial

import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import max_pool2d
from tests.op_cases.case import BadCase, Case, distinct
from tests.oracles import onnx


def case(name, x, kernel, stride=None, padding=(0, 0), dilation=(1, 1), ceil=False, **others):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil}
    x = distinct(*x) if isinstance(x, tuple) else x
    run_onnx = onnx(
        "MaxPool",
        outputs=2,
        kernel_shape=kernel,
        strides=stride or kernel,
        pads=[*padding, *padding],
        dilations=dilation,
        ceil_mode=int(ceil),
    )

    def oracle(x):
        y, indices = run_onnx(x)
        return [y, indices % (x.shape[2] * x.shape[3])]  # ONNX counts through the whole tensor

    return Case(
        "max_pool2d",
        name,
        lambda x: max_pool2d(x, kernel, **options, return_indices=True),
        [x],
        **{"oracle": oracle} | others,
        torch=lambda torch, x: torch.nn.functional.max_pool2d(
            x, kernel, **options, return_indices=True
        ),
    )


def ties():
    """Values 0, 1, 2: most windows have several largest ones."""
    return np.random.default_rng(0).integers(0, 3, (2, 3, 7, 6)).astype(np.float64)


def non_finite():
    """NaN (several in a window), windows of nothing but -inf, and both infinities."""
    x = distinct(1, 2, 6, 8)
    x[0, 0, 1:3, 1:3] = np.nan
    x[0, 1, 0:3, 0:4] = -np.inf
    x[0, 1, 4, 5] = np.inf
    return x


CASES = [
    case("plain", (2, 3, 6, 4), (2, 2)),
    case("overlapping", (2, 3, 7, 9), (3, 3), stride=(2, 2)),
    case("padding", (1, 2, 5, 6), (3, 4), stride=(2, 1), padding=(1, 2)),
    case("dilation", (2, 2, 8, 9), (2, 3), stride=(1, 2), padding=(1, 1), dilation=(3, 2)),
    case("ceil", (1, 2, 6, 8), (2, 3), stride=(3, 3), ceil=True),
    case("ceil-last-window-in-padding", (1, 1, 4, 5), (2, 2), stride=(3, 2), padding=(1, 1),
         ceil=True),
    case("stride-above-kernel", (2, 2, 9, 8), (2, 1), stride=(4, 3)),
    case("window-is-picture", (2, 3, 4, 5), (4, 5)),
    case("size-one", (1, 1, 1, 1), (1, 1)),
    case("uncovered-border", (1, 2, 7, 8), (2, 3)),
    case("batch-zero", (0, 3, 5, 5), (2, 2), oracle=None),  # ONNX Runtime refuses an empty batch
    # The numerical gradient means nothing at a tie or a NaN; the indices say where gy goes.
    case("ties", ties(), (3, 2), stride=(2, 1), padding=(1, 0), gradient=False),
    case("non-finite", non_finite(), (2, 3), stride=(1, 2), padding=(1, 1), gradient=False,
         oracle=None),  # ONNX Runtime loses a NaN that is not the first value of its window
]  # fmt: skip

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "max_pool2d")
BAD_CASES = [
    bad("ndim", lambda: max_pool2d(ones(3, 8, 8), 2), ShapeError, ["4 dimensions"]),
    bad("kernel-zero", lambda: max_pool2d(x, 0), ArgumentError, ["kernel_size", "1"]),
    bad("kernel-three", lambda: max_pool2d(x, (2, 2, 2)), ArgumentError, ["pair"]),
    bad("stride-zero", lambda: max_pool2d(x, 2, 0), ArgumentError, ["stride"]),
    bad("padding", lambda: max_pool2d(x, 3, padding=2), ArgumentError, ["half"]),
    bad("dilation", lambda: max_pool2d(x, 2, dilation=0), ArgumentError, ["dilation"]),
    bad(
        "window", lambda: max_pool2d(x, (2, 4), padding=(0, 1), dilation=3), ShapeError,
        ["10 pixels in width", "8", "(1, 3, 4, 6)"],
    ),
    bad("no-pixels", lambda: max_pool2d(ones(1, 1, 0, 5), 2, 1, 1), ShapeError),
    bad(
        "only-padding",
        lambda: max_pool2d(ones(1, 1, 2, 5), (2, 1), padding=(1, 0), dilation=(3, 1)), ShapeError,
        ["nothing but padding in height"],
    ),
    bad(
        "integers", lambda: max_pool2d(arange(9).reshape(1, 1, 3, 3), 2), DtypeError,
        ["floating-point", "int64"],
    ),
    bad("array", lambda: max_pool2d(x.data, 2), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
