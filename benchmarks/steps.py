"""A training step of each case (step_cases.py), in minidl and in PyTorch: same weights, same batch.

Both sides are functions of no arguments that forward, go back and update once; and both come with
a function that returns what has been learned so far, by name.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from benchmarks import gan_steps
from benchmarks.step_cases import Case
from minidl import optim
from minidl.debug import Call, record
from minidl.nn import functional

THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
LR, MOMENTUM = 1e-3, 0.9
FORMATS = ("nchw", "channels_last")


def step_of(side: str, case: Case) -> tuple[Callable, Callable]:
    """A side of the comparison: "minidl", or PyTorch in a memory format."""
    if case.gan:
        return our_gan_step(case) if side == "minidl" else torch_gan_step(case, side)
    return our_step(case) if side == "minidl" else torch_step(case, side)


def batch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Input and labels, the same every time."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.shape, np.float32)
    return x, rng.integers(0, max(1, case.classes), case.shape[0])


def our_net(case: Case) -> Any:
    minidl.manual_seed(0)
    return case.build()


def use_threads() -> None:
    minidl.set_num_threads(THREADS)


def our_step(case: Case) -> tuple[Callable, Callable]:
    use_threads()
    x, labels = batch(case)
    net, target = our_net(case), minidl.tensor(labels)
    picture = minidl.tensor(x, requires_grad=case.of_input)
    if case.of_input:
        for parameter in net.parameters():
            parameter.requires_grad = False
    learned = {"": picture} if case.of_input else dict(net.named_parameters())
    optimizer = optim.SGD(learned.values(), lr=LR, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = loss_of(case, net(picture), target, functional)
        loss.backward()
        optimizer.step()

    return step, lambda: {name: value.data for name, value in learned.items()}


def torch_step(case: Case, memory_format: str) -> tuple[Callable, Callable]:
    import torch

    torch.set_num_threads(THREADS)
    x, labels = batch(case)
    net, target = with_our_weights(case.twin(), our_net(case)), torch.from_numpy(labels)
    picture = torch.from_numpy(x)
    if memory_format == "channels_last" and x.ndim == 4:
        net = net.to(memory_format=torch.channels_last)
        picture = picture.contiguous(memory_format=torch.channels_last)
    if case.of_input:
        net.requires_grad_(False)
        picture.requires_grad_()
    learned = {"": picture} if case.of_input else dict(net.named_parameters())
    optimizer = torch.optim.SGD(learned.values(), lr=LR, momentum=MOMENTUM)

    def step():
        optimizer.zero_grad()
        outputs = net(picture)
        loss_of(case, outputs, target, torch.nn.functional).backward()
        optimizer.step()

    return step, lambda: {name: value.detach().numpy() for name, value in learned.items()}


def with_our_weights(twin: Any, net: Any) -> Any:
    """A PyTorch network with the weights of ours, whose parameters have the same names."""
    import torch

    twin.load_state_dict({
        name: torch.from_numpy(value.numpy().copy()) for name, value in net.state_dict().items()
    })  # fmt: skip
    return twin


def loss_of(case: Case, outputs: Any, target: Any, functional: Any) -> Any:
    """Cross-entropy, of the auxiliary heads with weight 0.3; or the mean of squares."""
    if not case.classes:
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        return (outputs * outputs).mean()
    if not isinstance(outputs, tuple):
        return functional.cross_entropy(outputs, target)
    scores, *auxiliary = (functional.cross_entropy(output, target) for output in outputs)
    return scores + 0.3 * sum(auxiliary[1:], auxiliary[0])


def our_gan_step(case: Case) -> tuple[Callable, Callable]:
    """One step of the discriminator and one of the generator."""
    use_threads()
    recipe, nets = gan_steps.RECIPES[case.gan], our_net(case)
    arrays = [minidl.tensor(array) for array in gan_steps.batch(recipe, case.shape)]
    step = gan_steps.make_step(minidl, recipe, nets, arrays)
    return step, lambda: {
        f"{i}.{name}": value.data
        for i, net in enumerate(nets)
        for name, value in net.named_parameters()
    }


def torch_gan_step(case: Case, memory_format: str) -> tuple[Callable, Callable]:
    import torch

    torch.set_num_threads(THREADS)
    recipe = gan_steps.RECIPES[case.gan]
    nets = [with_our_weights(*pair) for pair in zip(case.twin(), our_net(case))]
    arrays = [torch.from_numpy(array) for array in gan_steps.batch(recipe, case.shape)]
    if memory_format == "channels_last":
        nets = [net.to(memory_format=torch.channels_last) for net in nets]
        arrays[0] = arrays[0].contiguous(memory_format=torch.channels_last)
    step = gan_steps.make_step(torch, recipe, nets, arrays)
    return step, lambda: {
        f"{i}.{name}": value.detach().numpy()
        for i, net in enumerate(nets)
        for name, value in net.named_parameters()
    }


def operations(case: Case, forward_only: bool = False) -> int:
    """Multiplications and additions of a step, as plain sums of products would have them.

    Of a convolution or matrix product as many forward as for each gradient that is wanted (none
    with forward_only); nothing else counts. So a fast algorithm may have more of them a second than
    the machine can do.
    """
    step, _ = (our_gan_step if case.gan else our_step)(case)
    with record() as recording:
        step()
    return sum(operations_of(call, forward_only) for call in recording.calls)


def operations_of(call: Call, forward_only: bool) -> int:
    """Those of one operation."""
    sums = call.multiply_accumulates
    if forward_only:
        return 2 * sums
    if type(call.function).__name__ == "LSTM":
        # The gradients of the weights; of the state, and of the input where it is wanted.
        (steps, batch, _), *_, w_ih, w_hh = (x.shape for x in call.inputs[:5])
        back = math.prod(w_hh) + call.needs_grad[0] * math.prod(w_ih)
        return 2 * (2 * sums + steps * batch * back)
    return 2 * sums * (1 + sum(call.needs_grad[:2]))
