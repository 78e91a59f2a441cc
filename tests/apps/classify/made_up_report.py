"""A report of made-up figures, with texts in it that try to become markup."""

import numpy as np

import minidl
from apps.classify.metrics import Evaluation
from apps.classify.report.page import render
from minidl.data import transforms as T

EVIL = "<script>document.title = 'owned'</script>"
QUOTES = '"\' onmouseover="alert(1)" {{ 7 * 7 }} &amp;'
DIGITS = [str(i) for i in range(10)]
FLOWERS = [f"{name} of the meadow" for name in "abcdefghijklmnopq"]
WEIGHTS = {
    "source": f"/some/where/{EVIL}", "format": "caffe", "names": "Caffe",
    "loaded": [{"name": f"features.conv{i}.weight", "shape": [64, 3, 3, 3], "from": f"conv{i}"}
               for i in range(30)],
    "initialised": [{"name": "fc8.weight", "shape": [10, 4096], "why": "the file has 1000 rows"}],
    "unused": [{"name": "mean_file", "shape": []}],
    "notes": ["the padding differs"],
}  # fmt: skip


class Items(list):
    names = None


def page(classes, n=60, history=12, names=None, image_shape=(8, 8, 1), weights=None, better=2,
         **facts):  # fmt: skip
    """A report and the Evaluation in it; `better` is how much the right class is preferred.

    facts: of run.json, to replace those made up here.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(classes)
    logits = rng.standard_normal((n, len(classes)))
    logits[np.arange(n), labels] += better
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    images = rng.integers(0, 256, (n, *image_shape)).astype(np.uint8)
    dataset = Items([(image, int(label)) for image, label in zip(images, labels)])
    dataset.names = names
    entries = [
        {"epoch": e, "loss": 2 / e, "accuracy": 1 - 0.9 / e, "val_loss": 2.1 / e,
         "val_accuracy": 0.99 - 0.9 / e, "lr": 0.05 / e}
        for e in range(1, history + 1)
    ]  # fmt: skip
    run = {
        "model": "lenet", "data": EVIL, "date": "2026-01-01 00:00 UTC", "seconds": 71.2,
        "epochs": history, "tested_epoch": history, "stopped_early": None,
        "images_per_second": 5000.0, "parameters": 138_357_544,
        "command": f"minidl train lenet --data '{EVIL}'", "curves_note": "Validation: some.",
        "settings": {"seed": 7, "data_dir": QUOTES, "preprocessing": [{"name": "Resize"}],
                     "lr_mult": {"features": 0.1}},
        "versions": {"minidl": "0.1.0"}, "weights": weights, **facts,
    }  # fmt: skip
    channels = image_shape[2]
    model = minidl.nn.Sequential(minidl.nn.Conv2d(channels, 6, 5), minidl.nn.ReLU())
    if weights:
        run["settings"] |= {"mode": "frozen", "unfreeze_after": None}
        model.freeze()
    preprocessing = T.Compose([T.Resize(8), T.CenterCrop(8), T.ToFloat()])
    evaluation = Evaluation(classes, labels, probabilities, 0.1234, 1.0)
    html = render(run, entries, evaluation, dataset, model.eval(), preprocessing)
    return html, evaluation
