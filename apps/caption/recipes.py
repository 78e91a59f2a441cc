"""From the typed options to complete settings: what depends on the data and on the CNN.

drawn flowers   a small CNN learns together with the LSTM. Captions alone teach it colors, but no
                numbers of petals, so it learns the phrases of a picture, too (learning.py). The
                last epoch is kept: CIDEr-D of a flower tells which of nine templates was filled in,
                more than whether that is right (benchmarks/RESULTS.md: all seeds are right equally
                often, and their CIDEr-D is not the same), so the best epoch would be one that
                happened to choose the template that scores highest
others          a CNN with the weights of others stays frozen; the fewer pictures, the more epochs,
                and noise on their features. The last epoch is kept: the loss of validation pictures
                rises early, but what is said of them gets better to the end, and which epoch has
                their best CIDEr-D is chance where they are a few dozen. Without weights it is the
                best epoch
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import models
from apps.caption.settings import SMALL, Settings
from apps.shared.captioned import DRAWN
from apps.shared.optimizer import MOMENTUM, OPTIMIZERS
from apps.shared.options import OptionError, check_values, resumed_settings
from minidl.kernels import cpu_kernels
from minidl.training.slots import of_this_process

USUAL_CNN = "squeezenet"  # whose weights have the same name
NONE = "none"  # typed as --weights: a CNN that learns from the start
MANY, MIN_COUNT = 20_000, 4  # captions; Vinyals et al. 2016, section 4.3.1, for COCO

STEPS, FEWEST, MOST = 2_000, 10, 200  # of a frozen CNN: about so many steps, but epochs in between

TOGETHER = {
    "epochs": 13, "batch_size": 32, "lr": 4e-3, "embedding": 64, "hidden": 128, "dropout": 0.1,
    "cnn_lr_mult": 0.25, "phrase_loss": 1.0, "warmup": 0.1,
}  # fmt: skip
FROZEN = {
    "epochs": None, "batch_size": 32, "lr": 4e-3, "embedding": 128, "hidden": 256, "dropout": 0.3,
    "cnn_lr_mult": 0.1, "phrase_loss": 0.0, "warmup": 0.0, "feature_noise": 0.5,
}  # fmt: skip


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given, the rest by the data and the CNN.

    min_count and epochs may be None still: `completed` chooses them, once the data are open.

    Args:
        given: option -> value, see options.parse_options.

    Raises:
        OptionError: a number out of range, or options that contradict.
    """
    data = given.get("data", "flowers")
    is_drawn = data in DRAWN
    cnn = given.get("cnn", SMALL if is_drawn else USUAL_CNN)
    weights = given.get("weights", USUAL_CNN if cnn == USUAL_CNN else None)
    weights = None if weights == NONE else weights
    optimizer = given.get("optimizer", "adam")
    _, rate, decay = OPTIMIZERS.get(optimizer, OPTIMIZERS["adam"])
    defaults = {
        "data": data, "cnn": cnn, "weights": weights,
        "size": usual_size(cnn, is_drawn),
        "min_count": None, "slots": of_this_process().default,
        "optimizer": optimizer, "weight_decay": decay,
        "momentum": MOMENTUM.get(optimizer, 0.0), "clip_grad": 5.0, "schedule": "cosine",
        "keep": "last" if (is_drawn or weights) and "early_stopping" not in given else "best",
        "early_stopping": None, "seed": 0,
        "cpu_kernels": cpu_kernels(),  # numba, unless MINIDL_CPU_KERNELS says otherwise
    }  # fmt: skip
    recipe = FROZEN if weights else TOGETHER
    if optimizer != "adam":
        recipe = recipe | {"lr": rate}
    settings = Settings(**(defaults | recipe | given | {"weights": weights}))
    check(settings, given)
    return settings


def usual_size(cnn: str, is_drawn: bool) -> int:
    """Pixels of the pictures that a CNN is usually given."""
    if cnn in models.names():
        return models.entry(cnn).size
    return 32 if is_drawn else 64


def from_checkpoint(meta: dict[str, Any], given: dict[str, Any]) -> Settings:
    """The settings of a resumed run; most options in `given` may only repeat them.

    Raises:
        OptionError: an option contradicts the run.
        CheckpointError: the checkpoint is not one of such a run.
    """
    settings = resumed_settings(Settings, meta, given)
    check(settings, {})
    return settings


def check(settings: Settings, given: dict[str, Any]) -> None:
    """Every setting is in its range, and they fit together.

    Raises:
        OptionError
    """
    check_values(settings)
    settings.check_slots()
    cnn, weights = {"--cnn": settings.cnn}, {"--weights": settings.weights}
    if settings.cnn == SMALL:
        if settings.weights:
            raise OptionError("there are no weights for the small CNN", weights, "--cnn squeezenet")
        if settings.size not in (32, 64):
            raise OptionError("the small CNN sees 32 or 64 pixels", {"--size": settings.size})
    if settings.finetune_cnn_after is not None and not settings.is_frozen:
        raise OptionError(
            "--finetune-cnn-after belongs to a CNN that has --weights", cnn,
            "without them it learns from the start",
        )  # fmt: skip
    if settings.phrase_loss and settings.is_frozen:
        raise OptionError("--phrase-loss is for a CNN that learns from the start", weights)
    if settings.early_stopping is not None and not settings.val_share:
        raise OptionError(
            "early stopping needs pictures to validate with", {"--val-share": settings.val_share}
        )


def completed(settings: Settings, captions: int, pictures: int) -> Settings:
    """The settings with the epochs, and the number of captions in which a word has to occur.

    Args:
        settings: from from_command_line.
        captions: how many different ones there are to learn from.
        pictures: likewise.
    """
    usual = MIN_COUNT if captions >= MANY else 1
    epochs = round(STEPS / max(1, pictures / settings.batch_size))
    return replace(
        settings, min_count=settings.min_count or usual,
        epochs=settings.epochs or min(max(epochs, FEWEST), MOST),
    )  # fmt: skip
