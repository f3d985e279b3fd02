"""DNABERT-2: tokenizer and forward pass, from the published files, without transformers, Triton or remote code.

The architecture is MosaicBERT's (Portes et al. 2023) as DNABERT-2 (Zhou et al. 2024) uses it: post-norm layers, ALiBi
attention biases instead of positions (Press et al. 2022), a gated MLP. Parameters carry the names of the published
state dict. Sequences are packed, end to end and without padding, in one ``(tokens, width)`` matrix: every linear layer
runs on it at once, attention once for every run of sequences of equal length.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import torch
import torch.nn.functional as F
from torch import nn

from intronaut.core.errors import BadData
from intronaut.core.files import require_file
from intronaut.core.json_files import read_record
from intronaut.io.checkpoints import Checkpoint, let_go

PARAMETERS = 117_074_176
SPECIALS = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
# heads of other tasks: masked language model, and the pooler and classifier of a fine-tuned copy
UNUSED = ("cls.", "bert.pooler.", "classifier.")
HEAD_WIDTH = 64
# attention is computed this many query rows at a time, so that its memory grows with the length, not its square
ROWS = 512
# keys and values of bfloat16 on a CPU are padded to a multiple of this: others take up to twice the time
KEYS_PADDED_TO = 32
# rows of packed layers are a multiple of this, so that oneDNN compiles few kernels
ROWS_PADDED_TO = 128


@dataclass(frozen=True)
class Config:
    """The sizes of a DNABERT-2; the defaults are those of DNABERT-2-117M."""

    vocab_size: int = 4096
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1


def read_config(path: Path | str) -> Config:
    """The Config of a published config.json. Raises BadData for a model of another kind."""
    record = read_record(path)
    kinds = get_type_hints(Config)
    lacking = [name for name in kinds if name not in record]
    if lacking:
        raise BadData(f"{path}: no {', '.join(lacking)}; give the config.json of DNABERT-2")
    try:
        config = Config(**{name: kind(record[name]) for name, kind in kinds.items()})
    except (ValueError, TypeError) as problem:
        raise BadData(f"{path}: not the config.json of a model: {problem}") from problem
    if record.get("hidden_act") != "gelu" or "alibi_starting_size" not in record:
        raise BadData(f"{path}: not a DNABERT-2: it must have alibi_starting_size, and hidden_act gelu")
    return config


def config_of(tensors: dict[str, torch.Tensor]) -> Config:
    """The Config that the shapes of named tensors say, with heads 64 wide as in DNABERT-2-117M."""
    try:
        vocabulary, width = tensors["bert.embeddings.word_embeddings.weight"].shape
        inner = tensors["bert.encoder.layer.0.mlp.wo.weight"].shape[1]
    except (KeyError, ValueError, IndexError):
        return Config()  # so that the missing tensors are named against the published layout
    layers = {name.split(".")[3] for name in tensors if name.startswith("bert.encoder.layer.")}
    return Config(vocabulary, width, len(layers), max(width // HEAD_WIDTH, 1), inner)


class Dnabert2(nn.Module):
    """The encoder: packed token ids and the lengths of the sequences in, hidden states out."""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.bert = nn.ModuleDict({
            "embeddings": nn.ModuleDict({
                "word_embeddings": _embedding(config.vocab_size, width),
                "token_type_embeddings": _embedding(config.type_vocab_size, width),
                "LayerNorm": nn.LayerNorm(width, config.layer_norm_eps),
            }),
            "encoder": nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))}),
        })  # fmt: skip
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.dtype = torch.float32
        # rows of zeros are added up to a multiple of this
        self.rows_multiple = 1
        self._bias = None

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """The input of the first layer, ``(tokens, width)`` float32, of packed token ids ``(tokens,)`` int64."""
        parts = self.bert["embeddings"]
        # every token is of type 0, whose row is part of the trained embedding
        embedded = parts["word_embeddings"](ids) + parts["token_type_embeddings"].weight[0]
        return self.dropout(parts["LayerNorm"](embedded))

    def states(self, hidden: torch.Tensor, lengths: list[int]) -> Iterator[torch.Tensor]:
        """Yield ``(tokens, width)`` float32 after each layer, from the embedded tokens of sequences of ``lengths``."""
        runs = [(length, len(list(equal))) for length, equal in itertools.groupby(lengths)]
        bias = Alibi(self._alibi(max(lengths), hidden.device))
        tokens = len(hidden)
        hidden = F.pad(hidden, (0, 0, 0, -tokens % self.rows_multiple))
        for layer in self.bert["encoder"]["layer"]:
            hidden = layer(hidden, runs, bias)
            yield hidden[:tokens]

    def forward(self, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        """The last hidden states, ``(tokens, width)`` float32, of packed ids ``(tokens,)`` int64."""
        *_, last = self.states(self.embed(ids), lengths)
        return last

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.bert["embeddings"]["word_embeddings"].weight.device

    def compute_in(self, dtype: torch.dtype) -> Dnabert2:
        """Let the matrix products run in ``dtype``; the residual stream, the norms and the softmax stay float32."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.to(dtype)
        self.dtype = dtype
        return self

    def _alibi(self, longest, device):
        if self._bias is None or self._bias.shape[2] < 2 * longest or self._bias.device != device:
            reach = -(-longest // 64) * 64
            self._bias = alibi_rows(self.config.num_attention_heads, reach).to(device, self.dtype)
        return self._bias


class Layer(nn.Module):
    """One MosaicBERT layer: attention, gated MLP, each followed by residual and LayerNorm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, inner, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.heads = config.num_attention_heads
        self.attention = nn.ModuleDict({
            "self": nn.ModuleDict({"Wqkv": nn.Linear(width, 3 * width)}),
            "output": nn.ModuleDict({"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, eps)}),
        })  # fmt: skip
        self.mlp = nn.ModuleDict({
            "gated_layers": GatedLinear(width, 2 * inner, bias=False),
            "wo": nn.Linear(inner, width),
            "layernorm": nn.LayerNorm(width, eps),
        })  # fmt: skip
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: torch.Tensor, runs: list[tuple[int, int]], bias: Alibi) -> torch.Tensor:
        wqkv, output = self.attention["self"]["Wqkv"], self.attention["output"]
        attended = self._attend(wqkv(hidden.to(bias.rows.dtype)), runs, bias)
        hidden = output["LayerNorm"](self.dropout(output["dense"](attended)).to(hidden.dtype) + hidden)
        inner = self.mlp["wo"](self.dropout(self.mlp["gated_layers"](hidden.to(bias.rows.dtype))))
        return self.mlp["layernorm"](inner.to(hidden.dtype) + hidden)

    def _attend(self, qkv, runs, bias):
        sizes = [length * count for length, count in runs]
        *parts, added = qkv.split([*sizes, len(qkv) - sum(sizes)])
        attended = [self._attend_run(part, length, bias) for part, (length, _) in zip(parts, runs, strict=True)]
        return torch.cat([*attended, added[:, : added.shape[1] // 3]])

    def _attend_run(self, qkv, length, bias):
        parts = qkv.view(-1, length, 3, self.heads, qkv.shape[1] // (3 * self.heads)).permute(2, 0, 3, 1, 4)
        query, pair, added = parts[0], parts[1:], bias.keys(length) - length
        key, value = F.pad(pair, (0, 0, 0, added)) if added else pair
        # blocks of equal size: matrix products of a few rows are rounded in another way
        step = math.ceil(length / math.ceil(length / ROWS))
        blocks = [
            F.scaled_dot_product_attention(rows, key, value, attn_mask=bias.block(length, first, rows.shape[2]))
            for first, rows in zip(range(0, length, step), query.split(step, dim=2), strict=True)
        ]
        attended = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=2)
        return attended.transpose(1, 2).reshape(len(qkv), -1)


class GatedLinear(nn.Linear):
    """The linear layer of a gated MLP: ``GELU(first half of the outputs) · second half``."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        gate, value = super().forward(rows).chunk(2, dim=-1)
        return F.gelu(gate) * value


class PackedLinear(nn.Module):
    """A linear layer for inference on a CPU, its weights laid out once as oneDNN's kernels read them.

    Up to a fifth faster than ``nn.Linear``, which on a CPU calls another library in float32 and lays the weights out
    again for every call in bfloat16. The weights' layout is made for ``ROWS`` rows at a time and serves any number;
    oneDNN keeps a compiled kernel for every number of rows that it has seen.
    """

    def __init__(self, linear: torch.nn.modules.linear.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS)
        self.bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")


class PackedGatedLinear(nn.Module):
    """A GatedLinear for inference as PackedLinear is a linear layer, with its GELU computed as the sums are written."""

    def __init__(self, linear: GatedLinear) -> None:
        super().__init__()
        halves = linear.weight.detach().chunk(2)
        self.gate, self.value = [torch.ops.mkldnn._reorder_linear_weight(half, ROWS) for half in halves]

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        gate = torch.ops.mkldnn._linear_pointwise(rows, self.gate, None, "gelu", [], "none")
        return gate.mul_(torch.ops.mkldnn._linear_pointwise(rows, self.value, None, "none", [], ""))


def pack(model: Dnabert2) -> Dnabert2:
    """The model with every linear layer that oneDNN can compute here packed; it cannot be trained then."""
    computed = {torch.float32} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else set()
    if computed and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        computed.add(torch.bfloat16)
    if model.dtype not in computed:
        return model
    model.rows_multiple = ROWS_PADDED_TO
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                module[name] = PackedGatedLinear(child) if isinstance(child, GatedLinear) else PackedLinear(child)
                let_go(child.weight)
    return model


def _embedding(rows, width):
    # drawing random numbers, as nn.Embedding does by itself, takes seconds of imports on the meta device
    return nn.Embedding(rows, width, _weight=torch.zeros(rows, width))


def alibi_slopes(heads: int) -> torch.Tensor:
    """One slope a head, float64 ``(heads,)``, by Press et al. 2022: for 12 heads, those of 8 and every other of 16."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = 2.0 ** (-8 / power * torch.arange(1, power + 1, dtype=torch.float64))
    if power == heads:
        return slopes
    return torch.cat([slopes, alibi_slopes(2 * power)[0::2][: heads - power]])


def alibi_rows(heads: int, reach: int) -> torch.Tensor:
    """ALiBi biases, float32 ``(heads, ROWS, 2 * reach)``: ``-slope · |column − reach − row|``.

    Any block of at most ROWS query rows of a sequence of up to ``reach`` tokens is a slice of it.
    """
    distance = (torch.arange(2 * reach) - reach - torch.arange(min(ROWS, reach))[:, None]).abs()
    return -alibi_slopes(heads).float()[:, None, None] * distance


class Alibi:
    """The ALiBi biases of one batch: ``rows`` as from ``alibi_rows``, in the dtype that attention is computed in."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self._of_length = {}

    def keys(self, length: int) -> int:
        """How many keys a sequence is given; those beyond its tokens are masked."""
        padded = self.rows.dtype == torch.bfloat16 and self.rows.device.type == "cpu"
        return length + (-length % KEYS_PADDED_TO if padded else 0)

    def block(self, length: int, first: int, rows: int) -> torch.Tensor:
        """``(1, heads, rows, keys)``: the biases of a sequence's query rows from ``first`` on."""
        if length in self._of_length:
            return self._of_length[length]
        start = self.rows.shape[2] // 2 - first
        biases = self.rows[None, :, :rows, start : start + self.keys(length)]
        if self.keys(length) > length:
            biases = biases.masked_fill(torch.arange(biases.shape[3]) >= length, -math.inf)
            # every layer asks again; of longer sequences they would take memory by the square of the length
            if length <= ROWS:
                self._of_length[length] = biases
        return biases


def load(checkpoint: Checkpoint, config: Config) -> Dnabert2:
    """The Dnabert2 whose tensors a Checkpoint holds, ready to embed. Raises BadData that names every tensor amiss."""
    tensors = checkpoint.match(tensor_shapes(config), unused=UNUSED)
    checkpoint.require_finite(tensors)
    with torch.device("meta"):
        model = Dnabert2(config)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False)


