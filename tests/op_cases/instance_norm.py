from minidl import Tensor
from minidl.creation import arange, ones
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import instance_norm
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, shape, affine=True, running=False, use_input_stats=True, eps=0.1):
    """eps = 0.1: with the usual 1e-5 a wrong place for it would hide in the rounding."""
    C = shape[1]
    vectors = [normal(C, seed=1), normal(C, seed=2)] if affine else []
    statistics = [normal(C, seed=3), 0.5 + normal(C, seed=4) ** 2] if running else [None, None]

    def call(x, w=None, b=None):
        made = [s if s is None else Tensor(s.astype(x.dtype)) for s in statistics]
        return instance_norm(x, *made, w, b, use_input_stats, eps=eps)

    def call_torch(torch, x, w=None, b=None):
        made = [s if s is None else torch.from_numpy(s.copy()) for s in statistics]
        return torch.nn.functional.instance_norm(x, *made, w, b, use_input_stats, eps=eps)

    return Case(
        "instance_norm", name, call, [normal(*shape), *vectors],
        oracle=onnx("InstanceNormalization", epsilon=eps) if affine and not running else None,
        torch=call_torch,
    )  # fmt: skip


CASES = [
    case("affine", (3, 4, 2, 3)),
    case("plain", (2, 3, 3, 3), affine=False),
    case("one-picture", (1, 3, 4, 2)),
    case("one-channel", (3, 1, 2, 2)),
    case("3d", (2, 3, 5)),
    case("updates-running", (2, 3, 2, 2), running=True),
    case("running-statistics", (2, 3, 2, 2), running=True, use_input_stats=False),
    case("batch-zero", (0, 3, 2, 2)),
]
CASES[-1].oracle = None  # ONNX Runtime refuses an empty batch
CASES[-1].torch = None  # so does PyTorch

x, v = ones(2, 3, 4, 4), ones(3)
BAD_CASES = [
    BadCase("instance_norm", "one-pixel", lambda: instance_norm(ones(8, 3, 1, 1)), ShapeError,
            ["more than one value", "(8, 3, 1, 1)"]),
    BadCase("instance_norm", "ndim", lambda: instance_norm(v), ShapeError, ["2 dimensions"]),
    BadCase("instance_norm", "weight", lambda: instance_norm(x, weight=ones(4)), ShapeError,
            ["weight has one value per channel, 3", "(4,)"]),
    BadCase("instance_norm", "no-statistics", lambda: instance_norm(x, use_input_stats=False),
            ArgumentError, ["needs running_mean"]),
    BadCase("instance_norm", "half-running", lambda: instance_norm(x, running_var=v), ArgumentError,
            ["come together"]),
    BadCase("instance_norm", "momentum", lambda: instance_norm(x, momentum=2), ArgumentError,
            ["from 0 to 1"]),
    BadCase("instance_norm", "eps", lambda: instance_norm(x, eps="0"), ArgumentError, ["eps"]),
    BadCase("instance_norm", "integers", lambda: instance_norm(arange(8).reshape(1, 2, 2, 2)),
            DtypeError, ["int64"]),
]  # fmt: skip
