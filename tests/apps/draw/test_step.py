"""The step of both networks: what each minimizes, and which pictures the discriminator sees."""

import copy
from dataclasses import replace

import numpy as np
import pytest

import minidl
from apps.draw.batches import PlayingBatches
from apps.draw.losses import Weights, discriminator_loss, generator_loss
from apps.draw.networks import DISCRIMINATOR, GENERATOR, make_networks
from apps.draw.presets import from_command_line
from apps.draw.step import GanStep
from minidl import nn, optim
from minidl.training.run import Run

SMALL = {"batch_size": 8, "noise": 4, "workers": 0, "ngf": 2, "ndf": 2}


def parts(pairs, **given):
    """Settings, networks, optimizers, a batch."""
    settings = replace(from_command_line(SMALL | given), embedding=8)
    pairs = replace(pairs, pictures=enlarged(pairs.pictures, settings.size))
    minidl.manual_seed(0)
    model = make_networks(settings, None)
    embeddings = np.random.default_rng(0).normal(size=(len(pairs.texts), 8)).astype(np.float32)
    batch, _ = next(iter(PlayingBatches(pairs, embeddings, settings)))
    optimizers = {
        name: optim.Adam(model[name].parameters(), 1e-3, (0.0, 0.99))
        for name in (GENERATOR, DISCRIMINATOR)
    }
    return settings, model, optimizers, batch


def enlarged(pictures, size):
    return pictures.repeat(size // 32, 1).repeat(size // 32, 2)


def step(settings, model, optimizers, batch):
    run = Run(model, [(batch, None)], None, optimizers, 1, None, [], step=GanStep(settings))
    return GanStep(settings)(run, batch, None)


def by_hand(settings, model, optimizers, batch):
    """The step as the paper tells it, without anything shared or left out."""
    generator, discriminator = model[GENERATOR], model[DISCRIMINATOR]
    text, drawn_text = batch.get("text"), batch.get("drawn_text")
    fake = generator(batch["noise"], drawn_text).detach()
    if hasattr(discriminator, "look"):  # spectral norms go a step further with each look
        seen = discriminator.look(batch["pictures"])
        real = discriminator.judge(seen, text)
        wrong = discriminator.judge(seen, batch["wrong"]) if "wrong" in batch else None
    else:
        real = discriminator(batch["pictures"], text)
        wrong = discriminator(batch["pictures"], batch["wrong"]) if "wrong" in batch else None
    scores = discriminator(fake, drawn_text)
    weights = Weights(settings.wrong_weight, settings.drawn_weight)
    optimizers[DISCRIMINATOR].zero_grad()
    discriminator_loss(settings.loss, real, scores, wrong, weights).backward()
    optimizers[DISCRIMINATOR].step()
    optimizers[GENERATOR].zero_grad()
    new = batch.get("new_text")
    generator_loss(settings.loss, discriminator(generator(batch["new_noise"], new), new)).backward()
    optimizers[GENERATOR].step()


@pytest.mark.parametrize("preset", ["small", "reed", "paarthneekhara"])
@pytest.mark.parametrize("gan", ["gan", "conditional", "cls"])
def test_a_step_is_what_the_paper_says(pairs, preset, gan):
    settings, model, optimizers, batch = parts(pairs, preset=preset, gan=gan, augment="none")
    twin = copy.deepcopy(model)
    twins = {name: optim.Adam(twin[name].parameters(), 1e-3, (0.0, 0.99)) for name in optimizers}
    values = step(settings, model, optimizers, batch)
    by_hand(settings, twin, twins, batch)
    for (name, a), b in zip(model.state_dict().items(), twin.state_dict().values()):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    assert 0 <= values["real_accuracy"].item() <= 1
    assert ("wrong_accuracy" in values) == (gan == "cls")
    assert all(p.requires_grad for p in model.parameters())


class Watcher(nn.Module):
    """A discriminator that remembers which pictures came in one batch."""

    def __init__(self, real):
        super().__init__()
        self.linear, self.real, self.seen = nn.Linear(8, 1), real, []

    def forward(self, pictures, text):
        known = {one.tobytes() for one in self.real.numpy()}
        self.seen.append([one.tobytes() in known for one in pictures.detach().numpy()])
        return pictures.mean((1, 2, 3)) + self.linear(text).flatten()


@pytest.mark.parametrize("one_batch", [False, True])
def test_real_and_drawn_pictures_share_a_batch_only_where_asked(pairs, one_batch):
    settings, model, optimizers, batch = parts(pairs, gan="cls", one_batch=one_batch)
    watcher = model[DISCRIMINATOR] = Watcher(batch["pictures"])
    optimizers[DISCRIMINATOR] = optim.SGD(watcher.parameters(), 0.1)
    step(settings, model, optimizers, batch)
    mixed = [len(set(kinds)) > 1 for kinds in watcher.seen]
    if one_batch:
        assert mixed == [True, False] and len(watcher.seen[0]) == 24
        assert watcher.seen[0] == [True] * 8 + [False] * 8 + [True] * 8
    else:
        assert not any(mixed) and len(watcher.seen) == 4
        assert sum(kinds[0] for kinds in watcher.seen) == 2  # with their captions and with others


def test_int_draws_half_as_many_again(pairs):
    settings, model, optimizers, batch = parts(pairs, gan="cls-int")
    sizes = []
    model[GENERATOR].register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    step(settings, model, optimizers, batch)
    assert sizes == [8, 12]


def test_a_step_is_a_function_of_its_batch(pairs):
    """With int, too: minidl's own random numbers decide nothing."""
    found = []
    for seed in (1, 2):
        settings, model, optimizers, batch = parts(pairs, gan="cls-int")
        minidl.manual_seed(seed)
        step(settings, model, optimizers, batch)
        found.append(model.state_dict())
    for name, a in found[0].items():
        np.testing.assert_array_equal(a.numpy(), found[1][name].numpy(), err_msg=name)
