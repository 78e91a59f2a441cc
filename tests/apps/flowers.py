"""A few drawn flowers with their captions, in memory and in files."""

import json

import numpy as np
from PIL import Image

from minidl.data.captioned import CaptionedDataset
from minidl.data.flowers import COMBINATIONS, captions, draw

CLASSES = [0, 1, 97, 193, 194, 400, 401, 600, 800, 801, 1100, 1343]


def made_up(per_class=4, seed=0):
    """Pictures of the classes above with their captions."""
    numbers = np.repeat(CLASSES, per_class)
    pictures = draw(COMBINATIONS[numbers], 32, np.random.default_rng(seed))
    texts = [captions(COMBINATIONS[number]) for number in numbers]
    return CaptionedDataset(pictures, texts, numbers)


def write_jsonl(folder):
    """A file with 48 pictures to learn from and 12 to test; its path."""
    with open(folder / "flowers.jsonl", "w") as file:
        for split, dataset in (("train", made_up()), ("test", made_up(1, seed=1))):
            for i in range(len(dataset)):
                name = f"{split}-{i}.png"
                Image.fromarray(dataset.picture(i)).save(folder / name)
                line = {"image": name, "captions": dataset.captions[i], "split": split,
                        "class": str(dataset.classes[i])}  # fmt: skip
                print(json.dumps(line), file=file)
    return folder / "flowers.jsonl"
