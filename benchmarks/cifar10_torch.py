"""`minidl train airbench_cifar` once more, with PyTorch: what differs then is the library.

    python -m benchmarks.cifar10_torch --data ARCHIVE --output FOLDER [options of minidl train]

Of minidl come the options, the pictures (read, changed and ordered alike, bit for bit), and the
weights of the first moment; of PyTorch the network, its loss and gradients, the optimizer and the
schedule, in float32 and the channels-last format. After each epoch FOLDER holds where to go on from
with --resume FOLDER; at the end it has a run.json as those of minidl, with the accuracy of
averages over mirrored pictures beside the plain one.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from apps.classify.data import make_loaders
from apps.classify.defaults import from_command_line
from apps.classify.settings import Settings
from apps.classify.task import Task, prepare_task
from apps.shared.batches import evaluation_loader
from apps.shared.command import Output, Resume, application, command
from apps.shared.console import Console
from apps.shared.options import OptionError
from benchmarks.steps import with_our_weights
from minidl.io.atomic import write_atomically
from tests.models.twins import AirbenchCifar

app = application()
NOT_HERE = (
    "accumulate", "mode", "weights", "fresh", "freeze", "train_from", "unfreeze_after", "cache",
    "unfreeze_lr_mult", "fresh_lr_mult", "mixup", "class_weights", "loss", "clip_grad",
    "milestones", "early_stopping", "keep", "size", "test_share", "cpu_kernels",
)  # fmt: skip


@command(app, "cifar10_torch", settings=Settings, without=NOT_HERE)
def train(
    given: dict[str, Any], console: Console, output: Output = None, resume: Resume = None
) -> None:
    """Train PyTorch's twin of airbench_cifar."""
    settings, folder = from_command_line(given), Path(output or resume or "runs/cifar10-torch")
    what = settings.model, settings.optimizer, settings.schedule
    if what != ("airbench_cifar", "sgd", "cosine"):
        raise OptionError("there is a twin of airbench_cifar, sgd, cosine only", {"given": what})
    started = time.perf_counter()
    task = prepare_task(settings, console.note)
    loader, validation = make_loaders(
        task.data, settings.batch_size, settings.seed, settings.workers
    )
    net = with_our_weights(twin_of(task.model), task.model).to(memory_format=torch.channels_last)
    optimizer, schedule = optimizer_of(net, task, settings, len(loader))
    history: list[dict[str, Any]] = []
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    folder.mkdir(parents=True, exist_ok=True)
    if resume is not None:
        history, before = go_on(folder, parts)
        started -= before
    loader.epoch = len(history)
    while len(history) < settings.epochs:
        figures = {
            "epoch": len(history) + 1,
            **one_epoch(net, loader, optimizer, schedule, settings),
        }
        if validation is not None:
            (figures["val_accuracy"],) = accuracies(net, validation, mirrored=False)
        history.append(figures)
        console.note(json.dumps(figures))
        save(folder, parts, history, time.perf_counter() - started)
    tests = evaluation_loader(task.data.test, task.data.preprocessing)
    plain, flip = accuracies(net, tests, mirrored=True)
    run = {
        "model": settings.model, "settings": {"seed": settings.seed}, "test_accuracy": plain,
        "flip_accuracy": flip, "seconds": time.perf_counter() - started,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n")


def twin_of(model: Any) -> AirbenchCifar:
    """PyTorch's network of the same numbers of kernels."""
    widths = [block.conv1.out_channels for block in (model.block1, model.block2, model.block3)]
    return AirbenchCifar(widths, model.fc.out_features, model.in_channels)


def optimizer_of(net: Any, task: Task, settings: Settings, steps: int) -> tuple[Any, Any]:
    """PyTorch's SGD and schedule for the options; each parameter is a group of its own.

    Args:
        net: the twin.
        task: with the factors on learning rates.
        settings: lr, momentum, weight_decay, bias_decay, epochs, warmup.
        steps: in an epoch.
    """
    groups = [
        {
            "params": [p],
            "lr": settings.lr * task.plan.factors[name],
            "weight_decay": settings.weight_decay if settings.bias_decay or p.ndim > 1 else 0.0,
        }
        for name, p in net.named_parameters()
    ]
    optimizer = torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)
    total, rise = settings.epochs * steps, round(settings.warmup * steps)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / rise) if rise else 1.0
        return warm * (1 + math.cos(math.pi * step / total)) / 2

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def one_epoch(
    net: Any, loader: Any, optimizer: Any, schedule: Any, settings: Settings
) -> dict[str, float]:
    """Train on all pictures once; the loss and accuracy meanwhile, and the seconds."""
    started, loss_sum, right, seen = time.perf_counter(), 0.0, 0, 0
    net.train()
    for x, labels in batches(loader):
        optimizer.zero_grad()
        scores = net(x)
        loss = cross_entropy(scores, labels, label_smoothing=settings.label_smoothing)
        loss.backward()
        optimizer.step()
        schedule.step()
        loss_sum += loss.item() * len(labels)
        right += int((scores.argmax(1) == labels).sum())
        seen += len(labels)
    seconds = round(time.perf_counter() - started, 2)
    return {"loss": loss_sum / seen, "accuracy": right / seen, "seconds": seconds}


def batches(loader: Any) -> Any:
    """minidl's batches as PyTorch's Tensors, in the same memory."""
    for x, labels in loader:
        yield torch.from_numpy(x.numpy()), torch.from_numpy(labels.numpy())


def accuracies(net: Any, loader: Any, mirrored: bool) -> tuple[float, ...]:
    """The accuracy on the pictures of a loader; and with the help of their mirror images."""
    net.eval()
    right, count = [0, 0], 0
    with torch.no_grad():
        for x, labels in batches(loader):
            y = net(x).softmax(1)
            right[0] += int((y.argmax(1) == labels).sum())
            if mirrored:
                y = y + net(x.flip(3)).softmax(1)
                right[1] += int((y.argmax(1) == labels).sum())
            count += len(labels)
    return tuple(n / count for n in right[: 1 + mirrored])


def save(
    folder: Path, parts: dict[str, Any], history: list[dict[str, Any]], seconds: float
) -> None:
    """Write where to go on from, and the history."""
    lines = "".join(json.dumps(epoch) + "\n" for epoch in history)
    write_atomically(folder / "metrics.jsonl", lines.encode())
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({**state, "history": history, "seconds": seconds}, folder / "next.pt")
    (folder / "next.pt").replace(folder / "checkpoint.pt")


def go_on(folder: Path, parts: dict[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """Load what save wrote; the history and the seconds spent. Nothing where nothing was saved."""
    if not (folder / "checkpoint.pt").exists():
        return [], 0.0
    state = torch.load(folder / "checkpoint.pt")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["history"], state["seconds"]


if __name__ == "__main__":
    app()
