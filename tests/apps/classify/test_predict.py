"""`minidl predict`: files and folders, kinds of pictures, and how the answers are printed."""

import shutil

import numpy as np
import pytest
from PIL import Image

import minidl as library
from apps.classify.evaluation import class_probabilities
from apps.classify.predict import predict
from apps.classify.report.text import show_answer
from apps.classify.views import make_views
from apps.shared.console import Console
from apps.shared.trained import load_trained
from minidl.data import read_picture
from tests.apps.classify.test_evaluate import Terminal
from tests.apps.conftest import NAMES, last_json, minidl, picture


def answers(*arguments):
    result = minidl("predict", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return last_json(result.output)["predictions"]


def test_a_folder_stands_for_its_pictures(trained, halves, tmp_path):
    folder = shutil.copytree(halves / "test", tmp_path / "pictures")
    (folder / "notes.txt").write_text("no picture")
    found = answers(trained, folder)
    expected = sorted(str(path) for path in folder.rglob("*.png"))
    assert [answer["image"] for answer in found] == expected and len(expected) == 18
    assert all(answer["top"][0]["class"] in answer["image"] for answer in found)
    one = answers(trained, expected[7])[0]["top"]  # alone, and among others: the same
    for alone, among in zip(one, found[7]["top"]):
        assert alone["class"] == among["class"]
        assert alone["probability"] == pytest.approx(among["probability"], rel=1e-4)


def test_an_empty_folder(trained, tmp_path):
    result = minidl("predict", trained, tmp_path)
    assert result.exit_code == 2 and "no pictures in the folder" in result.output


@pytest.fixture
def kinds(tmp_path):
    """One picture, kept in many ways that lose nothing."""
    grey = picture("top", np.random.default_rng(3))
    opaque = grey.convert("RGB")
    opaque.putalpha(255)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned clockwise by 90 degrees
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "rgb.png")
    opaque.save(tmp_path / "rgba.png")
    grey.convert("P").save(tmp_path / "palette.gif")
    grey.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    wide = np.asarray(grey).astype(np.uint16) * 256
    Image.fromarray(wide).save(tmp_path / "sixteen.png")
    return tmp_path


def test_kinds_of_pictures(trained, kinds):
    found = {answer["image"]: answer["top"] for answer in answers(trained, kinds)}
    assert len(found) == 6
    expected = found[str(kinds / "grey.png")]
    assert expected[0]["class"] == "top"
    for image, answer in found.items():
        assert [a["class"] for a in answer] == [a["class"] for a in expected], image
        given = [a["probability"] for a in answer]
        assert given == pytest.approx([a["probability"] for a in expected], rel=1e-4), image


def test_a_cmyk_photograph(trained, tmp_path):
    grey = picture("left", np.random.default_rng(4))
    grey.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert answers(trained, tmp_path / "print.jpg")[0]["top"][0]["class"] == "left"


def test_augmented_answers(trained, halves):
    path = halves / "test" / "left" / "3.png"
    network = load_trained(str(trained))
    for tta in ("flip", "10-crop"):
        x = make_views(network.preprocessing, tta)(read_picture(path))[:, None]
        expected = class_probabilities(network.model, library.tensor(x)).mean(axis=0)
        found = {a["class"]: a["probability"]
                 for a in answers(trained, path, "--tta", tta)[0]["top"]}  # fmt: skip
        assert [found[name] for name in NAMES] == pytest.approx(expected.tolist(), rel=1e-5)
    result = minidl("predict", trained, path, "--tta", "flap")
    assert result.exit_code == 2 and "did you mean flip?" in result.output


def test_bad_pictures_among_many(trained, halves, tmp_path):
    good = [halves / "test" / name / "0.png" for name in NAMES]
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    result = minidl("predict", trained, good[0], tmp_path / "bad.png", *good[1:], "--json")
    assert result.exit_code == 2
    report = last_json(result.output)
    assert [a["image"] for a in report["predictions"]] == [str(path) for path in good]
    assert [a["top"][0]["class"] for a in report["predictions"]] == NAMES
    assert [failed["image"] for failed in report["failed"]] == [str(tmp_path / "bad.png")]
    assert report["failed"][0]["error"] == "not a picture"


def test_piped_lines_are_aligned(trained, halves):
    paths = [halves / "test" / "top" / "0.png", halves / "test" / "bottom" / "1.png"]
    result = minidl("predict", trained, *paths)
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].index(" %") == lines[1].index(" %")
    assert lines[0].startswith(f"{paths[0]}:    top ")
    assert lines[1].startswith(f"{paths[1]}: bottom ")


def test_on_a_terminal_each_class_has_a_line():
    out = Console(as_json=False)
    out.stream, out.is_terminal = Terminal(), True
    answer = [{"class": "[b]", "probability": 0.75}, {"class": "x", "probability": float("nan")}]
    show_answer(out, "a.png", answer, (5, 3))
    lines = out.stream.getvalue().splitlines()
    assert len(lines) == 3 and "a.png" in lines[0]
    assert "[b]" in lines[1] and "75.00 %" in lines[1] and lines[1].count("━") == 18
    assert "nan %" in lines[2] and "━" not in lines[2]


def test_pictures_go_through_the_network_together(trained, halves, monkeypatch):
    network = load_trained(str(trained))
    sizes = []
    network.model.register_forward_hook(lambda module, inputs, y: sizes.append(len(inputs[0])))
    paths = [str(path) for path in sorted((halves / "test").rglob("*.png"))]
    assert len(list(predict(network, paths, 1))) == 18 and sizes == [18]
    sizes.clear()
    monkeypatch.setattr("apps.shared.batches.LARGEST_VALUES", 5 * 32 * 32)
    found = [path for path, _ in predict(network, paths, 1)]
    assert found == paths and sizes == [5, 5, 5, 3]
