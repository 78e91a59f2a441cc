"""Errors that say what was wrong, what was received and what to do.

Every error a user can cause is a MinidlError and prints as

    conv2d: weight expects 3 input channels per group, x has 1
      x       (64, 1, 28, 28)
      weight  (6, 3, 5, 5)
      hint: groups=1; did you mean in_channels=1?
      in model: LeNet5.features.0 (Conv2d)

The subclasses also derive from Python's own exception of the same meaning, so that
`except ValueError` keeps working.

What an error says is kept in fields (op, rule, received, hint), and a Hint keeps the arguments that
it names. So a program that was called by other names than Python's, as the command line is, can say
the same in its user's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

SHOWN, LONGEST = 8, 2000  # arrays of a dict or list, and characters of a text, in an error


class Hint(str):
    """A hint that names arguments, each of which a command line may have under another name.

    The text has two kinds of places for them: {name=} becomes name=value, as in an f-string, and
    {name} becomes the value itself, a phrase in Python's words. As a string, a Hint is what a
    Python user reads; `in_words` puts the same into the words of someone else.

    Args:
        text: the hint, with a place for each argument.
        arguments: what goes into the places.

    >>> from minidl.errors import Hint
    >>> hint = Hint("leave the layer out with {fresh=}", fresh=["fc"])
    >>> print(hint)
    leave the layer out with fresh=['fc']
    >>> hint.in_words(lambda name, layers: f"--{name} {layers[0]}")
    'leave the layer out with --fresh fc'
    """

    text: str
    arguments: dict[str, Any]

    def __new__(cls, text: str, **arguments: Any) -> Hint:
        hint = super().__new__(cls, filled(text, arguments, lambda name, value: None))
        hint.text, hint.arguments = text, arguments
        return hint

    def in_words(self, words: Callable[[str, Any], str | None]) -> str:
        """The hint with words(name, value) in each place; None leaves Python's words there."""
        return filled(self.text, self.arguments, words)


def filled(text: str, arguments: dict[str, Any], words: Callable[[str, Any], str | None]) -> str:
    """The text of a Hint with its places filled."""

    def fill(place: re.Match) -> str:
        name, with_name = place.groups()
        if name not in arguments:
            return place.group()  # braces that are the text's own
        said = words(name, arguments[name])
        if said is not None:
            return said
        return f"{name}={arguments[name]!r}" if with_name else str(arguments[name])

    return re.sub(r"\{(\w+)(=?)\}", fill, text)


class MinidlError(Exception):
    """Base of all errors raised for a user's mistake.

    Args:
        op: the operation or function that refuses, as the user calls it ("conv2d").
        rule: the rule that was broken, in one sentence, with the numbers.
        received: name -> value of the arguments that matter. Tensors and arrays print as their
            shape, everything else by repr.
        hint: what to do about it, a Hint where it names arguments.

    Attributes:
        op, rule, received, hint: as above, `received` as text. They may be changed on the way up.
        modules: the modules that the error passed on its way, innermost first.
    """

    def __init__(self, op: str, rule: str, received: dict[str, Any] | None = None, hint: str = ""):
        super().__init__(op, rule)
        self.op = op
        self.rule = rule
        self.received = {name: describe(value) for name, value in (received or {}).items()}
        self.hint = hint
        self.modules: list = []  # innermost first: Module.__call__ adds itself as the error passes

    @property
    def suggests(self) -> dict[str, Any]:
        """The arguments that the hint names, and the values that it proposes for them."""
        return self.hint.arguments if isinstance(self.hint, Hint) else {}

    def __str__(self) -> str:
        return self.text()

    def text(
        self, op: str | None = None, words: Callable[[str, Any], str | None] | None = None
    ) -> str:
        """The error as its user reads it.

        Args:
            op: what refused, in the words of who called it; None for `self.op`.
            words: argument and value -> how they are called there, see Hint.in_words; None for
                Python's words.
        """
        lines = [f"{self.op if op is None else op}: {self.rule}"]
        width = max((len(name) for name in self.received), default=0)
        lines += [f"  {name:<{width}}  {text}" for name, text in self.received.items()]
        hint = self.hint
        if words is not None and isinstance(hint, Hint):
            hint = hint.in_words(words)
        if hint:
            lines.append(f"  hint: {hint}")
        if self.modules:
            lines.append(f"  in model: {module_path(self.modules)}")
        return "\n".join(lines)


