"""What a transform is, how several form a pipeline, and the last two steps of every pipeline.

A transform turns one image into another: t(image, rng) -> image. Two kinds of image occur:

    bytes    uint8    (H, W, C)    from the data set up to ToFloat; what Pillow works on
    floats   float32  (C, H, W)    from ToFloat on; what a network takes

The random generator comes from outside. The DataLoader makes it from (seed, epoch, index), so
augmentation does not depend on which thread runs it, nor on what was drawn before.

config() describes a transform in JSON types and from_config (transforms.py) builds it again:
checkpoints keep the preprocessing so, and loading one runs no code from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.checks import check_ordered
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.shapes import is_number


class Transform:
    """Base class. A subclass defines __call__ and names its constructor's arguments.

    Attributes:
        arguments: names of the constructor's arguments, kept as attributes of the same name.
        random: whether the result depends on rng.
        elementwise: whether each value of the result depends on that value (and channel) alone.
            The DataLoader turns such a pipeline's end into a table of 256 values per channel.
    """

    arguments: tuple = ()
    random = False
    elementwise = False

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__}.__call__")

    def config(self) -> dict[str, Any]:
        """Name and arguments in JSON types: {"name": "CenterCrop", "size": [28, 28]}."""
        values = {name: getattr(self, name) for name in self.arguments}
        return {"name": type(self).__name__} | {k: as_json(v) for k, v in values.items()}

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)
        return f"{type(self).__name__}({values})"


class Compose(Transform):
    """Several transforms, one after the other.

    Args:
        transforms: the steps in order; a Compose among them is flattened.

    >>> T = minidl.data.transforms
    >>> pipeline = T.Compose([T.Pad(2), T.ToFloat(), T.Normalize([0.13], [0.31])])
    >>> pipeline(minidl.zeros(28, 28, 1, dtype="uint8").data).shape
    (1, 32, 32)
    """

    def __init__(self, transforms: Sequence[Transform]):
        if not isinstance(transforms, Sequence):
            raise ArgumentError("Compose", "expects a list of steps", {"transforms": transforms})
        steps: list[Transform] = []
        for step in transforms:
            if not isinstance(step, Transform):
                raise ArgumentError("Compose", "every step is a Transform", {"step": step})
            steps += step.transforms if isinstance(step, Compose) else [step]
        self.transforms = steps
        self.random = any(step.random for step in steps)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        for step in self.transforms:
            image = step(image, rng)
        return image

    def config(self) -> list[dict[str, Any]]:
        """The list that transforms.from_config takes."""
        return [step.config() for step in self.transforms]

    def __repr__(self) -> str:
        return "\n".join(["Compose([", *(f"  {step}," for step in self.transforms), "])"])


class ToFloat(Transform):
    """Bytes 0 to 255, (H, W, C), to float32 0 to 1, (C, H, W).

    >>> minidl.data.transforms.ToFloat()(minidl.full((1, 2, 1), 255, dtype="uint8").data)
    array([[[1., 1.]]], dtype=float32)
    """

    elementwise = True

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("ToFloat", image)
        return image.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


class Normalize(Transform):
    """(x - mean) / std for each channel, on floats.

    Args:
        mean: one number per channel, or one for all; in units of ToFloat, 0 to 1.
        std: likewise, above 0.

    >>> T = minidl.data.transforms
    >>> T.Normalize([0.5], [0.25])(minidl.ones(1, 1, 1).data)
    array([[[2.]]], dtype=float32)
    """

    arguments = ("mean", "std")
    elementwise = True

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]):
        self.mean = numbers("Normalize", "mean", mean)
        self.std = numbers("Normalize", "std", std)
        if min(self.std) <= 0 or len(self.mean) != len(self.std):
            raise ArgumentError(
                "Normalize", "mean and std have one number per channel, std above 0",
                {"mean": mean, "std": std},
            )  # fmt: skip
        self.shift = np.array(self.mean, np.float32)[:, None, None]
        self.scale = np.array(self.std, np.float32)[:, None, None]

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_floats("Normalize", image)
        if len(self.mean) not in (1, len(image)):
            raise ShapeError(
                "Normalize",
                f"mean and std have {len(self.mean)} channels, the image has {len(image)}",
                {"image": image},
                "put ToRGB() or Grayscale() before ToFloat()",
            )
        return (image - self.shift) / self.scale


# --- checks that the other transforms share ---------------------------------------------------


def check_bytes(op: str, image: np.ndarray) -> None:
    """The image is uint8 (H, W, C) with 1 or 3 channels.

    Raises:
        DtypeError, ShapeError
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise DtypeError(
            op, "expects a uint8 image (H, W, C)", {"image": image}, "it belongs before ToFloat()"
        )
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.size == 0:
        raise ShapeError(op, "expects an image (H, W, C) with 1 or 3 channels", {"image": image})


def check_floats(op: str, image: np.ndarray) -> None:
    """The image is float32 (C, H, W).

    Raises:
        DtypeError, ShapeError
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.float32:
        raise DtypeError(
            op, "expects a float32 image (C, H, W)", {"image": image}, "it belongs after ToFloat()"
        )
    if image.ndim != 3:
        raise ShapeError(op, "expects an image (C, H, W)", {"image": image})


def check_probability(op: str, p: Any) -> float:
    """p as a float from 0 to 1.

    Raises:
        ArgumentError
    """
    if not is_number(p) or not 0 <= p <= 1:
        raise ArgumentError(op, "p is a number from 0 to 1", {"p": p})
    return float(p)


def need_rng(op: str, rng: Any) -> np.random.Generator:
    """rng, which a random transform cannot do without.

    Raises:
        ArgumentError
    """
    if not isinstance(rng, np.random.Generator):
        raise ArgumentError(
            op, "a random transform needs a generator", {"rng": rng}, "np.random.default_rng(seed)"
        )
    return rng


def numbers(op: str, name: str, value: Any) -> list[float]:
    """One finite number or a sequence of them, as a list.

    Raises:
        ArgumentError
    """
    values = [value] if isinstance(value, int | float | np.number) else value
    check_ordered(op, name, values)
    try:
        result = [float(number) for number in values]
    except (TypeError, ValueError, OverflowError):
        result = []
    if not result or not np.isfinite(result).all():
        raise ArgumentError(op, f"{name} is a number or a sequence of numbers", {name: value})
    return result


def as_json(value: Any) -> Any:
    """Tuples become lists, NumPy numbers Python ones."""
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
