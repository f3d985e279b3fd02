"""Checkpoints of random weights in the exact layouts of the released files, for tests and demos.

``python tests/helpers/random_checkpoints.py dnabert2 FOLDER`` writes pytorch_model.bin, model.safetensors and two json
files;
``… sei FOLDER`` a narrow Sei as sei.pth and model.safetensors, target.names, seqclass.names and projvec_targets.npy;
``… sei-full FOLDER`` the same at full width: 889,979,983 parameters, 7 GB in the two files.
"""

import itertools
import json
import sys
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bin"))

NOTE = "random weights"


def fill(key, shape, *, seed, bound, offset=0.0):
    """Uniform float32 numbers in offset ± bound that depend on seed and key alone, whatever the numpy version.

    The top 24 bits of each raw word of PCG64(SeedSequence([seed, crc32(key)])), exact in float32.
    """
    stream = np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(key.encode())]))
    words = stream.random_raw(int(np.prod(shape)))
    unit = (words >> np.uint64(40)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    values = np.float32(bound) * unit
    return (values + np.float32(offset) if offset else values).reshape(shape)


def dnabert2_tensors(config, seed=1):
    """The state dict of a DNABERT-2 of random weights, masked-language-model head included: 142 names at full size."""
    import torch

    from intronaut.networks.dnabert2 import tensor_shapes

    width, vocabulary = config.hidden_size, config.vocab_size
    head = {
        "transform.dense.weight": (width, width), "transform.dense.bias": (width,),
        "transform.LayerNorm.weight": (width,), "transform.LayerNorm.bias": (width,), "decoder.bias": (vocabulary,),
    }  # fmt: skip
    shapes = tensor_shapes(config) | {f"cls.predictions.{name}": shape for name, shape in head.items()}
    tensors = {name: torch.from_numpy(_like_trained(name, shape, seed)) for name, shape in shapes.items()}
    # the published file holds one tensor under these two names
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    return tensors


def _like_trained(name, shape, seed):
    """Numbers of a size that keeps activations near 1, as training does."""
    if "norm" in name.lower():
        return fill(name, shape, seed=seed, bound=0.1, offset=1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return fill(name, shape, seed=seed, bound=0.1)
    return fill(name, shape, seed=seed, bound=1.0 if "embeddings" in name else (3 / shape[1]) ** 0.5)


def dnabert2_tokenizer():
    """A byte-pair tokenizer of the published layout: specials 0–4, bases 5–8, then all 2-mers and some 4-mers."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    pairs = ["".join(pair) for pair in itertools.product("ACGT", repeat=2)]
    merges = [*((pair[0], pair[1]) for pair in pairs), *zip(pairs, pairs[::-1], strict=True)]
    vocabulary = [*specials, *"ACGT", *("".join(merge) for merge in merges)]
    model = BPE({token: place for place, token in enumerate(vocabulary)}, merges, unk_token="[UNK]", fuse_unk=False)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.add_special_tokens(specials)
    return tokenizer


def write_dnabert2(folder, seed=1):
    """Write a 2-layer DNABERT-2 of random weights, its tokenizer and its configuration; returns the folder."""
    import torch
    from safetensors.torch import save_file

    from intronaut.networks.dnabert2 import Config

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = dnabert2_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = Config(vocab_size=tokenizer.get_vocab_size(), hidden_size=128, num_hidden_layers=2, num_attention_heads=2,
                    intermediate_size=160)  # fmt: skip
    tensors = dnabert2_tensors(config, seed)
    torch.save(tensors, folder / "pytorch_model.bin")
    del tensors["cls.predictions.decoder.weight"]
    save_file(tensors, folder / "model.safetensors", {"note": NOTE})
    further = {"hidden_act": "gelu", "attention_probs_dropout_prob": 0.0, "alibi_starting_size": 512}
    (folder / "config.json").write_text(json.dumps(asdict(config) | further, indent=2))
    return folder


NARROW_SEI = ((30, 40, 60), 48)


def sei_tensors(channels, outputs, seed=1):
    """The state dict of a Sei of random weights: 38 tensors of a size that keeps activations and logits near 1."""
    import torch

    from intronaut.networks.sei import tensor_shapes

    gain = {"lconv": 1.4, "conv": 2.4, "dconv": 1.4, "classifier.0": 0.12, "classifier.2": 1.7}
    tensors = {}
    for name, shape in tensor_shapes(channels, outputs).items():
        wide = next(gain[layer] for layer in gain if name.startswith(layer)) / np.prod(shape[1:], initial=1) ** 0.5
        tensors[name] = torch.from_numpy(fill(name, shape, seed=seed, bound=0.1 if name.endswith("bias") else wide))
    return tensors


def write_sei(folder, channels=NARROW_SEI[0], outputs=NARROW_SEI[1], seed=1):
    """Write a Sei of random weights, names for its outputs, and class vectors; returns the folder."""
    import torch
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = sei_tensors(channels, outputs, seed)
    torch.save({f"module.model.{name}": tensor for name, tensor in tensors.items()}, folder / "sei.pth")
    save_file(tensors, folder / "model.safetensors", {"note": NOTE})
    targets = itertools.cycle(("CTCF", "H3K27ac", "DNase", "Pol2", "H3K36me3", "ATAC-seq"))
    lines = [f"Cell_{place % 7} | {next(targets)} | ID:{place}" for place in range(outputs)]
    (folder / "target.names").write_text("\n".join(lines) + "\n")
    (folder / "seqclass.names").write_text("".join(f"C{place} class {place}\n" for place in range(40)))
    np.save(folder / "projvec_targets.npy", fill("projection", (61, outputs), seed=seed, bound=1.0))
    return folder


def write_full_sei(folder):
    """Write a Sei of random weights at the released size."""
    from intronaut.networks.sei import CHANNELS, OUTPUTS

    return write_sei(folder, CHANNELS, OUTPUTS)


WRITERS = {"dnabert2": write_dnabert2, "sei": write_sei, "sei-full": write_full_sei}

if __name__ == "__main__":
    WRITERS[sys.argv[1]](sys.argv[2])
