from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import local_response_norm
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, shape, size, alpha=1.0, beta=0.75, k=2.0):
    """alpha = 1: with the usual 1e-4 a wrong window would hide in the rounding."""
    return Case(
        "lrn",
        name,
        lambda x: local_response_norm(x, size, alpha, beta, k),
        [normal(*shape)],
        # ONNX Runtime only knows odd sizes.
        oracle=onnx("LRN", size=size, alpha=alpha, beta=beta, bias=k) if size % 2 else None,
        torch=lambda torch, x: torch.nn.functional.local_response_norm(x, size, alpha, beta, k),
    )


CASES = [
    case("alexnet-window", (2, 7, 3, 2), size=5),
    case("size-three", (1, 4, 2, 3), size=3, beta=0.6, k=1.0),
    case("even-size", (2, 6, 2, 2), size=4),
    case("size-two", (1, 3, 2, 1), size=2, alpha=3.0, beta=1.0),
    case("size-one", (2, 3, 1, 2), size=1, beta=0.5, k=0.5),
    case("window-above-channels", (1, 2, 2, 2), size=7, alpha=2.0),
    case("one-channel", (2, 1, 2, 3), size=5),
    case("many-pixels", (2, 3, 9, 8), size=3),  # more than one block of the numba kernel
    case("batch-zero", (0, 3, 2, 2), size=3),
    case("size-one-billion", (1, 2, 1, 2), size=10**9, alpha=2e9),
    # Numbers of any size are no OverflowError and no MemoryError; k = 0 divides zeros by zero.
    Case("lrn", "size-enormous", lambda x: local_response_norm(x, 2**70), [normal(1, 2, 1, 2)]),
]
CASES[-3].oracle = CASES[-2].oracle = None  # ONNX Runtime refuses an empty batch, and even sizes
CASES[-2].torch = None  # pads by the size

x = ones(1, 3, 2, 2)
BAD_CASES = [
    BadCase("lrn", "ndim", lambda: local_response_norm(ones(3, 4), 5),
            ShapeError, ["4 dimensions", "(3, 4)"]),
    BadCase("lrn", "size-zero", lambda: local_response_norm(x, 0),
            ArgumentError, ["size is an int >= 1"]),
    BadCase("lrn", "size-float", lambda: local_response_norm(x, 2.5), ArgumentError, ["2.5"]),
    BadCase("lrn", "alpha", lambda: local_response_norm(x, 5, alpha="1"),
            ArgumentError, ["alpha is a number", "'1'"]),
    BadCase("lrn", "integers", lambda: local_response_norm(arange(4).reshape(1, 4, 1, 1), 3),
            DtypeError, ["int64"]),
    BadCase("lrn", "array", lambda: local_response_norm(x.data, 3),
            DtypeError, ["must be a Tensor"]),
]  # fmt: skip
