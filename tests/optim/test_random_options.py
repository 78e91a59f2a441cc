"""PyTorch parity for options drawn at random, with groups, schedules and a resume in mid-run."""

import numpy as np
import pytest

from minidl import Tensor, optim

STEPS, RESUME_AT = 30, 17
SHAPES = [(), (1,), (3, 4), (2, 3, 2, 2), (0, 2)]


def draw_options(name, rng):
    """Options of a rule that PyTorch takes, too."""

    def number(low, high):
        return float(10 ** rng.uniform(np.log10(low), np.log10(high)))

    def flag():
        return bool(rng.integers(2))

    options = {
        "lr": number(1e-4, 0.3),
        "weight_decay": number(1e-4, 0.3) if flag() else 0.0,
        "maximize": flag(),
    }
    if name == "SGD":
        options["momentum"] = float(rng.uniform(0.1, 0.99)) if flag() else 0.0
        options["nesterov"] = options["momentum"] > 0 and flag()
        options["dampening"] = 0.0 if options["nesterov"] else float(rng.uniform(0, 0.9))
    elif name in ("Adam", "AdamW"):
        options["betas"] = (float(rng.uniform(0, 0.99)), float(rng.uniform(0.5, 0.9999)))
        options |= {"eps": number(1e-10, 1e-2), "amsgrad": flag()}
    elif name == "RMSprop":
        options |= {"alpha": float(rng.uniform(0.5, 0.999)), "eps": number(1e-6, 1e-2)}
        options |= {"momentum": float(rng.uniform(0, 0.95)) * flag(), "centered": flag()}
    else:
        options |= {"lr_decay": number(1e-3, 1) * flag(), "eps": number(1e-10, 1e-2)}
        options["initial_accumulator_value"] = number(1e-2, 1) * flag()
    return options


def draw_schedule(rng):
    """A function of (optimizer, module of schedules) that makes a schedule."""
    kind, size = rng.integers(6), int(rng.integers(1, 12))
    gamma, start = float(rng.uniform(0.1, 1)), float(rng.uniform(0.01, 1))
    milestones = sorted(int(m) for m in rng.integers(0, STEPS, 4))
    return (
        lambda o, s: s.StepLR(o, size, gamma),
        lambda o, s: s.MultiStepLR(o, milestones, gamma),
        lambda o, s: s.ExponentialLR(o, gamma**0.1),
        lambda o, s: s.CosineAnnealingLR(o, T_max=size + 18, eta_min=1e-5),
        lambda o, s: s.LinearLR(o, start, gamma, size),
        lambda o, s: s.SequentialLR(
            o, [s.LinearLR(o, start, 1.0, size), s.StepLR(o, 4, gamma)], [size]
        ),
    )[kind]


def bowl(p, t):
    """A gradient that changes its size and sign from step to step."""
    return np.asarray(np.linspace(0.1, 2, p.size).reshape(p.shape) * (p - np.sin(0.7 * t)))


def make_groups(tensors, second):
    """Two groups: the second with options of its own."""
    return [{"params": tensors[:2]}, {"params": tensors[2:], **second}]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call of", "ignore:Initializing zero-element")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_drawn_options_pytorch(name, seed):
    """In float64, so that what differs is the rule; one parameter has no gradient now and then."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng([seed, len(name)])
    options = draw_options(name, rng)
    second = draw_options(name, rng)
    second.pop("nesterov", None)  # would have to fit the momentum of its own group alone
    if options.get("nesterov"):
        second |= {"momentum": 0.7, "dampening": 0.0}
    second.pop("maximize")
    second.pop("initial_accumulator_value", None)  # PyTorch takes the first group's for all
    make_schedule = draw_schedule(rng)
    start = [rng.standard_normal(shape) for shape in SHAPES]

    theirs = [torch.tensor(array, requires_grad=True) for array in start]
    their_optimizer = getattr(torch.optim, name)(make_groups(theirs, second), **options)
    their_schedule = make_schedule(their_optimizer, torch.optim.lr_scheduler)

    def make_ours(arrays):
        tensors = [Tensor(array, requires_grad=True) for array in arrays]
        optimizer = getattr(optim, name)(make_groups(tensors, second), **options)
        return tensors, optimizer, make_schedule(optimizer, optim)

    ours, optimizer, schedule = make_ours([array.copy() for array in start])
    for t in range(STEPS):
        if t == RESUME_AT:  # from here on with new objects, which have read the old ones' state
            states = optimizer.state_dict(), schedule.state_dict()
            ours, optimizer, schedule = make_ours([p.data.copy() for p in ours])
            optimizer.load_state_dict(states[0])
            schedule.load_state_dict(states[1])
        for index, (p, q) in enumerate(zip(ours, theirs)):
            unused = index == 1 and t % 3 == 0
            p.grad = None if unused else Tensor(bowl(p.data, t))
            q.grad = None if unused else torch.from_numpy(bowl(q.detach().numpy(), t))
        optimizer.step()
        their_optimizer.step()
        schedule.step()
        their_schedule.step()
        np.testing.assert_allclose(schedule.get_last_lr(), their_schedule.get_last_lr(), 1e-9)
        for p, q in zip(ours, theirs):
            np.testing.assert_allclose(p.data, q.detach().numpy(), 1e-8, 1e-10, err_msg=str(t))
