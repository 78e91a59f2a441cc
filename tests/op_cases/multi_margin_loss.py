import numpy as np

from minidl import Tensor
from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import multi_margin_loss
from tests.op_cases.case import BadCase, Case, distinct, normal
from tests.op_cases.cross_entropy import labels


def case(name, x, target, weighted=False, smooth=True, **options):
    weight = np.linspace(0.5, 2, x.shape[-1]) if weighted else None

    def ours(x, target):
        w = None if weight is None else Tensor(weight.astype(x.dtype))
        return multi_margin_loss(x, target, weight=w, **options)

    def torch_twin(torch, x, target):
        w = None if weight is None else torch.from_numpy(weight)
        return torch.nn.functional.multi_margin_loss(x, target, weight=w, **options)

    return Case("multi_margin_loss", name, ours, [x, target], torch=torch_twin, smooth=smooth)


x, target = distinct(6, 5), labels(6, classes=5)  # margins below are no multiples of 0.1

CASES = [
    case("mean", x, target, margin=0.73),
    case("sum", x, target, margin=0.73, reduction="sum"),
    case("none", x, target, margin=0.73, reduction="none"),
    case("weight", x, target, margin=0.73, weighted=True),
    case("squared", normal(6, 5), target, p=2, weighted=True),
    case("one-sample", distinct(5), np.array(3), margin=0.73),
    case("one-class", normal(3, 1), np.zeros(3, np.int64)),
    case("ties", np.array([[1.0, 0.0, 2.0]]), np.array([0]), smooth=False),  # z is exactly 0
]

scores = ones(2, 3)
BAD_CASES = [
    BadCase(
        "multi_margin_loss",
        "label",
        lambda: multi_margin_loss(scores, tensor([0, -100])),
        ArgumentError,
        ["the label -100 at target[1]"],
    ),
    BadCase(
        "multi_margin_loss",
        "p-array",
        lambda: multi_margin_loss(scores, tensor([0, 1]), p=scores.data),
        ArgumentError,
        ["p is 1 or 2"],
    ),
    BadCase(
        "multi_margin_loss",
        "p",
        lambda: multi_margin_loss(scores, tensor([0, 1]), p=3),
        ArgumentError,
        ["p is 1 or 2", "3"],
    ),
    BadCase(
        "multi_margin_loss",
        "ndim",
        lambda: multi_margin_loss(ones(2, 3, 4), tensor([0, 1])),
        ShapeError,
        ["(N, C)", "(2, 3, 4)"],
    ),
    BadCase(
        "multi_margin_loss",
        "margin",
        lambda: multi_margin_loss(scores, tensor([0, 1]), margin="1"),
        DtypeError,
        ["margin is a number"],
    ),
    BadCase(
        "multi_margin_loss",
        "reduction",
        lambda: multi_margin_loss(scores, tensor([0, 1]), reduction="total"),
        ArgumentError,
        ["no such reduction"],
    ),
    BadCase(
        "multi_margin_loss",
        "array",
        lambda: multi_margin_loss(scores.data, tensor([0, 1])),
        DtypeError,
        ["input must be a Tensor"],
    ),
]
