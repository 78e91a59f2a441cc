"""The generator that comes with the install."""

from dataclasses import replace

import numpy as np

from apps.draw.presets import completed, from_command_line
from apps.draw.sampling import load_artist
from apps.draw.score.attributes import by_name
from apps.shared.packaged import TRAINED
from minidl.data.flowers import COMBINATIONS, captions, oracle, split_combinations
from tests.apps.conftest import last_json, minidl


def test_it_draws_what_sentences_of_held_out_combinations_say():
    """Far above chance, which is 14, 33, 25 and 50 %; benchmarks/RESULTS.md has the figures."""
    artist, (_, held_out) = load_artist("flowers"), split_combinations()
    chosen = np.random.default_rng(0).permutation(held_out)[:100]
    texts = [captions(COMBINATIONS[n])[i % 4] for i, n in enumerate(chosen)]
    pictures = artist.draw(artist.embed(texts), artist.noise(len(texts), 0))
    right = by_name((oracle.read(pictures) == COMBINATIONS[chosen]).mean(0))
    assert right["color"] > 0.8 and right["background"] > 0.9
    assert right["center"] > 0.5 and right["size"] > 0.8


def test_its_file_is_small():
    assert (TRAINED / "flowers.safetensors").stat().st_size < 1_000_000


def test_it_knows_where_it_came_from():
    meta = load_artist("flowers").meta
    assert meta["settings"]["data"] == "flowers" and meta["steps"] > 0
    assert "held_out" in meta["figures"]


def test_it_is_of_the_recipe_without_options():
    """README says so: `minidl draw train` trains it."""
    settings = load_artist("flowers").settings
    recipe = completed(from_command_line({}), pictures=16_122)  # of flowers
    assert settings == replace(recipe, cpu_kernels=settings.cpu_kernels)


def test_it_is_drawn_with_by_its_name(tmp_path):
    sheet = tmp_path / "sheet.png"
    sentence = "the flower has yellow petals and the center of it is brown"
    result = minidl("draw", "sample", "flowers", sentence, "-n", 2, "-o", sheet, "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.stdout)["unknown"] == [] and sheet.exists()
