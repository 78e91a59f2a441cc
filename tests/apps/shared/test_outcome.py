"""How a run ended, whatever decides which of its epochs was best."""

import pytest

from apps.shared.outcome import outcome, sentences, trains_no_further


def epochs_with(name, *values):
    return [{"epoch": i, name: value} for i, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    "monitor, values, best, says",
    [
        ("val_loss", (3.0, 1.0, 2.0, 1.0), 2, "2 epochs without a better validation loss"),
        ("loss", (1.0, float("nan"), 2.0), 1, "2 epochs without a better training loss"),
        ("val_cider", (0.1, 0.5, 0.4, 0.5), 2, "2 epochs without a better validation cider"),
    ],
)
def test_the_metric_decides_which_epoch_is_best(monitor, values, best, says):
    history = epochs_with(monitor, *values)
    found = outcome(history, 9, 2, "best", monitor)
    assert found["best_epoch"] == found["tested_epoch"] == best and found["stopped_early"] == says
    assert sentences(found)[0] == f"stopped early: {says}"
    run = {"history": history, "stop": True}
    assert f"--early-stopping N with N above {len(values) - best}" in trains_no_further(
        run, 9, 2, monitor
    )
    assert trains_no_further(run, 9, 3, monitor) is None


def test_a_run_that_had_all_its_epochs():
    history = epochs_with("val_loss", 2.0, 1.0)
    found = outcome(history, 2, None, "last", "val_loss")
    assert found["stopped_early"] is None and sentences(found) == []
    assert "all 2 epochs are done" in trains_no_further(
        {"history": history, "stop": False}, 2, None, "val_loss"
    )
