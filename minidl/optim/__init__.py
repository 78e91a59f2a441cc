"""Optimizers, learning-rate schedules and gradient clipping, under PyTorch's names."""

from minidl.optim.adam import Adam, AdamW
from minidl.optim.clip import clip_grad_norm_, clip_grad_value_
from minidl.optim.optimizer import Optimizer
from minidl.optim.schedule import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from minidl.optim.sgd import SGD

__all__ = [
    "SGD", "Adam", "AdamW", "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LinearLR",
    "MultiStepLR", "Optimizer", "ReduceLROnPlateau", "SequentialLR", "StepLR", "clip_grad_norm_",
    "clip_grad_value_",
]  # fmt: skip
