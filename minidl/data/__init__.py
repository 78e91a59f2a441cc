"""Data: data sets on disk and in archives, with labels or captions, transforms, the loader, text.

dataset = minidl.data.open_dataset("digits", "train")
loader = minidl.data.DataLoader(dataset, batch_size=64, shuffle=True)
for x, labels in loader: ...
"""

from minidl.data import transforms
from minidl.data.captioned import CaptionedDataset, open_captioned
from minidl.data.dataset import ArrayDataset, Dataset, Subset, split_dataset
from minidl.data.digits import load_digits
from minidl.data.fetch import fetch
from minidl.data.idx import read_idx
from minidl.data.loader import DataLoader
from minidl.data.mixup import Mixup
from minidl.data.pictures import PictureDataset, read_picture
from minidl.data.sources import available, open_dataset
from minidl.data.statistics import channel_statistics
from minidl.data.text import Vocabulary, pad_sequences, tokenize

__all__ = [
    "ArrayDataset", "CaptionedDataset", "DataLoader", "Dataset", "Mixup", "PictureDataset",
    "Subset", "Vocabulary", "available", "channel_statistics", "fetch", "load_digits",
    "open_captioned", "open_dataset", "pad_sequences", "read_idx", "read_picture", "split_dataset",
    "tokenize", "transforms",
]  # fmt: skip
