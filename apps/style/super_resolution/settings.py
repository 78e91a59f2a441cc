"""The options of super-resolution."""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import at_least, below, one_of, option

HOW, EXAMPLES, RUN = "How", "By examples (mrf)", "Run"

METHODS = ("mrf", "fast")  # mrf.py and fast.py
SCALES = (2, 4)


@dataclass(kw_only=True)
class Settings:
    """Everything that decides how a picture is enlarged."""

    method: str = option(
        HOW,
        "mrf: patches of other pictures, fitted together by belief propagation (the default); "
        "fast: a network trained by `minidl style fast-train --task super-resolution`.",
        default="mrf",
        check=one_of(METHODS),
    )
    scale: int = option(
        HOW,
        "2 (the default) or 4; with fast that of the network.",
        default=2,
        check=one_of(SCALES),
    )
    model: str | None = option(
        HOW, "With fast: the file of the network.", default=None, metavar="MODEL",
        parse=parse.path_or_name,
    )  # fmt: skip
    examples: list[str] = option(
        EXAMPLES,
        "Sharp pictures to take patches from, or folders of them; repeatable. Default: the picture "
        "itself, which at half its size shows how fine detail goes with coarse.",
        default_factory=list, metavar="FILE|FOLDER", typed=list[str],
    )  # fmt: skip
    most_examples: int = option(
        EXAMPLES, "How many patches to keep of them; 60000.", default=60_000, metavar="N",
        check=at_least(1),
    )  # fmt: skip
    candidates: int = option(
        EXAMPLES, "How many of them each place chooses from; 16.", default=16, metavar="K",
        check=at_least(1),
    )  # fmt: skip
    agreement: float = option(
        EXAMPLES, "How much neighbouring patches have to agree; 0: each place takes the nearest.",
        default=1.0, metavar="FACTOR", check=at_least(0),
    )  # fmt: skip
    back_projection: int = option(
        EXAMPLES,
        "How often what is missing when the result is shrunk again is added to it; 4.",
        default=4, metavar="N", check=at_least(0),
    )  # fmt: skip
    seed: int = option(
        RUN, "Seed of the choice of examples; default 0.", default=0,
        check=(at_least(0), below(2**63, "2^63")),
    )  # fmt: skip
