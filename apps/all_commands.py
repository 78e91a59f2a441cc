"""The commands of `minidl`. Each checks its options, calls one function of apps, prints.

Imports that take long are inside the commands, so that `minidl --help` answers at once.
"""

from apps.classify.commands import evaluate, lr_find, train
from apps.files import data, models, onnx, weights
from apps.shared.command_line import app

__all__ = ["app", "data", "evaluate", "lr_find", "models", "onnx", "train", "weights"]
