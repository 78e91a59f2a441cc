"""ONNX: networks as files that other runtimes execute, and theirs as Modules."""
