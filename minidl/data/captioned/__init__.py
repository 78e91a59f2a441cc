"""Pictures with captions.

dataset = minidl.data.open_captioned("flowers", "train")
dataset.picture(0), dataset.captions[0]
"""

from minidl.data.captioned.check import Report, check_captioned
from minidl.data.captioned.dataset import CaptionedDataset, PictureFiles
from minidl.data.captioned.findings import Finding
from minidl.data.captioned.sources import has_split, open_captioned

__all__ = [
    "CaptionedDataset", "Finding", "PictureFiles", "Report", "check_captioned", "has_split",
    "open_captioned",
]  # fmt: skip
