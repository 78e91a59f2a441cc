"""Figures of sentences: attributes read back, what they are compared with, the command."""

import html
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from apps.caption.captioner import Decoding, captions_of, load_captioner
from apps.caption.data import part_of, parted
from apps.caption.results import extremes
from apps.caption.samples import Samples
from apps.caption.score.attributes import judged, named_attributes
from apps.caption.score.baselines import (
    agreement,
    ceiling_of_templates,
    most_frequent,
    nearest_captions,
)
from apps.caption.score.measure import measure
from apps.caption.search import Caption
from apps.shared.alarm import PATIENCE, Alarm
from minidl.data import CaptionedDataset, tokenize, transforms
from minidl.data.flowers import ATTRIBUTES, COMBINATIONS, captions, describe
from minidl.data.flowers.captions import OXFORD_SENTENCES
from minidl.data.flowers.extended import CLASSES, FIRST_CLASS, extended_captions
from tests.apps.caption.conftest import arguments
from tests.apps.conftest import last_json, minidl


@pytest.mark.parametrize("number", range(0, len(COMBINATIONS), 41))
def test_every_caption_names_its_six_attributes(number):
    flower = COMBINATIONS[number]
    for text in captions(flower):
        assert named_attributes(tokenize(text)) == describe(flower), text


def test_captions_of_extended_flowers_name_what_is_their_own():
    for number, (kind, row) in enumerate(CLASSES, FIRST_CLASS):
        for text in extended_captions(number):
            found = named_attributes(tokenize(text))
            assert row.items() <= found.items(), text
            besides = {"shape"} if "shape" in kind.fixed else set()
            besides |= {name for name in kind.fixed if name not in ATTRIBUTES}
            assert found.keys() == row.keys() | besides, text


def test_what_is_said_besides_is_named_too():
    found = named_attributes(tokenize(OXFORD_SENTENCES[-1]))
    assert found == {"color": "orange", "shape": "round", "ruffled": True}


@pytest.mark.parametrize(
    "text",
    ["", "a flower", "a large yellow flower", "yellow yellow yellow", "the petals are yellow",
     "a large yellow flower with five round petals and a brown center on a yellow background"],
)  # fmt: skip
def test_what_fits_no_template_names_nothing(text):
    assert named_attributes(text.split()) == {}


def test_what_is_right():
    flowers = COMBINATIONS[[0, 0, 0, 0]]
    true = tokenize(captions(flowers[0])[2])
    wrong = tokenize(captions(COMBINATIONS[-1])[2])
    few = "a red flower with a yellow center".split()
    found = judged([true, wrong, few, ["a"]], flowers)
    assert found["all_right"] == 1 / 4  # `few` is silent about four attributes
    assert found["nothing_wrong"] == 2 / 4
    assert found["attributes"]["color"] == 2 / 4
    assert found["attributes"]["count"] == 1 / 4
    extra = tokenize(OXFORD_SENTENCES[3])  # white petals with a yellow center
    assert judged([extra], flowers[:1])["nothing_wrong"] == 0


def test_the_caption_of_the_picture_that_looks_most_alike():
    known = np.array([[1.0, 0], [0, 5], [-1, 0]])
    texts = [[["east"], ["right"]], [["north"]], [["west"]]]
    found = nearest_captions(np.array([[0.1, 0.2], [9, 1], [-3, 1]]), known, texts)
    assert found == [["north"], ["east"], ["west"]]


def test_the_most_frequent_caption():
    assert most_frequent([["A rose.", "red"], ["a tulip"], ["a tulip", "red"]]) == ["red"]


def test_the_ceiling():
    texts = [[tokenize(text) for text in captions(COMBINATIONS[n])] for n in (0, 400, 900)]
    each = [measure([one[k] for one in texts], texts)[0]["cider_d"] for k in range(9)]
    said = [texts[1][4], texts[1][4], texts[2][4]]  # the first is of another flower
    found = ceiling_of_templates(said, texts)
    assert found["best"] == max(each) and found["mean"] == pytest.approx(np.mean(each))
    assert found["faultless"] == pytest.approx(each[4])
    assert ceiling_of_templates([["a"]] * 3, texts)["faultless"] == pytest.approx(np.mean(each))
    assert 0 < agreement(texts)["agreement"] < found["best"]
    assert agreement([[["a"]], [["b"]]]) is None


