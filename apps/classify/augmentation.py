"""Random changes of training pictures, so that the network never sees the same one twice.

    none       the pictures as they are
    flip       mirrored or not
    shift      moved by up to some pixels; the uncovered border is black
    shift-flip moved by up to an eighth of the size, mirrored or not
    erase      that, and in half of the pictures a random rectangle is covered by the mean colour
    crop       a random part (35 % of the area or more) scaled to the whole size, mirrored or not
    color      crop, with random brightness, contrast, saturation and lighting
    standard   what the data set's recipe has: see recipes.py

shift-flip is what He et al. 2016, section 4.2, do to CIFAR-10: 4 of 32 pixels.
The part of crop: Szegedy et al. 2014, section 6, who go down to 8 % of the area; with hundreds of
pictures for each class instead of a thousand, so small a part often lacks what the class is.
erase: Zhong et al. 2020, "Random erasing data augmentation".
Lighting: Krizhevsky et al. 2012, section 4.1.
"""

from __future__ import annotations

from typing import Any

from apps.classify.recipes import Recipe
from minidl.data import transforms

CHOICES = ("none", "flip", "shift", "shift-flip", "erase", "crop", "color", "standard")
AREA = (0.35, 1.0)  # smallest and largest part that crop keeps
SHIFT = 1 / 8  # of the size, of shift-flip and where the recipe has no shift
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}  # as in Torch's ResNet training


def steps_of(name: str, recipe: Recipe) -> set[str]:
    """The kinds of change that a choice stands for: "crop", "shift", "flip", "erase", "color"."""
    if name == "standard":
        kinds = {"crop": recipe.crop, "shift": recipe.shift > 0, "flip": recipe.flip}
        return {kind for kind, wanted in kinds.items() if wanted}
    return {
        "none": set(), "flip": {"flip"}, "shift": {"shift"}, "shift-flip": {"shift", "flip"},
        "erase": {"shift", "flip", "erase"}, "crop": {"crop", "flip"},
        "color": {"crop", "flip", "color"},
    }[name]  # fmt: skip


def augmented(
    preprocessing: transforms.Compose, name: str, recipe: Recipe, size: int, channels: int
) -> tuple[transforms.Compose, list[Any]]:
    """The pipeline of training pictures.

    Args:
        preprocessing: that of all pictures: colours, size, ToFloat, Normalize.
        name: one of CHOICES.
        recipe: of the data set.
        size: pixels per side.
        channels: 1 or 3.

    Returns:
        the pipeline, and those of its steps that are random.
    """
    kinds = steps_of(name, recipe)
    steps = preprocessing.transforms
    cut = next(i for i, step in enumerate(steps) if isinstance(step, transforms.ToFloat))
    geometry, floats = list(steps[:cut]), list(steps[cut:])
    changes: list[Any] = []
    if "crop" in kinds:  # of the whole picture: it takes the place of the scaling
        geometry = geometry[:1]
        changes.append(transforms.RandomResizedCrop(size, scale=AREA))
    elif "shift" in kinds:
        an_eighth = name in ("shift-flip", "erase") or not recipe.shift
        shift = max(1, round(SHIFT * size)) if an_eighth else recipe.shift
        changes.append(transforms.RandomCrop(size, padding=shift))
    if "flip" in kinds:
        changes.append(transforms.RandomHorizontalFlip())
    if "erase" in kinds:
        changes.append(transforms.RandomErasing(fill=mean_colour(floats, channels)))
    lighting: list[Any] = []
    if "color" in kinds:
        changes.append(transforms.ColorJitter(**JITTER))
        lighting = [transforms.PCALighting(0.1)] if channels == 3 else []
    pipeline = [*geometry, *changes, floats[0], *lighting, *floats[1:]]
    return transforms.Compose(pipeline), changes + lighting


def mean_colour(floats: list[transforms.Transform], channels: int) -> list[int]:
    """What Normalize makes 0, as bytes; mid-grey where nothing is normalized."""
    means = [step.mean for step in floats if isinstance(step, transforms.Normalize)]
    mean = means[-1] if means else [0.5]
    return [min(max(round(255 * value), 0), 255) for value in mean * (channels // len(mean))]
