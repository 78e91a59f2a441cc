"""Networks of which some parameters do not learn, or not from the first epoch on.

The part of the network before the first layer that learns works as in evaluation: its batch norms
use their running averages and leave them as they are, its dropout drops nothing. So it always gives
the same features for the same picture (and feature_cache.py can keep them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.shared.chain import trace
from minidl import callbacks
from minidl.nn import Module
from minidl.tensor import Tensor


@dataclass
class Plan:
    """What becomes of each parameter.

    Args:
        factors: name of each parameter -> factor on its learning rate; 0 if it never learns.
        frozen: names of those that do not learn at first.
        unfreeze_after: epochs after which the frozen ones learn, too; None for never.
        aux_heads: names of the parameters of auxiliary heads.
    """

    factors: dict[str, float]
    frozen: set[str] = field(default_factory=set)
    unfreeze_after: int | None = None
    aux_heads: set[str] = field(default_factory=set)

    def learning(self, epoch: int) -> set[str]:
        """Names of the parameters that learn in an epoch (counted from 1)."""
        thawed = self.unfreeze_after is not None and epoch > self.unfreeze_after
        return {
            name
            for name, factor in self.factors.items()
            if factor > 0 and (thawed or name not in self.frozen)
        }

    @property
    def freezes(self) -> bool:
        """Whether some parameters do not learn in some epochs."""
        return bool(self.frozen) or 0 in self.factors.values()

    def apply(self, model: Module, epoch: int) -> None:
        """Let the parameters learn whose turn it is in an epoch, and freeze all others.

        The network skips its auxiliary heads while none of their parameters learns.
        """
        learning = self.learning(epoch)
        if self.aux_heads:
            model.use_aux_heads = not learning.isdisjoint(self.aux_heads)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learning)
            if name not in learning:
                parameter.grad = None


def frozen_part(model: Module, x: Tensor) -> list[Module]:
    """Layers before the first one that learns, up to the last one with weights or averages.

    Dropout behind those is left out: it regularises the layer that learns.

    Args:
        model: parameters that do not learn now have requires_grad False.
        x: a batch that it takes.
    """
    calls, _ = trace(model, x)
    before: list[Module] = []
    for call in calls:
        module = call.module
        if any(p.requires_grad for p in module.parameters(recurse=False)):
            break
        if not module.modules_here:
            before.append(module)
    while before and not before[-1].state_dict():
        before.pop()
    return before


class Freezing(callbacks.Callback):
    """Follow a plan: keep the frozen part in evaluation mode, and unfreeze it when it is time.

    Args:
        plan: what learns when.
        model: the whole network; fit may train cache.model, the part behind the frozen one.
        x: a batch that the model takes.
        cache: the FeatureCache that is in use until the frozen part learns, or None.
    """

    order = -200  # before the others look at what learns

    def __init__(self, plan: Plan, model: Module, x: Tensor, cache: Any = None):
        self.plan, self.model, self.x, self.cache = plan, model, x, cache

    def on_epoch_start(self, run) -> None:
        """The model was just switched to training, all of it."""
        after = self.plan.unfreeze_after
        if after is not None and run.epoch > after and self.cache is not None:
            self.cache.leave()
        self.plan.apply(self.model, run.epoch)
        if self.cache is None or not self.cache.in_use:
            evaluate_frozen_part(self.model, self.x)


def evaluate_frozen_part(model: Module, x: Tensor) -> None:
    """Switch the frozen part of a network to evaluation mode; arguments as of frozen_part."""
    for module in frozen_part(model, x):
        module.eval()


def has_own(module: Module) -> bool:
    """Whether a module has parameters itself."""
    return next(module.parameters(recurse=False), None) is not None
