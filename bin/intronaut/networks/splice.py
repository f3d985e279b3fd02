"""CI-SpliceAI: the probability that each base of a gene is an acceptor or a donor of splicing, by five networks.

The architecture is that of SpliceAI (Jaganathan et al. 2019, Cell 176:535), the weights those of Strauch et al. 2022
(PLoS ONE 17(6): e0269159). A base sees 5,000 others on each side. The donor's probability stands at the last base of
the exon before the intron, the acceptor's at the first base of the exon behind it.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from intronaut.core.dna import base_codes
from intronaut.core.errors import BadData
from intronaut.io.checkpoints import open_checkpoint
from intronaut.io.tensorflow_graph import Graph

if TYPE_CHECKING:
    import torch

NETS, CHANNELS, CONTEXT = 5, 32, 5000
# width and dilation of the convolutions of each group of four residual units
GROUPS, UNITS = ((11, 1), (11, 4), (21, 10), (41, 25)), 4
NEITHER, ACCEPTOR, DONOR = 0, 1, 2
EPSILON = 1e-3
NORM = ("var", "gamma", "mean", "beta")
GRAPH = "cispliceai/data/CI-SpliceAI.pb"
GRAPH_SHA256 = "34330c2fd844f73cbf2f8acef85f519cabc4350016e6f19ac2b935aa53b43d06"
CONTENT_SHA256 = "93ee4df94f6cddcc439a4ff1bad127d0bff4a8b366d0a49de5d33870d1deacee"
ATTRIBUTION = (
    'CI-SpliceAI 1.2.2 network weights by Y. Strauch, J. Lord, M. Niranjan, D. Baralle ("CI-SpliceAI—Improving machine '
    'learning predictions of disease causing splicing variants using curated alternative splice sites", PLoS ONE '
    "17(6): e0269159, 2022, doi:10.1371/journal.pone.0269159), licensed CC BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/), taken from the PyPI package cispliceai 1.2.2; converted from a "
    "TensorFlow graph to safetensors, values unchanged; provided as is, without warranties."
)  # fmt: skip


def convolutions() -> list[tuple[int, int, int, int]]:
    """``(number from 1, inputs, outputs, width)`` of every convolution of one network, in its order."""
    number, layers = 2, [(1, 4, CHANNELS, 1), (2, CHANNELS, CHANNELS, 1)]
    for width, _ in GROUPS:
        widths = [width] * 2 * UNITS + [1]
        layers += [(number + at, CHANNELS, CHANNELS, one) for at, one in enumerate(widths, 1)]
        number += len(widths)
    return [*layers, (number + 1, CHANNELS, 3, 1)]


def shapes(nets: int = NETS) -> dict[str, tuple[int, ...]]:
    """Tensor name → shape of the whole checkpoint."""
    shape_of: dict[str, tuple[int, ...]] = {}
    for net in range(nets):
        for number, inputs, outputs, width in convolutions():
            shape_of[f"net{net}.conv{number}.weight"] = (outputs, inputs, width)
            shape_of[f"net{net}.conv{number}.bias"] = (outputs,)
        for number in range(1, len(GROUPS) * UNITS * 2 + 1):
            shape_of |= {f"net{net}.bn{number}.{name}": (CHANNELS,) for name in NORM}
    return shape_of


def convert(wheel: Path) -> dict[str, np.ndarray]:
    """The tensors of the published wheel, name → float32 array, checked to be those of CI-SpliceAI 1.2.2.

    Raises BadData for another file, another graph, and tensors that are missing, mis-shaped or not finite.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(GRAPH)
    except (zipfile.BadZipFile, KeyError, OSError) as problem:
        raise BadData(f"{wheel}: not the wheel of cispliceai ({problem}); fetch it again") from problem
    if (digest := hashlib.sha256(data).hexdigest()) != GRAPH_SHA256:
        raise BadData(f"{wheel}: {GRAPH} has sha256 {digest}, not {GRAPH_SHA256}; another version, or damaged")
    graph, tensors = Graph(data, wheel), {}
    for net in range(NETS):
        # Keras numbers the copies of a layer in one graph
        copy = f"_{net}" if net else ""
        for number, *_ in convolutions():
            layer = f"model_1/conv1d_{number}"
            kernel = graph.constant(f"{layer}/conv1d{copy}/ExpandDims_1/ReadVariableOp/resource")
            tensors[f"net{net}.conv{number}.weight"] = np.ascontiguousarray(kernel.transpose(2, 1, 0))
            tensors[f"net{net}.conv{number}.bias"] = graph.constant(f"{layer}/BiasAdd{copy}/ReadVariableOp/resource")
        for number in range(1, len(GROUPS) * UNITS * 2 + 1):
            layer = f"model_1/batch_normalization_{number}/batchnorm{copy}"
            names = ("ReadVariableOp", "mul/ReadVariableOp", "ReadVariableOp_1", "ReadVariableOp_2")
            for name, node in zip(NORM, names, strict=True):
                tensors[f"net{net}.bn{number}.{name}"] = graph.constant(f"{layer}/{node}/resource")
            if abs(float(graph.constant(f"{layer}/add/y")) - EPSILON) > 1e-9:
                raise BadData(f"{wheel}: batch normalisation {number} of net {net} has another epsilon than {EPSILON}")
    wrong = [name for name, shape in shapes().items() if tensors[name].shape != shape]
    wrong += [name for name, values in tensors.items() if not np.isfinite(values).all()]
    if wrong or content_sha256(tensors) != CONTENT_SHA256:
        raise BadData(f"{wheel}: not the tensors of CI-SpliceAI 1.2.2: {', '.join(wrong[:5]) or 'other values'}")
    return tensors


