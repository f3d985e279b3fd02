"""How finetune trains a network: learning rates, epochs, early stopping, checkpoints that go on to the bit.

Everything random in an epoch (order, strands, dropout) is drawn from the seed and the number of the epoch, so a run
that was killed goes on from its last whole epoch as if nothing had happened.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import parametrize

from intronaut.core.errors import TryAgain, UsageError
from intronaut.core.files import whole_file
from intronaut.io.checkpoints import open_checkpoint
from intronaut.models.cross_validation import mean_auroc
from intronaut.networks.classifiers import Network, precision, predict
from intronaut.networks.device import device_name, peak_memory_bytes, unless_out_of_memory
from intronaut.stats.metrics import log_losses

if TYPE_CHECKING:
    from intronaut.core.log import Log

TRIAL_SECONDS = 10.0


@dataclass(frozen=True)
class Settings:
    """How to train.

    ``rates``: the learning rate at the start, at its peak after ``warm_up`` epochs, and after the last of ``epochs``;
    the trunk's is ``trunk_factor`` of it. ``patience``: epochs without a lower validation loss after which training
    ends. ``batch``: windows in a step. ``strands``: each epoch reads every window on ``both`` strands, on one at
    ``random``, or on its own (``forward``). ``clip``: the largest norm of a step's gradient, or None.
    """

    optimiser: str
    rates: tuple
    warm_up: int
    epochs: int
    patience: int
    batch: int
    decay: float = 0.01
    momentum: float = 0.9
    trunk_factor: float = 1.0
    strands: str = "random"
    clip: float | None = 1.0
    dtype: str = "float32"

    def rate(self, epoch: float) -> float:
        """The learning rate after ``epoch`` epochs, a real number: a straight line up, then half a cosine down."""
        first, peak, last = self.rates
        if epoch < self.warm_up:
            return first + (peak - first) * epoch / self.warm_up
        share = (epoch - self.warm_up) / (self.epochs - self.warm_up)
        return last + (peak - last) * (1 + math.cos(math.pi * share)) / 2


_SCRATCH = {"optimiser": "adamw", "rates": (1e-4, 1e-3, 1e-5), "warm_up": 2, "epochs": 50, "patience": 8, "batch": 64}
_GENTLE = {"warm_up": 1, "patience": 3, "trunk_factor": 0.1}
_PUBLISHED = {"warm_up": 5, "patience": 10, "batch": 512, "epochs": 100, "strands": "both", "clip": None}
_PUBLISHED_SGD = _PUBLISHED | {"optimiser": "sgd", "momentum": 0.95}
_PUBLISHED_ADAMW = _PUBLISHED | {"optimiser": "adamw"}
# Settings by preset and network; "frozen" is any head on a trunk that stays. In paper, those of Daoud & Ben-Hur 2025,
# who tell neither AttentionConv's peak rate nor the warm-up of any network but Sei: there it is as of the others.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "default": {
        "sei": _SCRATCH | _GENTLE | {"epochs": 20},
        "dnabert2": _SCRATCH | _GENTLE | {"rates": (3e-5, 3e-4, 3e-6), "epochs": 10, "batch": 32},
        "basset": _SCRATCH,
        "basenji": _SCRATCH | {"rates": (5e-5, 5e-4, 5e-6)},
        "attentionconv": _SCRATCH | {"rates": (5e-5, 5e-4, 5e-6)},
        "frozen": _SCRATCH | {"epochs": 100, "patience": 10},
    },
    "paper": {
        "sei": _PUBLISHED_SGD | {"rates": (1e-4, 1e-3, 1e-5), "epochs": 50},
        "dnabert2": _PUBLISHED_SGD | {"rates": (1e-4, 5e-4, 1e-5), "batch": 128},
        "basset": _PUBLISHED_ADAMW | {"rates": (1e-4, 1e-3, 1e-5)},
        "basenji": _PUBLISHED_ADAMW | {"rates": (1e-4, 5e-4, 1e-5)},
        "attentionconv": _PUBLISHED_ADAMW | {"rates": (1e-4, 1e-3, 1e-5)},
    },
}


def settings_of(
    preset: str, network: str, *, frozen: bool = False, peak: float | None = None, **changes: str
) -> Settings:
    """The Settings of a preset; ``peak`` scales its rates, ``changes`` that are not None replace its fields."""
    chosen = PRESETS[preset]["frozen" if frozen and preset == "default" else network]
    if peak:
        chosen = chosen | {"rates": tuple(rate * peak / chosen["rates"][1] for rate in chosen["rates"])}
    chosen = chosen | {name: value for name, value in changes.items() if value is not None}
    # a run shorter than the warm-up reaches its peak all the same
    return Settings(**chosen | {"warm_up": min(chosen["warm_up"], chosen["epochs"] - 1)})


@dataclass
class Examples:
    """Windows to learn from: for each strand that is read, one encoded window a row; labels or levels, and weights of
    their losses, float32 ``(n,)``."""

    strands: list
    labels: np.ndarray
    collate: Callable
    weights: np.ndarray

    def rows(self, rows: np.ndarray) -> list[list[np.ndarray]]:
        """The encoded windows of some rows, by strand."""
        return [[strand[row] for row in rows] for strand in self.strands]


@dataclass
class State:
    """How far a training is, as JSON can hold it. ``at_once``: windows computed together, fewer than a batch where
    memory does not hold one. ``scale``: of the losses in float16. ``predicted``: windows that it was asked for
    when it was trained.
    """

    at_once: int
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0
    predicted: int = 0
    seconds_to_predict: float = 0.0
    finished: bool = False
    scale: dict = field(default_factory=dict)
    history: list = field(default_factory=list)

    def judge(self, loss: float, settings: Settings) -> bool:
        """Take the log loss of the validation rows after one more epoch; returns whether it is the least yet."""
        self.epoch += 1
        if better := loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.epoch
        self.finished = self.epoch == settings.epochs or self.epoch - self.best_epoch >= settings.patience
        return better


class Training:
    """One network being trained on examples: its optimiser, how far it is, and its best weights so far.

    Args:
        network: a classifiers.Network on its device; only parameters that require a gradient are changed.
        at_once: windows to compute together [all of a batch]; the gradients of a batch add up.
    """

    def __init__(
        self, network: Network, examples: Examples, settings: Settings, *, log: Log, at_once: int | None = None
    ) -> None:
        self.network, self.examples, self.settings, self.log = network, examples, settings, log
        self.device = next(network.parameters()).device
        self.optimiser = _optimiser(network, settings)
        # float16 has so few exponents that small gradients would be lost; idle in other types
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.dtype == "float16")
        self.state, self.best = State(at_once or settings.batch), {}

    def run(self, train_rows: np.ndarray, valid_rows: np.ndarray, *, seed: list[int], path: Path) -> State:
        """Train on some rows until others no longer gain; the network ends with the weights of its best epoch.

        Args:
            train_rows, valid_rows: row numbers in the examples.
            seed: whole numbers that no other training of the run has.
            path: the checkpoint, written after every epoch; a training that finds one goes on from it.

        Raises TryAgain when one window does not fit into memory, UsageError when the loss is no number.
        """
        if Path(path).exists():
            self.load(path)
        settings, state = self.settings, self.state
        total = settings.epochs * len(train_rows) * (2 if settings.strands == "both" else 1)
        with self.log.progress(total, "windows at most") as progress:
            progress.add(total // settings.epochs * state.epoch)
            while not state.finished:
                started, rng = monotonic(), np.random.default_rng([*seed, state.epoch])
                torch.manual_seed(int(rng.integers(2**62)))
                self._judge(self._epoch(train_rows, rng, progress), valid_rows)
                state.seconds += monotonic() - started
                self.save(path)
                self.log.detail(", ".join(f"{name} {value:.4g}" for name, value in state.history[-1].items()))
        self.network.load_state_dict(self.best, strict=False)
        return state

    def speed(self, rows: np.ndarray) -> float:
        """Windows that training reads in a second, from the steps of TRIAL_SECONDS; they change the network."""
        settings = self.settings
        batches = itertools.cycle(_batches(_reading(rows, settings.strands, np.random.default_rng(0)), settings.batch))
        self.network.train()

        def step():
            batch = next(batches)
            # waiting for the loss is waiting for the device
            float(self._step(batch, settings.rates[0]))
            return len(batch)

        step()
        started, done = monotonic(), 0
        while done == 0 or monotonic() - started < TRIAL_SECONDS:
            done += step()
        return done / (monotonic() - started)

    def _judge(self, train_loss, valid_rows):
        """Add an epoch to the history by the log loss of the validation rows, and keep its weights if they are best."""
        settings, state, examples = self.settings, self.state, self.examples
        labels, strands = examples.labels[valid_rows].astype(float), examples.rows(valid_rows)
        logits = predict(
            self.network, examples.collate, strands, size=state.at_once, dtype=settings.dtype, log=self.log
        )
        if not (math.isfinite(train_loss) and np.isfinite(logits).all()):
            raise UsageError(f"the loss is not a number in epoch {state.epoch + 1}; lower --learning-rate")
        loss = float(np.average(log_losses(labels, logits), weights=examples.weights[valid_rows]))
        if state.judge(loss, settings):
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in _changing(self.network).items()}
        state.history.append({
            "epoch": state.epoch, "train_log_loss": train_loss, "inner_log_loss": loss,
            "inner_auroc": float(mean_auroc(labels, logits, [np.full(len(labels), True)])),
        })  # fmt: skip

    def _epoch(self, rows, rng, progress):
        """One pass over the rows in batches of equal size; returns the mean loss of the windows read."""
        self.network.train()
        places = _reading(rows, self.settings.strands, rng)
        batches = _batches(places, self.settings.batch)
        total = 0.0
        for number, batch in enumerate(batches):
            rate = self.settings.rate(self.state.epoch + number / len(batches))
            total = total + self._step(batch, rate) * len(batch)
            progress.add(len(batch))
        return float(total) / len(places)

    def _step(self, batch, rate):
        """One step of the optimiser; returns the mean loss of the batch, a tensor."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        loss = self._gradient(batch)
        self.scaler.unscale_(self.optimiser)
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss

    def _gradient(self, batch):
        """Leave the gradient of a batch's mean loss in the network; returns that loss, a tensor. Halves ``at_once``."""
        while (loss := unless_out_of_memory(self._accumulate, batch)) is None:
            if self.state.at_once == 1:
                raise TryAgain("one window does not fit into memory; use a machine or GPU with more")
            self.state.at_once = -(-min(self.state.at_once, len(batch)) // 2)
            self.log.warn(f"out of memory; {self.state.at_once} windows at once from here on")
        return loss

    def _accumulate(self, places):
        examples = self.examples
        self.optimiser.zero_grad()
        total = torch.zeros((), device=self.device)
        for piece in _batches(places, self.state.at_once):
            inputs = examples.collate([examples.strands[strand][row] for row, strand in piece]).to(self.device)
            labels, weights = (
                torch.from_numpy(values[piece[:, 0]]).to(self.device) for values in (examples.labels, examples.weights)
            )
            with precision(self.device, self.settings.dtype), parametrize.cached():
                logits = self.network(inputs)
            loss = binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum") / len(places)
            self.scaler.scale(loss).backward()
            total += loss.detach()
        return total

    def save(self, path: Path) -> None:
        """Write the checkpoint whole; of a finished training only the best weights."""
        self.state.scale = self.scaler.state_dict()
        tensors = {f"best.{name}": tensor for name, tensor in self.best.items()}
        if not self.state.finished:
            tensors |= {f"network.{name}": tensor for name, tensor in _changing(self.network).items()}
            slots = self.optimiser.state_dict()["state"].items()
            tensors |= {f"optimiser.{number}.{name}": value for number, slot in slots for name, value in slot.items()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items() if tensor is not None}
        with whole_file(path, "wb") as out:
            out.write(save(tensors, {"note": json.dumps(asdict(self.state))}))

    def load(self, path: Path) -> None:
        """Take up a checkpoint: how far it was, and its weights."""
        checkpoint = open_checkpoint(path)
        self.state = State(**json.loads(checkpoint.note))
        parts = defaultdict(dict)
        for name, tensor in checkpoint.tensors.items():
            part, name = name.split(".", 1)
            parts[part][name] = tensor.clone()
        self.best = parts["best"]
        if self.state.finished:
            return
        self.network.load_state_dict(parts["network"], strict=False)
        slots = defaultdict(dict)
        for name, tensor in parts["optimiser"].items():
            number, key = name.split(".", 1)
            slots[int(number)][key] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
        self.scaler.load_state_dict(self.state.scale)


def _optimiser(network, settings):
    """The optimiser of the parameters that may change."""
    parts = ((network.trunk, settings.trunk_factor), (network.head, 1.0))
    groups = [
        {"params": [one for one in part.parameters() if one.requires_grad], "factor": factor} for part, factor in parts
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, settings.rates[0], settings.momentum, weight_decay=settings.decay)
    return torch.optim.AdamW(groups, settings.rates[0], weight_decay=settings.decay)


def _batches(places, size):
    """As few parts of nearly equal size as hold at most ``size`` each."""
    return np.array_split(places, -(-len(places) // size))


def _reading(rows, strands, rng):
    """``(m, 2)``: which row is read on which strand (0 its own, 1 the other), in random order."""
    if strands == "both":
        places = np.array([(row, strand) for strand in (0, 1) for row in rows])
    else:
        places = np.stack([rows, rng.integers(2, size=len(rows)) if strands == "random" else 0 * rows], axis=1)
    return rng.permutation(places)


def _changing(network):
    """The tensors that training changes: what requires a gradient, and the running means of BatchNorm."""
    fixed = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    tensors = network.state_dict().items()
    return {name: tensor for name, tensor in tensors if tensor.is_floating_point() and name not in fixed}


def checkpoint_folder(output: Path | str, identity: dict[str, Any], log: Log) -> Path:
    """The folder of checkpoints beside ``output``: that of a killed run of the same ``identity``, or a new one."""
    output = Path(output).absolute()
    folder = output.with_name(f".{output.name}.part")
    path, text = folder / "run.json", json.dumps(identity, indent=1, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        log.note(f"going on from the checkpoints in {folder}")
        return folder
    if folder.exists():
        log.warn(f"{folder}: checkpoints of other options or inputs; starting again")
        shutil.rmtree(folder)
    with whole_file(path) as out:
        out.write(text)
    return folder


def peak_memory(device: torch.device) -> dict[str, Any]:
    """The device and the most memory that this process held on it, in GB."""
    return {"device": device_name(device), "memory_GB": peak_memory_bytes(device) / 1e9}
