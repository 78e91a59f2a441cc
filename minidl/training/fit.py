"""The training loop.

`fit` is the loop of every textbook, with the moments named at which callbacks look on. What a batch
is stands in minidl/training/batch.py, who computes which in minidl/training/slots.py, all that a
run remembers in minidl/training/run.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor
from minidl.training.batch import call_model
from minidl.training.callback import Callback, check_callbacks
from minidl.training.checks import check_arguments, check_functions, check_loss
from minidl.training.evaluate import evaluate_into
from minidl.training.metrics import Metric, check_metrics
from minidl.training.resume import resume_run
from minidl.training.run import Run
from minidl.training.slots import Rewound, Slots, of_this_process


def fit(
    model: Module,
    loader: Iterable,
    loss: Callable[[Any, Any], Tensor] | None,
    optimizer: Optimizer | dict[str, Optimizer],
    epochs: int = 1,
    validation: Iterable | None = None,
    callbacks: Iterable[Callback] = (),
    resume: str | Path | None = None,
    accumulate: int = 1,
    validation_loss: Callable[[Any, Any], Tensor] | None = None,
    metrics: dict[str, Callable[[Any, Any], Any] | Metric] | None = None,
    weight: Callable[[Any, Any], float] | None = None,
    step: Callable[[Run, Any, Any], dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Train a model: epochs passes over the loader's batches.

    It is this loop, and you lose nothing by writing it yourself where it does not fit:

        for epoch in range(epochs):
            model.train()
            for inputs, targets in loader:
                optimizer.zero_grad()
                value = loss(model(inputs), targets)
                value.backward()
                optimizer.step()

    A batch is a pair (inputs, targets), each a Tensor or a nest of tuples, lists and dicts of them.
    A tuple or list of inputs becomes the model's positional arguments, a dict its keyword
    arguments. Targets are for loss and metrics, and may be None.

    accumulate=k takes a step after every k batches, with the gradient of all their examples
    together: that of one batch k times as large, which may not fit into memory. Only batch norm
    sees the difference, and a loss that weighs classes: each batch has its own mean.

    Random numbers, such as those of dropout, are seeded for each batch by its place in the run
    (minidl.random.begin), with a seed that is drawn as the run begins.

    Where training is no single loss and step, as with a GAN, pass `step`: a function that does for
    one batch what stands inside the loop. run.minimize(loss, name) in it is zero_grad, backward and
    step of one of several optimizers. Networks that learn together are parts of one Module.

    Training goes on after a loss of NaN, which soon makes all weights NaN, unless
    callbacks.StopOnNaN() is among the callbacks.

    Args:
        model: the Module to train; left in training mode.
        loader: gives batches (inputs, targets) each time it is iterated: a minidl.data.DataLoader,
            or a list of such pairs.
        loss: (outputs of the model, targets) -> scalar Tensor, the mean over the batch. With `step`
            only the validation uses it, and it may be None.
        optimizer: a minidl.optim.Optimizer that holds the model's parameters; with `step`, also a
            dict name -> Optimizer.
        epochs: how many passes in all, >= 0; a resumed run does what is left of them.
        validation: loader of held-out batches, evaluated after each epoch as by minidl.evaluate.
        callbacks: minidl.callbacks, see Callback for when they are called.
        resume: a checkpoint that callbacks.Checkpoint saved. The run goes on after the step at
            which it was saved and ends with the same weights, bit for bit, as if never stopped.
        accumulate: batches per step, an int >= 1; the last step of an epoch may have fewer.
        validation_loss: what val_loss is of, where `loss` contains more than one wants to compare
            (label smoothing, class weights, auxiliary heads); None for `loss`.
        metrics: name -> function (outputs, targets) -> number of a batch, or minidl.metrics.Metric.
            None measures "accuracy" where targets are class numbers; {} measures nothing. "val_" is
            put before the names for the validation set.
        weight: (inputs, targets) -> number > 0: what a batch counts in means over batches. None
            counts examples; where a loss is a mean over words, count words.
        step: (run, inputs, targets) -> dict of numbers to show: one step of training in your own
            way, see above. Metrics look at run.outputs if it sets them.

    Returns:
        The history: for each epoch a dict with epoch, step, loss (or what `step` returned, as means
            over the epoch), the metrics, both of the validation set as val_..., lr (of the last
            step; lr_<name> of several optimizers), seconds, images_per_second (examples of any
            kind).

    Raises:
        ArgumentError: an argument is not what it should be, a loader is empty or gives something
            else than pairs, or the loss is not one number.
        CheckpointError: `resume` is damaged or belongs to another model, optimizer or callbacks.

    >>> model, batches = minidl.nn.Linear(2, 1), [(minidl.ones(4, 2), minidl.zeros(4, 1))]
    >>> optimizer = minidl.optim.SGD(model.parameters(), lr=0.1)
    >>> history = minidl.fit(model, batches, minidl.nn.MSELoss(), optimizer, epochs=3)
    >>> history[2]["loss"] < history[0]["loss"]
    True

    A GAN on the line, with two optimizers:

    >>> nn, softplus = minidl.nn, minidl.nn.functional.softplus
    >>> gan = nn.ModuleDict({"generator": nn.Linear(1, 1), "critic": nn.Linear(1, 1)})
    >>> optimizers = {name: minidl.optim.Adam(part.parameters()) for name, part in gan.items()}
    >>> def step(run, real, _):
    ...     generator, critic = run.model["generator"], run.model["critic"]
    ...     fake = generator(minidl.randn(len(real), 1))
    ...     c_loss = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
    ...     run.minimize(c_loss, "critic")
    ...     g_loss = softplus(-critic(fake)).mean()
    ...     run.minimize(g_loss, "generator")
    ...     return {"critic_loss": c_loss, "generator_loss": g_loss}
    >>> real = [(minidl.randn(8, 1) + 3, None)]
    >>> list(minidl.fit(gan, real, None, optimizers, step=step)[0])[2:6]
    ['critic_loss', 'generator_loss', 'lr_generator', 'lr_critic']
    """
    check_arguments(model, loader, optimizer, epochs, validation, accumulate, step)
    check_functions(loss, validation_loss, weight, step)
    metrics = check_metrics("fit", metrics)
    run = Run(
        model, loader, loss, optimizer, epochs, validation, check_callbacks(callbacks), accumulate,
        metrics, weight, step, validation_loss or loss,
    )  # fmt: skip
    if resume is not None:
        resume_run(run, resume)
    slots = of_this_process()
    try:
        slots.begin(run)
        run.notify("on_fit_start")
        while not is_trained(run, slots):
            slots.rewind()
    except BaseException as error:
        run.error = error
        raise
    finally:
        run.end()
    return run.history


