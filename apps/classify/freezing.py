"""Which layers learn, how fast, and from when on.

    --mode frozen             only the last layer and layers that are initialised afresh learn
      --freeze A,B            these layers are frozen, all others learn
      --train-from A          layers before A are frozen, A and those after it learn
      --unfreeze-after N      after N epochs all learn, the frozen ones at a fraction of the rate
    --lr-mult A=F             the rate of A is F times as high, 0: it never learns

A name is that of a layer or of a group of layers ("features", "features.conv1_1"), of a single
parameter, or a pattern with * ("*.bias"). The factors of all names that match are multiplied.

The part of the network before the first layer that learns works as in evaluation: its batch norms
use and keep their running averages, its dropout drops nothing. So it always gives the same
features for the same picture (and feature_cache.py can keep them).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import models
from apps.classify.chain import trace
from apps.classify.options import Settings
from minidl import callbacks
from minidl.errors import ArgumentError, nearest
from minidl.nn import Dropout, Dropout2d, Module
from minidl.tensor import Tensor


@dataclass
class Plan:
    """What becomes of each parameter.

    Args:
        factors: name of each parameter -> factor on its learning rate; 0 if it never learns.
        frozen: names of those that do not learn at first.
        unfreeze_after: epochs after which the frozen ones learn, too; None for never.
    """

    factors: dict[str, float]
    frozen: set[str] = field(default_factory=set)
    unfreeze_after: int | None = None

    def learning(self, epoch: int) -> set[str]:
        """Names of the parameters that learn in an epoch (counted from 1)."""
        thawed = self.unfreeze_after is not None and epoch > self.unfreeze_after
        return {
            name
            for name, factor in self.factors.items()
            if factor > 0 and (thawed or name not in self.frozen)
        }

    def apply(self, model: Module, epoch: int) -> None:
        """Let those parameters of the model learn that learn in an epoch, and no others."""
        learning = self.learning(epoch)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learning)
            if name not in learning:
                parameter.grad = None


def make_plan(model: Module, settings: Settings, fresh: Iterable[str] = ()) -> Plan:
    """The plan for a network.

    Args:
        model: the network.
        settings: mode, freeze, train_from, unfreeze_after, lr_mult, ...
        fresh: names of the tensors that were initialised afresh.

    Raises:
        ArgumentError: no such layer; nothing learns; or a layer that knows nothing is frozen.
    """
    names = [name for name, _ in model.named_parameters()]
    fresh = set(fresh) & set(names)  # without buffers
    factors = dict.fromkeys(names, 1.0)
    for pattern, factor in settings.lr_mult.items():
        for name in matching(model, pattern, "--lr-mult"):
            factors[name] *= factor
    for name in fresh:
        factors[name] *= settings.fresh_lr_mult
    frozen = frozen_names(model, settings, fresh) if settings.mode == "frozen" else set()
    if settings.unfreeze_after is not None:
        for name in frozen:
            factors[name] *= settings.unfreeze_lr_mult
    plan = Plan(factors, frozen, settings.unfreeze_after)
    if not plan.learning(1):
        raise ArgumentError(
            "train", "no layer learns",
            {"--freeze": settings.freeze, "--lr-mult": settings.lr_mult},
            "leave a layer out of them",
        )  # fmt: skip
    return plan


def frozen_names(model: Module, settings: Settings, fresh: set[str]) -> set[str]:
    """The parameters that mode "frozen" freezes."""
    names = [name for name, _ in model.named_parameters()]
    if settings.freeze:
        found = {name for p in settings.freeze for name in matching(model, p, "--freeze")}
    elif settings.train_from:
        first = matching(model, settings.train_from, "--train-from")[0]
        found = set(names[: names.index(first)])
    else:
        entry = models.entry(settings.model)
        head, heads = set(last_layer(model, entry)), unused_heads(model, entry)
        return {name for name in names if name in heads or name not in head | fresh}
    useless = sorted(found & fresh)
    if useless:
        raise ArgumentError(
            "train", "a layer that is initialised afresh knows nothing, and would stay so",
            {"frozen": useless[0], "and more": len(useless) - 1}, "let it learn",
        )  # fmt: skip
    return found


def last_layer(model: Module, entry: Any) -> list[str]:
    """Parameters of the last layer that has any: the output of lenet5_1998 has none."""
    names = [name for name, _ in model.named_parameters()]
    found = [name for name in names if name.startswith(f"{entry.head}.")]
    last = names[-1].rpartition(".")[0]
    return found or [name for name in names if name.rpartition(".")[0] == last]


def unused_heads(model: Module, entry: Any) -> set[str]:
    """Parameters of auxiliary heads. They help the layers before them, which are frozen."""
    heads = {path.split(".")[0] for path in entry.aux_heads}
    return {name for name, _ in model.named_parameters() if name.split(".")[0] in heads}


def matching(model: Module, pattern: str, option: str) -> list[str]:
    """Names of the parameters that a name or pattern means, in order; at least one.

    Raises:
        ArgumentError: there is none; names the nearest.
    """
    names = [name for name, _ in model.named_parameters()]
    if "*" in pattern:
        found = [name for name in names if fnmatchcase(name, pattern)]
    else:
        found = [name for name in names if name == pattern or name.startswith(f"{pattern}.")]
    if not found:
        layers = [path for path, module in model.named_modules() if path and has_own(module)]
        groups = [path for path, _ in model.named_children()]
        raise ArgumentError(
            "train", "no such layer", {option: pattern}, nearest(pattern, [*groups, *layers])
        )
    return found


def has_own(module: Module) -> bool:
    """Whether a module has parameters itself."""
    return next(module.parameters(recurse=False), None) is not None


# --- the frozen part ----------------------------------------------------------------------------


def frozen_part(model: Module, x: Tensor) -> list[Module]:
    """Layers that run before the first one that learns, up to the last one with weights.

    Dropout that follows those weights is not among them: it is for the layer that learns.

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
    while before and not has_own(before[-1]):
        before.pop()
    return before


def gives_scores_only(model: Module, entry: Any) -> bool:
    """Whether the auxiliary heads of a network, if it has any, do not learn."""
    names = unused_heads(model, entry)
    return not any(p.requires_grad for name, p in model.named_parameters() if name in names)


class Freezing(callbacks.Callback):
    """Follow a plan: keep the frozen part as in evaluation, and unfreeze it when it is time.

    Args:
        plan: what learns when.
        x: a batch that the model takes.
        entry: of the network, see models.entry.
        cache: a FeatureCache that is in use until then, or None.
    """

    order = -200  # before the others look at what learns

    def __init__(self, plan: Plan, x: Tensor, entry: Any, cache: Any = None):
        self.plan, self.x, self.entry, self.cache = plan, x, entry, cache

    def on_epoch_start(self, run) -> None:
        """The model was just switched to training, all of it."""
        after = self.plan.unfreeze_after
        if after is not None and run.epoch > after and self.cache is not None:
            self.cache.leave()
        self.plan.apply(run.model, run.epoch)
        if self.cache is None or not self.cache.in_use:
            for module in frozen_part(run.model, self.x):
                module.training = False
            if self.entry.aux_heads and gives_scores_only(run.model, self.entry):
                run.model.training = False  # of the network itself: it leaves out the other heads


def droppers(module: Module) -> bool:
    """Whether a module drops something at random in training."""
    return any(isinstance(part, Dropout | Dropout2d) and part.p > 0 for part in module.modules())
