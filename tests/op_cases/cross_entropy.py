import numpy as np

from minidl import Tensor
from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import cross_entropy
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def labels(*shape, classes, ignored=None, seed=3):
    """Random labels; with `ignored`, every third is that value."""
    values = np.random.default_rng([seed, *shape]).integers(0, classes, shape)
    if ignored is not None:
        values.reshape(-1)[::3] = ignored
    return values


def case(name, x, target, weighted=False, oracle=True, twin=True, **options):
    """Against labels; the class weights differ, so that each one matters."""
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    weight = np.linspace(0.5, 2, classes) if weighted else None

    def ours(x, target):
        w = None if weight is None else Tensor(weight.astype(x.dtype))
        return cross_entropy(x, target, weight=w, **options)

    def torch_twin(torch, x, target):
        w = None if weight is None else torch.from_numpy(weight)
        return torch.nn.functional.cross_entropy(x, target, weight=w, **options)

    def run_onnx(*arrays):
        attributes = {"reduction": options.get("reduction", "mean")}
        if "ignore_index" in options:
            attributes["ignore_index"] = options["ignore_index"]
        if weighted:
            arrays = (*arrays, weight.astype(np.float32))
        return onnx("SoftmaxCrossEntropyLoss", **attributes)(*arrays)

    return Case(
        "cross_entropy", name, ours, [x, target],
        oracle=run_onnx if oracle else None, torch=torch_twin if twin else None,
    )  # fmt: skip


def soft_case(name, x, **options):
    """Against class probabilities, which get a gradient; they do not have to sum to 1."""
    weighted = options.pop("weighted", False)
    weight = np.linspace(0.5, 2, x.shape[1]) if weighted else None
    target = np.abs(normal(*x.shape, seed=5))

    def ours(x, target):
        w = None if weight is None else Tensor(weight.astype(x.dtype))
        return cross_entropy(x, target, weight=w, **options)

    def torch_twin(torch, x, target):
        w = None if weight is None else torch.from_numpy(weight)
        return torch.nn.functional.cross_entropy(x, target, weight=w, **options)

    return Case("cross_entropy", name, ours, [x, target], torch=torch_twin)


x, x4 = 3 * normal(7, 5), 3 * normal(2, 4, 3, 5)
target, target4 = labels(7, classes=5), labels(2, 3, 5, classes=4)
large = np.array([[1e4, -1e4, 0], [-1e4, -1e4 + 1, -1e4], [1e4, 1e4, 1e4]])

CASES = [
    case("mean", x, target),
    case("sum", x, target, reduction="sum"),
    case("none", x, target, reduction="none"),
    case("weight", x, target, weighted=True),
    case("weight-none", x, target, weighted=True, reduction="none"),
    case("ignore", x, labels(7, classes=5, ignored=-100), ignore_index=-100),
    case("ignore-a-class", x, labels(7, classes=5), ignore_index=2, weighted=True),
    case("ignore-none", x, labels(7, classes=5, ignored=9), ignore_index=9, reduction="none"),
    case("smoothing", x, target, oracle=False, label_smoothing=0.3),
    case("smoothing-1", x, target, oracle=False, label_smoothing=1, reduction="sum"),
    case(
        "smoothing-weight-ignore",
        x,
        labels(7, classes=5, ignored=-1),
        weighted=True,
        oracle=False,
        label_smoothing=0.3,
        ignore_index=-1,
    ),
    case("4d", x4, target4),
    case("4d-none-weight", x4, target4, weighted=True, reduction="none"),
    case("4d-smoothing", x4, target4, oracle=False, weighted=True, label_smoothing=0.2),
    case("one-sample", normal(5), np.array(3), oracle=False),
    case("one-class", normal(3, 1), np.zeros(3, np.int64)),
    # ONNX Runtime and PyTorch want int64
    case("int32", x, target.astype(np.int32), oracle=False, twin=False),
    case("uint8-weight", x, target.astype(np.uint8), True, oracle=False, twin=False),
    case("large", large, np.array([0, 2, 1])),
    soft_case("probabilities", x),
    soft_case("probabilities-sum", x, reduction="sum"),
    soft_case("probabilities-none-weight", x, reduction="none", weighted=True),
    soft_case("probabilities-smoothing", x, weighted=True, label_smoothing=0.3),
    soft_case("probabilities-4d", x4, weighted=True, label_smoothing=0.3),
]

