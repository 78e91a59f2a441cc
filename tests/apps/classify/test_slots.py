"""minidl train --slots: a batch in parts, whose gradients are added up."""

import pytest

from apps.caption.recipes import from_command_line as caption_settings
from apps.classify.defaults import from_command_line
from apps.shared.options import OptionError
from minidl.io import load_checkpoint
from minidl.training import slots
from tests.apps.conftest import minidl


def test_slots_are_small_batches_that_make_a_step(halves, tmp_path):
    """As with --accumulate, bit for bit; the batch size is that of the step."""
    found = []
    for name, options in (
        ("slots", ["--batch-size", 16, "--slots", 4]),
        ("accumulate", ["--batch-size", 4, "--accumulate", 4]),
    ):
        folder = tmp_path / name
        result = minidl("train", "lenet", "--data", halves, "--epochs", 1, *options,
                        "--clip-grad", 1, "--schedule", "cosine", "--output", folder)  # fmt: skip
        assert result.exit_code == 0, result.output
        found.append(load_checkpoint(folder / "checkpoint.safetensors"))
    ours, theirs = found
    assert ours.run["step"] == theirs.run["step"] > 3
    for name, tensor in theirs.model.items():
        assert ours.model[name].data.tobytes() == tensor.data.tobytes(), name


@pytest.mark.parametrize("settings", [
    lambda **given: from_command_line({"model": "lenet", **given}), lambda **g: caption_settings(g),
])  # fmt: skip
def test_mistakes(settings):
    assert settings(batch_size=12, slots=3).slot_size == 4
    with pytest.raises(OptionError) as caught:
        settings(batch_size=16, slots=3)
    assert "cannot be cut into 3 equal slots" in str(caught.value)
    assert "--batch-size 15 or 18" in str(caught.value)
    with pytest.raises(OptionError, match="--batch-size 3"):
        settings(batch_size=2, slots=3)
    with pytest.raises(OptionError, match="give one of them"):
        settings(batch_size=16, slots=2, accumulate=2)


def test_who_trains_together_has_a_slot_for_each_and_one_folder(tmp_path):
    together = slots.Slots()
    together.default = 4
    slots.use(together)
    try:
        assert from_command_line({"model": "lenet"}).slots == 4
        assert from_command_line({"model": "lenet", "slots": 2}).slots == 2
        assert caption_settings({}).slots == 4
        from apps.shared.run_folder import make_folder

        (tmp_path / "file").touch()
        assert make_folder(str(tmp_path), "a", "") == tmp_path
    finally:
        slots.use(None)
    assert from_command_line({"model": "lenet"}).slots == 1
