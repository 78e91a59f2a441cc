"""The public name of minidl/training/callbacks: what can watch and steer a training run."""

from minidl.training.callbacks import (
    Callback,
    Checkpoint,
    ClipGradients,
    EarlyStopping,
    Metrics,
    Progress,
    Schedule,
    StopOnNaN,
    TensorBoard,
)

__all__ = [
    "Callback", "Checkpoint", "ClipGradients", "EarlyStopping", "Metrics", "Progress", "Schedule",
    "StopOnNaN", "TensorBoard",
]  # fmt: skip
