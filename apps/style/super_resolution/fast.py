"""Super-resolution by a network in one pass (Johnson et al. 2016, section 3 and 4.2), trained with

minidl style fast-train --task super-resolution --data PHOTOS -o MODEL
"""

from __future__ import annotations

from apps.shared.photo import Photo, resample
from apps.shared.trained_transform import SUPER_RESOLUTION, load_fast
from apps.style.fast.stylize import drawn_by


def scale_of(model: str) -> int:
    """How many times larger a network makes a picture.

    Raises:
        CheckpointError: no such file, or a network for something else.
    """
    return load_fast(model, SUPER_RESOLUTION).net.scale


def enlarged(photo: Photo, model: str) -> Photo:
    """A picture as many times larger as the network was trained for; transparency as well.

    Args:
        photo: at least 5 pixels high and wide.
        model: a file of fast-train.

    Raises:
        CheckpointError: no such file, or a network for something else.
        OptionError: the picture is too small, or there is not enough memory.
        NonFiniteError: the network draws no picture.
    """
    larger = drawn_by(load_fast(model, SUPER_RESOLUTION).net, photo)
    if photo.alpha is None:
        return larger
    alpha = resample(photo.alpha[..., None], *larger.size)[..., 0]
    return Photo(larger.pixels, alpha)
