import numpy as np

from minidl import Tensor
from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import nll_loss
from tests.op_cases.case import BadCase, Case, normal
from tests.op_cases.cross_entropy import labels
from tests.oracles import onnx


def case(name, x, target, weighted=False, oracle=True, **options):
    weight = np.linspace(0.5, 2, x.shape[1]) if weighted else None

    def ours(x, target):
        w = None if weight is None else Tensor(weight.astype(x.dtype))
        return nll_loss(x, target, weight=w, **options)

    def torch_twin(torch, x, target):
        w = None if weight is None else torch.from_numpy(weight)
        return torch.nn.functional.nll_loss(x, target, weight=w, **options)

    def run_onnx(*arrays):
        if weighted:
            arrays = (*arrays, weight.astype(np.float32))
        return onnx("NegativeLogLikelihoodLoss", **options)(*arrays)

    return Case(
        "nll_loss", name, ours, [x, target], oracle=run_onnx if oracle else None, torch=torch_twin
    )


x, x4 = normal(7, 5), normal(2, 4, 3, 5)
target, target4 = labels(7, classes=5), labels(2, 3, 5, classes=4)

CASES = [
    case("mean", x, target),
    case("sum", x, target, reduction="sum"),
    case("none", x, target, reduction="none"),
    case("weight", x, target, weighted=True),
    case("ignore", x, labels(7, classes=5, ignored=-100), ignore_index=-100),
    case("ignore-weight", x, labels(7, classes=5), ignore_index=2, weighted=True),
    case("uint8", x, target.astype(np.uint8), weighted=True, oracle=False),
    case("one-sample", normal(5), np.array(3), oracle=False),
    case("4d", x4, target4, weighted=True),
    case("4d-none-ignore", x4, target4, reduction="none", ignore_index=1),
]

scores = ones(4, 3)
BAD_CASES = [
    BadCase(
        "nll_loss",
        "label",
        lambda: nll_loss(scores, tensor([0, 2, 1, 5])),
        ArgumentError,
        ["the label 5 at target[3]", "3 classes"],
    ),
    BadCase(
        "nll_loss", "target-shape", lambda: nll_loss(scores, tensor([[0, 1]])), ShapeError, ["(4,)"]
    ),
    BadCase(
        "nll_loss", "float-labels", lambda: nll_loss(scores, ones(4)), DtypeError, ["integers"]
    ),
    BadCase(
        "nll_loss",
        "weight",
        lambda: nll_loss(scores, tensor([0, 1, 2, 0]), weight=ones(2)),
        ShapeError,
        ["one value per class, 3"],
    ),
    BadCase(
        "nll_loss",
        "reduction",
        lambda: nll_loss(scores, tensor([0] * 4), reduction=None),
        ArgumentError,
        ["no such reduction"],
    ),
    BadCase(
        "nll_loss",
        "ignore_index",
        lambda: nll_loss(scores, tensor([0] * 4), ignore_index=1.5),
        DtypeError,
        ["ignore_index is an int"],
    ),
    BadCase(
        "nll_loss", "array", lambda: nll_loss(scores.data, tensor([0])), DtypeError, ["a Tensor"]
    ),
]
