"""Gatys' losses and the gradient of the picture, against a twin in PyTorch written from the papers.

The twin shares nothing with minidl but the weights: plain functions of PyTorch, its own Gram
matrices, its own normalisation of pictures.
"""

import numpy as np
import pytest

from apps.style.gatys.objective import GatysObjective
from apps.style.gatys.pictures import Pictures
from apps.style.gatys.settings import LAYERS, Settings
from apps.style.loss_network import LossNetwork
from minidl.io import read_weights
from minidl.nn import Parameter

pytestmark = pytest.mark.torch
SIZE = 61, 84
FIRES = {"fire2": 0, "fire3": 1, "fire4": 0, "fire5": 1}  # whether a pooling follows


def squeezenet(x, w):
    """relu1 to fire5 of SqueezeNet 1.1."""
    import torch
    from torch.nn.functional import conv2d, max_pool2d, relu

    def conv(x, name, **more):
        return relu(conv2d(x, w[f"features.{name}.weight"], w[f"features.{name}.bias"], **more))

    found = {"relu1": conv(x, "conv1", stride=2)}
    x = max_pool2d(found["relu1"], 3, 2, ceil_mode=True)
    for name, pooled in FIRES.items():
        squeezed = conv(x, f"{name}.squeeze1x1")
        x = found[name] = torch.cat(
            [conv(squeezed, f"{name}.expand1x1"), conv(squeezed, f"{name}.expand3x3", padding=1)], 1
        )
        x = max_pool2d(x, 3, 2, ceil_mode=True) if pooled else x
    return found


def vgg16(x, w):
    """relu1_1 to relu4_1 of VGG-16."""
    from torch.nn.functional import conv2d, max_pool2d, relu

    found = {}
    for block, layers in enumerate((2, 2, 3, 1), 1):
        for layer in range(1, layers + 1):
            name = f"features.conv{block}_{layer}"
            x = relu(conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=1))
            found[f"relu{block}_{layer}"] = x
        x = max_pool2d(x, 2)
    return found


def twin(network, weights, x, content, style, norm):
    """Losses of content, style and total variation, unweighted, and the gradient of their sum."""
    import torch

    w = {name: torch.tensor(array) for name, array in weights.items()}
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    forward = {"squeezenet": squeezenet, "vgg16": vgg16}[network]
    x, content, style = (torch.tensor(np.ascontiguousarray(a)) for a in (x, content, style))
    x.requires_grad_()
    f, p, s = (forward((a / 255 - mean) / std, w) for a in (x, content, style))
    content_layers, style_layers = LAYERS[network]
    losses = {"content": 0, "style": 0}
    for layer in content_layers:
        difference = (f[layer] - p[layer]) ** 2
        losses["content"] += {
            "target": difference.sum() / (p[layer] ** 2).sum(), "paper": difference.sum() / 2,
            "port": difference.mean(),
        }[norm]  # fmt: skip
    for layer in style_layers:
        (C, M), (_, N) = ((a.shape[1], a.shape[2] * a.shape[3]) for a in (f[layer], s[layer]))
        G = f[layer].reshape(C, M) @ f[layer].reshape(C, M).T
        A = s[layer].reshape(C, N) @ s[layer].reshape(C, N).T
        losses["style"] += {
            "target": ((G / M - A / N) ** 2).sum() / ((A / N) ** 2).sum(),
            # Equation 4, for a style picture of as many positions as the picture.
            "paper": ((G - A * M / N) ** 2).sum() / (4 * C**2 * M**2) / len(style_layers),
            "port": ((G / (C * M) - A / (C * N)) ** 2).mean(),
        }[norm]
    variation = ((x[..., 1:, :] - x[..., :-1, :]) ** 2).sum()
    variation = variation + ((x[..., 1:] - x[..., :-1]) ** 2).sum()
    losses["tv"] = variation / x.numel() if norm == "target" else variation
    sum(losses.values()).backward()
    return {name: loss.item() for name, loss in losses.items()}, x.grad.numpy()


@pytest.mark.parametrize(
    "network, norm",
    [
        ("squeezenet", "target"), ("squeezenet", "paper"), ("squeezenet", "port"),
        ("vgg16", "target"),
    ],
)  # fmt: skip
def test_losses_and_gradient(pictures, weights, network, norm):
    settings = Settings(
        content=str(pictures / "content.png"), styles=[str(pictures / "style.png")], net=network,
        loss_norm=norm, content_weight=1.0, style_weight=1.0, tv_weight=1.0,
    )  # fmt: skip
    found = Pictures(settings)
    objective = GatysObjective(LossNetwork(network, weights(network)), settings, found, SIZE)
    rng = np.random.default_rng(0)
    x = Parameter((255 * rng.random((1, 3, *SIZE))).astype(np.float32))
    losses = objective.evaluate(x)
    arrays = read_weights(weights(network)).tensors
    expected, gradient = twin(
        network, arrays, x.data, found.content_at(SIZE).tensor().data,
        found.style_at(0, SIZE).tensor().data, norm,
    )  # fmt: skip
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-4), name
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(x.grad.data, gradient, rtol=0, atol=1e-4 * scale)
