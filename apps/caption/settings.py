"""The options of `minidl caption train`. recipes.py chooses what the user does not."""

from __future__ import annotations

from dataclasses import dataclass

import models
from apps.shared import parse
from apps.shared.captioned import FILES, CaptionedOptions, source
from apps.shared.optimizer import OPTIMIZERS, OptimizerOptions
from apps.shared.options import MORE, above, at_least, at_most, below, one_of, option
from apps.shared.schedule import ScheduleOptions
from apps.shared.settings import DATA, RUN, STEPS, RunOptions, StepOptions

NETWORK, LEARNING = "Network and weights", "What learns"
SMALL = "small"
CNNS = (SMALL, *models.names())


@dataclass(kw_only=True)
class DataOptions(CaptionedOptions):
    """Which pictures with captions, and how they are read."""

    data: str = option(
        DATA, "flowers (drawn by a program; the default), flowers-turned, tuxpaint (the pictures "
        f"of Debian's tuxpaint-stamps-default), flowers17, emoji (of its fonts-noto-color-emoji), "
        f"{FILES}", metavar="NAME|PATH", parse=source,
    )  # fmt: skip
    size: int = option(
        DATA, "Height and width of the CNN's pictures. Default of small: 32 for drawn flowers, "
        "else 64.", metavar="PIXELS", check=at_least(1),
    )  # fmt: skip
    val_share: float = option(
        DATA, "Share of the training pictures held out for validation, where the data name none.",
        default=0.1, check=(at_least(0), below(1)),
    )  # fmt: skip
    min_count: int = option(
        DATA, "Words of fewer captions than this become <unk>, which is never said. Default: 1, "
        "from 20,000 different captions on 4.", metavar="N", check=at_least(1),
    )  # fmt: skip


@dataclass(kw_only=True)
class NetworkOptions:
    """The CNN that sees and the LSTM that speaks."""

    cnn: str = option(
        NETWORK, "small (for drawn flowers), or a network of `minidl models`, such as "
        "squeezenet, efficientnet_lite0, googlenet, resnet18. Default: small for drawn flowers, "
        "else squeezenet.",
        check=one_of(CNNS),
    )  # fmt: skip
    weights: str | None = option(
        NETWORK, "Of the CNN: a file, a run folder of minidl train, or a name of `minidl weights "
        "list`. It stays frozen then. Default: those of squeezenet for squeezenet, else none, and "
        "the CNN learns from the start.",
        default=None, metavar="FILE|NAME", parse=parse.path_or_name,
    )  # fmt: skip
    embedding: int = option(
        NETWORK, "Numbers of a word's vector. Default: 64, with a frozen CNN 128.", metavar="N",
        check=at_least(1),
    )  # fmt: skip
    hidden: int = option(
        NETWORK, "Units of the LSTM. Default: 128, with a frozen CNN 256.", metavar="N",
        check=at_least(1),
    )  # fmt: skip
    dropout: float = option(
        NETWORK, "Share of numbers dropped before and after the LSTM. Default: 0.1, with a frozen "
        "CNN 0.3.", metavar="SHARE",
        check=(at_least(0), below(1)),
    )  # fmt: skip


@dataclass(kw_only=True)
class LearningOptions:
    """What learns when, and from whose words."""

    finetune_cnn_after: int | None = option(
        LEARNING, "Let a CNN with weights learn, too, after N epochs.", default=None, metavar="N",
        check=at_least(1),
    )  # fmt: skip
    cnn_lr_mult: float = option(
        LEARNING, "Learning rate of the CNN, where it learns, and of the layer that takes its "
        "features, as a fraction of the LSTM's. Default: 0.25, for a CNN with weights 0.1.",
        metavar="SHARE", check=above(0),
    )  # fmt: skip
    phrase_loss: float = option(
        LEARNING, "Weight of a second loss for a CNN that learns from the start: which words and "
        "pairs of words are in any caption of the picture. Default: 1; 0 for a CNN with weights.",
        metavar="WEIGHT", check=at_least(0),
    )  # fmt: skip
    feature_noise: float = option(
        LEARNING, "Standard deviation of noise on the CNN's features in training, which themselves "
        "have about 1. Default: 0, for a CNN with weights 0.5.", default=0.0,
        metavar="DEVIATION", check=at_least(0),
    )  # fmt: skip
    scheduled_sampling: float = option(
        LEARNING, "Share of input words that are those the network itself would say (Bengio et "
        "al. 2015); it grows from 0, epoch by epoch, to this in the last. Default: 0.",
        default=0.0, metavar="MAX", check=(at_least(0), at_most(1)),
    )  # fmt: skip


@dataclass(kw_only=True)
class Settings(
    DataOptions, NetworkOptions, LearningOptions, StepOptions, OptimizerOptions, ScheduleOptions,
    RunOptions,
):  # fmt: skip
    """Everything that decides what a training run does. A checkpoint stores it."""

    epochs: int = option(
        STEPS, "Passes over the pictures. Default: 13; with a frozen CNN as many as make 2,000 "
        "steps, from 10 to 200.", check=at_least(1), resume=MORE,
    )  # fmt: skip
    batch_size: int = option(STEPS, "Pictures per batch. Default: 32.", check=at_least(1))
    optimizer: str = option(
        STEPS, f"{', '.join(OPTIMIZERS)}. Default: adam.", check=one_of(OPTIMIZERS)
    )
    lr: float = option(STEPS, "Learning rate. Default of adam: 0.004.", check=above(0))
    warmup: float = option(
        STEPS, "Let the rate rise during the first epochs. Default: 0.1, with a frozen CNN 0.",
        metavar="EPOCHS", check=at_least(0),
    )  # fmt: skip
    clip_grad: float = option(
        STEPS, "Largest norm of the gradients of a step. Default: 5.", metavar="NORM",
        check=above(0),
    )  # fmt: skip
    early_stopping: int | None = option(
        RUN, "Stop after N epochs without a better CIDEr-D of the validation pictures. A run that "
        "stopped goes on with --resume and a larger N.", metavar="N", check=at_least(1),
        resume=MORE,
    )  # fmt: skip
    keep: str = option(
        RUN, "Which epoch's network is tested, and speaks in later commands: best (highest CIDEr-D "
        "of the validation pictures) or last. Default: last for drawn flowers and with "
        "a frozen CNN, else best.",
        check=one_of(("best", "last")),
    )  # fmt: skip

    @property
    def is_frozen(self) -> bool:
        """Whether the CNN has weights of others, and does not learn at first."""
        return self.weights is not None
