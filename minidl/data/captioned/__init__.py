"""Pictures with captions."""

from minidl.data.captioned.dataset import CaptionedDataset, PictureFiles
from minidl.data.captioned.findings import Finding

__all__ = ["CaptionedDataset", "Finding", "PictureFiles"]
