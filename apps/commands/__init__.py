"""The commands of `minidl`, a file for each group. Each checks its options, calls one function of
apps, prints.

Imports that take long are inside the commands, so that `minidl --help` answers at once.
"""

from apps.commands import data, evaluate, lr_find, models, onnx, train, weights
from apps.commands.app import app

__all__ = ["app", "data", "evaluate", "lr_find", "models", "onnx", "train", "weights"]
