"""What can go wrong when two networks play, for the alarm (apps/shared/alarm.py).

the discriminator has won   it is right about nearly all pictures, real and drawn: what it says
                            to the generator is the same whatever that draws
the generator has won       it takes nearly all drawn pictures for real ones
collapse                    pictures of one caption and different noise are almost the same
"""

from __future__ import annotations

from apps.shared.alarm import Trouble

WON, LOST = 0.98, 0.1  # accuracies of a discriminator that has won, and of one that has lost
ALIKE = 0.1  # of the diversity of real pictures

TROUBLES = (
    Trouble(
        "discriminator",
        lambda m: min(m["real_accuracy"], m["drawn_accuracy"]) > WON,
        "the discriminator has won: it tells nearly all drawn pictures from real ones, so the "
        "generator learns little from it",
        "in a new run, a lower --lr-discriminator, a smaller --ndf, or more pictures",
    ),
    Trouble(
        "generator",
        lambda m: m["drawn_accuracy"] < LOST,
        "the generator has won: the discriminator takes nearly all drawn pictures for real ones",
        "in a new run, a higher --lr-discriminator, or a larger --ndf",
    ),
    Trouble(
        "collapse",
        lambda m: m.get("diversity", 1.0) < ALIKE,
        "the samples collapse: pictures of one caption are almost the same, whatever the noise",
        "in a new run, lower --lr-generator and --lr-discriminator, or another --seed",
    ),
)
