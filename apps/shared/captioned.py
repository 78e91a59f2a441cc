"""Options of applications that learn from pictures with captions: which data, how they are read."""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import FREE, Option, at_least, option
from apps.shared.settings import DATA
from minidl.data.captioned.sources import DRAWN, NAMES

__all__ = ["DRAWN", "CaptionedOptions"]

FILES = (
    "or a path: a .jsonl or .csv file with pictures and captions, Karpathy's .json of COCO or "
    "Flickr, a folder of pictures with a .txt beside each, or a folder in Reed's layout "
    "(Oxford-102, CUB)."
)


def source(option: Option, text: str) -> str:
    """The name of a data set as it is; an existing path made absolute."""
    return text if text in NAMES else parse.path_or_name(option, text)


@dataclass(kw_only=True)
class CaptionedOptions:
    """Which pictures with captions, and how they are read."""

    data: str = option(DATA, f"{', '.join(NAMES)}, {FILES}", metavar="NAME|PATH", parse=source)
    data_dir: str | None = option(
        DATA, "Folder in which to look for data first.", default=None, parse=parse.path_or_name,
        resume=FREE,
    )  # fmt: skip
    skip_missing: bool = option(
        DATA, "Leave out lines whose pictures are missing; by default they are listed and refused.",
        default=False,
    )  # fmt: skip
    workers: int = option(
        DATA, "Threads that prepare batches; 0: none.", default=1, check=at_least(0), resume=FREE
    )
