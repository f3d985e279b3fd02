"""The tables of find_motifs: motifs and families with their tests, sites, and sites around the splice sites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from intronaut.core.files import whole_file
from intronaut.motifs.similarity import frequencies
from intronaut.motifs.sites import Sites, site_q_values
from intronaut.motifs.windows import Study, landmarks, on_genome
from intronaut.stats.association import AdjustedTest, effect_columns, residual_ranks, spearman

if TYPE_CHECKING:
    from intronaut.motifs.pwm import Motif

ALPHA = 0.05
BIN = 20
SITE_COLUMNS = ("chrom", "start", "end", "name", "score", "strand", "window", "window_start", "tf", "p", "q")


def motif_table(
    about: pd.DataFrame,
    tests: tuple[AdjustedTest, AdjustedTest],
    study: Study,
    hit: np.ndarray,
    shuffled: np.ndarray | None,
    reachable: np.ndarray,
    least: int,
) -> pd.DataFrame:
    """motifs.tsv or families.tsv by whether a window has a site: the smallest p first.

    Args:
        about: DataFrame of ``m`` lines, with ``motif_gc``; ``tests``: the adjusted and the unadjusted AdjustedTest.
        hit: ``(n, m)`` bool; ``shuffled``: the same of the shuffled windows, or None.
        reachable: ``(m,)`` bool; ``least``: windows with and without a site for a test.
    """
    status = _status(hit, reachable, least)
    adjusted, unadjusted = (_effects(test, hit, status) for test in tests)
    control = None if shuffled is None else _effects(tests[0], shuffled, _status(shuffled, reachable, least))
    return _table(about, study.label, hit, status, adjusted, unadjusted, control)


def best_score_table(
    about: pd.DataFrame,
    tests: tuple[AdjustedTest, AdjustedTest],
    study: Study,
    hit: np.ndarray,
    best: np.ndarray,
    shuffled_best: np.ndarray | None,
) -> pd.DataFrame:
    """motifs.tsv by the windows' best scores ``(n, m)``: odds ratios are for one standard deviation more."""
    status = np.where(np.isnan(best).any(axis=0), "too_few", "tested").astype(object)
    adjusted, unadjusted = (_effects(test, _standardised(best), status) for test in tests)
    control = None if shuffled_best is None else _effects(tests[0], _standardised(shuffled_best), status)
    return _table(about, study.label, hit, status, adjusted, unadjusted, control)


def _status(hit, reachable, least):
    """tested; unreachable: no site of the motif can have so small a p-value; too_few: windows with, or without, a
    site."""
    count = hit.sum(axis=0)
    few = (count < least) | (len(hit) - count < least)
    return np.select([~reachable, few], ["unreachable", "too_few"], "tested").astype(object)


def _effects(test, columns, status):
    untested = test.effect(np.zeros(len(columns)))
    return [test.effect(column) if s == "tested" else untested for column, s in zip(columns.T, status, strict=True)]


