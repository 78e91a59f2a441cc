"""The options of `minidl draw train`. presets.py chooses what the user does not."""

from __future__ import annotations

from dataclasses import dataclass

from apps.draw.changes import CHANGES
from apps.draw.losses import LOSSES
from apps.shared import parse
from apps.shared.captioned import FILES, CaptionedOptions, source
from apps.shared.options import (
    MORE,
    Option,
    above,
    at_least,
    at_most,
    below,
    one_of,
    option,
)
from minidl.kernels import CPU_SETS

DATA, TEXT, NETWORKS, LOSS = "Data", "Text encoder", "Networks", "Loss"
STEPS, RUN = "Steps", "Run"

PRESETS = ("small", "reed", "paarthneekhara")
ENCODERS = ("word-lstm", "char-cnn-rnn")
GANS = ("gan", "conditional", "int", "cls", "cls-int")
SCHEDULES = ("none", "linear", "halve")
AUGMENTS = ("none", "flip", "crop")
SIZES = (32, 64)


def known_size(option: Option, value: int) -> None:
    """The networks draw squares of two sizes."""
    if value not in SIZES:
        raise option.refuse("size is 32 or 64", value)


@dataclass(kw_only=True)
class DataOptions(CaptionedOptions):
    """Which pictures with captions, and how they are read."""

    data: str = option(
        DATA, "flowers (drawn by a program; the default), flowers-turned (the same at any angle: "
        "petals are hard to count), flowers17, tuxpaint (the pictures of Debian's "
        f"tuxpaint-stamps-default), emoji (of its fonts-noto-color-emoji), {FILES}",
        metavar="NAME|PATH", parse=source,
    )  # fmt: skip
    size: int = option(
        DATA, "Pixels of the pictures: 32 or 64. Default: 32 for drawn flowers with small, "
        "else 64.",
        metavar="PIXELS", check=known_size,
    )  # fmt: skip
    augment: str = option(
        DATA, "Random changes of pictures: none, flip (mirrored or not), or crop (that, and a part "
        "of 27/32 of each side). Default: none for flowers, else crop.", check=one_of(AUGMENTS),
    )  # fmt: skip
    changes: str = option(
        DATA, "Random changes of all that the discriminator sees, real or drawn, so that it cannot "
        "learn a few pictures by heart: none, translation, or translation-cutout (that, and a "
        "hole). Default: none; with small translation-cutout, but for flowers that are drawn.",
        default="none", check=one_of(CHANGES),
    )  # fmt: skip


@dataclass(kw_only=True)
class TextOptions:
    """What turns a caption into numbers, and how it learns that."""

    encoder: str = option(
        TEXT, "word-lstm reads words, char-cnn-rnn (Reed et al. 2016) letters.",
        check=one_of(ENCODERS),
    )  # fmt: skip
    text_encoder: str | None = option(
        TEXT, "Take the text encoder of another run, which does not learn any more.", default=None,
        metavar="RUN", parse=parse.path_or_name,
    )  # fmt: skip
    embedding: int = option(TEXT, "Dimensions of an embedding.", metavar="N", check=at_least(1))
    encoder_epochs: int | None = option(
        TEXT,
        "Its passes over the pictures. Default of small: as many as make 2,000 steps.",
        metavar="N",
        check=at_least(1),
    )
    encoder_batch: int = option(
        TEXT, "Pairs of picture and caption per batch, each of another class.", metavar="N",
        check=at_least(2),
    )  # fmt: skip
    encoder_lr: float = option(
        TEXT, "Learning rate; it falls to a fiftieth.", metavar="LR", check=above(0)
    )
    word_dropout: float = option(
        TEXT, "Share of a caption's words that word-lstm reads as unknown while it learns, so that "
        "a word it never saw does not drown the others. Default of small: 0.03.", metavar="SHARE",
        check=(at_least(0), below(1)),
    )  # fmt: skip
    discriminant: bool = option(
        TEXT, "Rescale embeddings by linear discriminant analysis, so that what differs between "
        "pictures counts equally and wording does not; otherwise each dimension is standardised.",
    )  # fmt: skip
    captions: int = option(
        TEXT, "How many captions of a picture are averaged to its embedding.", metavar="N",
        check=at_least(1),
    )  # fmt: skip


