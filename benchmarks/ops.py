"""Single layers of the five networks, forward and backward, in minidl and in PyTorch.

    python -m benchmarks.ops [--layers conv,pool ...] [--json] [--quick] [--write]

Measured as the training steps are (benchmarks/train_step.py), with the same gradient handed back on
both sides: two threads each, in alternation, PyTorch in both memory formats. --layers chooses those
whose names contain one of the words. --write puts the table into RESULTS.md; that of chosen layers
into a section of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import minidl
from benchmarks.compare import (
    against_torch,
    compare,
    measure_all,
    options_of,
    rounds_in_words,
    serve_worker,
    words_of,
    write_comparison,
)
from benchmarks.steps import FORMATS, THREADS, use_threads
from minidl import nn
from minidl.kernels.layout import BATCH_LAST, CHANNELS_LAST, arranged, logical


@dataclass(frozen=True)
class Layer:
    """A layer as both libraries have it.

    Args:
        make: makes it from the modules of minidl.nn or torch.nn, which have the same names.
        shape: of the input.
        of_input: the gradient of the input is wanted; not so for what reads the pictures.
        order: how minidl's layer before leaves its output in memory.
    """

    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    of_input: bool = True
    order: tuple[int, ...] = CHANNELS_LAST


def conv(C: int, K: int, window: int, pixels: int, N: int, **options: Any) -> Layer:
    return Layer(
        lambda nn: nn.Conv2d(C, K, window, **options), (N, C, pixels, pixels), of_input=C > 3
    )


# Channels, pixels, window and stride: those of EfficientNet-Lite0 (Tan and Le 2019).
DEPTHWISE = [
    (32, 112, 3, 1), (96, 112, 3, 2), (144, 56, 3, 1), (144, 56, 5, 2), (240, 28, 5, 1),
    (240, 28, 3, 2), (480, 14, 3, 1), (480, 14, 5, 1), (672, 14, 5, 1), (672, 14, 5, 2),
    (1152, 7, 5, 1), (1152, 7, 3, 1),
]  # fmt: skip

LAYERS = {
    "lenet conv1 5x5": conv(1, 6, 5, 32, 64),
    "lenet conv2 5x5": replace(conv(6, 16, 5, 14, 64), order=BATCH_LAST),
    "alexnet conv1 11x11 / 4": conv(3, 96, 11, 227, 32, stride=4),
    "alexnet conv2 5x5, 2 groups": conv(96, 256, 5, 27, 32, padding=2, groups=2),
    "googlenet conv1 7x7 / 2": conv(3, 64, 7, 224, 8, stride=2, padding=3),
    "googlenet 3a conv1x1": conv(192, 64, 1, 28, 8),
    "googlenet 3a conv5x5": conv(16, 32, 5, 28, 8, padding=2),
    "vgg conv1_2 3x3": conv(64, 64, 3, 224, 1, padding=1),
    "vgg conv3_2 3x3": conv(256, 256, 3, 56, 4, padding=1),
    "vgg conv5_1 3x3": conv(512, 512, 3, 14, 4, padding=1),
    "resnet layer2 conv3x3 / 2": conv(64, 128, 3, 56, 8, stride=2, padding=1),
    "resnet layer1 conv1x1 up": conv(64, 256, 1, 56, 4, bias=False),
    "resnet layer3 conv1x1 down": conv(1024, 256, 1, 14, 4, bias=False),
    "resnet shortcut conv1x1 / 2": conv(256, 512, 1, 56, 4, stride=2, bias=False),
    "resnet20 layer1 conv3x3": conv(16, 16, 3, 32, 128, padding=1, bias=False),
    **{
        f"lite0 depthwise {window}x{window} / {stride}, {C} x {pixels}px": conv(
            C, C, window, pixels, 8, stride=stride, padding=window // 2, groups=C, bias=False
        )
        for C, pixels, window, stride in DEPTHWISE
    },
    "gan conv_transpose 4x4 / 2": Layer(
        lambda nn: nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1), (32, 256, 16, 16)
    ),
    "relu": Layer(lambda nn: nn.ReLU(), (8, 64, 112, 112)),
    "batch norm": Layer(lambda nn: nn.BatchNorm2d(64), (8, 64, 112, 112)),
    "batch norm and relu": Layer(
        lambda nn: nn.Sequential(nn.BatchNorm2d(64), nn.ReLU()), (8, 64, 112, 112)
    ),
    "max pool 2x2": Layer(lambda nn: nn.MaxPool2d(2), (4, 64, 224, 224)),
    "max pool 3x3 / 2": Layer(lambda nn: nn.MaxPool2d(3, 2), (32, 96, 55, 55)),
    "global average pool": Layer(lambda nn: nn.AdaptiveAvgPool2d(1), (8, 512, 7, 7)),
    "lrn": Layer(lambda nn: nn.LocalResponseNorm(5), (32, 96, 27, 27)),
    "dropout": Layer(lambda nn: nn.Dropout(0.5), (32, 9216)),
    "linear fc6": Layer(lambda nn: nn.Linear(9216, 4096), (32, 9216)),
    "linear fc6, batch 1": Layer(lambda nn: nn.Linear(9216, 4096), (1, 9216)),
    "linear fc8": Layer(lambda nn: nn.Linear(4096, 1000), (32, 4096)),
    "lstm": Layer(lambda nn: nn.LSTM(512, 512), (20, 32, 512)),
}


def main() -> None:
    parser = options_of(__doc__, "layers", LAYERS)
    options = parser.parse_args()
    if serve_worker(options, lambda side, name: pass_of(side, LAYERS[name])):
        return
    words = words_of(options) or [""]
    names = [name for name in LAYERS if any(word in name for word in words)]
    if not names:
        parser.error(f"no layer has such a name. There are {', '.join(LAYERS)}")
    rows = measure_all(names, measure, describe, options)
    if options.write:
        write(rows, words_of(options))


def measure(name: str, quick: bool) -> dict[str, Any]:
    compared = compare("ops", ("minidl", *FORMATS), name, quick)
    ratios = compared.ratios()
    return {
        "layer": name,
        "input": " x ".join(map(str, LAYERS[name].shape)),
        "ratio": round(min(ratios.values()), 3),
        **{f"ratio_{format_}": round(ratio, 3) for format_, ratio in ratios.items()},
        "ms": round(compared.ms, 3),
        "torch_ms": round(1e3 * min(compared.timings.median(1), compared.timings.median(2)), 3),
        **compared.rounds(),
    }


def pass_of(side: str, layer: Layer) -> Callable:
    """A function that goes through the layer and back once."""
    x = np.random.default_rng(0).standard_normal(layer.shape, np.float32)
    if side == "minidl":
        use_threads()
        module, x = layer.make(nn), minidl.tensor(x, requires_grad=layer.of_input)
        ones_like = minidl.ones_like
        if x.ndim == 4:
            x.data = logical(arranged(x.data, layer.order), layer.order)
    else:
        import torch

        torch.set_num_threads(THREADS)
        module, x = layer.make(torch.nn), torch.from_numpy(x)
        ones_like = torch.ones_like
        if side == "channels_last" and x.ndim == 4:
            module = module.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        x.requires_grad_(layer.of_input)
    leaves = [x, *module.parameters()]
    first = module(x)
    gy = ones_like(first[0] if isinstance(first, tuple) else first)

    def there_and_back():
        for leaf in leaves:
            leaf.grad = None
        y = module(x)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(gy)

    return there_and_back


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['layer']}: {against_torch(row)}, {row['ms']:.2f} ms against "
        f"{row['torch_ms']:.2f}, {rounds_in_words(row)}"
    )


def write(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "layer": "layer", "input": "input", "ratio": "ratio", "NCHW": "ratio_nchw",
        "channels last": "ratio_channels_last", "ms": "ms", "PyTorch ms": "torch_ms",
        "rounds": "rounds",
    }  # fmt: skip
    about = (
        "Forward and backward; PyTorch's time divided by minidl's, the median over rounds; above 1 "
        "minidl is faster. `ratio` is against PyTorch's faster memory format."
    )
    write_comparison("ops", "Single layers against PyTorch", "layers", words, about, columns, rows)


if __name__ == "__main__":
    main()
