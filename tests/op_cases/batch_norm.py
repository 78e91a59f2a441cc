from minidl import Tensor
from minidl.creation import arange, ones, tensor, zeros
from minidl.errors import ArgumentError, DtypeError, GraphError, ShapeError
from minidl.nn.functional import batch_norm
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(
    name, shape, training=True, affine="wb", eps=0.1, mean=0.0, momentum=0.3, relu=False,
):  # fmt: skip
    """eps = 0.1: with the usual 1e-5 a wrong place for it would hide in the rounding."""
    C = shape[1]
    running = [normal(C, seed=3), 0.5 + normal(C, seed=4) ** 2]
    vectors = {"w": normal(C, seed=1), "b": normal(C, seed=2)}

    def arguments(make, x, vectors):
        given = dict(zip(affine, vectors))
        # Fresh copies: training changes the running statistics in place.
        statistics = [make(array) for array in running]
        return x, *statistics, given.get("w"), given.get("b"), training, momentum, eps

    def call(x, *vectors):
        def make(array):
            return Tensor(array.astype(x.dtype))

        return batch_norm(*arguments(make, x, vectors), relu=relu)

    def call_torch(torch, x, *vectors):
        def make(array):
            return torch.from_numpy(array.copy()).to(x.dtype)

        y = torch.nn.functional.batch_norm(*arguments(make, x, vectors))
        return y.relu() if relu else y

    def oracle(*arrays):
        constants = [array.astype("float32") for array in running]
        operator = onnx("BatchNormalization", epsilon=eps, outputs=1)
        return operator(*arrays, *constants)

    return Case(
        "batch_norm", name, call, [mean + normal(*shape), *(vectors[key] for key in affine)],
        # ONNX Runtime normalizes with given statistics only.
        oracle=oracle if affine == "wb" and not training and not relu else None,
        torch=call_torch,
    )  # fmt: skip


CASES = [
    case("training", (3, 4, 2, 3)),
    case("training-2d", (5, 3)),
    case("training-3d", (2, 3, 4)),
    case("training-no-affine", (2, 3, 3, 2), affine=""),
    case("training-weight-only", (2, 2, 3, 2), affine="w"),
    case("training-bias-only", (2, 2, 1, 2), affine="b"),
    case("training-one-picture", (1, 3, 2, 2)),
    case("training-many-rows", (3, 2, 5, 7)),
    case("training-relu", (3, 4, 2, 3), relu=True),
    case("evaluation-relu", (3, 4, 2, 3), training=False, relu=True),
    case("evaluation", (2, 4, 3, 2), training=False),
    case("evaluation-2d", (3, 5), training=False),
    case("evaluation-3d", (2, 3, 4), training=False),
    case("evaluation-no-affine", (2, 3, 2, 2), training=False, affine=""),
    case("evaluation-one-value", (1, 3, 1, 1), training=False),
    case("evaluation-batch-zero", (0, 3, 2, 2), training=False),
]
CASES[-1].oracle = None  # ONNX Runtime refuses an empty batch

x, v = ones(2, 3, 4, 4), ones(3)


def own(name, shape, training=True):
    """Each picture has its own weight and bias."""
    N, C = shape[:2]
    running = [normal(C, seed=3), 0.5 + normal(C, seed=4) ** 2]
    of_each = N, C, *[1] * (len(shape) - 2)

    def call(x, w, b):
        statistics = [Tensor(array.astype(x.dtype)) for array in running]
        return batch_norm(x, *statistics, w, b, training, 0.3, 0.1)

    def call_torch(torch, x, w, b):
        statistics = [torch.tensor(array).to(x.dtype) for array in running]
        y = torch.nn.functional.batch_norm(x, *statistics, None, None, training, 0.3, 0.1)
        return y * w.reshape(of_each) + b.reshape(of_each)

    arrays = [normal(*shape), normal(N, C, seed=1), normal(N, C, seed=2)]
    return Case("batch_norm", name, call, arrays, torch=call_torch)


CASES += [
    own("own-training", (3, 4, 2, 3)),
    own("own-training-2d", (5, 3)),
    own("own-training-one-picture", (1, 3, 2, 2)),
    own("own-training-many-rows", (3, 2, 5, 7)),
    own("own-evaluation", (3, 4, 2, 3), training=False),
]

BAD_CASES = [
    BadCase(
        "batch_norm", "own-weight", lambda: batch_norm(
            ones(2, 3, 2, 2), zeros(3), ones(3), ones(3, 3), ones(3, 3), True
        ), ShapeError, ["of each picture are (2, 3)"],
    ),
    BadCase(
        "batch_norm", "own-bias", lambda: batch_norm(
            ones(2, 3, 2, 2), zeros(3), ones(3), ones(2, 3), ones(3), True
        ), ShapeError, ["of each picture are (2, 3)"],
    ),
    BadCase("batch_norm", "one-value",
            lambda: batch_norm(ones(1, 3, 1, 1), None, None, training=True), ShapeError,
            ["more than one value per channel", "(1, 3, 1, 1)"]),
    BadCase("batch_norm", "batch-zero",
            lambda: batch_norm(ones(0, 3, 2, 2), None, None, training=True), ShapeError,
            ["more than one value per channel"]),
    BadCase("batch_norm", "ndim", lambda: batch_norm(v, zeros(3), v), ShapeError, ["2 dimensions"]),
    BadCase("batch_norm", "weight", lambda: batch_norm(x, v, v, ones(4)), ShapeError,
            ["weight has one value per channel, 3", "(4,)", "num_features=3"]),
    BadCase("batch_norm", "running", lambda: batch_norm(x, ones(2), v),
            ShapeError, ["running_mean"]),
    BadCase("batch_norm", "no-running", lambda: batch_norm(x, None, None), ArgumentError,
            ["evaluation needs running_mean", "training=True"]),
    BadCase("batch_norm", "half-running", lambda: batch_norm(x, v, None, training=True),
            ArgumentError, ["come together"]),
    BadCase("batch_norm", "read-only-running",
            lambda: batch_norm(x, zeros(1).expand(3), v, training=True), GraphError,
            ["running_mean", "read-only"]),
    BadCase("batch_norm", "momentum", lambda: batch_norm(x, v, v, momentum=None),
            ArgumentError, ["momentum", "None"]),
    BadCase("batch_norm", "eps", lambda: batch_norm(x, v, v, eps=-1.0),
            ArgumentError, ["eps is a number >= 0"]),
    BadCase("batch_norm", "integers", lambda: batch_norm(arange(6).reshape(2, 3), None, None),
            DtypeError, ["int64"]),
    BadCase("batch_norm", "dtypes", lambda: batch_norm(x, tensor(v, dtype="float64"), v),
            DtypeError,
            ["one dtype", "float64"]),
    BadCase("batch_norm", "array", lambda: batch_norm(x.data, v, v),
            DtypeError, ["must be a Tensor"]),
]  # fmt: skip
