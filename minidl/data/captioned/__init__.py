"""Pictures with captions.

dataset = minidl.data.open_captioned("flowers", "train")
dataset.picture(0), dataset.captions[0]
"""

from minidl.data.captioned.check import Report, check_captioned
from minidl.data.captioned.dataset import CaptionedDataset, PictureFiles
from minidl.data.captioned.findings import Finding
from minidl.data.captioned.listing import EmptySplit
from minidl.data.captioned.sources import open_captioned

__all__ = [
    "CaptionedDataset", "EmptySplit", "Finding", "PictureFiles", "Report", "check_captioned",
    "open_captioned",
]  # fmt: skip
