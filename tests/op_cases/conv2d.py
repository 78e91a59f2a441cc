from functools import partial

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import conv2d
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, w, b=True, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, pads=None):
    """pads are those of a padding that is no pair, in ONNX's order: (top, left, bottom, right)."""
    inputs = [normal(*x), normal(*w, seed=1)] + ([normal(w[0], seed=2)] if b else [])
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def torch_conv2d(torch, x, *others):
        if pads is None or padding == "same":
            return torch.nn.functional.conv2d(x, *others, **options)
        x = torch.nn.functional.pad(x, (pads[1], pads[3], pads[0], pads[2]))
        return torch.nn.functional.conv2d(x, *others, **{**options, "padding": 0})

    return Case(
        "conv2d",
        name,
        lambda *tensors: conv2d(*tensors, **options),
        inputs,
        oracle=onnx(
            "Conv",
            strides=stride,
            pads=pads or [*padding, *padding],
            dilations=dilation,
            group=groups,
            kernel_shape=w[2:],
        ),
        torch=torch_conv2d,
    )


CASES = [
    case("plain", (2, 3, 6, 7), (4, 3, 3, 2)),
    case("no-bias", (1, 2, 5, 5), (3, 2, 3, 3), b=False, padding=(1, 1)),
    case("stride-above-kernel", (2, 2, 9, 8), (3, 2, 2, 2), stride=(4, 3)),
    case("dilation", (1, 2, 9, 8), (2, 2, 3, 3), dilation=(3, 2), padding=(2, 1)),
    case("groups", (2, 4, 6, 5), (6, 2, 3, 2), stride=(2, 1), padding=(1, 2), groups=2),
    case("wide-groups", (2, 4, 6, 5), (12, 2, 3, 2), stride=(2, 1), padding=(1, 2), groups=2),
    case("many-groups", (1, 17, 4, 3), (17, 1, 3, 2), padding=(1, 0), groups=17),
    case("depthwise", (1, 3, 5, 6), (6, 1, 3, 3), padding=(1, 1), groups=3),
    case("pointwise", (2, 5, 4, 3), (7, 5, 1, 1)),
    case("pointwise-groups", (2, 4, 4, 3), (6, 2, 1, 1), groups=2),
    case("pointwise-stride", (2, 3, 5, 4), (4, 3, 1, 1), stride=(2, 2)),
    case("window-is-picture", (2, 3, 4, 5), (4, 3, 4, 5)),
    case("padding-above-kernel", (1, 1, 2, 3), (2, 1, 2, 2), padding=(3, 4)),
    case("size-one", (1, 1, 1, 1), (1, 1, 1, 1)),
    case("uncovered-border", (1, 2, 8, 9), (3, 2, 2, 3), stride=(3, 4)),
    case("batch-zero", (0, 3, 5, 5), (4, 3, 3, 3)),
]
CASES[-1].oracle = None  # ONNX Runtime refuses an empty batch
CASES += [
    case("each-side", (2, 3, 6, 5), (4, 3, 3, 3), padding=((0, 2), (3, 1)), pads=(0, 3, 2, 1)),
    case("one-side", (1, 4, 6, 5), (4, 2, 2, 3), stride=(2, 1), groups=2,
         padding=((0, 1), (1, 1)), pads=(0, 1, 1, 1)),
    case("same-even", (1, 2, 5, 6), (3, 2, 2, 4), padding="same", pads=(0, 1, 1, 2)),
    case("same-dilated", (1, 2, 5, 6), (3, 2, 4, 2), dilation=(1, 3),
         padding="same", pads=(1, 1, 2, 2)),
    # 3 = ceil(6 / 2) windows of 3 rows, two apart, want 7 rows: one more, at the bottom.
    case("same-upper", (2, 3, 6, 11), (4, 3, 3, 4), stride=(2, 3),
         padding="same_upper", pads=(0, 1, 1, 1)),
    case("same-upper-depthwise", (1, 3, 7, 6), (3, 1, 5, 5), stride=(2, 2), groups=3,
         padding="same_upper", pads=(2, 1, 2, 2)),
    case("same-upper-dilated", (1, 2, 9, 8), (3, 2, 3, 2), stride=(3, 2), dilation=(2, 3),
         padding="same_upper", pads=(1, 1, 1, 1)),
    case("same-upper-none", (1, 2, 6, 9), (3, 2, 2, 1), stride=(3, 4),
         padding="same_upper", pads=(0, 0, 0, 0)),
]  # fmt: skip

x, w = ones(1, 3, 8, 8), ones(6, 3, 5, 5)
bad = partial(BadCase, "conv2d")
BAD_CASES = [
    bad(
        "channels", lambda: conv2d(ones(64, 1, 28, 28), w), ShapeError,
        ["weight expects 3 input channels per group, input has 1", "(64, 1, 28, 28)",
         "(6, 3, 5, 5)", "in_channels=1"],
    ),
    bad("ndim", lambda: conv2d(ones(3, 8, 8), w), ShapeError, ["4 dimensions"]),
    bad("stride-zero", lambda: conv2d(x, w, stride=0), ArgumentError, ["stride", ">= 1"]),
    bad("padding-negative", lambda: conv2d(x, w, padding=-1), ArgumentError, ["padding"]),
    bad(
        "padding-three", lambda: conv2d(x, w, padding=((1, 2), (0, 1, 0))), ArgumentError,
        ["((top, bottom), (left, right))", "((1, 2), (0, 1, 0))"],
    ),
    bad("padding-mixed", lambda: conv2d(x, w, padding=(1, (0, 1))), ArgumentError, ["(top"]),
    bad("padding-minus", lambda: conv2d(x, w, padding=((1, -2), (0, 1))), ArgumentError, ["-2"]),
    bad("padding-float", lambda: conv2d(x, w, padding=((1, 2), (0, 1.0))), ArgumentError, ["1.0"]),
    bad(
        "window-sides", lambda: conv2d(ones(1, 3, 3, 9), w, padding=((0, 1), (2, 2))), ShapeError,
        ["5 pixels in height, the padded input 4"],
    ),
    bad("padding-word", lambda: conv2d(x, w, padding="full"), ArgumentError, ["'full'"]),
    bad(
        "same-with-stride", lambda: conv2d(x, w, stride=2, padding="same"),
        ArgumentError, ["stride 1", "same_upper"],
    ),
    bad("groups", lambda: conv2d(x, w, groups=2), ArgumentError, ["divides"]),
    bad("window", lambda: conv2d(ones(1, 3, 4, 9), w), ShapeError, ["5 pixels in height"]),
    bad("bias", lambda: conv2d(x, w, ones(5)), ShapeError, ["one value per output"]),
    bad(
        "integers", lambda: conv2d(arange(9).reshape(1, 1, 3, 3), w[:, :1]),
        DtypeError, ["floating-point", "int64"],
    ),
    bad("array", lambda: conv2d(x.data, w), DtypeError, ["must be a Tensor", "ndarray"]),
]  # fmt: skip
