"""How a Keras file's kernels are laid out, as far as the file says so itself.

    Keras 2 and 3                kernels (R, S, C, K), whatever the order of the maps
    Keras 1, "tf" ordering       the same
    Keras 1, "th" ordering       (K, C, R, S)
    backend "theano"             kernels turned round in their spatial axes: Theano convolves, the
                                 others correlate. Keras turns them when it loads such a file with
                                 another backend; not the depthwise ones, which it turns itself

The ordering is in the description of the model, layer by layer. A file of weights alone has none:
there the biases tell (a bias beside a kernel of shape (64, 3, 3, 3) has 64 elements), and the last
resort is which two axes are equal.

What follows of the order of the maps is the order of the columns of the first linear layer:
Flatten takes the maps as they are, but with data_format "channels_first" of its own (Keras 2.1.6
and later) it puts the channels last before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl.io.weights import bias_layout
from minidl.io.weights.file import Refused, parsing, short

CHANNELS_FIRST = ("channels_first", "th")


@dataclass
class Layout:
    """What a file says about itself.

    Attributes:
        first: whether it is of Keras 1.
        turned: whether kernels were made for a convolution, and are turned round.
        outputs_first: layer -> whether its kernels are (K, C, R, S); "" for all others.
        flatten_order: "HWC" or "CHW", as WeightsFile has it.
        classes: layer -> its class.
        norms: layer -> the options of a batch norm.
    """

    first: bool = False
    turned: bool = False
    outputs_first: dict[str, bool] = field(default_factory=lambda: {"": False})
    flatten_order: str = "HWC"
    classes: dict[str, str] = field(default_factory=dict)
    norms: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def eps(self) -> dict[str, float]:
        """Layer -> what its batch norm adds to the variance."""
        told = {name: options.get("epsilon") for name, options in self.norms.items()}
        return {name: float(eps) for name, eps in told.items() if isinstance(eps, int | float)}


def described(config: Any) -> Layout:
    """What the description of a model says, JSON as the file has it; "" for none."""
    layout = Layout()
    with parsing("the description of the model"):
        tree = json.loads(config) if isinstance(config, str) and config else {}
    maps_first = False
    for kind, options in layers_in(tree, 0):
        name = options.get("name")
        order = options.get("data_format", options.get("dim_ordering"))
        if isinstance(name, str):
            layout.classes[name] = kind
            if "dim_ordering" in options:
                layout.outputs_first[name] = order in CHANNELS_FIRST
            if kind.startswith("BatchNorm"):
                layout.norms[name] = options
        if kind == "Flatten":
            swaps = maps_first and order in CHANNELS_FIRST
            layout.flatten_order = "CHW" if maps_first and not swaps else "HWC"
        elif order in ("channels_last", "tf", *CHANNELS_FIRST):
            maps_first = order in CHANNELS_FIRST
            layout.flatten_order = "CHW" if maps_first else "HWC"
    return layout


def layers_in(tree: Any, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class and options of each layer in a description, in order."""
    if depth > 100:
        raise Refused("the description of the model is nested more than 100 deep")
    if isinstance(tree, list):
        for part in tree:
            yield from layers_in(part, depth + 1)
    elif isinstance(tree, dict):
        options = tree.get("config")
        if isinstance(options, dict):
            yield str(tree.get("class_name")), {"name": tree.get("name"), **options}
        for part in tree.values():
            yield from layers_in(part, depth + 1)


def seen(kernels: bias_layout.Shapes) -> bool:
    """Whether the kernels of a file of Keras 1 are (K, C, R, S), seen from their shapes.

    Args:
        kernels: the shape of each, of four dimensions, and how long the vectors beside it are.

    Raises:
        Refused: they tell nothing, or tell both.
    """
    by_axes = {s[2] == s[3] for s, _ in kernels if (s[0] == s[1]) != (s[2] == s[3])}
    told = bias_layout.outputs_first(kernels) or by_axes
    if len(told) == 1:
        return told.pop()
    raise Refused(
        'a file of Keras 1 does not say whether its kernels are in "th" or in "tf" ordering',
        {"kernels": short(str([shape for shape, _ in kernels[:3]]))},
        "save it with Keras 2, or the whole model with its description: model.save(...)",
    )


def to_pytorch(array: np.ndarray, layer: str, weight: str, layout: Layout) -> np.ndarray:
    """Kernels with the outputs first; other arrays as they are.

    Args:
        layer: its name, such as the description has; in Keras 3 its class.
        weight: the last part of its name: "kernel", "depthwise_kernel", "gamma"; "conv1_W_1"
            in files of Keras 1.
        layout: of the file.

    Raises:
        Refused: they are whole numbers, as quantised weights are.
    """
    if not re.search(r"kernel$|_W(_\d+)?$", weight):
        return array
    if array.dtype.kind in "iu" and array.ndim > 1:
        raise Refused(
            "the weights are quantised: whole numbers, whose scales are beside them",
            {f"{short(layer)}, {short(weight)}": str(array.dtype)},
            "save the model as it was before quantize()",
        )
    kind = layout.classes.get(layer, layer).lower()
    if weight == "depthwise_kernel" and array.ndim in (3, 4):
        *size, c, m = array.shape  # (*spatial, C, M): output m of channel c
        n = len(size)
        return array.transpose(n, n + 1, *range(n)).reshape(c * m, 1, *size)
    if array.ndim == 2:
        return array.T
    is_row = re.search(r"conv(olution)?1d", kind) is not None
    if array.ndim in (4, 5) or (array.ndim == 3 and is_row):
        first = layout.first and not weight.endswith("kernel")
        array = outputs_first(array, layer, kind, layout, first)
        if layout.turned:
            array = np.flip(array, tuple(range(2, array.ndim)))
        if first and is_row and array.ndim == 4:
            array = array.reshape(*array.shape[:2], -1)
    return array


def outputs_first(
    array: np.ndarray, layer: str, kind: str, layout: Layout, first: bool
) -> np.ndarray:
    """(K, C, *spatial) of a convolution, (C, K, *spatial) of a transposed one."""
    n = array.ndim
    told = first and layout.outputs_first.get(layer, layout.outputs_first[""])
    if first and "1d" in kind:
        told = array.shape[1] != 1  # (R, 1, C, K), or (K, C, R, 1) before Keras 1.2
    if told:
        return array.transpose(1, 0, *range(2, n)) if "deconv" in kind else array
    if first and "deconv" in kind:  # (*spatial, C, K), later (*spatial, K, C)
        return array.transpose(n - 2, n - 1, *range(n - 2))
    return array.transpose(n - 1, n - 2, *range(n - 2))
