from functools import partial

import numpy as np

from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import interpolate
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, shape, mode="nearest", **options):
    if mode == "nearest":
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif options.get("align_corners"):
        attributes = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
    else:
        attributes = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    run_onnx = onnx("Resize", **attributes)

    def oracle(x):
        if "size" in options:
            return run_onnx(x, None, None, np.array([*shape[:2], *options["size"]]))
        return run_onnx(x, None, np.array([1, 1, *options["scale_factor"]], np.float32))

    return Case(
        "interpolate",
        f"{mode}-{name}",
        lambda x: interpolate(x, mode=mode, **options),
        [normal(*shape)],
        oracle=oracle if shape[0] else None,  # ONNX Runtime refuses an empty batch
        torch=lambda torch, x: torch.nn.functional.interpolate(x, mode=mode, **options),
    )


CASES = [
    case("up", (2, 3, 4, 5), size=(7, 11)),
    case("down", (1, 2, 7, 9), size=(3, 4)),
    case("double", (1, 2, 3, 4), scale_factor=(2.0, 2.0)),
    case("fraction", (1, 2, 5, 6), scale_factor=(1.5, 0.7)),
    case("scale-misses-whole-pixels", (1, 2, 5, 7), scale_factor=(2.5, 1.7)),
    case("size-one", (1, 1, 1, 1), size=(3, 2)),
    case("batch-zero", (0, 2, 3, 4), size=(5, 5)),
    case("up", (2, 3, 4, 5), "bilinear", size=(7, 11)),
    case("down", (1, 2, 7, 9), "bilinear", size=(3, 4)),
    case("double", (1, 2, 3, 4), "bilinear", scale_factor=(2.0, 2.0), align_corners=False),
    case("scale-misses-whole-pixels", (1, 2, 5, 7), "bilinear", scale_factor=(2.5, 1.7)),
    case("corners-up", (2, 2, 3, 4), "bilinear", size=(5, 9), align_corners=True),
    case("corners-down", (1, 2, 7, 6), "bilinear", size=(4, 1), align_corners=True),
    case("corners-scale", (1, 1, 4, 3), "bilinear", scale_factor=(1.6, 3.4), align_corners=True),
    case("same-size", (1, 2, 4, 5), "bilinear", size=(4, 8)),
    case("size-one", (1, 1, 1, 1), "bilinear", size=(3, 2)),
    case("batch-zero", (0, 2, 3, 4), "bilinear", size=(5, 5)),
]

x = ones(1, 3, 4, 6)
bad = partial(BadCase, "interpolate")
BAD_CASES = [
    bad("ndim", lambda: interpolate(ones(3, 8, 8), 4), ShapeError, ["4 dimensions"]),
    bad("neither", lambda: interpolate(x), ArgumentError, ["either size or scale_factor"]),
    bad("both", lambda: interpolate(x, 4, 2.0), ArgumentError, ["either size or scale_factor"]),
    bad("size-zero", lambda: interpolate(x, (0, 4)), ArgumentError, ["size", "(0, 4)"]),
    bad("scale", lambda: interpolate(x, scale_factor=-1.0), ArgumentError, ["> 0", "-1.0"]),
    bad("scale-nan", lambda: interpolate(x, scale_factor=float("nan")), ArgumentError, ["> 0"]),
    bad("shrinks-away", lambda: interpolate(x, scale_factor=0.2), ShapeError, ["(0, 1)"]),
    bad("no-pixels", lambda: interpolate(ones(1, 1, 0, 3), 2), ShapeError, ["have pixels"]),
    bad("mode", lambda: interpolate(x, 4, mode="bilinera"), ArgumentError, ["mean bilinear?"]),
    bad(
        "align", lambda: interpolate(x, 4, align_corners=False), ArgumentError,
        ["takes align_corners"],
    ),
    bad(
        "integers", lambda: interpolate(arange(9).reshape(1, 1, 3, 3), 2), DtypeError,
        ["floating-point", "int64"],
    ),
    bad("array", lambda: interpolate(x.data, 2), DtypeError, ["must be a Tensor"]),
]  # fmt: skip
