"""Random weights of CI-SpliceAI's shape."""

import torch

from intronaut.networks.splice import shapes


def random_tensors(nets=2, seed=1):
    """Name → tensor, of a size that keeps the activations in bounds."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes(nets).items():
        if name.endswith(("var", "gamma")):
            found[name] = 0.5 + torch.rand(shape, generator=generator)
        else:
            scale = (shape[1] * shape[2]) ** -0.5 if len(shape) == 3 else 0.1
            found[name] = scale * torch.randn(shape, generator=generator)
    return found


def write_random(path, nets=2, seed=1):
    """A checkpoint of random weights."""
    from safetensors.torch import save_file

    save_file(random_tensors(nets, seed), path)
    return path
