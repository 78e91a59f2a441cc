"""What the compiled kernels are built from, and algorithms that an operation may choose."""