@dataclass(kw_only=True)
class NetworkOptions:
    """Generator and discriminator."""

    preset: str = option(
        NETWORKS, "Networks and numbers that belong together: small (for a CPU; the default), reed "
        "(Reed et al. 2016) or paarthneekhara (the program of that name).", default="small",
        check=one_of(PRESETS),
    )  # fmt: skip
    ngf: int = option(NETWORKS, "Width of the generator.", metavar="N", check=at_least(1))
    ndf: int = option(NETWORKS, "Width of the discriminator.", metavar="N", check=at_least(1))
    noise: int = option(NETWORKS, "Dimensions of the noise.", metavar="N", check=at_least(1))
    average: float = option(
        NETWORKS, "The generator that draws is an average of the one that learns: how much of it "
        "stays in each step. 0: the last one itself.", metavar="SHARE",
        check=(at_least(0), below(1)),
    )  # fmt: skip


@dataclass(kw_only=True)
class LossOptions:
    """The objective of the two networks."""

    gan: str = option(
        LOSS, "gan: real or drawn, without captions. conditional: a caption is given. cls: real "
        "pictures with wrong captions count as drawn ones. int: captions between two are drawn, "
        "too. cls-int: both. Default: cls.", default="cls", check=one_of(GANS),
    )  # fmt: skip
    loss: str = option(
        LOSS, "hinge, non-saturating, or minimax (Goodfellow et al. 2014, formula 1).",
        check=one_of(LOSSES),
    )  # fmt: skip
    wrong_weight: float = option(
        LOSS, "What real pictures with wrong captions count beside real ones with theirs.",
        metavar="WEIGHT", check=at_least(0),
    )  # fmt: skip
    drawn_weight: float = option(
        LOSS,
        "What drawn pictures count beside real ones, where there are wrong captions; else 1.",
        metavar="WEIGHT",
        check=at_least(0),
    )
    near_share: float = option(
        LOSS, "Share of the wrong captions that differ in one attribute only (flowers).",
        metavar="SHARE", check=(at_least(0), at_most(1)),
    )  # fmt: skip
    one_batch: bool = option(
        LOSS, "Show the discriminator real and drawn pictures in one batch, so that one batch norm "
        "sees both. (It then tells them apart by the batch, and the generator learns less.)",
        default=False,
    )  # fmt: skip


@dataclass(kw_only=True)
class StepOptions:
    """How many steps, and how large they are."""

    epochs: int | None = option(
        STEPS,
        "Passes over the pictures. Default of small: as many as make 8,000 steps. More of them "
        "for a run that goes on stretch its schedule: linear rates that had fallen rise again.",
        check=at_least(1),
        resume=MORE,
    )
    batch_size: int = option(STEPS, "Pictures per batch.", check=at_least(2))
    lr_generator: float = option(
        STEPS, "Learning rate of the generator.", metavar="LR", check=above(0)
    )
    lr_discriminator: float = option(
        STEPS, "Learning rate of the discriminator.", metavar="LR", check=above(0)
    )
    beta1: float = option(
        STEPS,
        "Of Adam for both networks: decay of the mean of gradients.",
        check=(at_least(0), below(1)),
    )
    beta2: float = option(STEPS, "Likewise of their squares.", check=(at_least(0), below(1)))
    schedule: str = option(
        STEPS, "Of both learning rates: none, linear (constant for half of the run, then down to a "
        "twentieth) or halve (by two after each 100 epochs).", check=one_of(SCHEDULES),
    )  # fmt: skip


@dataclass(kw_only=True)
class RunOptions:
    """The run as a whole."""

    sample_every: int | None = option(
        RUN, "Draw the same captions after so many steps, for the report. Default: forty times.",
        metavar="STEPS", check=at_least(1),
    )  # fmt: skip
    seed: int = option(
        RUN, "Seed of all random numbers; default 0.", default=0,
        check=(at_least(0), below(2**63, "2^63")),
    )  # fmt: skip
    cpu_kernels: str = option(RUN, "numba (the default) or reference.", check=one_of(CPU_SETS))


@dataclass(kw_only=True)
class Settings(DataOptions, TextOptions, NetworkOptions, LossOptions, StepOptions, RunOptions):
    """Everything that decides what a training run does. A checkpoint stores it."""

    @property
    def is_conditional(self) -> bool:
        """Whether the networks are given a caption."""
        return self.gan != "gan"

    @property
    def has_wrong(self) -> bool:
        """Whether the discriminator sees real pictures with wrong captions."""
        return "cls" in self.gan

    @property
    def needs_classes(self) -> bool:
        """Whether there must be two: wrong captions, and a text encoder, need another one."""
        return self.has_wrong or (self.is_conditional and not self.text_encoder)

    @property
    def has_between(self) -> bool:
        """Whether the generator draws captions between two, too."""
        return "int" in self.gan
