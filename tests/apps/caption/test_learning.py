"""What is learned from pictures: a network that does not look at them fails here."""

import json

import numpy as np
import pytest
from PIL import Image

from apps.caption.captioner import Decoding, captions_of, load_captioner
from apps.caption.score.attributes import judged
from minidl.data.flowers import ATTRIBUTES, COMBINATIONS, captions, draw
from tests.apps.conftest import minidl

COLUMNS = [ATTRIBUTES.index(name) for name in ("color", "shape", "background", "size")]
ALIKE = COMBINATIONS[(COMBINATIONS[:, COLUMNS] == [0, 0, 0, 1]).all(1)]  # in all but two


@pytest.mark.slow
def test_petals_and_centers_of_new_pictures(tmp_path):
    flowers = np.repeat(ALIKE, 40, axis=0)
    pictures = draw(flowers, 32, np.random.default_rng(0))
    with open(tmp_path / "alike.jsonl", "w") as file:
        for i, (flower, picture) in enumerate(zip(flowers, pictures)):
            Image.fromarray(picture).save(tmp_path / f"{i}.png")
            line = {"image": f"{i}.png", "caption": captions(flower)[2], "split": "train"}
            print(json.dumps(line), file=file)
    run = tmp_path / "run"
    result = minidl(
        "caption", "train", "--data", tmp_path / "alike.jsonl", "--cnn", "small", "--size", 32,
        "--epochs", 12, "--batch-size", 16, "--val-share", 0, "--output", run,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    new = draw(ALIKE, 32, np.random.default_rng(1))
    said = [best[0].words for best in captions_of([load_captioner(str(run))], new, Decoding())]
    assert judged(said, ALIKE)["all_right"] > 0.8
    assert judged(said[1:] + said[:1], ALIKE)["all_right"] < 0.2
