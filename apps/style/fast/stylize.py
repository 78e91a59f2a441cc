"""A picture through a trained network, and what may be done with the result.

    strength    between the picture (0) and what the network makes of it (1)
    colors      "luma": light and dark from the result, colours from the picture
    median      3x3 median of each colour, which takes single bright dots away (Johnson et al.
                2016 have it behind their networks)

Memory: nothing is kept of what the network computes on the way but what the next layer needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import minidl
from apps.shared.options import OptionError
from apps.shared.photo import Photo, fitted_size, size_text
from apps.style import needs
from apps.style.colors import with_luma_of
from minidl.errors import NonFiniteError
from minidl.nn import Module
from models.transform_net import SMALLEST, TransformNet

# Of memory for a pixel of the result at width 1, measured: of TransformNet, of SuperResolutionNet.
BYTES_PER_PIXEL = 760, 940
SMOOTH = 0.8


@dataclass(frozen=True)
class Look:
    """How pictures are drawn.

    Args:
        strength: 0 for the picture itself to 1 for the network's.
        colors: "style" or "luma".
        median: whether a 3x3 median follows.
        size: pixels that the longer side is brought to first; None for as they are.
        smooth: of moving pictures, as of Smoother; None for SMOOTH.

    Raises:
        OptionError: one is out of range.
    """

    strength: float = 1.0
    colors: str = "style"
    median: bool = False
    size: int | None = None
    smooth: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError("strength lies between 0 and 1", {"--strength": self.strength})
        if self.colors not in ("style", "luma"):
            raise OptionError("colors is style or luma", {"--colors": self.colors})
        if self.size is not None and self.size < SMALLEST:
            raise OptionError(f"size is at least {SMALLEST}", {"--size": self.size})
        if self.smooth is not None and not 0 <= self.smooth < 1:
            raise OptionError("smooth is at least 0 and below 1", {"--smooth": self.smooth})

    def fitted(self, photo: Photo) -> Photo:
        """A picture in the size in which it is drawn."""
        return photo if self.size is None else photo.fitted(self.size)

    def drawn_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """That size, (H, W), of a picture."""
        return size if self.size is None else fitted_size(size, self.size)


def stylized(net: Module, photo: Photo, look: Look = Look()) -> Photo:
    """A picture in the network's style; transparency stays.

    Args:
        net: a TransformNet in evaluation mode.
        photo: at least 5 pixels high and wide.
        look: what is done with the result.

    Raises:
        OptionError: the picture is too small, or there is not enough memory.
        NonFiniteError: the network draws no picture.
    """
    drawn = drawn_by(net, photo)
    if look.median:
        drawn = Photo(median(drawn.pixels))
    if look.colors == "luma":
        drawn = with_luma_of(photo, drawn)
    pixels = drawn.pixels
    if look.strength != 1:
        pixels = photo.pixels + np.float32(look.strength) * (pixels - photo.pixels)
    return Photo(np.clip(pixels, 0, 1), photo.alpha)


def drawn_by(net: Module, photo: Photo) -> Photo:
    """What a network makes of the colours of a picture.

    Raises:
        OptionError, NonFiniteError: as stylized.
    """
    check_size(net, photo)
    with minidl.no_grad():
        x = net(photo.tensor())
    if not minidl.isfinite(x).numpy().all():
        raise NonFiniteError(
            "fast style", "the network draws NaN or infinite pixels",
            {"picture": f"{photo.width}x{photo.height}"},
            "its weights are damaged, or its training went wrong: train it with a smaller --lr",
        )  # fmt: skip
    return Photo.from_tensor(x)


def median(pixels: np.ndarray) -> np.ndarray:
    """The median of each pixel's 3x3 neighbours, colour by colour; edges are repeated."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "edge")
    H, W, _ = pixels.shape
    shifted = [padded[i : i + H, j : j + W] for i in range(3) for j in range(3)]
    return np.median(np.stack(shifted), axis=0).astype(np.float32)


# --- size ---------------------------------------------------------------------------------------


def check_size(net: Module, photo: Photo) -> None:
    """The network can take the picture, and the memory, too.

    Raises:
        OptionError
    """
    size = size_text(photo.size)
    if min(photo.size) < SMALLEST:
        raise OptionError(
            f"pictures are at least {SMALLEST} pixels high and wide", {"picture": size},
            "enlarge it with --size",
        )  # fmt: skip
    needs.check_memory(
        needed_megabytes(net, photo.size),
        "a picture of this size needs more memory than there is", {"picture": size},
        lambda share: f"--size {needs.side_that_fits(photo.size, share)} fits",
    )  # fmt: skip


def needed_megabytes(net: Module, size: tuple[int, int]) -> float:
    """Memory that a picture needs on its way through a network, about."""
    if isinstance(net, TransformNet):
        per_pixel = BYTES_PER_PIXEL[0] * net.down1[1].out_channels / 32
    else:
        per_pixel = BYTES_PER_PIXEL[1] * net.first[1].out_channels / 64 * net.scale**2
    return size[0] * size[1] * per_pixel / 1e6
