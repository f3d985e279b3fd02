"""What the rules on the paper's claims look at."""

from dataclasses import dataclass, field

import pandas as pd

from intronaut.paper.roles import role
from intronaut.paper.verdicts import Estimate
from intronaut.stats import model_comparison


@dataclass
class Evidence:
    """What the rules look at.

    ``names``, ``notes`` (model.json) and ``aurocs`` are of the models compared, in one order. ``baselines`` maps the
    position of a model to those of the models beside it, by ``covariates`` and ``combined``. ``n`` is the number of
    windows, ``rarer_groups`` how many leakage groups hold one of the class that fewer groups hold. ``explained`` is
    groups.tsv of explain, ``motifs`` and ``motif_summary`` are of find_motifs.
    """

    names: list
    notes: list
    aurocs: model_comparison.Aurocs
    margin: float
    n: int
    rarer_groups: int
    baselines: dict = field(default_factory=dict)
    explained: pd.DataFrame | None = None
    motifs: pd.DataFrame | None = None
    motif_summary: dict = field(default_factory=dict)

    def of(self, *roles: str) -> list[int]:
        """Positions of the models that play one of the roles."""
        return [at for at, notes in enumerate(self.notes) if role(notes) in roles]

    def linear(self) -> list[int]:
        """The position of the linear model on Sei's outputs that has most of them, as a list of one or none."""
        models = self.of("sei logistic all") or self.of("sei logistic tf")
        return models[:1]

    def difference(self, a: int, b: int) -> Estimate:
        """The difference of AUROC of two models."""
        value, error = self.aurocs.difference(a, b)
        df = getattr(self.aurocs, "df", None)
        return Estimate(f"{self.names[a]} − {self.names[b]}", float(value), float(error), df)
