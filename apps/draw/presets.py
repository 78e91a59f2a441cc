"""From the typed options to complete settings: presets, and what depends on the data.

small           measured for two cores: a projection discriminator with spectral norm, conditional
                batch norm, hinge loss
reed            Reed et al. 2016, section 5, and their code: 600 epochs of batches of 64. The text
                encoder learns beside a small CNN, where theirs had GoogLeNet's features, and its
                rate falls linearly
paarthneekhara  the program of that name: all three terms of the loss count the same. Its
                skip-thought vectors, of 2,400 numbers, are replaced by an LSTM that learns here
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apps.draw.settings import PRESETS, SIZES, Settings
from apps.shared.captioned import DRAWN
from apps.shared.options import OptionError, check_values, resumed_settings
from minidl.errors import nearest
from minidl.kernels import cpu_kernels

STEPS, ENCODER_STEPS = 8_000, 2_000  # of the small preset, whatever the number of pictures
# Options that say nothing without wrong captions, with another's text encoder, without captions.
OF_WRONG = ("wrong_weight", "drawn_weight", "near_share")
OF_ENCODER = (
    "encoder", "embedding", "encoder_epochs", "encoder_batch", "encoder_lr", "word_dropout",
)  # fmt: skip
OF_TEXT = (*OF_ENCODER, "text_encoder", "discriminant", "captions")
GRIDS = 40  # how often the same captions are drawn in a run

SMALL = {
    "encoder": "word-lstm", "embedding": 128, "encoder_epochs": None, "encoder_batch": 64,
    "encoder_lr": 1e-3, "word_dropout": 0.03, "discriminant": True, "captions": 1, "ngf": 32,
    "ndf": 32, "noise": 32, "average": 0.999, "loss": "hinge", "wrong_weight": 0.5,
    "drawn_weight": 1.0, "near_share": 0.5, "epochs": None, "batch_size": 32,
    "lr_generator": 4e-4, "lr_discriminator": 8e-4, "beta1": 0.0, "beta2": 0.99,
    "schedule": "linear",
}  # fmt: skip
# Photographs are few, and hard to tell from drawings at first. If both weights of the
# discriminator's loss were more than 1 together, the smallest loss then would be to call everything
# wrong, where the hinge has no slope: the generator learned nothing for hundreds of steps.
SMALL_FILES = {"changes": "translation-cutout", "wrong_weight": 0.33, "drawn_weight": 0.67}
REED = {
    "encoder": "char-cnn-rnn", "embedding": 1024, "encoder_epochs": 200, "encoder_batch": 40,
    "encoder_lr": 7e-4, "word_dropout": 0.0, "discriminant": False, "captions": 4, "ngf": 128,
    "ndf": 64, "noise": 100, "average": 0.0, "loss": "non-saturating", "wrong_weight": 0.5,
    "drawn_weight": 0.5, "near_share": 0.0, "epochs": 600, "batch_size": 64,
    "lr_generator": 2e-4, "lr_discriminator": 2e-4, "beta1": 0.5, "beta2": 0.999,
    "schedule": "halve",
}  # fmt: skip
PAARTHNEEKHARA = REED | {
    "encoder": "word-lstm", "embedding": 2400, "captions": 1, "ngf": 64, "ndf": 64,
    "wrong_weight": 1.0, "drawn_weight": 1.0, "schedule": "none",
}  # fmt: skip
VALUES: dict[str, dict[str, Any]] = dict(zip(PRESETS, (SMALL, REED, PAARTHNEEKHARA)))


def from_command_line(given: dict[str, Any]) -> Settings:
    """Settings from the options that were given, the rest by the preset.

    Numbers of epochs may be None still: `completed` counts them, once the data are open.

    Args:
        given: option -> value, see options.parse_options.

    Raises:
        OptionError: an unknown name, a number out of range, or options that contradict.
    """
    preset, data = given.get("preset", PRESETS[0]), given.get("data", "flowers")
    if preset not in VALUES:
        raise OptionError("no such preset", {"--preset": preset}, nearest(preset, PRESETS))
    is_drawn = data in DRAWN
    defaults = {
        "data": data,
        "size": SIZES[0] if is_drawn and preset == "small" else SIZES[1],
        "augment": "none" if is_drawn else "crop",
        "sample_every": None,
        "cpu_kernels": cpu_kernels(),  # numba, unless MINIDL_CPU_KERNELS says otherwise
    }
    of_files = SMALL_FILES if preset == "small" and not is_drawn else {}
    values = defaults | VALUES[preset] | of_files | given
    if values["encoder"] != "word-lstm" and "word_dropout" not in given:
        values["word_dropout"] = 0.0
    settings = Settings(**values)
    check(settings, given)
    return settings


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
    if settings.preset != "small" and settings.size != SIZES[1]:
        raise OptionError(
            f"the networks of --preset {settings.preset} draw 64 pixels",
            {"--size": settings.size}, "--preset small draws 32, too",
        )  # fmt: skip
    gan, data = {"--gan": settings.gan}, {"--data": settings.data}
    for names, is_read, what, received in (
        (OF_WRONG, settings.has_wrong, "belongs to --gan cls or cls-int", gan),
        (OF_TEXT, settings.is_conditional, "belongs to a GAN with captions", gan),
        (("near_share",), settings.data in DRAWN, "belongs to drawn flowers", data),
    ):
        for name in names:
            if name in given and not is_read:
                raise OptionError(f"{flag(name)} {what}", received)
    if settings.word_dropout and settings.encoder != "word-lstm":
        raise OptionError(
            "--word-dropout belongs to --encoder word-lstm", {"--encoder": settings.encoder}
        )
    if settings.text_encoder and (set(OF_ENCODER) & set(given)):
        raise OptionError(
            "the text encoder of another run stays as it is",
            {"--text-encoder": settings.text_encoder},
            f"leave out {', '.join(flag(name) for name in OF_ENCODER if name in given)}",
        )  # fmt: skip


def flag(name: str) -> str:
    """A setting as one types it."""
    return f"--{name.replace('_', '-')}"


def completed(settings: Settings, pictures: int) -> Settings:
    """The settings with numbers of epochs and steps, as many as the data ask for.

    Args:
        settings: from from_command_line.
        pictures: how many there are to learn from.
    """
    epochs = settings.epochs or epochs_for(STEPS, pictures, settings.batch_size)
    encoder = settings.encoder_epochs
    encoder = encoder or epochs_for(ENCODER_STEPS, pictures, settings.encoder_batch)
    steps = epochs * max(1, pictures // settings.batch_size)
    every = settings.sample_every or max(1, steps // GRIDS)
    return replace(settings, epochs=epochs, encoder_epochs=encoder, sample_every=every)


def epochs_for(steps: int, pictures: int, batch: int) -> int:
    """So many passes that there are about as many steps."""
    return max(1, round(steps / max(1, pictures // batch)))
