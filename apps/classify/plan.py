"""Which layers learn, how fast, and from when on: from the options of the command line to a plan.

    --mode frozen             only the last layer and layers that are initialised afresh learn
      --freeze A,B            these layers are frozen, all others learn
      --train-from A          layers before A are frozen, A and those after it learn
      --unfreeze-after N      after N epochs all learn, the frozen ones at a fraction of the rate
    --lr-mult A=F             the rate of A is F times as high, 0: it never learns

A name is that of a layer or of a group of layers ("features", "features.conv1_1"), of a single
parameter, or a pattern with * ("*.bias"). The factors of all names that match are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from apps.classify.settings import LearningOptions
from apps.shared.freezing import Plan, has_own
from apps.shared.options import OptionError
from minidl.errors import nearest
from minidl.nn import Module


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
