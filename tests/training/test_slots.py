"""Slots: the same step whoever computes its batches, in whatever order."""

import random

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import DataLoader
from minidl.random import begin
from tests.training.small import Digits, weights

SLOTS, EPOCHS = 3, 2


def network():
    """With all that makes a step depend on the past: dropout, batch norm, momentum."""
    minidl.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(1, 4, (2, 1), bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(4 * 2 * 4, 3),
    )  # fmt: skip


def groups(parameters):
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in parameters if p.ndim == 1], "lr_mult": 2.0},
    ]


def loader():
    """7 batches of 4, 4, 4, 4, 4, 4, 2: the last step of an epoch has one slot."""
    return DataLoader(Digits(26), 4, shuffle=True, seed=3)


def in_one_process(**options):
    model = network()
    optimizer = optim.SGD(groups(model.parameters()), 0.05, momentum=0.9)
    run = See()
    minidl.fit(
        model, loader(), nn.CrossEntropyLoss(), optimizer, EPOCHS, accumulate=SLOTS,
        callbacks=[run, *options.pop("look_on", ())], **options,
    )  # fmt: skip
    return weights(model), run.seed


class See(callbacks.Callback):
    def on_fit_start(self, run):
        self.seed = run.seed


def gradients_of(model, batch, seed, step, slot):
    """What a slot adds: gradients, what it moves running averages by, and its weight."""
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.data[...] = 0
    for p in model.parameters():
        p.grad = None
    begin(seed, step, slot)
    x, labels = batch
    (nn.CrossEntropyLoss()(model(x), labels) * len(labels)).backward()
    averages = {n: b.data.copy() for n, b in model.named_buffers() if "running" in n}
    return {n: p.grad.data.copy() for n, p in model.named_parameters()}, averages, len(labels)


def by_several(seed):
    """Two models compute slots in any order; their gradients are added in order of the slots."""
    whole, workers, chance = network(), [network(), network()], random.Random(1)
    optimizer = optim.SGD(groups(whole.parameters()), 0.05, momentum=0.9)
    batches, step = loader(), 0
    for epoch in range(EPOCHS):
        for first in range(0, len(batches), SLOTS):
            numbers = list(range(first, min(first + SLOTS, len(batches))))
            found = {}
            for b in chance.sample(numbers, len(numbers)):
                worker = chance.choice(workers)
                worker.load_state_dict(whole.state_dict())
                worker.train()
                found[b] = gradients_of(worker, batches.batch(epoch, b), seed, step, b - first)
            for name, p in whole.named_parameters():
                total = found[first][0][name].copy()
                for b in numbers[1:]:
                    total += found[b][0][name]
                total /= float(sum(found[b][2] for b in numbers))
                p.grad = minidl.Tensor(total)
            optimizer.step()
            for name, buffer in whole.named_buffers():
                for b in numbers:
                    if "running" in name:
                        buffer.data *= 1 - 0.1
                        buffer.data += found[b][1][name]
                    else:
                        buffer.data += 1
            step += 1
    return weights(whole)


def test_slots_computed_by_several_make_the_same_steps():
    """Every weight and running average, bit for bit."""
    alone, seed = in_one_process()
    together = by_several(seed)
    assert alone.keys() == together.keys()
    for name in alone:
        assert alone[name].tobytes() == together[name].tobytes(), name


def test_the_seed_of_the_run_is_resumed(tmp_path):
    """Whatever the process drew before."""
    expected, seed = in_one_process()
    cut = callbacks.Checkpoint(tmp_path, every_steps=1)

    class Cut(callbacks.Callback):
        order = cut.order + 1

        def on_step_end(self, run):
            if run.step == 4:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        in_one_process(look_on=[cut, Cut()])

    class Elsewhere(callbacks.Callback):
        def on_fit_start(self, run):
            assert run.seed == seed
            minidl.manual_seed(99)

    look_on = [callbacks.Checkpoint(tmp_path), Elsewhere()]
    resumed, _ = in_one_process(resume=cut.path, look_on=look_on)
    for name in expected:
        np.testing.assert_array_equal(resumed[name], expected[name], err_msg=name)


def test_another_seed_is_another_run():
    model, other = network(), network()
    for one in (model, other):
        optimizer = optim.SGD(one.parameters(), 0.05)
        if one is other:
            minidl.random.new_seed()
        minidl.fit(one, loader(), nn.CrossEntropyLoss(), optimizer)
    assert not np.array_equal(weights(model)["5.weight"], weights(other)["5.weight"])


class Watch(callbacks.Callback):
    watches = True

    def __init__(self):
        self.called = 0

    def on_fit_start(self, run):
        self.called += 1

    on_step_end = on_epoch_end = on_fit_end = on_fit_start


class Steer(Watch):
    watches = False


class NotChief(callbacks.Callback):
    order = -1000

    def on_fit_start(self, run):
        run.is_chief = False


@pytest.mark.parametrize("chief", [True, False])
def test_what_only_watches_is_called_by_the_chief_alone(chief):
    watch, steer = Watch(), Steer()
    look_on = [watch, steer] if chief else [watch, steer, NotChief()]
    in_one_process(look_on=look_on)
    assert steer.called == 1 + 6 + 2 + 1 and watch.called == (steer.called if chief else 0)
