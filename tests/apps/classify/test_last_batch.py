"""An epoch does not end with a batch that batch norm cannot average."""

from minidl.io import load_checkpoint
from tests.apps.conftest import minidl


def test_a_last_batch_of_one_picture_is_left_out(trained, halves, tmp_path):
    count, _ = load_checkpoint(trained / "checkpoint.safetensors").meta["pictures"]
    result = minidl(
        "train", "resnet18", "--model-arg", "width=0.125", "--size", 32, "--data", halves,
        "--epochs", 1, "--batch-size", count - 1, "--output", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
