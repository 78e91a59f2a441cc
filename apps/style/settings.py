"""Options that several ways of neural style have: the loss network, its layers and their losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apps.shared import parse
from apps.shared.options import Option, OptionError, at_least, one_of, option, table
from apps.style.loss_network import NETWORKS, POOLINGS
from apps.style.losses import NORMS

NETWORK, LOSSES = "Loss network", "Losses"


def layer_weights(option: Option, texts: str | Iterable[str]) -> dict[str, float]:
    """ "relu1,fire2=0.5" as {"relu1": 1.0, "fire2": 0.5}.

    Raises:
        OptionError: a weight is no number of at least 0, or a layer comes twice.
    """
    texts = parse.names(option, texts)
    return parse.factors(option, [text if "=" in text else f"{text}=1" for text in texts])


def check_used(settings: Any, given: dict[str, Any], unused: dict[str, str]) -> None:
    """Every option that was typed has a part in the result.

    Args:
        settings: all values.
        given: those that were typed.
        unused: name of an option that has none -> the option that is the cause, as it is typed.

    Raises:
        OptionError: the first one that has none.
    """
    for name, cause in unused.items():
        if name in given:
            flag = table(type(settings))[name].flag
            raise OptionError(
                f"with {cause}, {flag} does nothing", {flag: given[name]}, f"leave {flag} out"
            )


@dataclass(kw_only=True)
class NetworkOptions:
    """The network whose features are compared."""

    net: str = option(
        NETWORK, f"{', '.join(NETWORKS)}. The first is 5 MB and fast.", default="squeezenet",
        check=one_of(NETWORKS),
    )  # fmt: skip
    weights: str | None = option(
        NETWORK, "Its weights: a file, or a name of `minidl weights list`. Default: "
        + ", ".join(NETWORKS.values()) + ".",
        default=None, metavar="FILE|NAME", parse=parse.path_or_name,
    )  # fmt: skip
    pool: str = option(
        NETWORK, "max (as the networks learned), avg or l2: what its pooling layers compute.",
        default="max", check=one_of(POOLINGS),
    )  # fmt: skip


@dataclass(kw_only=True)
class LossOptions:
    """The losses, their layers and weights."""

    content_layers: dict[str, float] = option(
        LOSSES, "Layers whose features are compared, as in fire3 or relu4_2=1,relu5_2=0.5.",
        default_factory=dict, typed=str, metavar="NAMES", parse=layer_weights,
    )  # fmt: skip
    style_layers: dict[str, float] = option(
        LOSSES, "Layers whose Gram matrices are compared.", default_factory=dict, typed=str,
        metavar="NAMES", parse=layer_weights,
    )  # fmt: skip
    content_weight: float | None = option(
        LOSSES, "Weight of the content. The defaults of the three weights depend on --loss-norm.",
        default=None, metavar="WEIGHT", check=at_least(0),
    )  # fmt: skip
    style_weight: float | None = option(
        LOSSES, "Weight of the style.", default=None, metavar="WEIGHT", check=at_least(0)
    )
    tv_weight: float | None = option(
        LOSSES, "Weight of the total variation: how smooth the picture is.", default=None,
        metavar="WEIGHT", check=at_least(0),
    )  # fmt: skip
    loss_norm: str = option(
        LOSSES, "target (divided by the target's size), or the formulas of paper (Gatys et al. "
        "2016) or port (mean squared errors, as jcjohnson/neural-style).",
        default="target", check=one_of(NORMS),
    )  # fmt: skip
