"""A picture through a trained network, and what may be done with the result.

    strength    between the picture (0) and what the network makes of it (1)
    colors      "luma": light and dark from the result, colours from the picture
    median      3x3 median of each colour, which takes single bright dots away (Johnson et al.
                2016 have it behind their networks)

Memory: nothing is kept of what the network computes on the way but what the next layer needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import minidl
from apps.shared.options import OptionError
from apps.shared.photo import Photo
from minidl.nn import Module
from models.transform_net import SMALLEST, TransformNet

# Luma and two differences from it (ITU-R BT.601), of red, green, blue from 0 to 1.
TO_YUV = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
FROM_YUV = np.linalg.inv(TO_YUV.astype(np.float64)).astype(np.float32)
BYTES_PER_PIXEL = 900  # of memory at width 1, measured; a narrower network needs less


@dataclass(frozen=True)
class Look:
    """What is done with the result.

    Args:
        strength: 0 for the picture itself to 1 for the network's.
        colors: "style" or "luma".
        median: whether a 3x3 median follows.
    """

    strength: float = 1.0
    colors: str = "style"
    median: bool = False


def stylized(net: Module, photo: Photo, look: Look = Look()) -> Photo:
    """A picture in the network's style; transparency stays.

    Args:
        net: a TransformNet in evaluation mode.
        photo: at least 5 pixels high and wide.
        look: what is done with the result.

    Raises:
        OptionError: the picture is too small, or there is not enough memory.
    """
    check_size(net, photo)
    with minidl.no_grad():
        drawn = Photo.from_tensor(net(photo.tensor()))
    pixels = drawn.pixels
    if look.median:
        pixels = median(pixels)
    if look.colors == "luma":
        pixels = with_colours_of(photo.pixels, pixels)
    if look.strength != 1:
        pixels = photo.pixels + np.float32(look.strength) * (pixels - photo.pixels)
    return Photo(np.clip(pixels, 0, 1), photo.alpha)


def with_colours_of(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The light of one picture, the colours of another: Y of `drawn`, U and V of `picture`."""
    yuv = picture @ TO_YUV.T
    yuv[..., 0] = drawn @ TO_YUV[0]
    return np.clip(yuv @ FROM_YUV.T, 0, 1)


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
    size = f"{photo.width}x{photo.height}"
    if min(photo.size) < SMALLEST:
        raise OptionError(
            f"pictures are at least {SMALLEST} pixels high and wide", {"picture": size},
            "enlarge it with --size",
        )  # fmt: skip
    needed, there = needed_bytes(net, photo.size), available_bytes()
    if there is not None and needed > there:
        fits = int(max(photo.size) * (there / needed) ** 0.5)
        raise OptionError(
            f"the picture needs about {needed / 1e9:.1f} GB of memory, {there / 1e9:.1f} GB are "
            "there", {"picture": size}, f"--size {fits // 100 * 100} fits",
        )  # fmt: skip


def needed_bytes(net: Module, size: tuple[int, int]) -> int:
    """Memory that a picture needs on its way through a network, about."""
    share = net.down1[1].out_channels / 32 if isinstance(net, TransformNet) else 2.0
    return int(size[0] * size[1] * BYTES_PER_PIXEL * share)


def available_bytes() -> int | None:
    """Memory that is free, None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in found else None
