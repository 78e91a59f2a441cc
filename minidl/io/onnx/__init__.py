"""ONNX: networks as files that other runtimes execute, and theirs as Modules."""

from minidl.io.onnx.export import save
from minidl.io.onnx.graph import Graph, OnnxModule, Value
from minidl.io.onnx.load import load

__all__ = ["Graph", "OnnxModule", "Value", "load", "save"]
