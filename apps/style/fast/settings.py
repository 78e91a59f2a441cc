"""The options of `minidl style fast-train`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import (
    FREE,
    Option,
    OptionError,
    above,
    at_least,
    below,
    check_values,
    one_of,
    option,
    table,
)
from apps.style.losses import NORMS
from apps.style.settings import check_used

DATA, NETWORK, LOSS, STEPS = "Photographs", "Network", "Loss", "Steps"
TASKS = ("style", "super-resolution")
SHARPER = {"content_weight": 1.0, "tv_weight": 1e-6, "lr": 1e-3}  # defaults of super-resolution
OF_STYLE = ("style_size", "style_layers", "style_weight")  # options that super-resolution has not

# Loss network -> layers for content and for style. Johnson et al. 2016, section 4.1, have those of
# VGG-16; relu2_2 is their content layer for super-resolution. SqueezeNet's first layer leaves out
# every second pixel, so the pixels themselves count as well there.
CONTENT_LAYERS = {"squeezenet": ["fire3"], "vgg16": ["relu3_3"], "vgg19": ["relu3_1"]}
SHARP_LAYERS = {"squeezenet": ["pixels", "relu1"], "vgg16": ["relu2_2"], "vgg19": ["relu2_2"]}
STYLE_LAYERS = {
    "squeezenet": ["relu1", "fire2", "fire3", "fire4", "fire5"],
    "vgg16": ["relu1_2", "relu2_2", "relu3_3", "relu4_3"],
    "vgg19": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
}


@dataclass
class Weights:
    """Of the parts of the loss.

    Args:
        content, style, tv: factors; a part with 0 is not computed.
        content_layers, style_layers: of the loss network.
        norm: of all losses: "target", "paper" or "port".
    """

    content: float
    style: float
    tv: float
    content_layers: list[str]
    style_layers: list[str]
    norm: str = "target"


def paths(option: Option, texts: list[str]) -> list[str]:
    """Existing paths made absolute, so that a run goes on from anywhere."""
    return [parse.path_or_name(option, text) for text in texts]


@dataclass(kw_only=True)
class TrainSettings:
    """Everything that decides what training does. The state of a run holds it."""

    style: str | None = option(
        "", "The style picture; none with --task super-resolution.", default=None,
        is_argument=True, parse=parse.path_or_name,
    )  # fmt: skip
    data: list[str] = option(
        DATA,
        "Photographs: a folder, archive or picture file, or a data set's name such as cifar10; "
        "repeatable. Each is drawn from equally often.",
        metavar="FOLDER|ARCHIVE|NAME",
        typed=list[str],
        parse=paths,
    )
    size: int = option(
        DATA, "Height and width of the squares of photographs. Default 256.", default=256,
        metavar="PIXELS", check=at_least(32),
    )  # fmt: skip
    small_share: float = option(
        DATA,
        "First part of the steps, with squares of half the size, which cost a quarter. "
        "Default 0.85.",
        default=0.85,
        metavar="SHARE",
        check=(at_least(0), below(1)),
    )
    style_size: int = option(
        DATA, "Longer side that the style picture is brought to: how large strokes are. "
        "Default 512.",
        default=512, metavar="PIXELS", check=at_least(32),
    )  # fmt: skip
    task: str = option(
        NETWORK, "style (the default) or super-resolution.", default="style", check=one_of(TASKS)
    )
    width: float = option(
        NETWORK, "Factor on the numbers of maps: 0.5 is four times as fast. Default 0.5.",
        default=0.5, metavar="FACTOR", check=above(0),
    )  # fmt: skip
    scale: int = option(
        NETWORK, "With --task super-resolution: how many times larger, 2 or 4. Default 4.",
        default=4, check=one_of((2, 4)),
    )  # fmt: skip
    loss_net: str = option(
        LOSS, "squeezenet (the default), vgg16 or vgg19.", default="squeezenet",
        check=one_of(tuple(STYLE_LAYERS)),
    )  # fmt: skip
    weights: str | None = option(
        LOSS, "Weights of the loss network: a file, or a name of `minidl weights list`.",
        default=None, metavar="FILE|NAME", parse=parse.path_or_name,
    )  # fmt: skip
    pool: str = option(
        LOSS, "Its pooling: max (the default), avg or l2.", default="max",
        check=one_of(("max", "avg", "l2")),
    )  # fmt: skip
    content_layers: list[str] = option(
        LOSS, "Layers whose features are compared; by default of squeezenet fire3, of vgg16 "
        "relu3_3; pixels and relu1, or relu2_2, for super-resolution.",
        default_factory=list, metavar="NAMES", typed=list[str], parse=parse.names,
    )  # fmt: skip
    style_layers: list[str] = option(
        LOSS, "Layers whose Gram matrices are compared; by default five of squeezenet from relu1 "
        "to fire5, four of vgg16 from relu1_2 to relu4_3.",
        default_factory=list, metavar="NAMES", typed=list[str], parse=parse.names,
    )  # fmt: skip
    content_weight: float = option(
        LOSS,
        "Of the content. Default 0.4; for super-resolution 1.",
        default=0.4,
        metavar="FACTOR",
        check=at_least(0),
    )
    style_weight: float = option(
        LOSS, "Of the style. Default 1.", default=1.0, metavar="FACTOR", check=at_least(0)
    )
    tv_weight: float = option(
        LOSS, "Of differences between neighbouring pixels. Default 3e-4; for super-resolution "
        "1e-6.", default=3e-4,
        metavar="FACTOR", check=at_least(0),
    )  # fmt: skip
    loss_norm: str = option(
        LOSS, "How losses are normalised: target (the default); paper or port, with all weights "
        "given.", default="target", check=one_of(NORMS),
    )  # fmt: skip
    iterations: int = option(
        STEPS, "Steps. Default 8000.", default=8_000, metavar="N", check=at_least(1)
    )
    batch_size: int = option(
        STEPS, "Squares per step. Default 4.", default=4, metavar="N", check=at_least(1)
    )
    lr: float = option(
        STEPS, "Learning rate of Adam, which falls to 0 along a cosine. Default 2e-3; for "
        "super-resolution 1e-3.",
        default=2e-3, metavar="RATE", check=above(0),
    )  # fmt: skip
    snapshots: int = option(
        STEPS, "Moments of the training that the report shows. Default 10.", default=10,
        metavar="N", check=at_least(1), resume=FREE,
    )  # fmt: skip
    seed: int = option(
        STEPS,
        "Of all random numbers. Default 0.",
        default=0,
        check=(at_least(0), below(2**63, "2^63")),
    )

    @property
    def loss_weights(self) -> Weights:
        """What training minimises, with the layers that the loss network has by default."""
        content = SHARP_LAYERS if self.task == "super-resolution" else CONTENT_LAYERS
        return Weights(
            self.content_weight, self.style_weight, self.tv_weight,
            self.content_layers or content[self.loss_net],
            self.style_layers or STYLE_LAYERS[self.loss_net], self.loss_norm,
        )  # fmt: skip

    def size_at(self, step: int) -> int:
        """Height and width of the squares of a step, counted from 0."""
        return self.small_size if step < self.small_steps else self.size

    @property
    def small_steps(self) -> int:
        return int(self.small_share * self.iterations)

    @property
    def small_size(self) -> int:
        """Half the size, as a multiple of 8."""
        return max(32, self.size // 16 * 8)


def checked(given: dict) -> TrainSettings:
    """The settings that were typed.

    Raises:
        OptionError: one is missing, out of range, or contradicts another.
    """
    if not given.get("data"):
        raise OptionError(
            "say which photographs to train on", {},
            "--data FOLDER; or --data cifar10, 50,000 small ones",
        )  # fmt: skip
    settings = TrainSettings(**given)
    check_values(settings)
    if settings.task == "style" and settings.style is None:
        raise OptionError("say which style picture", {}, "minidl style fast-train STYLE --data ...")
    if settings.task != "style" and settings.style is not None:
        raise OptionError("super-resolution has no style picture", {"STYLE": settings.style})
    if settings.style is not None and not os.path.exists(settings.style):
        raise OptionError("no such file", {"STYLE": settings.style})
    if settings.task != "style":  # detail, not strokes
        settings = TrainSettings(**(SHARPER | given))
    check_use(settings, given)
    check_weights(settings, given)
    return settings


def check_use(settings: TrainSettings, given: dict) -> None:
    """Everything that was typed counts in this task.

    Raises:
        OptionError: an option belongs to the other task, or the size does not fit the scale.
    """
    for name in OF_STYLE if settings.task != "style" else ("scale",):
        if name in given:
            flag = table(TrainSettings)[name].flag
            raise OptionError(f"{flag} has no meaning with --task {settings.task}",
                              {flag: given[name]})  # fmt: skip
    parts = ("content", "style")
    check_used(settings, given, {
        f"{part}_layers": f"--{part}-weight 0"
        for part in parts if getattr(settings, f"{part}_weight") == 0
    })  # fmt: skip
    if settings.task != "style" and settings.size % settings.scale:
        below_it = settings.size // settings.scale * settings.scale
        raise OptionError(
            "the size is a multiple of the scale",
            {"--size": settings.size, "--scale": settings.scale}, f"--size {below_it}",
        )  # fmt: skip


def check_weights(settings: TrainSettings, given: dict) -> None:
    """There is something to minimise, with weights that were made for the norm.

    Raises:
        OptionError
    """
    names = ["content_weight", "tv_weight"] + ["style_weight"] * (settings.task == "style")
    flags = ", ".join(table(TrainSettings)[name].flag for name in names)
    missing = [name for name in names if name not in given]
    if settings.loss_norm != "target" and missing:
        raise OptionError(
            "the weights by default are those of --loss-norm target",
            {"--loss-norm": settings.loss_norm}, f"give {flags}",
        )  # fmt: skip
    if not any(getattr(settings, name) for name in names):
        raise OptionError("at least one weight is above 0", {flags: 0})
