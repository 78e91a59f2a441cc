"""fit(step=...): what callbacks, metrics and errors make of a step function."""

import io

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.errors import ArgumentError, NonFiniteError
from tests.training.gan import GAN, parts, points, step, train
from tests.training.small import weights


def test_values_are_means_over_the_batches_that_gave_them():
    """Batches of 6, 6, 6, 6 and 4."""

    def counting(run, real, targets):
        values = {"number": run.batch, "size": minidl.full((1,), float(len(real)))}
        return values | ({"even": 1.0} if run.batch % 2 == 0 else {})

    seen = []

    class Look(callbacks.Callback):
        def on_step_end(self, run):
            seen.append(run.values)

    entry = train(None, Look(), epochs=1, function=counting)[1][0]
    assert entry["number"] == pytest.approx((0 + 6 + 12 + 18 + 16) / 28)
    assert entry["size"] == pytest.approx((4 * 36 + 16) / 28) and entry["even"] == 1.0
    assert seen[1] == {"number": 1.0, "size": 6.0} and seen[4]["size"] == 4.0


# --- looked at ----------------------------------------------------------------------------------


def test_progress_shows_what_the_step_returns():
    console = pytest.importorskip("rich.console")
    out = console.Console(file=io.StringIO(), force_terminal=False)
    train(None, callbacks.Progress(out), epochs=1)
    text = out.file.getvalue()
    for part in ("critic_loss ", "generator_loss ", "real_accuracy ", " %  ", "images/s"):
        assert part in text


def test_tensorboard_shows_what_the_step_returns(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(None, callbacks.TensorBoard(tmp_path), epochs=2)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [point.step for point in events.Scalars("step/critic_loss")] == list(range(1, 11))
    assert [point.step for point in events.Scalars("step/generator_loss")] == [2, 4, 7, 9]
    assert {"train/critic_loss", "lr_generator", "lr_critic"} <= set(events.Tags()["scalars"])


def test_metrics_and_validation_serve_it_too():
    """Where the step sets run.outputs, metrics look at them; validation calls the model."""

    def sets_outputs(run, real, targets):
        run.outputs = run.model.critic(real)
        return {}

    model, optimizers = parts()
    noise = [(minidl.zeros(2, 3), minidl.ones(2, 2))]
    entry = minidl.fit(
        model, points(), None, optimizers, 1, noise, validation_loss=nn.MSELoss(),
        metrics={"largest": lambda y, t: y.amax()}, step=sets_outputs,
    )[0]  # fmt: skip
    scores = [model.critic(x).data.max() * len(x) for x, _ in points()]
    assert entry["largest"] == pytest.approx(sum(scores) / 28, rel=1e-5)
    drawn = model(minidl.zeros(2, 3)).data
    assert entry["val_largest"] == pytest.approx(drawn.max())
    assert entry["val_loss"] == pytest.approx(((drawn - 1) ** 2).mean(), rel=1e-5)


# --- NaN ----------------------------------------------------------------------------------------


def stop(function):
    with pytest.raises(NonFiniteError) as caught:
        train(None, callbacks.StopOnNaN(), epochs=1, function=function)
    return str(caught.value)


def test_a_loss_of_nan_is_not_stepped_on():
    model = None

    def spoiled(run, real, targets):
        nonlocal model
        model = run.model
        loss = run.model.critic(real).mean()
        run.minimize(loss * float("nan") if run.batch == 2 else loss, "critic")
        return {"critic_loss": loss}

    message = stop(spoiled)
    assert "the loss is nan: weights and data are finite" in message
    assert "step          3" in message and "lr_critic     0.02" in message
    assert all(np.isfinite(p.data).all() for p in model.parameters())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_not_finite_names_its_parameters():
    def spoiled(run, real, targets):
        loss = (run.model.critic(real) * 0).abs().mean().sqrt()
        run.minimize(loss, "critic")
        return {}

    assert "not its gradient by critic.0.weight" in stop(spoiled)


def test_a_value_that_is_not_finite():
    assert "the step function returned inf for score" in stop(lambda *_: {"score": float("inf")})


def test_damage_done_by_hand_is_named():
    def spoiled(run, real, targets):
        run.model.critic[0].bias.data[0] = np.nan
        return {"critic_loss": run.model.critic(real).mean()}

    assert "a step left NaN or inf in critic.0.bias" in stop(spoiled)


# --- mistakes -----------------------------------------------------------------------------------


def fit(function=step, optimizer=None, **options):
    model, optimizers = parts()
    minidl.fit(model, points(), None, optimizer or optimizers, step=function, **options)


def without_names(run, real, targets):
    run.minimize(run.model.critic(real).mean())


def mistyped(run, real, targets):
    run.minimize(run.model.critic(real).mean(), "critik")


def per_example(run, real, targets):
    run.minimize(run.model.critic(real), "critic")


def alone(run, real, targets):
    run.optimizers["critic"].step()
    return {}


def measures_too(run, real, targets):
    run.outputs = run.model.critic(real)
    return {"score": 1.0}


MISTAKES = {
    "no loss": (lambda: fit(None), "several optimizers need a step function"),
    "step": (lambda: fit(3), "step is called with (run, inputs, targets)"),
    "nothing returned": (lambda: fit(lambda *_: None), "step returns a dict"),
    "many numbers": (lambda: fit(lambda *_: {"x": minidl.ones(2)}), "x is one number for a batch"),
    "a name that is taken": (lambda: fit(lambda *_: {"lr": 1.0}), "one that fit uses itself"),
    "what a metric measures": (
        lambda: fit(measures_too, metrics={"score": lambda y, t: y.mean()}),
        "returns what the metrics measure",
    ),
    "no name": (lambda: fit(without_names), "one of the run's optimizers"),
    "mistyped": (lambda: fit(mistyped), "did you mean critic?"),
    "loss per example": (lambda: fit(per_example), "minimize: loss returns one number"),
    "accumulate": (lambda: fit(accumulate=2), "a step function decides itself"),
    "no optimizers": (lambda: fit(optimizer={"a": 3}), "optimizer is a minidl.optim.Optimizer"),
    "name of an optimizer": (lambda: fit(optimizer={3: parts()[1]["critic"]}), "is text"),
    "of another model": (lambda: fit(optimizer=parts()[1]), "holds no parameter of the model"),
    "clipping by hand": (
        lambda: fit(alone, callbacks=[callbacks.ClipGradients(1.0)]), "use run.minimize",
    ),
    "dict of models": (
        lambda: minidl.fit({"g": GAN()}, points(), None, parts()[1], step=step), "ModuleDict",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)


def test_a_single_optimizer_needs_no_name():
    model = nn.Linear(2, 1)
    before = weights(model)

    def step(run, x, targets):
        loss = run.model(x).mean()
        run.minimize(loss)
        return {"loss": loss}

    entry = minidl.fit(model, points(), None, optim.SGD(model.parameters(), 0.1), step=step)[0]
    assert "loss" in entry and entry["lr"] == 0.1
    assert (before["weight"] != model.weight.data).any()
