"""Networks that others have trained on ImageNet, ready to say what is on a picture."""

from __future__ import annotations

import os
from collections.abc import Callable

import models
from apps.classify.evaluation import load_classifier
from apps.shared.options import OptionError
from apps.shared.run_folder import CHECKPOINT
from apps.shared.trained import Trained
from minidl.data import transforms
from minidl.errors import CheckpointError, nearest
from models.weights.imagenet import class_names
from models.weights.load import load_weights
from models.weights.published import PUBLISHED

SHORTER_SIDE = 256  # pixels, of which the middle is cut out: how nearly all of these were tested


def load_any_classifier(run: str, best: bool | None, log: Callable[[str], None]) -> Trained:
    """The classifier of a run folder or checkpoint file, or one that has been published.

    A run of the name of published weights is taken before them, and that is said.

    Args:
        run: path of either of the first two, or a name of `minidl weights list`.
        best: as of load_trained.
        log: called with a line of text where the name could mean both.

    Raises:
        OptionError: best is given for published weights.
        CheckpointError: no such run and no such name; or weights that name no classes, or cannot be
            fetched.
    """
    name = run.replace("_", "-")
    is_run = os.path.isfile(run) or os.path.exists(os.path.join(run, CHECKPOINT))
    if is_run and name in PUBLISHED:
        log(f"{run} is a run here; the published weights of that name are not used")
    if not is_run and name in PUBLISHED:
        if best is not None:
            flag = "--best" if best else "--last"
            raise OptionError(f"{flag} chooses in a run folder", {"run": run}, "leave it out")
        return published_classifier(name)
    if not os.path.exists(run) and os.sep not in run:
        hint = nearest(name, [other for other, entry in PUBLISHED.items() if entry.names_classes])
        if hint.startswith("did you mean"):
            rule = "no such run, and no published weights of that name"
            raise CheckpointError("predict", rule, {"run": run}, hint)
    return load_classifier(run, best)


def published_classifier(name: str) -> Trained:
    """A network with published weights that know ImageNet's 1,000 classes.

    Args:
        name: one of models.weights.published.PUBLISHED.

    Raises:
        CheckpointError: the weights name no classes, or cannot be fetched.
    """
    published = PUBLISHED[name]
    if not published.names_classes:
        raise CheckpointError(
            "predict", "these weights name no classes", {"name": name, "what": published.what},
            "minidl predict squeezenet names ImageNet's",
        )  # fmt: skip
    entry = models.entry(published.model)
    model = models.build(published.model)
    needed = load_weights(model, name, strict=True).preprocessing
    steps = [
        transforms.ToRGB(), transforms.Resize(SHORTER_SIDE), transforms.CenterCrop(entry.size),
        *needed.transforms(),
    ]  # fmt: skip
    preprocessing = transforms.Compose(steps)
    return Trained(model.eval(), published.model, class_names(), preprocessing, {})
