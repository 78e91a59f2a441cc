"""Kernels in NumPy, written to be read: what the operation means, one step after the other."""
