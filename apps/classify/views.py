"""Test-time augmentation: ask the network about several views of a picture, average the answers.

Krizhevsky et al. 2012 ("ImageNet classification with deep convolutional neural networks"),
section 4.1: "At test time, the network makes a prediction by extracting five 224 x 224 patches
(the four corner patches and the center patch) as well as their horizontal reflections (hence ten
patches in all), and averaging the predictions made by the network's softmax layer on the ten
patches." Their patches are cut from pictures of 256 pixels.

    none        the picture as in training without augmentation
    flip        that, and mirrored                                       2 views
    flip-shift  both, and each of them shifted by a pixel, once up and
                left and once down and right, with reflected borders     6 views
    10-crop     four corners and the middle, each also mirrored         10 views

flip-shift is how Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a single GPU") evaluates small
pictures. The two views that are not shifted count twice there, half of the mean, so they are
listed twice.

For 10-crop the picture is first scaled to 256/224 of the size at which it is otherwise cut. Where
the preprocessing cuts smaller parts out of larger pictures already, its own scale is kept.

Mirroring is for pictures that mean the same mirrored: flowers, not digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from apps.shared.options import OptionError
from minidl.data import transforms
from minidl.data.transform import Transform
from minidl.data.transform_geometry import pad_to
from minidl.errors import nearest

CHOICES = ("none", "flip", "flip-shift", "10-crop")
LARGER = 256 / 224  # side of the whole picture to side of a crop, as in the paper


class Views(Transform):
    """Several pipelines on one picture; their results follow each other along the channels.

    So a DataLoader, which knows one array per picture, decodes each picture once.

    Args:
        before: what all views share: colours and scale.
        cuts: functions (H, W, C) -> (H, W, C), one per view.
        after: what each view goes through then: borders, ToFloat, Normalize.

    Shapes: uint8 (H, W, C) -> float32 (views C, H', W'), view after view.
    """

    def __init__(self, before: list[Transform], cuts: list[Callable], after: list[Transform]):
        self.before = transforms.Compose(before)
        self.cuts = cuts
        self.after = transforms.Compose(after)

    def __len__(self) -> int:
        return len(self.cuts)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        image = self.before(image, rng)
        return np.concatenate([self.after(cut(image), rng) for cut in self.cuts])


def make_views(preprocessing: transforms.Compose, tta: str) -> Views:
    """The views of a way of test-time augmentation.

    Args:
        preprocessing: of the checkpoint.
        tta: one of CHOICES.

    Raises:
        OptionError: no such way, or the preprocessing does not scale and cut.
    """
    if tta not in CHOICES:
        raise OptionError(
            "no such way of test-time augmentation", {"--tta": tta}, nearest(tta, CHOICES)
        )
    steps = preprocessing.transforms
    if tta == "10-crop":
        return ten_crops(steps)
    end = place_of(steps, transforms.ToFloat)
    cuts = {"none": [unchanged], "flip": BOTH, "flip-shift": [*BOTH, *BOTH, *SHIFTED]}[tta]
    return Views(steps[:end], cuts, steps[end:])


def ten_crops(steps: list[Transform]) -> Views:
    """The views of 10-crop: Resize is exchanged for a larger one, CenterCrop for the ten."""
    resize, crop = place_of(steps, transforms.Resize), place_of(steps, transforms.CenterCrop)
    if not resize < crop < len(steps):
        raise OptionError(
            "10-crop needs a preprocessing with Resize and CenterCrop",
            {"preprocessing": ", ".join(type(step).__name__ for step in steps)}, "--tta flip",
        )  # fmt: skip
    h, w = steps[crop].size
    before = [*steps[:resize], enlarged(steps[resize], h, w), *steps[resize + 1 : crop]]
    cuts = [Crop(h, w, down, right) for down, right in PLACES]
    mirrored = [Crop(h, w, down, right, mirrored=True) for down, right in PLACES]
    return Views(before, cuts + mirrored, steps[crop + 1 :])


PLACES = [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)]  # part of the free rows, columns before


class Crop:
    """Cut a window out of a picture.

    Args:
        height, width: of the window in pixels.
        down, right: 0 puts it at the top or left, 1 at the bottom or right, 0.5 in the middle.
        mirrored: exchange left and right then.
    """

    def __init__(self, height: int, width: int, down: float, right: float, mirrored: bool = False):
        self.height, self.width, self.down, self.right = height, width, down, right
        self.mirrored = mirrored

    def __call__(self, image: np.ndarray) -> np.ndarray:
        image = pad_to(image, self.height, self.width)
        top = int((image.shape[0] - self.height) * self.down)
        left = int((image.shape[1] - self.width) * self.right)
        window = image[top : top + self.height, left : left + self.width]
        return mirror(window) if self.mirrored else window


def enlarged(resize: transforms.Resize, height: int, width: int) -> transforms.Resize:
    """A Resize that leaves room for crops of this size, unless it does so already."""
    if isinstance(resize.size, int):
        roomy = resize.size > min(height, width)
        size = resize.size if roomy else round(resize.size * LARGER)
    else:
        roomy = resize.size[0] > height and resize.size[1] > width
        size = resize.size if roomy else tuple(round(side * LARGER) for side in resize.size)
    return transforms.Resize(size, resize.filter)


def place_of(steps: list[Transform], kind: type) -> int:
    """Index of the first step of a kind; len(steps) where there is none."""
    return next((i for i, step in enumerate(steps) if isinstance(step, kind)), len(steps))


def mirror(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


def unchanged(image: np.ndarray) -> np.ndarray:
    return image


class Shift:
    """Shift a picture by a pixel along both axes; what comes in at the borders is reflected.

    Args:
        by: 1 for down and right, -1 for up and left.
        mirrored: exchange left and right then.
    """

    def __init__(self, by: int, mirrored: bool = False):
        self.by, self.mirrored = by, mirrored

    def __call__(self, image: np.ndarray) -> np.ndarray:
        first, (H, W) = 1 - self.by, image.shape[:2]
        wider = np.pad(image, ((1, 1), (1, 1), (0, 0)), "reflect")
        window = wider[first : first + H, first : first + W]
        return mirror(window) if self.mirrored else window


BOTH = [unchanged, mirror]
SHIFTED = [Shift(by, mirrored) for by in (-1, 1) for mirrored in (False, True)]
