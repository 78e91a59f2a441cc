"""The options of `minidl style cnnmrf`, and the defaults that depend on others of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.shared import parse
from apps.shared.options import Option, OptionError, at_least, check_values, one_of, option
from apps.style.cnnmrf.energy import GRADIENTS
from apps.style.optimize.plan import OPTIMIZATION, OptimizeOptions, unused_by
from apps.style.settings import LOSSES, NetworkOptions, check_used, layer_weights

PICTURES, PATCHES = "Pictures", "Patches"
SIZE = 384  # pixels of the longer side, as in the authors' code, unless the picture is smaller

COPIES = 99  # of the style at most: their features are in memory, and every one is searched
# Options that nothing else uses.
OF_PATCHES = (
    "layers", "patch", "stride", "rotations", "patch_scales", "gradient", "style_size",
)  # fmt: skip

# Network -> layers of content, layers of patches.
LAYERS = {
    # pool1 keeps the colours, which deeper layers leave open.
    "squeezenet": (["fire5"], ["pool1", "fire2", "fire3", "fire5"]),
    "vgg16": (["relu4_2"], ["relu3_1", "relu4_1"]),
    "vgg19": (["relu4_2"], ["relu3_1", "relu4_1"]),  # Li and Wand 2016
}


def one_or_two(option: Option, texts: list[str]) -> list[str]:
    """Paths made absolute.

    Raises:
        OptionError: there are more than two.
    """
    if len(texts) > 2:
        raise option.refuse("one picture is the style; of two, the first is the content", texts)
    return [parse.path_or_name(option, text) for text in texts]


def odd(option: Option, value: int) -> None:
    if value < 1 or value % 2 == 0:
        raise option.refuse(f"{option.words} is an odd number: as many on each side", value)


@dataclass(kw_only=True)
class PictureOptions:
    """The pictures."""

    pictures: list[str] = option(
        "", "The picture whose patches are used; before it, if there is one, the picture whose "
        "objects the result shows. Without that, a new picture of the style's patches.",
        is_argument=True, metavar="[CONTENT] STYLE", parse=one_or_two,
    )  # fmt: skip
    size: int | None = option(
        PICTURES, f"Longer side of the result in pixels; by default {SIZE}, or the content's (or "
        "style's) if that is smaller.",
        default=None, metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    style_size: int | None = option(
        PICTURES, "The same of the style picture. Default: that of the result.", default=None,
        metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    init: str | None = option(
        PICTURES, "Where to begin: content (the default, if there is one), noise, or a picture.",
        default=None, metavar="content|noise|FILE", parse=parse.path_or_name,
    )  # fmt: skip


@dataclass(kw_only=True)
class PatchOptions:
    """Patches and the losses. Every patch is matched anew in each iteration."""

    patch: int = option(
        PATCHES, "Height and width of patches of the features.", default=3, metavar="N",
        check=at_least(1),
    )  # fmt: skip
    stride: int = option(
        PATCHES, "From one patch to the next; a last one ends at the edge.", default=2,
        metavar="N", check=at_least(1),
    )  # fmt: skip
    rotations: int = option(
        PATCHES, "Turned copies of the style, an odd number, 7.5 degrees apart.", default=1,
        metavar="N", check=odd,
    )  # fmt: skip
    patch_scales: int = option(
        PATCHES, "Scaled copies of the style, an odd number, each 1.05 times the one before.",
        default=1, metavar="N", check=odd,
    )  # fmt: skip
    gradient: str = option(
        PATCHES, "energy: the gradient of the energy that is reported; reference: that of the "
        "authors' code, in which every position counts alike.",
        default="energy", check=one_of(GRADIENTS),
    )  # fmt: skip
    layers: dict[str, float] = option(
        LOSSES, "Layers whose patches are matched, as in fire3 or relu3_1=1,relu4_1=0.5.",
        default_factory=dict, typed=str, metavar="NAMES", parse=layer_weights,
    )  # fmt: skip
    content_layers: dict[str, float] = option(
        LOSSES, "Layers whose features are compared with the content's.", default_factory=dict,
        typed=str, metavar="NAMES", parse=layer_weights,
    )  # fmt: skip
    mrf_weight: float = option(
        LOSSES, "Weight of the patches.", default=1.0, metavar="WEIGHT", check=at_least(0)
    )
    content_weight: float = option(
        LOSSES, "Weight of the content.", default=0.5, metavar="WEIGHT", check=at_least(0)
    )
    tv_weight: float = option(
        LOSSES, "Weight of the total variation: how smooth the picture is.", default=5e-4,
        metavar="WEIGHT", check=at_least(0),
    )  # fmt: skip


@dataclass(kw_only=True)
class Settings(PictureOptions, PatchOptions, NetworkOptions, OptimizeOptions):
    """Everything that decides what comes out."""

    scales: int = option(
        OPTIMIZATION, "How many sizes, each twice the one before, the last of them --size.",
        called="resolutions", default=3, metavar="N", check=at_least(1),
    )  # fmt: skip

    @property
    def content(self) -> str | None:
        """The file of the content, None without one."""
        return self.pictures[0] if len(self.pictures) == 2 else None

    @property
    def style(self) -> str:
        return self.pictures[-1]

    def of_content(self) -> dict[str, float]:
        """Layers of the content loss and their weights; none without a content."""
        if self.content is None or self.content_weight == 0:
            return {}
        return self.content_layers or dict.fromkeys(LAYERS[self.net][0], 1.0)

    def of_patches(self) -> dict[str, float]:
        """Layers whose patches are matched, and their weights; none if that has no weight."""
        if self.mrf_weight == 0:
            return {}
        return self.layers or dict.fromkeys(LAYERS[self.net][1], 1.0)


def check_settings(settings: Settings, given: dict[str, Any]) -> None:
    """Values are in their ranges, and no option was typed that would do nothing.

    Args:
        settings: all values.
        given: those that were typed.

    Raises:
        OptionError: the first one that is not so.
    """
    check_values(settings)
    check_copies(settings)
    for name in ("content_layers", "content_weight"):
        if settings.content is None and name in given:
            raise OptionError(
                "there is no content", {f"--{name.replace('_', '-')}": given[name]},
                "minidl style cnnmrf CONTENT STYLE",
            )  # fmt: skip
    if settings.content is None and settings.init == "content":
        raise OptionError("there is no content", {"--init": "content"}, "--init noise")
    if settings.mrf_weight == 0 and not settings.of_content():
        raise OptionError("nothing is asked of the picture", {"--mrf-weight": 0}, "a larger one")
    unused = unused_by(settings)
    if settings.mrf_weight == 0:
        unused |= dict.fromkeys(OF_PATCHES, "--mrf-weight 0")
    if settings.content_weight == 0:
        unused["content_layers"] = "--content-weight 0"
    check_used(settings, given, unused)


def check_copies(settings: Settings) -> None:
    """There are not more copies of the style than is of use.

    Raises:
        OptionError: there are.
    """
    if settings.rotations * settings.patch_scales > COPIES:
        raise OptionError(
            f"there are at most {COPIES} copies of the style, each of so many rotations in each of "
            "so many scales",
            {"--rotations": settings.rotations, "--patch-scales": settings.patch_scales},
            "--rotations 7 --patch-scales 3",
        )  # fmt: skip