def _standardised(best):
    spread = best.std(axis=0)
    return (best - best.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _table(about, label, hit, status, adjusted, unadjusted, control):
    retained, spliced = hit[label == 1], hit[label == 0]
    table = about.assign(
        status=status, retained_hit=retained.sum(axis=0), spliced_hit=spliced.sum(axis=0),
        share_retained=retained.mean(axis=0), share_spliced=spliced.mean(axis=0),
        **effect_columns(adjusted), **effect_columns(unadjusted, "_unadjusted"),
    )  # fmt: skip
    if control is not None:
        columns = effect_columns(control, "_shuffled")
        table = table.assign(**{name: columns[name] for name in ("odds_ratio_shuffled", "p_shuffled", "q_shuffled")})
    effect = np.array([one.log_odds for one in adjusted])
    table["rank"] = residual_ranks(effect, np.zeros(len(effect)))
    table["rank_gc_residual"] = residual_ranks(effect, table["motif_gc"].to_numpy(float))
    return table.sort_values(["p", "p_unadjusted"], kind="stable", ignore_index=True)


def describe_motifs(motifs: list[Motif], family: np.ndarray) -> pd.DataFrame:
    """What is known of the motifs before any test, a line each; ``family`` is the number of each one's family."""
    shares = [frequencies(motif) for motif in motifs]
    return pd.DataFrame(
        {
            "motif_id": [motif.motif_id for motif in motifs],
            "tf": [motif.tf for motif in motifs],
            "family": family_names(motifs, family)[family],
            "tf_family": [motif.family or None for motif in motifs],
            "width": [len(share) for share in shares],
            # bits against equal base frequencies
            "information": [float(2 * len(s) + (s * np.log2(np.maximum(s, 1e-12))).sum()) for s in shares],
            "motif_gc": [float(share[:, 1:3].sum(axis=1).mean()) for share in shares],
        }
    )


def describe_families(motifs: list[Motif], family: np.ndarray, by_motif: pd.DataFrame) -> pd.DataFrame:
    """What is known of the families, a line each, and the motif of each with the smallest p in ``by_motif``."""
    members = [np.flatnonzero(family == k) for k in range(family.max() + 1)]
    place = {name: k for k, name in enumerate(by_motif["motif_id"])}
    gc = by_motif.set_index("motif_id")["motif_gc"]
    ids = [[motifs[k].motif_id for k in rows] for rows in members]
    return pd.DataFrame(
        {
            "family": family_names(motifs, family),
            "n_motifs": [len(rows) for rows in members],
            "best_motif": [min(members, key=place.get) for members in ids],
            "factors": [";".join(dict.fromkeys(motifs[k].tf for k in rows)) for rows in members],
            "motif_gc": [float(gc[members].mean()) for members in ids],
        }
    )


def family_names(motifs: list[Motif], family: np.ndarray) -> np.ndarray:
    """A name for each family: the factor of its first motif, and how many more motifs there are."""
    members = [np.flatnonzero(family == k) for k in range(family.max() + 1)]
    names = [motifs[rows[0]].tf + (f" +{len(rows) - 1}" if len(rows) > 1 else "") for rows in members]
    # two families may start with matrices of one factor: the id tells them apart
    twice = [
        f" ({motifs[rows[0]].motif_id})" if names.count(name) > 1 else ""
        for name, rows in zip(names, members, strict=True)
    ]
    return np.array([name + more for name, more in zip(names, twice, strict=True)], object)


def windows_hit(sites: Sites, n: int, m: int) -> np.ndarray:
    """Which windows hold a site of which motif: ``(n, m)`` bool."""
    hit = np.zeros((n, m), bool)
    hit[sites.window, sites.motif] = True
    return hit


def any_of_family(columns: np.ndarray, family: np.ndarray) -> np.ndarray:
    """``(n, families)`` bool: whether any column of the family is true."""
    return np.column_stack([columns[..., family == k].any(axis=-1) for k in range(family.max() + 1)])


def gc_correlations(table: pd.DataFrame) -> dict[str, float]:
    """Spearman's correlation of motif GC with the log odds ratio, for each test of the table."""
    gc = table["motif_gc"].to_numpy(float)
    with np.errstate(divide="ignore"):
        return {
            name: spearman(gc, np.log(table[column].to_numpy(float))) for name, column in _tests(table, "odds_ratio")
        }


def significant(table: pd.DataFrame) -> dict[str, int]:
    """The number of lines with q of at most 0.05, for each test of the table."""
    return {name: int((table[column] <= ALPHA).sum()) for name, column in _tests(table, "q")}


def _tests(table, column):
    kinds = {"unadjusted": "_unadjusted", "adjusted": "", "shuffled": "_shuffled"}
    return [(name, column + suffix) for name, suffix in kinds.items() if column + suffix in table]


def write_sites(
    path: Path, study: Study, motifs: list[Motif], sites: Sites, tested: np.ndarray, observed: np.ndarray | None = None
) -> np.ndarray | None:
    """Write sites as BED6 and more, in order of window, motif and start.

    ``observed`` is ``(n, length)`` attributions or None. Returns the mean attribution of each motif's sites, NaN
    without any site, or None.
    """
    q = site_q_values(sites, tested)
    end = sites.start + np.array([len(motif.counts) for motif in motifs])[sites.motif]
    attribution = None
    if observed is not None:
        running = np.pad(np.cumsum(observed, axis=1, dtype=float), ((0, 0), (1, 0)))
        attribution = running[sites.window, end] - running[sites.window, sites.start]
    with whole_file(path) as out:
        out.write("\t".join([*SITE_COLUMNS, *([] if attribution is None else ["attribution"])]) + "\n")
        for k, (row, motif) in enumerate(zip(sites.window.tolist(), sites.motif.tolist(), strict=True)):
            window, one, start = study.windows[row], motifs[motif], int(sites.start[k])
            chrom, left, right, strand = on_genome(window, start, int(end[k]), bool(sites.minus[k]))
            line = f"{chrom}\t{left}\t{right}\t{one.motif_id}\t{sites.bits[k]:.6g}\t{strand}\t{window.name}\t{start}"
            more = "" if attribution is None else f"\t{attribution[k]:.6g}"
            out.write(f"{line}\t{one.tf}\t{sites.p[k]:.6g}\t{q[k]:.6g}{more}\n")
    if attribution is None:
        return None
    count = np.bincount(sites.motif, minlength=len(motifs))
    total = np.bincount(sites.motif, attribution, minlength=len(motifs))
    return np.divide(total, count, out=np.full(len(motifs), np.nan), where=count > 0)


def seqlet_table(study: Study, seqlets: pd.DataFrame) -> pd.DataFrame:
    """seqlets.tsv: BED6 on the genome (name: the window, score: the attribution), place in the window, bases."""
    rows = []
    for row in seqlets.itertuples():
        window = study.windows[row.window]
        chrom, start, end, strand = on_genome(window, row.start, row.end, False)
        bases = window.sequence[row.start : row.end]
        rows.append((chrom, start, end, window.name, row.attribution, strand, row.start, bases))
    columns = ["chrom", "start", "end", "name", "score", "strand", "window_start", "sequence"]
    return pd.DataFrame(rows, columns=columns)


def position_table(study: Study, sites: Sites, widths: np.ndarray, members: dict[str, np.ndarray]) -> pd.DataFrame:
    """How often sites lie how far from the splice sites.

    Args:
        widths: ``(m,)`` of the motifs; ``members``: name of a family → numbers of its motifs.

    Returns:
        DataFrame: family, landmark (donor and acceptor; centre where no window holds either), start, end (bp from the
        landmark in the direction of transcription; 0 is the intron's first base, its last, or the middle), label,
        windows (that cover the bin), hit (windows with the middle of a site in it), share.
    """
    places, direction = landmarks(study)
    shown = [name for name in ("donor", "acceptor") if np.isfinite(places[name]).any()] or ["centre"]
    last = np.array([len(codes) - 1 for codes in study.codes])
    middle, pieces = sites.start + (widths[sites.motif] - 1) / 2, []
    for landmark in shown:
        reach = np.stack([-places[landmark], last - places[landmark]]) * direction
        low, high = reach.min(axis=0), reach.max(axis=0)
        offset = (middle - places[landmark][sites.window]) * direction[sites.window]
        start = np.floor(offset / BIN) * BIN
        # a bin counts the windows that cover it, and each of them once
        inside = (start >= low[sites.window]) & (start + BIN - 1 <= high[sites.window])
        bins = np.arange(np.floor(np.nanmin(low) / BIN), np.ceil((np.nanmax(high) + 1) / BIN)) * BIN
        for label in (1, 0):
            of_label = study.label == label
            covered = [int((of_label & (low <= first) & (high >= first + BIN - 1)).sum()) for first in bins]
            for family, motifs in members.items():
                chosen = np.isin(sites.motif, motifs) & of_label[sites.window] & inside
                seen = np.unique(np.stack([sites.window[chosen], start[chosen]]), axis=1)[1]
                hits = [int((seen == first).sum()) for first in bins]
                piece = {
                    "family": family,
                    "landmark": landmark,
                    "start": bins.astype(int),
                    "end": bins.astype(int) + BIN,
                }
                pieces.append(pd.DataFrame(piece | {"label": label, "windows": covered, "hit": hits}))
    table = pd.concat(pieces, ignore_index=True)
    return table[table["windows"] > 0].assign(share=lambda kept: kept["hit"] / kept["windows"])
