"""One step of Adagrad on one parameter, see minidl/optim/adagrad.py."""

from __future__ import annotations

import numpy as np


def step(p, g, s, lr, eps, weight_decay):
    """Change p and s, the sum of squares, in place."""
    if weight_decay:
        g = g + weight_decay * p
    s += g * g
    p -= lr * (g / (np.sqrt(s) + eps))