def test_the_command(captioning_run):
    words = ("caption", "score", captioning_run, "--max-words", 8, "--json")
    result = minidl(*words)
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    assert found["pictures"] == 12 and set(found["said"]) == set(found["nearest"])
    assert "nearest training picture's" in result.output and found["ceiling"]["agreement"] > 0
    train = last_json(minidl(*words, "--split", "train").stdout)
    assert "nearest" not in train and train["pictures"] == 48
    assert minidl(*words, "--split", "tests").exit_code == 2


def test_the_pictures_that_the_run_held_out(captioning_run, jsonl):
    captioner = load_captioner(str(captioning_run))
    _, held_out = parted(captioner.settings)
    known = json.loads((captioning_run / "run.json").read_text())
    pictures = [held_out.picture(i) for i in range(len(held_out))]
    said = [best[0].words for best in captions_of([captioner], pictures, Decoding(max_words=8))]
    references = [[tokenize(text) for text in texts] for texts in held_out.captions]
    words = ("caption", "score", captioning_run, "--max-words", 8, "--split", "val", "--json")
    result = minidl(*words)
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    assert found["pictures"] == known["validation"] == len(held_out) == 12
    assert found["said"] == json.loads(json.dumps(measure(said, references)[0]))
    assert found["nearest"]["cider_d"] < 9  # none is its own nearest
    assert last_json(minidl(*words, "--data", jsonl).stdout)["said"] == found["said"]


def test_pictures_that_no_run_held_out(captioning_run, jsonl, tmp_path):
    def refused(*words):
        result = minidl("caption", "score", "--split", "val", *words)
        assert result.exit_code == 2 and "choose another --split" in result.output
        return result.output

    other = jsonl.with_name("other.jsonl")
    lines = jsonl.read_text().splitlines()
    other.write_text("\n".join(lines[1:]))
    assert "is not known" in refused(captioning_run, "--data", other)
    assert "is not known" in refused(captioning_run / "captioner.safetensors", "--data", jsonl)
    for share, says in ((0, "held no pictures out"), (0.4, "held out other pictures")):
        run = tmp_path / str(share)
        few = ("--epochs", 1, "--val-share", share)
        assert minidl(*arguments(jsonl, run, *few)).exit_code == 0
        runs = (run,) if share == 0 else (captioning_run, run)
        assert says in refused(*runs)


def test_data_without_training_pictures(captioning_run, jsonl):
    data = jsonl.with_name("test alone.jsonl")
    lines = jsonl.read_text().splitlines()
    data.write_text("\n".join(line for line in lines if '"split": "test"' in line))
    words = ("caption", "score", captioning_run, "--data", data, "--max-words", 8, "--json")
    result = minidl(*words)
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    assert found["pictures"] == 12 and "nearest" not in found
    result = minidl(*words, "--split", "train")
    assert result.exit_code == 2 and "choose another --split" in result.output


def test_an_ensemble(captioning_run, jsonl, tmp_path):
    other = tmp_path / "other"
    assert minidl(*arguments(jsonl, other, "--epochs", 1, "--seed", 1)).exit_code == 0
    words = ("caption", "score", "--max-words", 8, "--json")
    one, two, both = (
        last_json(minidl(*words, *runs).stdout)["said"]
        for runs in ((captioning_run,), (other,), (captioning_run, other))
    )
    assert one != both != two


def test_networks_of_other_words_do_not_speak_together(captioning_run, jsonl, tmp_path):
    other = tmp_path / "other"
    assert minidl(*arguments(jsonl, other, "--epochs", 1, "--min-count", 9)).exit_code == 0
    result = minidl("caption", "score", captioning_run, other)
    assert result.exit_code == 2 and "know the same words" in result.output
    ours, others = (load_captioner(str(run)).vocabulary for run in (captioning_run, other))
    alone = next(word for word in ours.words if word not in others)
    assert f"{len(ours)} words, {alone!r} here alone\n" in result.output


