from functools import partial

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import conv_transpose2d
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(
    name, x, w, b=True, stride=(1, 1), padding=(0, 0), output_padding=(0, 0), groups=1,
    dilation=(1, 1),
):  # fmt: skip
    bias = [normal(w[1] * groups, seed=2)] if b else []
    options = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "groups": groups,
        "dilation": dilation,
    }
    # ONNX Runtime refuses an empty batch, and output_padding that only the dilation allows.
    can_judge = x[0] and all(extra < step for extra, step in zip(output_padding, stride))
    oracle = onnx(
        "ConvTranspose",
        strides=stride,
        pads=[*padding, *padding],
        output_padding=output_padding,
        dilations=dilation,
        group=groups,
        kernel_shape=w[2:],
    )
    return Case(
        "conv_transpose2d",
        name,
        lambda *tensors: conv_transpose2d(*tensors, **options),
        [normal(*x), normal(*w, seed=1), *bias],
        oracle=oracle if can_judge else None,
        torch=lambda torch, *tensors: torch.nn.functional.conv_transpose2d(*tensors, **options),
    )


CASES = [
    case("plain", (2, 3, 4, 5), (3, 4, 3, 2)),
    case("no-bias", (1, 2, 3, 4), (2, 3, 3, 3), b=False, padding=(1, 1)),
    case("doubling", (1, 2, 3, 4), (2, 3, 4, 4), stride=(2, 2), padding=(1, 1)),
    case("output-padding", (2, 2, 3, 4), (2, 3, 3, 2), stride=(3, 2), padding=(1, 0),
         output_padding=(2, 1)),
    case("output-padding-above-stride", (1, 2, 3, 4), (2, 2, 2, 3), stride=(2, 1),
         output_padding=(2, 1), dilation=(3, 2)),
    case("output-padding-pointwise", (2, 2, 3, 4), (2, 3, 1, 1), output_padding=(1, 1),
         dilation=(2, 2)),
    case("output-padding-makes-up-for-padding", (1, 2, 3, 4), (2, 3, 1, 1), padding=(1, 1),
         output_padding=(2, 2), dilation=(3, 3)),
    case("stride-above-kernel", (2, 2, 3, 2), (2, 3, 2, 1), stride=(4, 3)),
    case("dilation", (1, 2, 4, 3), (2, 2, 3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 3)),
    case("groups", (2, 4, 3, 4), (4, 3, 3, 2), stride=(2, 1), padding=(1, 0), groups=2),
    case("depthwise", (1, 3, 4, 3), (3, 1, 3, 3), padding=(1, 1), groups=3),
    case("pointwise", (2, 5, 4, 3), (5, 3, 1, 1)),
    case("size-one", (1, 1, 1, 1), (1, 1, 1, 1)),
    case("batch-zero", (0, 3, 5, 5), (3, 4, 3, 3)),
]  # fmt: skip

x, w = ones(1, 6, 5, 5), ones(6, 3, 3, 3)
bad = partial(BadCase, "conv_transpose2d")
BAD_CASES = [
    bad(
        "channels", lambda: conv_transpose2d(ones(1, 3, 5, 5), w), ShapeError,
        ["weight expects 6 input channels, input has 3", "(1, 3, 5, 5)", "in_channels"],
    ),
    bad("ndim", lambda: conv_transpose2d(x, ones(6, 3)), ShapeError, ["weight has 4 dimensions"]),
    bad("groups", lambda: conv_transpose2d(x, w, groups=4), ArgumentError, ["divides"]),
    bad("bias", lambda: conv_transpose2d(x, w, ones(6)), ShapeError, ["output channel, 3"]),
    bad("stride", lambda: conv_transpose2d(x, w, stride=0), ArgumentError, ["stride", ">= 1"]),
    bad("padding-word", lambda: conv_transpose2d(x, w, padding="same"), ArgumentError, ["padding"]),
    bad(
        "output-padding", lambda: conv_transpose2d(x, w, stride=(3, 2), output_padding=2),
        ArgumentError, ["smaller than the stride or the dilation in width"],
    ),
    bad(
        "empty-output", lambda: conv_transpose2d(x, w, padding=4), ShapeError,
        ["0 pixels in height"],
    ),
    bad("dtypes", lambda: conv_transpose2d(x, ones(6, 3, 3, 3, dtype="float64")), DtypeError,
        ["one dtype"]),
    bad("integers", lambda: conv_transpose2d(arange(9).reshape(1, 1, 3, 3), w), DtypeError,
        ["floating-point", "int64"]),
    bad("array", lambda: conv_transpose2d(x, w.data), DtypeError, ["weight must be a Tensor"]),
]  # fmt: skip
