"""How near pictures are to a content and to a style, by the same measures for all ways.

    content       squared distance of features, divided by the content's     0: the content itself
    style         the same of Gram matrices, the mean over layers            0: the style's own
    patches       correlation of patches with the most similar of the style  1: made of its patches

The first two are Gatys' losses, which his way makes small; the third is what CNNMRF makes large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import minidl
from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.style.cnnmrf.energy import StylePatches
from apps.style.cnnmrf.settings import LAYERS as PATCH_LAYERS
from apps.style.gatys.settings import LAYERS
from apps.style.loss_network import LossNetwork
from apps.style.losses import content_loss, gram, style_loss

PATCH, STRIDE = 3, 2


@dataclass
class Measures:
    """Of one picture; see the top of this file."""

    content: float
    style: float
    patches: float


class Measure:
    """Compares pictures with a content and a style.

    Args:
        net: the loss network.
        content, style: the pictures.

    Raises:
        OptionError: a picture is too small.
    """

    def __init__(self, net: LossNetwork, content: Photo, style: Photo):
        self.net, self.size = net, content.size
        self.content_layers, self.style_layers = LAYERS[net.name]
        self.patch_layers = PATCH_LAYERS[net.name][1]
        self.check_sizes(content.size, style.size)
        with minidl.no_grad():
            self.content = net.features(content.tensor(), self.content_layers)
            of_style = net.features(style.tensor(), {*self.style_layers, *self.patch_layers})
            self.grams = {name: gram(of_style[name]) for name in self.style_layers}
        self.patches = {
            name: StylePatches([of_style[name]], PATCH, STRIDE) for name in self.patch_layers
        }

    def check_sizes(self, *sizes: tuple[int, int]) -> None:
        """All layers have an output for both pictures, and those of patches a patch. (What is large
        enough for that is so for quilting's patches, too.)"""
        layers = {*self.content_layers, *self.style_layers, *self.patch_layers}
        least = self.net.smallest(layers)
        while min(self.net.output_size(self.patch_layers[-1], (least, least))) < PATCH:
            least += 1
        if min(map(min, sizes)) < least:
            longer = max(math.ceil(least * max(size) / min(size)) for size in sizes)
            received = {
                name: f"{size[1]}x{size[0]}" for name, size in zip(("content", "style"), sizes)
            }
            raise OptionError(
                f"the shorter side of a picture has at least {least} pixels", received,
                f"--size {longer} is enough",
            )  # fmt: skip

    def of(self, photo: Photo) -> Measures:
        """The measures of a picture, brought to the content's size."""
        layers = {*self.content_layers, *self.style_layers, *self.patch_layers}
        with minidl.no_grad():
            found = self.net.features(photo.over_white().resized(*self.size).tensor(), layers)
            contents = [float(content_loss(found[n], self.content[n])) for n in self.content]
            styles = [float(style_loss(gram(found[n]), self.grams[n])) for n in self.grams]
        patches = [self.patches[n].match(found[n]).correlation for n in self.patch_layers]
        means = (sum(values) / len(values) for values in (contents, styles, patches))
        return Measures(*means)
