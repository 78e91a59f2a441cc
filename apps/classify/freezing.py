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

from apps.classify.settings import LearningOptions
from apps.shared.chain import trace
from apps.shared.options import OptionError
from minidl import callbacks
from minidl.errors import nearest
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
        """Let those parameters of the model learn that learn in an epoch, and no others.

        Auxiliary heads are there to learn, and are left out while they do not.
        """
        learning = self.learning(epoch)
        if self.aux_heads:
            model.use_aux_heads = not learning.isdisjoint(self.aux_heads)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learning)
            if name not in learning:
                parameter.grad = None


def make_plan(
    model: Module, entry: Any, mode: str, settings: LearningOptions, fresh: Iterable[str] = ()
) -> Plan:
    """The plan for a network.

    Args:
        model: the network.
        entry: what is known of it, see models.entry.
        mode: "frozen", or another way of training.
        settings: freeze, train_from, unfreeze_after, lr_mult, ...
        fresh: names of the tensors that were initialised afresh.

    Raises:
        OptionError: no such layer; nothing learns; or a layer that knows nothing is frozen.
    """
    names = [name for name, _ in model.named_parameters()]
    fresh = set(fresh) & set(names)  # without buffers
    factors = dict.fromkeys(names, 1.0)
    for pattern, factor in settings.lr_mult.items():
        for name in matching(model, pattern, "--lr-mult"):
            factors[name] *= factor
    for name in fresh:
        factors[name] *= settings.fresh_lr_mult
    frozen = frozen_names(model, entry, settings, fresh) if mode == "frozen" else set()
    if settings.unfreeze_after is not None:
        for name in frozen:
            factors[name] *= settings.unfreeze_lr_mult
    plan = Plan(factors, frozen, settings.unfreeze_after, aux_parameters(model, entry))
    if not plan.learning(1):
        raise OptionError(
            "no layer learns",
            {"--freeze": settings.freeze, "--lr-mult": settings.lr_mult},
            "leave a layer out of them",
        )
    return plan


def frozen_names(model: Module, entry: Any, settings: LearningOptions, fresh: set[str]) -> set[str]:
    """The parameters that mode "frozen" freezes."""
    names = [name for name, _ in model.named_parameters()]
    if settings.freeze:
        found = {name for p in settings.freeze for name in matching(model, p, "--freeze")}
    elif settings.train_from:
        first = matching(model, settings.train_from, "--train-from")[0]
        found = set(names[: names.index(first)])
    else:
        head, heads = set(last_layer(model, entry)), aux_parameters(model, entry)
        return {name for name in names if name in heads or name not in head | fresh}
    useless = sorted(found & fresh)
    if useless:
        raise OptionError(
            "a layer that is initialised afresh knows nothing, and would stay so",
            {"frozen": useless[0], "and more": len(useless) - 1}, "let it learn",
        )  # fmt: skip
    return found


def last_layer(model: Module, entry: Any) -> list[str]:
    """Parameters of the last layer that has any: the output of lenet5_1998 has none."""
    names = [name for name, _ in model.named_parameters()]
    found = [name for name in names if name.startswith(f"{entry.head}.")]
    last = names[-1].rpartition(".")[0]
    return found or [name for name in names if name.rpartition(".")[0] == last]


def aux_parameters(model: Module, entry: Any) -> set[str]:
    """Parameters of auxiliary heads: they help the layers before them to learn."""
    heads = {path.split(".")[0] for path in entry.aux_heads}
    return {name for name, _ in model.named_parameters() if name.split(".")[0] in heads}


def matching(model: Module, pattern: str, flag: str) -> list[str]:
    """Names of the parameters that a name or pattern means, in order; at least one.

    Raises:
        OptionError: there is none; names the nearest.
    """
    names = [name for name, _ in model.named_parameters()]
    if "*" in pattern:
        found = [name for name in names if fnmatchcase(name, pattern)]
    else:
        found = [name for name in names if name == pattern or name.startswith(f"{pattern}.")]
    if not found:
        layers = [path for path, module in model.named_modules() if path and has_own(module)]
        groups = [path for path, _ in model.named_children()]
        raise OptionError("no such layer", {flag: pattern}, nearest(pattern, [*groups, *layers]))
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


class Freezing(callbacks.Callback):
    """Follow a plan: keep the frozen part as in evaluation, and unfreeze it when it is time.

    Args:
        plan: what learns when.
        model: the network, which fit trains as it is or behind the frozen part (cache.model).
        x: a batch that the model takes.
        cache: a FeatureCache that is in use until then, or None.
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
    """Switch the frozen part of a network to evaluation; arguments as of frozen_part."""
    for module in frozen_part(model, x):
        module.eval()
