"""One step of RMSprop on one parameter, see minidl/optim/rmsprop.py."""

from __future__ import annotations

import numpy as np


def step(p, g, v, a, b, lr, alpha, eps, weight_decay, momentum):
    """Change p and v in place, and a and b, too, where they are not None.

    a is the running mean of g for a centered step, b the sum of steps for one with momentum.
    """
    if weight_decay:
        g = g + weight_decay * p
    v *= alpha
    v += (1 - alpha) * (g * g)
    if a is not None:
        a += (1 - alpha) * (g - a)
        v = v - a * a
    move = g / (np.sqrt(v) + eps)
    if b is not None:
        b *= momentum
        b += move
        move = b
    p -= lr * move
