"""Neural style: what `python -m benchmarks.style` measures, a module for each part."""
