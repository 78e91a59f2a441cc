"""What pictures have to go through before weights that others have trained can use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preprocessing:
    """Mean and standard deviation of red, green and blue, for pixels from 0 to 1.

    Libraries that take pixels from 0 to 255 and subtract a mean have std = 1/255 here: the network
    gets the same numbers. Where they want blue first, load_weights turns the first convolution
    round, so that pictures are always red, green, blue here.

    Args:
        mean: of red, green and blue; of a network for grey pictures a single number.
        std: likewise.

    >>> from models.weights.maps import Preprocessing
    >>> print(Preprocessing.of_bytes(123.68, 116.779, 103.939))
    pixels 0 to 255 minus 123.68, 116.78, 103.94 (red, green, blue)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of_bytes(cls, red: float, green: float, blue: float) -> Preprocessing:
        """Of a library that subtracts a mean from pixels of 0 to 255 and does not divide."""
        return cls((red / 255, green / 255, blue / 255), (1 / 255, 1 / 255, 1 / 255))

    def transforms(self) -> list[Any]:
        """The last two steps of a pipeline of minidl.data.transforms: ToFloat and Normalize."""
        from minidl.data import transforms

        return [transforms.ToFloat(), transforms.Normalize(list(self.mean), list(self.std))]

    def __str__(self) -> str:
        colours = " (red, green, blue)" if len(self.mean) == 3 else ""
        if set(self.std) == {1 / 255}:
            numbers = ", ".join(f"{255 * mean:.2f}" for mean in self.mean)
            return f"pixels 0 to 255 minus {numbers}{colours}"
        mean = ", ".join(f"{value:.3f}" for value in self.mean)
        std = ", ".join(f"{value:.3f}" for value in self.std)
        return f"pixels 0 to 1, mean {mean}, standard deviation {std}{colours}"


# ImageNet's own, as torchvision and fastai use them.
IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# -1 to 1: TensorFlow's inception networks, from which torchvision's GoogLeNet was converted.
MINUS_ONE_TO_ONE = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# (x - 127) / 128 of pixels from 0 to 255: TensorFlow's EfficientNet-Lite.
BY_128 = Preprocessing((127 / 255,) * 3, (128 / 255,) * 3)
# The average of ImageNet's pixels as the VGG group computed it, and Caffe's mean image averaged.
VGG_MEAN = Preprocessing.of_bytes(123.68, 116.779, 103.939)
CAFFE_MEAN = Preprocessing.of_bytes(122.67892, 116.66877, 104.00699)
# The mean image of He et al.'s ResNets averaged.
RESNET_MEAN = Preprocessing.of_bytes(123.151630838, 115.902882574, 103.062623801)
# Grey pixels divided by 256: Caffe's examples/mnist.
BY_256 = Preprocessing((0.0,), (256 / 255,))
