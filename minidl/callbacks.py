"""What can watch and steer a training run; Callback says when each method is called."""

from minidl.training.callback import Callback
from minidl.training.callbacks.average import AverageWeights
from minidl.training.callbacks.checkpoint import Checkpoint
from minidl.training.callbacks.clip import ClipGradients
from minidl.training.callbacks.early_stopping import EarlyStopping
from minidl.training.callbacks.metrics_file import Metrics
from minidl.training.callbacks.nan import StopOnNaN
from minidl.training.callbacks.progress import Progress
from minidl.training.callbacks.schedule import Schedule
from minidl.training.callbacks.tensorboard import TensorBoard

__all__ = [
    "AverageWeights", "Callback", "Checkpoint", "ClipGradients", "EarlyStopping", "Metrics",
    "Progress", "Schedule", "StopOnNaN", "TensorBoard",
]  # fmt: skip