def content_sha256(tensors: dict[str, np.ndarray]) -> str:
    """One sha256 over names, shapes and float32 values: that of a safetensors file depends on the writer."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(name.encode())
        digest.update(np.array(values.shape, "<i8").tobytes())
        digest.update(values.tobytes())
    return digest.hexdigest()


class SpliceNetworks:
    """The networks, ready to compute.

    Args:
        tensors: name → tensor, as :func:`shapes` says.
        nets: how many of the networks to use, from the first; None for all.
        dtype: ``float32`` or ``bfloat16``, which moves probabilities by up to 0.02.
        device: a torch device.
    """

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        nets: int | None = None,
        dtype: str = "float32",
        device: str | torch.device = "cpu",
    ) -> None:
        import torch

        self.dtype, self.device, self.nets = getattr(torch, dtype), device, []
        self.sha256 = content_sha256({name: tensor.float().numpy() for name, tensor in tensors.items()})
        for net in range(min(nets or NETS, count_nets(tensors))):
            of_net = {name.partition(".")[2]: one for name, one in tensors.items() if name.startswith(f"net{net}.")}
            self.nets.append(self._prepared(of_net))

    def _prepared(self, tensors):
        """Kernels, biases, and the scale and shift that each batch normalisation comes to at inference."""
        import torch

        def ready(tensor):
            return tensor.to(self.device, self.dtype)

        norms = []
        for number in range(1, len(GROUPS) * UNITS * 2 + 1):
            var, gamma, mean, beta = (tensors[f"bn{number}.{name}"].float() for name in NORM)
            scale = torch.rsqrt(var + EPSILON) * gamma
            norms.append((ready(scale[:, None]), ready((beta - mean * scale)[:, None])))
        numbers = [number for number, *_ in convolutions()]
        kernels = [(ready(tensors[f"conv{n}.weight"]), ready(tensors[f"conv{n}.bias"])) for n in numbers]
        return kernels, norms

    def hidden(self, x: torch.Tensor, net: int) -> torch.Tensor:
        """The 32 sums before the last layer of one network: ``x`` ``(b, 4, n + 10000)`` → ``(b, 32, n)``.

        Convolutions are not padded: each unit leaves out of its input what it could not fill, as if the whole were
        padded and cropped.
        """
        from torch.nn.functional import conv1d, relu

        (first, second, *kernels, _), norms = self.nets[net]
        h = conv1d(x, *first)
        skip, norms, kernels = conv1d(h, *second), iter(norms), iter(kernels)
        for width, dilation in GROUPS:
            for _ in range(UNITS):
                y = h
                for _ in range(2):
                    scale, shift = next(norms)
                    y = conv1d(relu(y * scale + shift), *next(kernels), dilation=dilation)
                reach = dilation * (width - 1)
                h = h[:, :, reach:-reach] + y
            margin = (skip.shape[2] - h.shape[2]) // 2
            skip = skip[:, :, margin:-margin] + conv1d(h, *next(kernels))
        return skip

    def probabilities(self, x: torch.Tensor, layer: bool = False) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """``(b, 4, n + 10000)`` one-hot bases → ``(nets, b, 3, n)`` float32: neither, acceptor, donor.

        With ``layer`` also the hidden sums ``(nets, b, 32, n)``.
        """
        import torch
        from torch.nn.functional import conv1d

        with torch.inference_mode():
            x, outputs, sums = x.to(self.device, self.dtype), [], []
            for net, (kernels, _) in enumerate(self.nets):
                hidden = self.hidden(x, net)
                outputs.append(torch.softmax(conv1d(hidden, *kernels[-1]).float(), dim=1).cpu())
                sums += [hidden.float().cpu()] if layer else []
            return (torch.stack(outputs), torch.stack(sums)) if layer else torch.stack(outputs)


def one_hot(sequences: list[str]) -> torch.Tensor:
    """DNA of equal lengths as ``(b, 4, n)`` float32; letters other than A, C, G, T are zeros."""
    import torch

    codes = np.stack([base_codes(sequence) for sequence in sequences])
    return torch.from_numpy((codes[:, None] == np.arange(4)[:, None]).astype(np.float32))


def count_nets(tensors: dict[str, torch.Tensor]) -> int:
    """How many networks a checkpoint of these tensor names holds; NETS where the names are of something else."""
    prefixes = {name.partition(".")[0] for name in tensors}
    return max((int(name[3:]) + 1 for name in prefixes if name[:3] == "net" and name[3:].isdecimal()), default=NETS)


def open_networks(
    path: Path | str, *, nets: int | None = None, dtype: str = "float32", device: str | torch.device = "cpu"
) -> SpliceNetworks:
    """The networks of a safetensors file of fetch_weights. Raises MissingInput and BadData as open_checkpoint does."""
    checkpoint = open_checkpoint(path)
    tensors = checkpoint.match(shapes(count_nets(checkpoint.tensors)))
    checkpoint.require_finite(tensors)
    return SpliceNetworks(tensors, nets, dtype, device)
