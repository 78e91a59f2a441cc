"""Weights that want pixels from 0 to 255, for pixels of unit variance.

Caffe, MatConvNet and early Keras networks take pixels minus a mean, whose standard deviation is
near 58. Layers that are drawn afresh behind them get features as large, and the usual learning
rates, made for numbers near 1, then end in NaN in the first steps. A network of convolutions,
linear layers, ReLU and pooling is homogeneous (s > 0):

    f(s x; w, s b) = s f(x; w, b)

So pixels are divided by 58, and the biases of the loaded layers with them: the fresh layers see
the same features, divided by 58, and nothing else changes.
"""

from __future__ import annotations

from minidl import nn
from models.weights.maps import Preprocessing
from models.weights.report import Report

DEVIATION = 58.0  # of the pixels of photos, from 0 to 255: 0.2275 of 1, as ImageNet's
HOMOGENEOUS = (
    nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Conv2d, nn.Dropout, nn.Dropout2d, nn.Flatten,
    nn.Identity, nn.LeakyReLU, nn.Linear, nn.MaxPool2d, nn.ReLU,
)  # fmt: skip


def to_unit_variance(model: nn.Module, report: Report) -> None:
    """Divide the loaded biases and what the report says of pictures by 58, where that is exact.

    That is where pictures were pixels of 0 to 255 minus a mean, the network is homogeneous, and
    fresh layers follow the loaded ones; else nothing changes.

    Args:
        model: with the weights; its biases change in place.
        report: what load_weights did; its preprocessing and notes change.
    """
    chosen = report.preprocessing
    if chosen is None or any(abs(255 * std - 1) > 1e-6 for std in chosen.std):
        return
    loaded, fresh = {row.name for row in report.loaded}, {row.name for row in report.fresh}
    layers = [module for module in model.modules() if not module.modules_here]
    names = [name for name, _ in model.named_parameters()]
    in_order = [name in fresh for name in names] == sorted(name in fresh for name in names)
    if not fresh or not in_order or not all(isinstance(layer, HOMOGENEOUS) for layer in layers):
        return
    for name, parameter in model.named_parameters():
        if name in loaded and name.endswith("bias"):
            parameter.data /= DEVIATION
    report.preprocessing = Preprocessing(chosen.mean, (DEVIATION / 255,) * len(chosen.std))
    report.notes.append(
        f"pixels and the loaded biases are divided by {DEVIATION:.0f}, and so is every map: layers "
        "drawn afresh are made for numbers near 1"
    )
