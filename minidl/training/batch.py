"""What a batch is: a pair (inputs, targets), each a Tensor or a structure of Tensors.

    targets   handed to the loss and the metrics as they are; None where there are none
    inputs    handed to the model: a tuple or list as positional arguments, a dict as keyword
              arguments, anything else as the only argument

    pictures, labels                                model(pictures)             classification
    (pictures, words), (next_words, lengths)        model(pictures, words)      captioning
    {"noise": z, "text": t}, pictures               model(noise=z, text=t)      text-to-image
    pictures, None                                  model(pictures)             a plain GAN

Text, numbers and None may stand beside the Tensors; NumPy arrays may not, as no operation of
minidl would take them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.shapes import is_number
from minidl.tensor import Tensor

PAIR = "the loader gives pairs (inputs, targets)"


def split_batch(op: str, batch: Any) -> tuple[Any, Any]:
    """(inputs, targets) of what a loader gave.

    Raises:
        ArgumentError: it is no pair.
    """
    if isinstance(batch, Tensor):
        raise ArgumentError(op, PAIR, {"batch": batch}, "without targets: (inputs, None)")
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        is_row = isinstance(batch, tuple | list)
        hint = "group what belongs together: ((pictures, words), lengths)" if is_row else ""
        received = type(batch).__name__ + (f" of {len(batch)}" if is_row else "")
        raise ArgumentError(op, PAIR, {"batch": received}, hint)
    return batch[0], batch[1]


def call_model(model: Any, inputs: Any) -> Any:
    """The model's outputs for the inputs of a batch."""
    if isinstance(inputs, tuple | list):
        return model(*inputs)
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(inputs)


def count_examples(op: str, inputs: Any, targets: Any) -> int:
    """How many examples a batch has: the rows of the first Tensor of targets, else of inputs.

    Raises:
        ArgumentError: there is no Tensor, or it has no rows.
    """
    tensors = [*checked_tensors(op, "targets", targets), *checked_tensors(op, "inputs", inputs)]
    if not tensors:
        raise ArgumentError(
            op, "a batch holds Tensors", {"inputs": inputs, "targets": targets},
            "wrap lists of numbers: minidl.tensor(labels)",
        )  # fmt: skip
    if tensors[0].data.ndim == 0 or len(tensors[0]) == 0:
        rule = "a batch has one or more examples, and its first Tensor a row for each of them"
        raise ArgumentError(op, rule, {"inputs": inputs, "targets": targets})
    return len(tensors[0])


def checked_tensors(op: str, name: str, value: Any) -> Iterator[Tensor]:
    """The Tensors of a structure, in order.

    Raises:
        ArgumentError: an array is among them.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, np.ndarray):
        raise ArgumentError(
            op,
            f"the arrays of {name} are Tensors",
            {name: value},
            f"wrap it: minidl.tensor({name})",
        )
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from checked_tensors(op, f"{name}[{key!r}]", part)
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from checked_tensors(op, f"{name}[{index}]", part)


def weigh(op: str, weight: Callable | None, count: int, inputs: Any, targets: Any) -> float:
    """What a batch counts in means: `weight` of it, or without one its number of examples.

    Raises:
        ArgumentError: weight returned something else than a number > 0.
    """
    if weight is None:
        return count
    value = weight(inputs, targets)
    if isinstance(value, Tensor) and value.data.size == 1:
        value = value.item()
    if not is_number(value) or not 0 < value < float("inf"):
        raise ArgumentError(op, "weight returns a number > 0 for a batch", {"returned": value})
    return value
