"""The optimizer of a run, made from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.shared.options import above, at_least, below, one_of, option
from apps.shared.settings import STEPS
from minidl import optim
from minidl.nn import Module

# name -> (class, learning rate, weight decay): defaults where an application has none of its own
OPTIMIZERS: dict[str, tuple[type[optim.Optimizer], float, float]] = {
    "sgd": (optim.SGD, 0.02, 5e-4),
    "adam": (optim.Adam, 1e-3, 0.0),
    "adamw": (optim.AdamW, 1e-3, 1e-2),
    "rmsprop": (optim.RMSprop, 3e-4, 0.0),
    "adagrad": (optim.Adagrad, 1e-2, 0.0),
}
MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}  # the optimizers that have one, and its default


@dataclass(kw_only=True)
class OptimizerOptions:
    """What a step does with the gradients."""

    optimizer: str = option(
        STEPS, f"{', '.join(OPTIMIZERS)}. Default: sgd.", check=one_of(OPTIMIZERS)
    )
    lr: float = option(STEPS, "Learning rate.", check=above(0))
    momentum: float = option(STEPS, f"Of {' and '.join(MOMENTUM)}.", check=(at_least(0), below(1)))
    weight_decay: float = option(STEPS, "L2 penalty.", check=at_least(0))
    bias_decay: bool = option(
        STEPS,
        "Whether weight decay applies to biases and norms, too. Default: it does.",
        default=True,
    )
    clip_grad: float | None = option(
        STEPS, "Largest norm of the gradients of a step.", default=None, metavar="NORM",
        check=above(0),
    )  # fmt: skip


def make_optimizer(
    model: Module, settings: OptimizerOptions, factors: dict[str, float] | None = None
) -> optim.Optimizer:
    """The optimizer of all parameters, in groups of one learning rate and weight decay.

    Args:
        model: whose parameters; frozen ones are among them, and are skipped while they are.
        settings: which optimizer, with which numbers.
        factors: on the learning rate, by name of the parameter; None for 1.
    """
    kind, *_ = OPTIMIZERS[settings.optimizer]
    options: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimizer in MOMENTUM:
        options["momentum"] = settings.momentum
    return kind(parameter_groups(model, settings, factors or {}), **options)


def parameter_groups(
    model: Module, settings: OptimizerOptions, factors: dict[str, float]
) -> list[dict[str, Any]]:
    """Groups of parameters with the same factor and weight decay, in order of appearance.

    With bias_decay off, vectors have no weight decay: they are biases and what norms multiply by
    and add, and shrinking them does not make the network simpler.
    """
    groups: dict[tuple, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        decays = settings.bias_decay or parameter.ndim > 1
        decay = settings.weight_decay if decays else 0.0
        factor = factors.get(name, 1.0)
        group = {"params": [], "lr_mult": factor, "weight_decay": decay}
        groups.setdefault((factor, decay), group)["params"].append(parameter)
    return list(groups.values())