def is_trained(run: Run, slots: Slots) -> bool:
    """Train what is left of the run. False where servers that hold the weights lost some of it."""
    try:
        while not run.is_over():
            train_epoch(run, slots)
        slots.end()
    except Rewound:
        return False
    return True


def train_epoch(run: Run, slots: Slots) -> None:
    """One pass over the batches, or what is left of it, and the validation after it."""
    run.model.train()
    run.start_epoch()
    run.notify("on_epoch_start")
    for batches in slots.steps():
        run.start_step()
        for inputs, targets in batches:
            run.start_batch(inputs, targets)
            run.notify("on_step_start")
            if run.step_function is not None:
                run.take_values(run.step_function(run, inputs, targets))
                continue
            run.outputs = call_model(run.model, inputs)
            run.loss = check_loss("fit", run.loss_function(run.outputs, targets))
            run.notify("on_loss")
            run.backward()
            slots.add()
        if run.step_function is None:
            slots.take_step()
        run.finish_step()
        run.notify("on_step_end")
    if run.validation is not None and run.is_chief:
        validate(run)
    run.finish_epoch()
    run.notify("on_epoch_end")


def validate(run: Run) -> None:
    """Evaluate the model on the held-out batches."""
    evaluate_into(
        "fit", run.start_validation(), run.model, run.validation, run.validation_loss,
        run.weight_function, run.finish_validation_step,
    )  # fmt: skip
