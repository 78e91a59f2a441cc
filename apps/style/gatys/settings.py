"""The options of `minidl style gatys`, and the defaults that depend on others of them."""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import Option, OptionError, at_least, below, one_of, option
from apps.style.optimize.plan import OptimizeOptions
from apps.style.settings import LossOptions, NetworkOptions

PICTURES = "Pictures"
COLORS = ("style", "luma", "match")
SIZE = 512  # pixels of the longer side, unless the content picture is smaller

# Network -> layers of content, layers of style.
LAYERS = {
    "squeezenet": (["fire3"], ["relu1", "fire2", "fire3", "fire4", "fire5"]),
    # vgg16-hed's deep layers have lost what they knew of objects.
    "vgg16": (["relu3_3"], ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]),
    "vgg19": (["relu4_2"], ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
}
# Norm -> weights of content, style and total variation. Those of "paper" and "port" are theirs, and
# weighed features of another scale (losses.py).
WEIGHTS = {
    "target": (0.05, 1.0, 2e-4),
    "paper": (1.0, 1000.0, 0.0),  # Gatys et al. 2016, section 3, alpha / beta = 1e-3
    "port": (5.0, 100.0, 1e-3),  # jcjohnson/neural-style
}


def number_list(option: Option, text: str) -> list[float]:
    """ "1,2.5" as [1.0, 2.5].

    Raises:
        OptionError: one is no number of at least 0, or all are 0.
    """
    numbered = [f"{i}={part}" for i, part in enumerate(parse.names(option, text))]
    try:
        found = list(parse.factors(option, numbered).values())
    except OptionError:
        found = []
    if not sum(found) > 0:
        raise option.refuse(f"{option.flag} are numbers of at least 0", text, "as in 1,2")
    return found


def mask_pairs(option: Option, texts: list[str]) -> list[list[str]]:
    """["a.png:b.png", "c.png"] as [["a.png", "b.png"], ["c.png", ""]], paths made absolute.

    Raises:
        OptionError: one has no file before its colon, or more than one colon.
    """
    found = []
    for text in texts:
        content, _, style = text.partition(":")
        if not content or ":" in style:
            raise option.refuse(f"{option.flag} is CONTENT_MASK:STYLE_MASK", text)
        found.append([parse.path_or_name(option, part) for part in (content, style)])
    return found


def absolute_paths(option: Option, texts: list[str]) -> list[str]:
    return [parse.path_or_name(option, text) for text in texts]


@dataclass(kw_only=True)
class PictureOptions:
    """The pictures: which, how large, which parts of them."""

    content: str = option(
        "", "The picture whose objects the result shows.", is_argument=True, metavar="CONTENT",
        parse=parse.path_or_name,
    )  # fmt: skip
    styles: list[str] = option(
        "", "Pictures whose style the result has.", is_argument=True, called="style",
        metavar="STYLE...", parse=absolute_paths,
    )  # fmt: skip
    style_weights: list[float] = option(
        PICTURES, "How much each style counts, as in 1,2; by default all alike.",
        default_factory=list, typed=str, metavar="WEIGHTS", parse=number_list,
    )  # fmt: skip
    size: int | None = option(
        PICTURES, f"Longer side of the result in pixels; by default {SIZE}, or the content's if "
        "that is smaller.",
        default=None, metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    style_size: int | None = option(
        PICTURES, "The same of the style pictures: larger ones have larger strokes. Default: that "
        "of the result.",
        default=None, metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    init: str = option(
        PICTURES, "Where to begin: content, noise (by default with --iterations 200 --lr 15 "
        "--content-weight 0.5), or a picture.", default="content",
        metavar="content|noise|FILE", parse=parse.path_or_name,
    )  # fmt: skip
    noise_blend: float = option(
        PICTURES, "Share of noise in the first picture.", default=0.0, metavar="SHARE",
        check=(at_least(0), below(1)),
    )  # fmt: skip
    colors: str = option(
        PICTURES, "style; luma: the content's, only its light changes; match: the style takes on "
        "the content's colours first.",
        default="style", check=one_of(COLORS),
    )  # fmt: skip
    masks: list[list[str]] = option(
        PICTURES, "A part of the content, white in a picture of its size, that gets its style from "
        "a part of the style; once for each style, or repeated with one style. The rest stays.",
        default_factory=list, called="mask", typed=list[str], metavar="CONTENT_MASK[:STYLE_MASK]",
        parse=mask_pairs,
    )  # fmt: skip
    tile: int | None = option(
        PICTURES, "Compute the features tile by tile, of so many pixels a side: large pictures in "
        "little memory, and the same result.",
        default=None, metavar="PIXELS", check=at_least(32),
    )  # fmt: skip


@dataclass(kw_only=True)
class Settings(PictureOptions, NetworkOptions, LossOptions, OptimizeOptions):
    """Everything that decides what comes out."""

    def of_content(self) -> dict[str, float]:
        """Layers of the content loss and their weights."""
        return self.content_layers or dict.fromkeys(LAYERS[self.net][0], 1.0)

    def of_style(self) -> dict[str, float]:
        """Layers of the style loss and their weights. The paper's are 1 divided by the number of
        layers (Gatys et al. 2016, section 3)."""
        layers = LAYERS[self.net][1]
        share = 1 / len(layers) if self.loss_norm == "paper" else 1.0
        return self.style_layers or dict.fromkeys(layers, share)

    def layers(self) -> list[str]:
        """The layers that are computed: those of losses with a weight."""
        content, style, _ = self.weights_of_losses()
        return [*(self.of_content() if content else ()), *(self.of_style() if style else ())]

    def weights_of_losses(self) -> tuple[float, float, float]:
        """Weights of content, style and total variation."""
        given = self.content_weight, self.style_weight, self.tv_weight
        usual = WEIGHTS[self.loss_norm]
        return tuple(b if a is None else a for a, b in zip(given, usual))  # type: ignore[return-value]

    def weights_of_styles(self) -> list[float]:
        """How much each style counts, 1 together.

        Raises:
            OptionError: there are more or fewer weights than styles.
        """
        found = self.style_weights or [1.0] * len(self.styles)
        if len(found) != len(self.styles):
            raise OptionError(
                f"--style-weights are as many as styles, {len(self.styles)}",
                {"--style-weights": self.style_weights},
            )
        return [weight / sum(found) for weight in found]
