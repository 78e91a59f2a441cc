"""The folder of a drawing run: a text encoder's run in encoder/, and that of the two networks.

encoder/checkpoint.safetensors   phase 1; its metrics and TensorBoard events beside it
checkpoint.safetensors           phase 2: both networks, the text encoder, the average
samples/step-000500.png          the same captions, drawn again and again
generator.safetensors            what draws, alone, as float16; when the run has ended
run.json, metrics.jsonl, report.html, events.out.tfevents...
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.shared.options import OptionError
from apps.shared.run_folder import CHECKPOINT, open_run
from minidl.errors import CheckpointError

KIND = "drawing"  # of generator.safetensors
RUN_KIND, ENCODER_KIND = "drawing run", "draw encoder"  # of the checkpoints
ENCODER = "encoder"
SAMPLES = "samples"
GENERATOR = "generator.safetensors"


def open_drawing_run(run: str, output: str | None = None) -> tuple[Path, dict[str, Any]]:
    """A run to go on with, in whichever phase it was stopped.

    Args:
        run: the value of --resume.
        output: the value of --output, which may only repeat it.

    Returns:
        the folder, and what its checkpoint holds beside the weights.

    Raises:
        OptionError: the two contradict each other, or `run` is a file.
        CheckpointError: there is no run, its checkpoint is damaged, or it is of another command.
    """
    folder = Path(run)
    first = folder / ENCODER / CHECKPOINT
    if (folder / CHECKPOINT).exists() or not first.exists():
        folder, checkpoint = open_run(run, output)
        check_kind(folder, checkpoint.meta, RUN_KIND)
        return folder, checkpoint.meta
    if output is not None and Path(output).resolve() != folder.resolve():
        raise OptionError(
            "a resumed run stays in its folder", {"--resume": run, "--output": output}
        )
    meta = open_run(str(first.parent))[1].meta
    check_kind(first.parent, meta, ENCODER_KIND)
    return folder, meta


def check_kind(folder: Path, meta: dict[str, Any], kind: str) -> None:
    """A checkpoint is one of `minidl draw train`, and of the phase that its folder is for.

    Raises:
        CheckpointError
    """
    if meta.get("kind") == kind:
        return
    rule = "the run is not one of minidl draw train"
    hint = "go on by the command that began it"
    if meta.get("kind") == ENCODER_KIND:
        rule = "the folder is a part of a run, its text encoder"
        hint = f"{folder.parent} is the run"
    raise CheckpointError("draw train", rule, {"run": str(folder)}, hint)
