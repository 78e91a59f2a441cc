"""The kernels of a network's first convolution as pictures."""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared.pictures import Picture, filter_images
from minidl.nn import Conv2d, Module


@dataclass
class FirstLayer:
    """The section.

    Args:
        name: of the layer.
        shape: its kernels in words.
        count: how many kernels it has; the first of them are shown.
        colour: whether the pictures are in colour.
        kernels: the pictures.
    """

    name: str
    shape: str
    count: int
    colour: bool
    kernels: list[Picture]


def first_layer(model: Module) -> FirstLayer | None:
    """The first convolution of a network; None if it has none."""
    for name, module in model.named_modules():
        if isinstance(module, Conv2d):
            weight = module.weight.detach().numpy()
            K, C, R, S = weight.shape
            kernels = [
                Picture(image, alt=f"kernel {i}", exact=True)
                for i, image in enumerate(filter_images(weight))
            ]
            return FirstLayer(name, f"{K} kernels, {C} × {R} × {S}", K, C == 3, kernels)
    return None
