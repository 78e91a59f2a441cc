"""One step of SGD on one parameter, see minidl/optim/sgd.py."""

from __future__ import annotations


def step(p, g, v, lr, momentum, dampening, weight_decay, nesterov):
    """Change p in place, and with momentum v, too; without, v is None."""
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        v *= momentum
        v += (1 - dampening) * g if dampening else g
        g = g + momentum * v if nesterov else v
    p -= lr * g
