"""What can watch and steer a training run: see Callback for the moments they are called at."""

from minidl.callbacks.callback import Callback
from minidl.callbacks.checkpoint import Checkpoint
from minidl.callbacks.clip import ClipGradients
from minidl.callbacks.early_stopping import EarlyStopping
from minidl.callbacks.metrics import Metrics
from minidl.callbacks.nan import StopOnNaN
from minidl.callbacks.progress import Progress
from minidl.callbacks.schedule import Schedule
from minidl.callbacks.tensorboard import TensorBoard

__all__ = [
    "Callback", "Checkpoint", "ClipGradients", "EarlyStopping", "Metrics", "Progress", "Schedule",
    "StopOnNaN", "TensorBoard",
]  # fmt: skip
