"""What can go wrong when two networks play, for the alarm (apps/shared/alarm.py).

the discriminator has won   it is right about nearly all pictures, real and drawn: what it says
                            to the generator is the same whatever that draws
the generator has won       it takes nearly all drawn pictures for real ones
the noise is ignored        pictures of one caption and different noise are alike, though real
                            pictures of one caption differ
collapse                    pictures of different captions are alike

How alike pictures are is their diversity, in parts of that of real pictures. All networks begin
with pictures that are alike, so the last two wait for some steps.
"""

from __future__ import annotations

from apps.draw.diversity import RealSpread
from apps.draw.settings import Settings
from apps.shared.alarm import Trouble
from apps.shared.captioned import DRAWN

WON, LOST = 0.98, 0.1  # accuracies of a discriminator that has won, and of one that has lost
ALIKE = 0.3  # of the diversity of real pictures
BEGINNING = 1000  # steps, until which pictures may be alike

DISCRIMINATOR = Trouble(
    "discriminator",
    lambda m: min(m["real_accuracy"], m["drawn_accuracy"]) > WON,
    "the discriminator has won: it tells nearly all drawn pictures from real ones, so the "
    "generator learns little from it",
    "in a new run, a lower --lr-discriminator, a smaller --ndf, or more pictures",
)
GENERATOR = Trouble(
    "generator",
    lambda m: m["drawn_accuracy"] < LOST,
    "the generator has won: the discriminator takes nearly all drawn pictures for real ones",
    "in a new run, a higher --lr-discriminator, or a larger --ndf",
)


def troubles(settings: Settings, real: RealSpread) -> list[Trouble]:
    """What the alarm of a run listens for.

    Args:
        settings: of the run: hints are of options that would change something.
        real: how different real pictures are.
    """
    found = [DISCRIMINATOR, GENERATOR]
    if not settings.is_conditional or real.same is not None:
        whose = "of one caption " if settings.is_conditional else ""
        found.append(
            Trouble(
                "noise",
                lambda m: m.get("diversity", 1.0) < ALIKE,
                f"the noise is ignored: pictures {whose}differ less than {100 * ALIKE:.0f} % as "
                "much as real ones do",
                hint(settings), BEGINNING,
            )
        )  # fmt: skip
    if settings.is_conditional:
        found.append(
            Trouble(
                "collapse",
                lambda m: m.get("diversity_across", 1.0) < ALIKE,
                "the pictures collapse: whatever the caption, the network draws nearly the same",
                hint(settings), BEGINNING,
            )
        )  # fmt: skip
    return found


def hint(settings: Settings) -> str:
    """Options of a new run that make pictures more different, as far as they are not chosen yet."""
    options = []
    if settings.beta1:
        options.append("--beta1 0")
    if settings.changes == "none" and settings.data not in DRAWN:
        options.append("--changes translation-cutout")
    if settings.has_wrong and settings.drawn_weight < min(1, 2 * settings.wrong_weight):
        options.append("--drawn-weight 1")
    if settings.has_wrong and settings.wrong_weight:
        options.append("a smaller --wrong-weight")
    options.append("lower --lr-generator and --lr-discriminator")
    return f"in a new run, {', '.join(options)}, or more pictures"
