"""Model folders of finetune with weights drawn or set by hand, for tests and benchmarks that explain networks."""

from dataclasses import asdict

import torch
from torch import nn

from intronaut.networks import classifiers, dnabert2
from random_checkpoints import dnabert2_tokenizer

NARROW = dnabert2.Config(41, 128, 2, 2, 160)
SPECS = {
    "sei": {"network": "sei", "head": "classification", "channels": [30, 40, 60]},
    "dnabert2": {"network": "dnabert2", "head": "classification", "config": asdict(NARROW)},
    "basset": {"network": "basset", "head": "classification"},
    "basenji": {"network": "basenji", "head": "classification"},
    "attentionconv": {"network": "attentionconv", "head": "classification"},
}


def drawn(spec, seed=1):
    """A network of random weights and of BatchNorm statistics that training could have left, ready to predict."""
    torch.manual_seed(seed)
    network = classifiers.build(spec)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    if spec["network"] == "dnabert2":
        # an untrained embedding is 0: every token would be alike
        for parameter in network.trunk.parameters():
            nn.init.normal_(parameter, std=0.1)
    return network.eval()


def write_folder(folder, network, *, strands="random", padded=None, max_tokens=None, lengths=(1, 10_000)):
    """Write a model folder as finetune does."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = network.spec["network"]
    notes = {"kind": kind, "settings": {"strands": strands, "dtype": "float32"}, "window_lengths": list(lengths),
             "padded_or_cut_to": padded, "max_tokens": max_tokens, "cost": {"windows_at_once": 8}}  # fmt: skip
    classifiers.write_network(folder, notes, network)
    if kind == "dnabert2":
        dnabert2_tokenizer().save(str(folder / "tokenizer.json"))
    return folder
