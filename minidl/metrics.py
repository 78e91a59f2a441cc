"""The public name of minidl/training/metrics.py: what is measured while a model learns."""

from minidl.training.metrics import Accuracy, Metric

__all__ = ["Accuracy", "Metric"]
