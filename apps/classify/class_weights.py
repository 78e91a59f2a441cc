"""How much each class counts in the loss, where they should not count by their frequency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from apps.classify.settings import Settings
from apps.shared import parse
from apps.shared.options import table
from minidl.errors import DataError, nearest

OPTION = table(Settings)["class_weights"]


def class_weights(texts: list[str], classes: list[str], labels: np.ndarray) -> list[float] | None:
    """A factor for each class.

    Args:
        texts: the values of --class-weights: ["balanced"]; [path of a file] with a JSON object
            {"class": factor} or lines `class factor`; or ["class=factor", ...]. A class that is
            not named has the factor 1.
        classes: their names.
        labels: of the training pictures, int (N,).

    Returns:
        the factors in the order of the classes, None where texts is empty.

    Raises:
        OptionError: an unknown class or no number; or all factors are 0.
        DataError: the file cannot be read.
    """
    if not texts:
        return None
    if texts == ["balanced"]:
        return balanced(labels, len(classes))
    if len(texts) == 1 and Path(texts[0]).is_file():
        given = from_file(Path(texts[0]))
    elif len(texts) == 1 and "=" not in texts[0]:
        hint = "balanced, a file, or name=factor for each class with a factor other than 1"
        raise OPTION.refuse("no such file", texts[0], hint)
    else:
        given = parse.factors(OPTION, texts)
    for name in given:
        if name not in classes:
            raise OPTION.refuse("no such class", name, nearest(name, classes))
    factors = [given.get(name, 1.0) for name in classes]
    if not any(factors):
        raise OPTION.refuse("no class counts at all", texts)
    return factors


def balanced(labels: np.ndarray, n: int) -> list[float]:
    """Each class counts the same in all: N / (n * its pictures), as scikit-learn's "balanced"."""
    counts = np.maximum(np.bincount(labels, minlength=n), 1)
    return (len(labels) / (n * counts)).tolist()


def from_file(path: Path) -> dict[str, float]:
    """name -> factor of a JSON object or of lines `name factor` (a name may have spaces)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(
            "class weights", f"the file cannot be read: {reason}", {"--class-weights": str(path)}
        ) from None
    try:
        found: Any = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
        found = {line.rpartition(" ")[0].strip(): line.split()[-1] for line in lines}
    if not isinstance(found, dict) or not found:
        raise DataError(
            "class weights", "class weights are a JSON object or lines `name factor`",
            {"--class-weights": str(path)},
        )  # fmt: skip
    return {name: parse.factor(OPTION, name, str(value)) for name, value in found.items()}
