"""Options of `minidl style gatys` that contradict each other. (The table checks each one alone.)"""

from __future__ import annotations

from typing import Any

from apps.shared.options import OptionError, check_values
from apps.style.gatys.settings import Settings
from apps.style.optimize.plan import unused_by
from apps.style.settings import check_used


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
    content, style, _ = settings.weights_of_losses()
    unused = unused_by(settings)
    if settings.init == "noise":
        unused["noise_blend"] = "--init noise"
    if not content:
        unused["content_layers"] = "--content-weight 0"
    if not style:
        unused |= dict.fromkeys(("style_layers", "style_size", "style_weights"), "--style-weight 0")
    check_used(settings, given, unused)


def check_weights(settings: Settings) -> None:
    """There is a content or a style to come nearer to."""
    content, style, _ = settings.weights_of_losses()
    if not content and not style:
        raise OptionError(
            "the content or the style has a weight above 0",
            {"--content-weight": content, "--style-weight": style}, "--style-weight 1",
        )  # fmt: skip