def test_data_with_missing_pictures(captioning_run, jsonl):
    lines = jsonl.read_text().splitlines()
    data = jsonl.with_name("some missing.jsonl")
    data.write_text("\n".join([*lines, lines[-1].replace("test-11.png", "gone.png")]))
    words = ("caption", "score", captioning_run, "--data", data, "--max-words", 8, "--json")
    result = minidl(*words)
    assert result.exit_code == 2 and "with --skip-missing" in result.output
    result = minidl(*words, "--skip-missing")
    assert result.exit_code == 0, result.output
    assert last_json(result.stdout)["pictures"] == 12


# --- the alarm ----------------------------------------------------------------------------------


def alarm_of(texts, distinct):
    """Whether the alarm rings for a share of different sentences about pictures with these."""
    pictures = np.zeros((len(texts), 8, 8, 3), np.uint8)
    part = part_of(CaptionedDataset(pictures, [[text] for text in texts]), transforms.Compose([]))
    samples, said = Samples(None, part, None, "val_"), []
    alarm = Alarm(samples.troubles(), said.append)
    for epoch in range(PATIENCE):
        metrics = {"val_distinct": distinct}
        alarm.on_epoch_end(SimpleNamespace(epoch=epoch, step=epoch + 1, metrics=metrics))
    return bool(said)


def test_the_alarm_rings_where_it_says_the_same_of_all():
    different = [f"flower {i}" for i in range(40)]
    assert alarm_of(different, 1 / 40) and alarm_of(different, 2 / 40)
    assert not alarm_of(different, 5 / 40)
    assert not alarm_of(["a flower"] * 40, 1 / 40)  # people say the same of all, too
    assert alarm_of(["a rose"] * 20 + ["a tulip"] * 20, 1 / 40)
    assert not alarm_of(["a rose"] * 20 + ["a tulip"] * 20, 2 / 40)


# --- the best and the worst ---------------------------------------------------------------------


def test_each_sentence_is_shown_once_among_the_best_and_the_worst():
    texts = [["a rose"]] * 4 + [["an oak"]] * 4
    pictures = np.zeros((8, 8, 8, 3), np.uint8)
    part = part_of(CaptionedDataset(pictures, texts), transforms.Compose([]))
    words = ["rose", "rose", "tulip", "tulip", "oak", "elm", "ash", "ash"]
    said = [Caption(["a", word], [], 0.0, []) for word in words]
    best, worst = extremes(part, said, np.array([9, 8, 7, 6, 5, 4, 1, 0]))
    assert [(one.said.words[1], one.score) for one in best] == [("rose", 9), ("tulip", 7)]
    assert [(one.said.words[1], one.score) for one in worst] == [("ash", 0), ("elm", 4)]


def test_no_picture_is_among_the_best_and_the_worst():
    part = part_of(
        CaptionedDataset(np.zeros((4, 8, 8, 3), np.uint8), [["a rose"]] * 4), transforms.Compose([])
    )
    said = [Caption(["a", word], [], 0.0, []) for word in ("rose", "rose", "rose", "oak")]
    best, worst = extremes(part, said, np.array([3, 2, 1, 0]))
    assert [one.score for one in best] == [3] and [one.score for one in worst] == [0]


def test_beside_a_sentence_stands_the_nearest_of_its_references(captioning_run, jsonl):
    texts = ["The petals are red, and five.", "a red flower", "It is a rose; it is red."]
    for said, meant in (("a flower", 1), ("it is a red rose", 2), ("petals are red", 0), ("", 0)):
        part = part_of(CaptionedDataset(np.zeros((1, 8, 8, 3), np.uint8), [texts]),
                       transforms.Compose([]))  # fmt: skip
        best, worst = extremes(part, [Caption(said.split(), [], 0.0, [])], np.array([0.0]))
        assert best[0].reference == worst[0].reference == texts[meant]
    page = (captioning_run / "report.html").read_text()
    shown = re.findall('<p class="said">.*?<p class="true">(.*?)</p>', page, re.DOTALL)
    first = [json.loads(line)["captions"][0] for line in jsonl.read_text().splitlines()]
    assert shown and not {html.unescape(text) for text in shown} <= set(first)