def tensor_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The name and shape of each tensor that embedding needs, as in the published state dict."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in Dnabert2(config).state_dict().items()}


def pool(hidden: torch.Tensor, lengths: list[int], how: str) -> torch.Tensor:
    """One row a sequence, ``(sequences, width)``, from packed hidden states ``(tokens, width)``.

    ``mean`` and ``max`` take every token, the special first and last included, as the published example does;
    ``mean-no-special`` leaves those two out; ``first`` is the first token alone.
    """
    return torch.stack([_POOLS[how](tokens) for tokens in hidden.split(lengths)])


_POOLS = {
    "mean": lambda tokens: tokens.mean(0),
    "mean-no-special": lambda tokens: tokens[1:-1].mean(0),
    "first": lambda tokens: tokens[0],
    "max": lambda tokens: tokens.amax(0),
}


class Tokenizer:
    """The published byte-pair tokenizer of tokenizer.json, whole sequences, without truncation or padding.

    Raises BadData when the file is no tokenizer, lacks a special token or a base, or does not fit ``vocab_size``
    embedding rows.
    """

    def __init__(self, path: Path | str, vocab_size: int) -> None:
        from tokenizers import Tokenizer as Reader

        require_file(path)
        try:
            self.reader = Reader.from_file(str(path))
        except Exception as problem:  # the library raises bare Exception for every fault of the file
            raise BadData(f"{path}: not a tokenizer.json: {problem}") from problem
        # a copy saved again by a training script may cut and pad
        self.reader.no_truncation()
        self.reader.no_padding()
        # the library keeps the tokens of 10,000 words up to 256 letters; a window is one word and comes once
        if hasattr(self.reader.model, "_resize_cache"):
            self.reader.model._resize_cache(0)
        self._check(path, vocab_size)
        self.unknown, self.first, self.last = map(self.reader.token_to_id, ("[UNK]", "[CLS]", "[SEP]"))

    def _check(self, path, vocab_size):
        size = self.reader.get_vocab_size()
        if size != vocab_size:
            raise BadData(f"{path}: {size:,} tokens, the weights have {vocab_size:,}; these are not of one model")
        lacking = [token for token in (*SPECIALS, *"ACGT") if self.reader.token_to_id(token) is None]
        if lacking:
            raise BadData(f"{path}: no token {', '.join(lacking)}; give the tokenizer.json of DNABERT-2")
        tokens = self.reader.encode("ACGTN").tokens
        if "".join(tokens) != "[CLS]ACGT[UNK][SEP]":
            raise BadData(f"{path}: reads ACGTN as {' '.join(tokens)}; bases between [CLS] and [SEP] were expected")

    def __call__(self, sequence: str, max_tokens: int | None = None) -> tuple[list[int], bool]:
        """Token ids of an upper-case sequence, special ones included, and whether ``max_tokens`` cut it.

        Every letter but A, C, G and T becomes an unknown token of its own.
        """
        ids = self.reader.encode(sequence).ids
        if max_tokens is None or len(ids) <= max_tokens:
            return ids, False
        return [*ids[: max_tokens - 1], self.last], True
