"""mse_loss, l1_loss, binary_cross_entropy_with_logits and hinge_embedding_loss."""

import numpy as np

from minidl import Tensor
from minidl.creation import arange, ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn.functional import (
    binary_cross_entropy_with_logits,
    hinge_embedding_loss,
    l1_loss,
    mse_loss,
)
from tests.op_cases.case import BadCase, Case, distinct, normal

REDUCTIONS = ("mean", "sum", "none")


def case(function, name, x, t, smooth=True, **options):
    """A loss with the same name and arguments in PyTorch; arrays among options become tensors."""
    op = function.__name__
    arrays = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    others = {key: value for key, value in options.items() if key not in arrays}

    def ours(x, t):
        tensors = {key: Tensor(array.astype(x.dtype)) for key, array in arrays.items()}
        return function(x, t, **tensors, **others)

    def twin(torch, x, t):
        tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
        return getattr(torch.nn.functional, op)(x, t, **tensors, **others)

    return Case(op, name, ours, [x, t], torch=twin, smooth=smooth)


x, t = normal(3, 4), normal(3, 4, seed=1)
apart = distinct(3, 4)  # |x - t| and margins stay clear of kinks
probability = np.random.default_rng(2).random((3, 4)) * 0.8 + 0.1
signs = np.where(normal(3, 4, seed=3) > 0, 1, -1)
tie = np.array([0.5, -1.0, 2.0])
weight, pos_weight = np.linspace(0.5, 2, 4), np.linspace(3, 0.25, 4)
large = np.array([1e4, -1e4, 50.0, -50.0])

CASES = [case(mse_loss, reduction, x, t, reduction=reduction) for reduction in REDUCTIONS]
CASES += [
    case(mse_loss, "4d", normal(2, 3, 4, 2), normal(2, 3, 4, 2, seed=1)),
    case(mse_loss, "0d", np.array(2.0), np.array(0.5)),
]
CASES += [case(l1_loss, reduction, apart, 0 * t, reduction=reduction) for reduction in REDUCTIONS]
CASES += [case(l1_loss, "ties", tie, tie.copy(), smooth=False)]
CASES += [
    case(binary_cross_entropy_with_logits, reduction, x, probability, reduction=reduction)
    for reduction in REDUCTIONS
]
CASES += [
    case(binary_cross_entropy_with_logits, "weight", x, probability, weight=weight),
    case(binary_cross_entropy_with_logits, "pos-weight", x, probability, pos_weight=pos_weight),
    case(
        binary_cross_entropy_with_logits,
        "both-weights",
        x,
        probability,
        reduction="none",
        weight=weight.reshape(1, 4),
        pos_weight=pos_weight,
    ),
    # targets of exactly 0 and 1 cannot be moved by a step h, so no central differences
    case(
        binary_cross_entropy_with_logits,
        "large",
        large,
        np.array([0.0, 1, 1, 0]),
        smooth=False,
        reduction="none",
    ),
]
CASES += [
    case(hinge_embedding_loss, reduction, apart, signs, margin=0.32, reduction=reduction)
    for reduction in REDUCTIONS
]
CASES += [
    case(hinge_embedding_loss, "ties", tie, np.array([-1, 1, -1]), margin=0.5, smooth=False),
    case(hinge_embedding_loss, "default-margin", apart, signs),
]

BAD_CASES = [
    bad
    for f in (mse_loss, l1_loss, binary_cross_entropy_with_logits, hinge_embedding_loss)
    for bad in [
        BadCase(
            f.__name__,
            "shape",
            lambda f=f: f(ones(3, 1), ones(3)),
            ShapeError,
            ["same shape", "(3, 1)", "(3,)"],
        ),
        BadCase(
            f.__name__,
            "reduction",
            lambda f=f: f(ones(3), ones(3), reduction="avg"),
            ArgumentError,
            ["no such reduction", "'avg'"],
        ),
        BadCase(
            f.__name__, "array", lambda f=f: f(ones(3).data, ones(3)), DtypeError, ["a Tensor"]
        ),
        BadCase(
            f.__name__,
            "target-array",
            lambda f=f: f(ones(3), ones(3).data),
            DtypeError,
            ["target must be a Tensor"],
        ),
        BadCase(f.__name__, "integers", lambda f=f: f(arange(3), arange(3)), DtypeError, ["int64"]),
    ]
]
BAD_CASES += [
    BadCase(
        "binary_cross_entropy_with_logits",
        "target",
        lambda: binary_cross_entropy_with_logits(ones(2), tensor([-1.0, 1.0])),
        ArgumentError,
        ["from 0 to 1", "-1.0"],
    ),
    BadCase(
        "binary_cross_entropy_with_logits",
        "weight",
        lambda: binary_cross_entropy_with_logits(ones(2, 3), ones(2, 3), weight=ones(2)),
        ShapeError,
        ["weight broadcasts", "(2, 3)", "(2,)"],
    ),
    BadCase(
        "binary_cross_entropy_with_logits",
        "pos-weight-widens",
        lambda: binary_cross_entropy_with_logits(ones(3), ones(3), pos_weight=ones(2, 3)),
        ShapeError,
        ["pos_weight broadcasts"],
    ),
    BadCase(
        "hinge_embedding_loss",
        "target",
        lambda: hinge_embedding_loss(ones(3), tensor([1, 0, -1])),
        ArgumentError,
        ["1 or -1", "0"],
    ),
    BadCase(
        "hinge_embedding_loss",
        "margin",
        lambda: hinge_embedding_loss(ones(2), tensor([1, -1]), margin=None),
        DtypeError,
        ["margin is a number"],
    ),
]
