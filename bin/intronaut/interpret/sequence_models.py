"""Models whose logit attributions explain: networks of finetune, linear models on Sei."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from intronaut.core.errors import BadData, UsageError
from intronaut.features.sei import STRANDS, problem_with, provenance, wanted_features
from intronaut.interpret.attribution import BaseModel, TokenModel
from intronaut.io.checkpoints import BackgroundDigest
from intronaut.io.fasta import Window
from intronaut.io.h5ad import Features
from intronaut.models.folder import LinearModel, matching_columns
from intronaut.networks import sei
from intronaut.networks.finetuned import FinetunedNetwork

if TYPE_CHECKING:
    from intronaut.core.log import Log


def differentiable(
    model: LinearModel | FinetunedNetwork, folder: Path | str, files: Any, device: torch.device, log: Log | None
) -> tuple[BaseModel | TokenModel, Callable]:
    """``(model, problem)``: a model of open_model as a BaseModel or TokenModel, and why it cannot read a sequence.

    ``files`` has the paths weights, targets, projection and class_names, or None. Raises MissingInput; UsageError for
    files that are lacking; BadData for other files than the model's and for models that no sequence goes through.
    ``folder`` names the model in messages.
    """
    if isinstance(model, FinetunedNetwork):
        return _of_network(model), model.problem
    if not isinstance(model, LinearModel):
        raise BadData(f"{folder}: trees have no gradient; attribute explains networks and linear models on Sei")
    if model.notes["features"].get("tool") != "embed_sei":
        tool = model.notes["features"].get("tool", "another tool")
        raise BadData(f"{folder}: a linear model on features of {tool}; attribute reads networks, and those on Sei")
    return _linear_on_sei(folder, model, files, device, log)


def _of_network(model):
    if model.notes["spec"]["network"] == "dnabert2":
        return TokenModel(model.network, model.reader, model.strands, model.device)
    return BaseModel(dict.fromkeys(model.strands, model.network), model.reader.encode, model.device)


def _linear_on_sei(folder, model, files, device, log):
    recorded = model.notes["features"]
    options = SimpleNamespace(**recorded | vars(files))
    for name in _files_of(recorded["features"]):
        if getattr(files, name) is None:
            raise UsageError(f"--{name} is needed: {folder} reads features of Sei that were made with it")
    checkpoint, tensors = sei.open_sei(options.weights)
    digest = BackgroundDigest(checkpoint.path)
    if recorded["features"] == "chosen":
        raise BadData(f"{folder}: reads Sei profiles that a file chose; embed all of them, and fit --feature-groups")
    var, rows, vectors = wanted_features(options, tensors)
    if checkpoint.note:
        log.warn(f"{options.weights}: {checkpoint.note}")
    columns = matching_columns(
        model.notes, Features(options.weights, None, None, var, provenance(options, digest, checkpoint.note))
    )
    weights, intercept = np.zeros(len(var)), None
    weights[columns], intercept = model.per_unit()
    strands = STRANDS[recorded["strands"]]
    # the logit is the mean of the strands; of features that are not, each strand has coefficients of its own
    parts = 2 * weights.reshape(2, -1) if recorded["strands"] == "both" else [weights] * len(strands)
    weight_files = {
        strand: LinearOnSei(tensors, recorded["features"], rows, part, intercept, vectors)
        for strand, part in zip(strands, parts, strict=True)
    }
    checkpoint.require_finite(weight_files["+"].state_dict())

    def encode(sequence):
        codes = sei.encode(sequence, recorded["iupac"] == "expand")
        return codes if recorded["context"] == "native" else sei.fit_to_window(codes)

    def problem(sequence):
        return problem_with(Window("", sequence), recorded["context"])

    return BaseModel(weight_files, encode, device), problem


def _files_of(features):
    if features in ("spline", "trunk"):
        return ("weights",)
    return ("weights", "projection") if features == "seqclass" else ("weights", "targets")


class LinearOnSei(sei.SeiTrunk):
    """A linear model of Sei's features and Sei beneath it: channels ``(n, 4, length)`` → logits ``(n,)``.

    ``kind`` is what embed_sei calls the features that ``weights`` belong to, ``rows`` the profiles among Sei's outputs
    (None: all), ``vectors`` those of sequence classes, whose scores are linear in the profiles.
    """

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        kind: str,
        rows: np.ndarray | None,
        weights: np.ndarray,
        intercept: float,
        vectors: np.ndarray | None = None,
    ) -> None:
        super().__init__(sei.widths(tensors)[0])
        self.kind, self.intercept = kind, float(intercept)
        trunk = {name: tensor.float() for name, tensor in tensors.items() if not name.startswith("classifier.")}
        self.load_state_dict(trunk, assign=True)
        if vectors is not None:
            weights = (weights / np.linalg.norm(vectors, axis=1)) @ vectors
        self.register_buffer("coefficients", torch.as_tensor(np.ascontiguousarray(weights), dtype=torch.float32))
        if kind not in ("spline", "trunk"):
            rows = slice(None) if rows is None else np.asarray(rows)
            self.hidden = _dense(*(tensors[f"classifier.0.{part}"].float() for part in ("weight", "bias")))
            self.outputs = _dense(*(tensors[f"classifier.2.{part}"][rows].float() for part in ("weight", "bias")))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "trunk":
            features = self.trunk(x).mean(2)
        elif self.kind == "spline":
            features = self.spline(x)
        else:
            features = self.outputs(torch.relu(self.hidden(self.spline(x))))
            if self.kind != "logits":
                features = torch.sigmoid(features)
        return features @ self.coefficients + self.intercept


def _dense(weight, bias):
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer
