"""Files: checkpoints that survive a crash and run no code when loaded."""

from minidl.io.checkpoint import CheckpointContent, load_checkpoint, save_checkpoint

__all__ = ["CheckpointContent", "load_checkpoint", "save_checkpoint"]