scores = ones(4, 3)
BAD_CASES = [
    BadCase(
        "cross_entropy",
        "label",
        lambda: cross_entropy(scores, tensor([0, 2, 3, 1])),
        ArgumentError,
        ["the label 3 at target[2]", "3 classes", "0 to 2", "ignore_index"],
    ),
    BadCase(
        "cross_entropy",
        "label-4d",
        lambda: cross_entropy(ones(1, 3, 2, 2), tensor([[[0, 1], [-1, 2]]])),
        ArgumentError,
        ["the label -1 at target[0, 1, 0]"],
    ),
    BadCase(
        "cross_entropy",
        "labels-from-1",
        lambda: cross_entropy(scores, tensor([1, 2, 3, 1])),
        ArgumentError,
        ["labels count from 0"],
    ),
    BadCase(
        "cross_entropy",
        "target-shape",
        lambda: cross_entropy(scores, tensor([0, 1])),
        ShapeError,
        ["without its class dimension, (4,)", "(2,)"],
    ),
    BadCase(
        "cross_entropy",
        "float-labels",
        lambda: cross_entropy(scores, tensor([0.0, 1, 2, 1])),
        DtypeError,
        ["labels are integers", 'to("int64")'],
    ),
    BadCase(
        "cross_entropy",
        "bool-labels",
        lambda: cross_entropy(scores, tensor([True] * 4)),
        DtypeError,
        ["labels are integers"],
    ),
    BadCase(
        "cross_entropy",
        "probabilities-shape",
        lambda: cross_entropy(scores, ones(4, 2)),
        ShapeError,
        ["class probabilities", "(4, 2)"],
    ),
    BadCase(
        "cross_entropy",
        "weight",
        lambda: cross_entropy(scores, tensor([0, 1, 2, 0]), weight=ones(4)),
        ShapeError,
        ["one value per class, 3"],
    ),
    BadCase(
        "cross_entropy",
        "weight-list",
        lambda: cross_entropy(scores, tensor([0, 1, 2, 0]), weight=[1.0, 2.0, 3.0]),
        DtypeError,
        ["weight must be a Tensor"],
    ),
    BadCase(
        "cross_entropy",
        "reduction",
        lambda: cross_entropy(scores, tensor([0, 1, 2, 0]), reduction="average"),
        ArgumentError,
        ["no such reduction", "mean"],
    ),
    BadCase(
        "cross_entropy",
        "smoothing",
        lambda: cross_entropy(scores, tensor([0, 1, 2, 0]), label_smoothing=1.5),
        ArgumentError,
        ["label_smoothing", "1.5"],
    ),
    BadCase(
        "cross_entropy",
        "ignore_index",
        lambda: cross_entropy(scores, tensor([0, 1, 2, 0]), ignore_index=None),
        DtypeError,
        ["ignore_index"],
    ),
    BadCase(
        "cross_entropy", "0d", lambda: cross_entropy(tensor(1.0), tensor(0)), ShapeError, ["(N, C)"]
    ),
    BadCase(
        "cross_entropy",
        "integers",
        lambda: cross_entropy(tensor([[1, 2]]), tensor([0])),
        DtypeError,
        ["floating-point"],
    ),
    BadCase(
        "cross_entropy",
        "array",
        lambda: cross_entropy(scores, np.zeros(4, np.int64)),
        DtypeError,
        ["target must be a Tensor"],
    ),
    BadCase(
        "cross_entropy",
        "float16",
        lambda: cross_entropy(ones(4, 3, dtype="float16"), tensor([0, 1, 2, 0])),
        DtypeError,
        ["float32 and float64", "float16"],
    ),
]
