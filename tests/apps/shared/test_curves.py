"""Charts and table of any metrics: which belong together, what they are called, how they read."""

import re

import numpy as np
import pytest

from apps.shared.curves import curves, short


def epochs(n=3, **metrics):
    """A history; a metric is a function of the epoch."""
    return [{"epoch": e, **{k: f(e) for k, f in metrics.items()}} for e in range(1, n + 1)]


def titles(found):
    return {chart.title: [name for name, _ in chart.legend] for chart in found.charts}


def down(e):
    return 2 / e


def up(e):
    return 1 - 0.5 / e


def test_a_classifier():
    history = epochs(loss=down, accuracy=up, val_loss=down, val_accuracy=up, lr=lambda e: 0.1 / e,
                     seconds=lambda e: 1.5, images_per_second=lambda e: 5000.4)  # fmt: skip
    found = curves(history)
    both = ["training", "validation"]
    assert titles(found) == {"Loss": both, "Accuracy": both, "Learning rate": []}
    assert found.columns == ["epoch", "training loss", "training accuracy", "validation loss",
                             "validation accuracy", "learning rate", "seconds",
                             "pictures per second"]  # fmt: skip
    assert found.rows[1] == ["2", "1.0000", "75.00\u00a0%", "1.0000", "75.00\u00a0%", "0.05", "1.5",
                             "5,000"]  # fmt: skip
    loss = found.charts[0]
    assert loss.legend == [("training", "s0"), ("validation", "s1 dashed")]
    assert "epoch 2 · training 1 · validation 1" in loss.svg
    assert "epoch 2 · training 75\u00a0%" in found.charts[1].svg


def test_a_gan_has_its_losses_in_one_chart():
    found = curves(epochs(lr=down, generator_loss=down, discriminator_loss=up,
                          val_generator_loss=down, real_accuracy=up, fake_accuracy=up))  # fmt: skip
    assert titles(found) == {
        "Loss": ["generator", "generator (validation)", "discriminator"],
        "Accuracy": ["real", "fake"], "Learning rate": [],
    }  # fmt: skip
    styles = [style for _, style in found.charts[0].legend]
    assert styles == ["s0", "s0 dashed", "s1"]  # a colour per metric, dashes for its validation
    assert len(set(re.findall(r'<path class="line ([^"]+)"', found.charts[0].svg))) == 3


def test_each_optimizer_has_its_rate_in_one_chart():
    found = curves(epochs(lr_generator=down, lr_discriminator=up, loss_real=down, loss_fake=up))
    assert titles(found) == {"Loss": ["real", "fake"],
                             "Learning rate": ["generator", "discriminator"]}  # fmt: skip
    assert found.columns[1:3] == ["learning rate generator", "learning rate discriminator"]


def test_parts_of_a_loss_over_steps():
    history = [
        {"iteration": 50 * i, "loss": 3.0 / i, "content_loss": 1.0 / i, "style_loss": 2.0 / i}
        for i in range(1, 5)
    ]
    found = curves(history, over="iteration")
    assert titles(found) == {"Loss": ["loss", "content", "style"]}
    assert "iteration 100" in found.charts[0].svg and found.columns[0] == "iteration"
    assert [row[0] for row in found.rows] == ["50", "100", "150", "200"]


def test_a_metric_of_no_known_kind_has_its_own_chart():
    found = curves(epochs(cider=down, val_cider=down, distinct_share=up, val_bleu_4=up))
    assert titles(found) == {"Cider": ["training", "validation"], "Distinct share": [],
                             "Bleu 4": []}  # fmt: skip
    assert "75\u00a0%" in found.charts[1].svg and "%" not in found.charts[2].svg


def test_groups_of_ones_own():
    history = epochs(bleu_1=up, bleu_4=up, loss=down)
    found = curves(history, groups={"BLEU": {"1": "bleu_1", "4": "bleu_4", "5": "bleu_5"}})
    assert titles(found) == {"BLEU": ["1", "4"], "Loss": []}


def test_metrics_that_come_later_or_are_no_numbers():
    history = [{"epoch": 1, "loss": 1.0, "note": "text", "best": True, "when": None},
               {"epoch": 2, "loss": float("nan"), "val_loss": None, "note": "text"},
               {"epoch": 3, "loss": np.float32(0.5), "val_loss": 0.25}]  # fmt: skip
    found = curves(history)
    assert titles(found) == {"Loss": ["training", "validation"]}
    assert [row[1:] for row in found.rows] == [["1.0000", "-"], ["-", "-"], ["0.5000", "0.2500"]]


def test_only_a_validation():
    assert titles(curves(epochs(val_loss=down))) == {"Loss": []}
    assert "validation loss" in curves(epochs(val_loss=down)).columns


def test_an_empty_history():
    found = curves([])
    assert found.charts == [] and found.rows == []


@pytest.mark.parametrize("values, percent", [([0.5, 1.0], True), ([50.0, 97.0], False)])
def test_accuracy_is_a_percentage_only_between_0_and_1(values, percent):
    history = [{"epoch": i, "accuracy": v} for i, v in enumerate(values)]
    assert ("%" in curves(history).charts[0].svg) == percent
    assert ("%" in curves(history).rows[0][1]) == percent


def test_values_of_any_size_are_readable():
    texts = [short(v) for v in (0, 0.5, 0.0123456, 1.5e-4, -2e-7, 1234.5, 1.25e6)]
    assert texts == ["0", "0.5", "0.01235", "1.5e-4", "-2e-7", "1234", "1.25e6"]
    (row, _) = curves([{"epoch": 1, "loss": 3e-6}, {"epoch": 2, "loss": 1e-6}]).rows
    assert row[1] == "3e-6"
