"""Files: checkpoints that survive a crash, and weights of other libraries; none runs code."""

from minidl.io import onnx
from minidl.io.checkpoint import CheckpointContent, load_checkpoint, save_checkpoint
from minidl.io.weights.file import WeightsFile
from minidl.io.weights.read import read_weights
from minidl.io.weights.write import write_weights

__all__ = [
    "CheckpointContent", "WeightsFile", "load_checkpoint", "onnx", "read_weights",
    "save_checkpoint", "write_weights",
]  # fmt: skip
