"""The loss that training minimises, and what it contains that validation and test do not.

Validation and test measure the plain mean cross-entropy, whatever training minimises. So their
losses can be compared, with each other and between runs, and early stopping watches how good the
network is. (timm does the same; Keras leaves class weights out of its validation loss, but not
label smoothing.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minidl
import models
from apps.classify.plan import aux_parameters
from apps.classify.settings import Settings
from minidl.nn import CrossEntropyLoss, Module
from models.inception import AuxiliaryLoss
from models.lenet_1998 import MapLoss


def make_loss(
    model: Module, settings: Settings, weights: list[float] | None = None
) -> Callable[..., Any]:
    """The training loss of the scores, and of those of auxiliary heads where there are any.

    Args:
        model: the network.
        settings: loss, label_smoothing.
        weights: a factor for each class, or None.
    """
    if settings.loss == "map":
        return MapLoss()
    factors = None if weights is None else minidl.tensor(weights, dtype="float32")
    loss = CrossEntropyLoss(factors, label_smoothing=settings.label_smoothing)
    has_heads = aux_parameters(model, models.entry(settings.model))
    return AuxiliaryLoss(loss) if has_heads else loss


def loss_note(model: Module, settings: Settings, weights: list[float] | None, what: str) -> str:
    """A sentence on what the training loss contains beyond the plain one; "" for nothing.

    Args:
        model: the network; its parameters are frozen as they were in the last epoch.
        settings, weights: as for make_loss; also mixup.
        what: whose loss the plain one is, "the test" or "validation and test".
    """
    found, heads = [], aux_parameters(model, models.entry(settings.model))
    if settings.loss == "map":
        found.append('a further class, "none of these" (LeCun et al. 1998, equation 9)')
    if settings.label_smoothing:
        found.append(f"label smoothing ({settings.label_smoothing:g})")
    if settings.mixup:
        found.append(f"mixup ({settings.mixup:g})")
    if weights is not None:
        found.append("class weights")
    if any(p.requires_grad for name, p in model.named_parameters() if name in heads):
        factor = make_loss(model, settings).weight
        found.append(f"{factor:g} times the loss of each auxiliary head")
    if not found:
        return ""
    listed = " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)
    return f"The training loss contains {listed}, that of {what} is the plain mean cross-entropy."