class ShapeError(MinidlError, ValueError):
    """The shapes of the arguments do not fit each other or the operation."""


class ArgumentError(MinidlError, ValueError):
    """An argument has a value that the function does not accept."""


class BoundsError(MinidlError, IndexError):
    """An index is outside of the tensor."""


class DtypeError(MinidlError, TypeError):
    """An argument has a type or element type that the function does not accept."""


class GraphError(MinidlError, RuntimeError):
    """The recorded graph cannot be walked: nothing recorded, already freed, ..."""


class ModuleError(MinidlError, AttributeError):
    """A module has no such attribute, or not yet, or not one that can be set so."""


class KernelError(MinidlError, NotImplementedError):
    """No kernel of the chosen set exists for an operation. Never replaced silently by another."""


class DeviceError(MinidlError, RuntimeError):
    """Tensors are on different devices, or the device asked for is not there."""


class DataError(MinidlError, ValueError):
    """A data set, picture or archive is missing, damaged or not what it claims to be."""


class CheckpointError(MinidlError, ValueError):
    """A checkpoint or weight file is missing, damaged or made for another model."""


class NonFiniteError(MinidlError, ArithmeticError):
    """The loss became NaN or infinite."""


def describe(value: Any) -> str:
    """How a value appears in an error: arrays by shape (and dtype unless float32), those in a dict
    or list, too; long texts and what holds a lot shortened."""
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        text = str(tuple(shape))
        return text if str(value.dtype) == "float32" else f"{text} {value.dtype}"
    if isinstance(value, dict) and any(map(is_array, value.values())):
        parts = [f"{key!r}: {describe(part)}" for key, part in islice(value.items(), SHOWN)]
        return f"{{{', '.join(parts + more_than(parts, value))}}}"
    if isinstance(value, list | tuple) and any(map(is_array, value)):
        parts = [describe(part) for part in value[:SHOWN]]
        return f"[{', '.join(parts + more_than(parts, value))}]"
    text = repr(value)
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]} ({len(text):,} characters)"


def is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def more_than(shown: list[str], value: Any) -> list[str]:
    return [f"{len(value) - len(shown)} more"] if len(value) > len(shown) else []


def module_path(modules: list) -> str:
    """'LeNet5.features.0 (Conv2d)' from the modules an error passed, innermost first."""
    outermost, innermost = modules[-1], modules[0]
    path = type(outermost).__name__
    for name, module in outermost.named_modules():
        if module is innermost and name:
            path += f".{name}"
            break
    return f"{path} ({type(innermost).__name__})"


def nearest(word: str, choices) -> str:
    """'did you mean sgd?' for the closest of `choices`, or the list of all of them.

    One that begins with the word is closest: resnet20_cifar, not resnet50, for resnet20; with a
    word of one or two letters the only one that does. Otherwise a quarter of the letters may be
    mistyped, or one of three; of equally near ones that with the word's own letters comes first:
    vgg16, not vgg11, for vgg61.
    """
    choices, word = sorted(str(choice) for choice in choices), str(word).lower()
    near = [choice for choice in choices if choice.startswith(word)]
    if len(word) <= 2 and (not word or len(near) > 1):
        near = []
    if not near:
        ranked = []
        for choice in choices:
            longer, shorter = sorted((len(choice), len(word)), reverse=True)
            allowed = max(1, longer // 4) if longer > 2 else 0
            if longer - shorter > allowed:
                continue  # so many letters are left out or added at least
            typos = typing_errors(word, choice.lower())
            if typos <= allowed:
                ranked.append((typos, sorted(word) != sorted(choice.lower()), choice))
        near = [choice for *_, choice in sorted(ranked)]
    return f"did you mean {near[0]}?" if near else f"one of: {', '.join(choices)}"


def typing_errors(a: str, b: str) -> int:
    """How many letters left out, added, replaced, or swapped with the next make b of a.

    The optimal string alignment distance, row by row: distance[i][j] is that of the first i
    letters of a from the first j of b.
    """
    before, row = [], list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        before, above, row = row, before, [i]
        for j in range(1, len(b) + 1):
            replaced = before[j - 1] + (a[i - 1] != b[j - 1])
            row.append(min(before[j] + 1, row[j - 1] + 1, replaced))
            if i > 1 and j > 1 and a[i - 2 : i] == b[j - 1] + b[j - 2]:
                row[j] = min(row[j], above[j - 2] + 1)
    return row[-1]
