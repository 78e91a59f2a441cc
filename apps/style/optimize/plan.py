"""How a picture is optimised: the options that all ways with a loop have, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.shared.options import FREE, at_least, below, one_of, option
from apps.shared.photo import fitted_size

OPTIMIZATION, RUN = "Optimization", "Run"
OPTIMIZERS = ("adam", "lbfgs")


@dataclass(kw_only=True)
class OptimizeOptions:
    """Scales, iterations and the optimizer.

    An application that has other defaults declares an option anew.
    """

    iterations: int = option(
        OPTIMIZATION, "Of the last scale; the scales before it have 1.4 times as many each. 60, or "
        "200 from noise.",
        default=60, metavar="N", check=at_least(1),
    )  # fmt: skip
    scales: int = option(
        OPTIMIZATION, "How many sizes, each twice the one before, the last of them --size.",
        default=2, metavar="N", check=at_least(1),
    )  # fmt: skip
    optimizer: str = option(
        OPTIMIZATION, "adam (with an average of the iterates) or lbfgs (strong Wolfe).",
        default="adam", check=one_of(OPTIMIZERS),
    )  # fmt: skip
    lr: float = option(
        OPTIMIZATION, "Of adam: change of a pixel per iteration at first, of 255; it falls.",
        default=6.5, metavar="RATE", check=at_least(0),
    )  # fmt: skip
    average: float = option(
        OPTIMIZATION, "Of adam: the picture is an average in which the last 1 / (1 - A) iterates "
        "count; 0: the last one.",
        default=0.97, metavar="A", check=(at_least(0), below(1)),
    )  # fmt: skip
    shift: int = option(
        OPTIMIZATION, "Of adam: the picture moves by up to N pixels, at random, in each iteration.",
        default=3, metavar="N", check=at_least(0),
    )  # fmt: skip
    seed: int = option(
        RUN, "Of all random numbers.", default=0, check=(at_least(0), below(2**63, "2^63"))
    )
    snapshots: int | None = option(
        RUN, "Iterations from one picture of the report's strip to the next; by default an eighth "
        "of all.",
        default=None, metavar="N", check=at_least(1), resume=FREE,
    )  # fmt: skip


def unused_by(settings: OptimizeOptions) -> dict[str, str]:
    """Options that the optimizer has no use for -> the option that is the cause."""
    of_adam = () if settings.optimizer == "adam" else ("lr", "average", "shift")
    return dict.fromkeys(of_adam, f"--optimizer {settings.optimizer}")


FALLS_TO = 1 / 13  # of the learning rate, at the end of a scale
EARLIER = 1.4  # iterations of a scale that is not the last one


@dataclass(frozen=True)
class Scale:
    """One size of the picture, and how many iterations it gets.

    Args:
        size: height and width.
        iterations: how many.
    """

    size: tuple[int, int]
    iterations: int


@dataclass(frozen=True)
class Plan:
    """What the loop does.

    Args:
        scales: in order.
        optimizer: "adam" or "lbfgs".
        lr, average, shift, seed: as the options.
        snapshots: iterations from one snapshot to the next.
    """

    scales: tuple[Scale, ...]
    optimizer: str = "adam"
    lr: float = 6.5
    average: float = 0.97
    shift: int = 3
    seed: int = 0
    snapshots: int = 20

    @property
    def iterations(self) -> int:
        """Of all scales together."""
        return sum(scale.iterations for scale in self.scales)

    @property
    def size(self) -> tuple[int, int]:
        """Of the finished picture."""
        return self.scales[-1].size


def make_plan(settings: OptimizeOptions, size: tuple[int, int], smallest: int = 1) -> Plan:
    """The plan for a finished picture of `size`.

    Args:
        settings: the options.
        size: height and width of the finished picture.
        smallest: pixels that the shorter side of a scale has at least; smaller scales are left out.
    """
    longer, scales = max(size), []
    for number in range(settings.scales):
        halvings = settings.scales - 1 - number
        of_scale = fitted_size(size, max(1, round(longer / 2**halvings))) if halvings else size
        if halvings and min(of_scale) < smallest:
            continue
        factor = EARLIER if halvings else 1
        scales.append(Scale(of_scale, max(1, round(factor * settings.iterations))))
    total = sum(scale.iterations for scale in scales)
    return Plan(
        tuple(scales), settings.optimizer, settings.lr, settings.average, settings.shift,
        settings.seed, settings.snapshots or max(1, total // 8),
    )  # fmt: skip


def note_left_out(plan: Plan, given: dict[str, Any], note: Callable[[str], None]) -> None:
    """Say so where make_plan has left scales out that were typed."""
    scales = given.get("scales", 0)
    if (left_out := scales - len(plan.scales)) > 0:
        note(
            f"{left_out} of {scales} sizes are left out: so small, the pictures have too "
            "little for the layers to see"
        )
