"""Options of `minidl style gatys` that contradict each other. (The table checks each one alone.)"""

from __future__ import annotations

from typing import Any

from apps.shared.options import OptionError, check_values
from apps.style.gatys.settings import Settings


def check(settings: Settings, given: dict[str, Any]) -> None:
    """Check that every setting is in its range and that they fit together.

    Args:
        settings: all of them.
        given: those that the user gave, the others are defaults.

    Raises:
        OptionError
    """
    check_values(settings)
    check_weights(settings)
    if settings.init == "noise" and "noise_blend" in given:
        raise OptionError(
            "--init noise begins with nothing but noise", {"--noise-blend": settings.noise_blend},
            "leave it out, or --init content",
        )  # fmt: skip
    if settings.optimizer != "adam":
        for name in ("lr", "average", "shift"):
            if name in given:
                raise OptionError(
                    f"--{name} belongs to --optimizer adam", {f"--{name}": given[name]}
                )


def check_weights(settings: Settings) -> None:
    """There is a content or a style to come nearer to."""
    content, style, _ = settings.weights_of_losses()
    if not content and not style:
        raise OptionError(
            "the content or the style has a weight above 0",
            {"--content-weight": content, "--style-weight": style}, "--style-weight 1",
        )  # fmt: skip
