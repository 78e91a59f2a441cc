"""What tests of several networks need: how many parameters, and a twin with the same weights."""


def n_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def with_weights_of(twin, net):
    """The twin in PyTorch with the weights of ours, name by name: no dictionary between the two."""
    import torch

    # Copies: a state shares memory with its network.
    state = {name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()}
    twin.load_state_dict(state)
    return twin
