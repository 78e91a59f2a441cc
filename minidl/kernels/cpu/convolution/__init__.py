"""The ways to compute a convolution, among which minidl/kernels/cpu/conv2d.py chooses."""
