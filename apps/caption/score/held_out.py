"""The pictures that runs held out of those to train on, where the data name none to validate with.

Which they are follows from the names of all pictures and --val-share. Of another data set the same
share would be pictures that the run never saw, and of data that have changed perhaps pictures that
it learned from: both are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apps.caption.captioner import Captioner
from apps.caption.data import OP, part_of, parted
from apps.caption.settings import Settings
from apps.shared.options import OptionError
from minidl.data.captioned import CaptionedDataset
from minidl.data.loader import split_pipeline
from minidl.errors import DataError

HINT = "choose another --split"


def held_out_by(
    captioners: Sequence[Captioner], sources: Sequence[str], settings: Settings, is_chosen: bool
) -> tuple[CaptionedDataset, CaptionedDataset]:
    """The pictures that all of the runs learned from, and those that all of them held out.

    Args:
        captioners, sources: the runs, and what they were called.
        settings: those of the first, with the data to score with.
        is_chosen: whether the user chose these data, which may be others than those of the run.

    Raises:
        OptionError: a run held none out, or others than the first.
        DataError: the data are not those of the run.
    """
    found = []
    for one, source in zip(captioners, sources):
        own = replace(
            one.settings, data=settings.data, data_dir=settings.data_dir,
            skip_missing=settings.skip_missing,
        )  # fmt: skip
        train, held_out = parted(own)
        if held_out is None:
            received = {"run": source, "--val-share": own.val_share}
            raise OptionError("the run held no pictures out", received, HINT)
        check_data_of_run(one, source, train, settings.data, is_chosen)
        if found and held_out.names != found[0][1].names:
            raise OptionError(
                "the runs held out other pictures",
                {name: run.settings.val_share for name, run in zip(sources, captioners)},
                f"{HINT}, or score them alone",
            )  # fmt: skip
        found.append((train, held_out))
    return found[0]


def check_data_of_run(
    captioner: Captioner, source: str, train: CaptionedDataset, data: str, is_chosen: bool
) -> None:
    """These pictures are those that the run learned from, as far as its file tells.

    Raises:
        DataError
    """
    facts = {"pictures", "captions", "content"} & captioner.meta.keys()  # of a run folder
    if not facts:
        differ = is_chosen
    else:
        geometry, _ = split_pipeline(captioner.preprocessing)
        now = part_of(train, geometry).facts
        differ = any(now[name] != captioner.meta[name] for name in facts)
    if differ:
        rule = "which pictures of these data the run held out is not known"
        raise DataError(OP, rule, {"data": data, "run": source}, f"the run's own data, or {HINT}")
