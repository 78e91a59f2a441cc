"""Ask a trained network what is on a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

import minidl
from apps.classify.evaluate import Trained
from minidl.data import read_picture
from minidl.errors import ArgumentError
from minidl.nn.functional import softmax
from minidl.tensor import Tensor


def predict(trained: Trained, path: str, top: int) -> list[dict[str, Any]]:
    """The most probable classes of a picture file.

    Args:
        trained: from evaluate.load_trained.
        path: of the file; any format that Pillow reads.
        top: how many classes, at most as many as there are.

    Returns:
        list of {"class": name, "probability": float}, the most probable first.

    Raises:
        DataError: the file is missing or no picture.
        ArgumentError: top is below 1.
    """
    if top < 1:
        raise ArgumentError("predict", "top must be at least 1", {"--top": top})
    x = trained.preprocessing(read_picture(path))
    with minidl.no_grad():
        probabilities = softmax(trained.model(Tensor(x[None])), dim=1).numpy()[0]
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [{"class": trained.classes[i], "probability": float(probabilities[i])} for i in order]
