"""The network that comes with the install."""

from dataclasses import replace

import numpy as np
from PIL import Image

from apps.caption.captioner import Decoding, captions_of, load_captioner
from apps.caption.recipes import completed, from_command_line
from apps.caption.score.attributes import judged
from apps.shared.packaged import TRAINED
from minidl.data.flowers import COMBINATIONS, draw, split_combinations
from tests.apps.conftest import last_json, minidl


def test_it_says_what_is_on_flowers_of_held_out_combinations():
    """Nearly nothing would be right by chance; benchmarks/RESULTS.md has the figures."""
    captioner, (_, held_out) = load_captioner("flowers"), split_combinations()
    flowers = COMBINATIONS[held_out[::2]]
    pictures = draw(flowers, 32, np.random.default_rng(5))
    said = [best[0].words for best in captions_of([captioner], pictures, Decoding())]
    assert judged(said, flowers)["all_right"] > 0.9
    assert judged(said[1:] + said[:1], flowers)["all_right"] < 0.05


def test_its_file_is_small():
    assert (TRAINED / "flowers_captions.safetensors").stat().st_size < 1_000_000


def test_it_knows_where_it_came_from():
    meta = load_captioner("flowers").meta
    assert meta["settings"]["data"] == "flowers"
    assert meta["figures"]["attributes"]["all_right"] > 0.9


def test_it_is_of_the_recipe_without_options():
    """README says so: `minidl caption train` trains it."""
    settings = load_captioner("flowers").settings
    recipe = completed(from_command_line({}), captions=10_000, pictures=14_161)
    assert settings == replace(recipe, cpu_kernels=settings.cpu_kernels)


def test_it_is_run_by_its_name(tmp_path):
    picture = tmp_path / "flower.png"
    flower = COMBINATIONS[split_combinations()[1][:1]]
    Image.fromarray(draw(flower, 32, np.random.default_rng(0))[0]).save(picture)
    result = minidl("caption", "run", "flowers", picture, "--json")
    assert result.exit_code == 0, result.output
    (one,) = last_json(result.stdout)["pictures"]
    assert "petals" in one["captions"][0]["caption"]
