"""The training loop: fit, what a run remembers, and the callbacks that look on."""
