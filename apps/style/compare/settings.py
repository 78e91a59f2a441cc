"""The options of `minidl style compare`."""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import at_least, below, option
from apps.style.settings import NetworkOptions

SIZE = 384  # pixels of the longer side, unless the content is smaller


@dataclass(kw_only=True)
class Settings(NetworkOptions):
    """Everything that decides what is compared."""

    content: str = option(
        "", "The picture whose objects the results show.", is_argument=True, metavar="CONTENT",
        parse=parse.path_or_name,
    )  # fmt: skip
    style: str = option(
        "", "The picture whose style they have.", is_argument=True, metavar="STYLE",
        parse=parse.path_or_name,
    )  # fmt: skip
    size: int | None = option(
        "Pictures", f"Longer side of both pictures in pixels; by default {SIZE}, or the content's "
        "if that is smaller.",
        default=None, metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    fast: str | None = option(
        "Pictures", "Network of minidl style fast-train for this style: a file, or a name. By "
        "default the one that comes with minidl, if the style's file has its name.",
        default=None, metavar="MODEL|NAME", parse=parse.path_or_name,
    )  # fmt: skip
    seed: int = option(
        "Run", "Of all random numbers.", default=0, check=(at_least(0), below(2**63, "2^63"))
    )
