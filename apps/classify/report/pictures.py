"""The pictures of report.html: mistakes, confused pairs, first layer, feature maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.classify.metrics import Evaluation
from apps.classify.report.feature_maps import STRONGEST, feature_maps
from apps.shared.pictures import filter_images, is_small, picture_uri, png_uri
from minidl.data import transforms

MISTAKES = 24
PAIRS = 9  # pairs shown with pictures
EXAMPLES = 4  # pictures of a pair
MAP = 64  # pixels: a larger feature map is shrunk


def mistake_pictures(evaluation: Evaluation, dataset) -> list[dict]:
    """The worst mistakes with picture, true and predicted class and their probabilities."""
    names = getattr(dataset, "names", None)
    pictures = []
    for index in evaluation.mistakes()[:MISTAKES].tolist():
        true, predicted = int(evaluation.labels[index]), int(evaluation.predicted[index])
        given = evaluation.probabilities[index]
        pictures.append(
            picture(dataset, index)
            | {
                "true": evaluation.classes[true],
                "predicted": evaluation.classes[predicted],
                "p_true": f"{100 * given[true]:.1f}\u00a0%",
                "p_predicted": f"{100 * given[predicted]:.1f}\u00a0%",
                "name": names[index] if names else f"picture {index}",
            }
        )
    return pictures


def picture(dataset, index: int) -> dict:
    """A picture of a data set for the page."""
    image = np.asarray(dataset[int(index)][0])
    return {"uri": picture_uri(image), "pixelated": is_small(image)}


def pair_pictures(evaluation: Evaluation, dataset) -> list[dict]:
    """Pairs of classes that were confused more than once, with pictures.

    Beside the mistakes stands a picture that was rightly recognised as what they were taken for.
    """
    pairs = []
    for true, predicted, count in evaluation.confused(PAIRS):
        if count < 2:
            break
        right = evaluation.examples(predicted, predicted, 1)
        pairs.append(
            {
                "true": evaluation.classes[true],
                "predicted": evaluation.classes[predicted],
                "count": count,
                "of": int((evaluation.labels == true).sum()),
                "mistakes": [
                    picture(dataset, i) for i in evaluation.examples(true, predicted, EXAMPLES)
                ],
                "right": picture(dataset, right[0]) if len(right) else None,
            }
        )
    return pairs


def first_layer(model) -> dict | None:
    """Name, shape and pictures of the kernels of the network's first convolution, if any."""
    from minidl.nn import Conv2d

    for name, module in model.named_modules():
        if isinstance(module, Conv2d):
            weight = module.weight.detach().numpy()
            K, C, R, S = weight.shape
            images = filter_images(weight)
            return {
                "name": name,
                "shape": f"{K} kernels, {C} × {R} × {S}",
                "shown": len(images),
                "all": K,
                "colour": C == 3,
                "uris": [png_uri(image) for image in images],
            }
    return None


def maps_of_one_picture(
    model, preprocessing: transforms.Compose | None, evaluation: Evaluation, dataset
) -> dict | None:
    """One test picture, and what a handful of layers make of it; None without maps.

    It is the first picture that was recognised, so that the path to a right answer is seen.
    """
    if preprocessing is None:
        return None
    recognised = np.flatnonzero(evaluation.predicted == evaluation.labels)
    index = int(recognised[0]) if len(recognised) else 0
    image = np.asarray(dataset[index][0])
    layers = feature_maps(model, preprocessing(image))
    if not layers:
        return None
    steps = preprocessing.transforms
    end = next(i for i, step in enumerate(steps) if isinstance(step, transforms.ToFloat))
    seen = transforms.Compose(steps[:end])(image)  # as the network sees it, before the numbers
    predicted = int(evaluation.predicted[index])
    return {
        "uri": picture_uri(seen),
        "pixelated": is_small(seen),
        "shape": size_text(seen.transpose(2, 0, 1).shape),
        "true": evaluation.classes[int(evaluation.labels[index])],
        "predicted": evaluation.classes[predicted],
        "p_predicted": f"{100 * evaluation.probabilities[index, predicted]:.1f}\u00a0%",
        "layers": [layer_maps(layer) for layer in layers],
    }


def layer_maps(layer: Any) -> dict:
    """A row of maps for the page."""
    n = layer.shape[0]
    return {
        "name": layer.name,
        "shape": size_text(layer.shape),
        "which": f"{len(layer.maps)} strongest of {n}" if n > STRONGEST else f"all {n}",
        "signed": layer.signed,
        "maps": [
            {"uri": png_uri(image, MAP), "channel": channel}
            for image, channel in zip(layer.images(), layer.channels)
        ],
    }


def size_text(shape: tuple) -> str:
    """(64, 56, 56) as "64 × 56 × 56"."""
    return " × ".join(str(n) for n in shape)
