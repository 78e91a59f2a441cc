"""The options of texture synthesis."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import (
    Option,
    OptionError,
    above,
    at_least,
    below,
    check_values,
    one_of,
    option,
)

HOW, WHERE, GUIDES, RUN = "How", "What is made", "Guides", "Run"
METHODS = ("efros-leung", "quilting")
SMALLEST_PATCH = 4  # pixels of its side, of which one overlaps
LARGEST = 16_384  # pixels of a side


def size_of(option: Option, text: str) -> list[int]:
    """ "320x200" as [200, 320], height and width; "256" as [256, 256].

    Raises:
        OptionError: it is something else.
    """
    found = re.fullmatch(r"(\d{1,5})(?:[x\N{MULTIPLICATION SIGN}](\d{1,5}))?", text.strip().lower())
    width, height = (int(side or found[1]) for side in found.groups()) if found else (0, 0)
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        rule = f"{option.flag} is WIDTHxHEIGHT, from 1 to {LARGEST:,} pixels each"
        raise option.refuse(rule, text, "as in 256x256")
    return [height, width]


def numbers(option: Option, text: str) -> list[int]:
    """ "5,11,23" as [5, 11, 23].

    Raises:
        OptionError: one is no whole number.
    """
    try:
        found = [int(part) for part in parse.names(option, text)]
    except ValueError:
        found = []
    if not found:
        raise option.refuse(
            f"{option.flag} is a number of pixels, or several", text, "as in 5,11,23"
        )
    return found


def windows(option: Option, value: list[int]) -> None:
    """Each has a pixel in its middle and one on each side."""
    for window in value:
        if not 3 <= window <= 255:
            raise option.refuse(f"{option.words} is from 3 to 255 pixels", window)


@dataclass(kw_only=True)
class Settings:
    """Everything that decides what is synthesised, but the samples themselves."""

    method: str = option(
        HOW,
        "efros-leung: pixel by pixel (the default); quilting: patch by patch, many times faster.",
        default="efros-leung",
        check=one_of(METHODS),
    )
    window: list[int] = option(
        HOW,
        "Side of the window by which pixels are compared, or of a patch, a little larger than the "
        "largest regular feature; 15, and for quilting 24. Several, as in 5,11,23, give a sheet "
        "that compares them.",
        default_factory=list, metavar="PIXELS", typed=str, parse=numbers, check=windows,
    )  # fmt: skip
    size: list[int] = option(
        WHERE, "Of the picture; 256x256, with a hole or guide that of the picture or guide.",
        default_factory=list, metavar="WIDTHxHEIGHT", typed=str, parse=size_of,
    )  # fmt: skip
    hole: str | None = option(
        WHERE,
        "Fill a hole in the first sample instead: the white part of this picture of the same size, "
        "or `alpha`, where the sample is transparent.",
        default=None, metavar="MASK|alpha", parse=parse.path_or_name,
    )  # fmt: skip
    tileable: bool = option(
        WHERE, "Let the picture go on at its opposite side, to be laid as tiles.", default=False
    )
    copy_mask: list[str] = option(
        WHERE,
        "What may be copied of a sample: the white part of this picture. Repeatable, for the "
        "samples in order.",
        default_factory=list, metavar="MASK", typed=list[str],
    )  # fmt: skip
    guide: str | None = option(
        GUIDES,
        "A picture that says what is to be where. One picture: the texture takes its light and "
        "shade (texture transfer). SAMPLE_MAP:MAP, with a map for each sample: what is alike in "
        "the maps becomes alike (texture by numbers).",
        default=None, metavar="[MAP:...]MAP",
    )  # fmt: skip
    guide_weight: float = option(
        GUIDES, "With efros-leung, how much a guide counts beside the texture; 1.", default=1.0,
        metavar="FACTOR", check=above(0),
    )  # fmt: skip
    passes: int = option(
        GUIDES,
        "With quilting, how often the picture is made anew from patches a third smaller, each "
        "time closer to the guide; 3.",
        default=3, metavar="N", check=at_least(1),
    )  # fmt: skip
    seed: int = option(
        RUN, "Seed of all random numbers; default 0.", default=0,
        check=(at_least(0), below(2**63, "2^63")),
    )  # fmt: skip


def checked(given: dict) -> Settings:
    """The settings that were typed, with what depends on others.

    Raises:
        OptionError: a value is out of range, or two contradict each other.
    """
    settings = Settings(**given)
    check_values(settings)
    quilting = settings.method == "quilting"
    settings.window = settings.window or [24 if quilting else 15]
    if not quilting and any(window % 2 == 0 for window in settings.window):
        raise OptionError(
            "a window of efros-leung has a pixel in its middle, so an odd side",
            {"--window": ",".join(map(str, settings.window))},
        )
    if quilting and settings.hole:
        raise OptionError(
            "quilting fills no holes", {"--method": settings.method, "--hole": settings.hole},
            "--method efros-leung does",
        )  # fmt: skip
    if quilting and min(settings.window) < SMALLEST_PATCH:
        raise OptionError(
            f"a patch of quilting has at least {SMALLEST_PATCH} pixels on each side",
            {"--window": ",".join(map(str, settings.window))},
        )
    if settings.hole and settings.tileable:
        raise OptionError(
            "what lies around a hole is no tile", {"--hole": settings.hole, "--tileable": True},
            "one of the two",
        )  # fmt: skip
    if settings.hole and settings.size:
        raise OptionError("a picture with a hole keeps its size", {"--hole": settings.hole})
    if quilting and "guide_weight" in given:
        raise OptionError(
            "--guide-weight belongs to efros-leung; quilting weighs by its passes", {},
            "--passes",
        )  # fmt: skip
    if not settings.guide and "guide_weight" in given:
        raise OptionError("--guide-weight belongs to a --guide", {})
    if not quilting and "passes" in given or not settings.guide and "passes" in given:
        raise OptionError("--passes belong to quilting with a --guide", {})
    return settings
