"""One step of Adam on one parameter, see minidl/optim/adam.py."""

from __future__ import annotations

import math

import numpy as np


def step(p, g, m, v, largest, t, lr, beta1, beta2, eps, weight_decay, decay):
    """Change p, m and v in place, and for AMSGrad `largest`, which is None otherwise.

    t is the number of the step, from 1. weight_decay is Adam's, decay AdamW's.
    """
    if weight_decay:
        g = g + weight_decay * p
    if decay:
        p *= 1 - lr * decay
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * (g * g)
    if largest is not None:
        v = np.maximum(largest, v, out=largest)
    denominator = np.sqrt(v) / math.sqrt(1 - beta2**t)
    p -= lr / (1 - beta1**t) * (m / (denominator + eps))
