"""The names of ImageNet's classes are in the order of the scores."""

from models.weights.imagenet import class_names

KNOWN = {
    0: "tench", 1: "goldfish", 134: "crane (bird)", 207: "golden retriever",
    208: "Labrador retriever", 281: "tabby", 388: "giant panda", 517: "crane (machine)",
    638: "maillot", 639: "tank suit", 817: "sports car", 985: "daisy", 999: "toilet tissue",
}  # fmt: skip


def test_there_are_a_thousand_that_differ():
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert all(name == name.strip() and name for name in names)


def test_known_places():
    assert {place: class_names()[place] for place in KNOWN} == KNOWN
