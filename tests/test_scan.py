"""Scanning for motif sites: p-values against every possible site and Biopython's; both strands; masks."""

import itertools

import numpy as np
import pytest
from Bio.motifs import matrix, thresholds
from Bio.Seq import Seq

from intronaut.core.dna import base_codes
from intronaut.motifs.pwm import Motif, jaspar_motifs
from intronaut.motifs.sites import (
    STEPS_PER_BIT,
    SiteScanner,
    base_frequencies,
    score_steps,
    site_q_values,
    strand_symmetric,
    survival,
)

SKEWED = strand_symmetric([0.3, 0.15, 0.25, 0.3])


def random_motif(seed, width, motif_id="M"):
    return Motif(motif_id, motif_id, np.random.default_rng(seed).dirichlet([0.4] * 4, width) * 50)


def random_codes(seed, length):
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


@pytest.fixture(scope="module")
def jaspar():
    return jaspar_motifs("JASPAR2024", "vertebrates")


@pytest.fixture(scope="module")
def ctcf(jaspar):
    return next(motif for motif in jaspar if motif.tf == "CTCF")


@pytest.mark.parametrize("width", [1, 2, 5, 8])
@pytest.mark.parametrize("background", [np.full(4, 0.25), SKEWED])
def test_p_values_equal_the_count_of_all_sites(width, background):
    steps = score_steps(random_motif(width, width), 0.8, background)
    sites = np.array(list(itertools.product(range(4), repeat=width)))
    scores = steps[np.arange(width), sites].sum(axis=1)
    chance = background[sites].prod(axis=1)
    lowest, p = survival(steps, background)
    assert (lowest, lowest + len(p) - 1) == (scores.min(), scores.max())
    for score in np.unique(scores):
        assert p[score - lowest] == pytest.approx(chance[scores >= score].sum(), rel=1e-9)


def test_p_values_equal_those_of_biopython():
    """On a matrix whose scores lie on Biopython's own grid, where its rounding changes nothing."""
    steps = np.random.default_rng(5).integers(-6, 4, (9, 4))
    span = steps.max(axis=1).sum() - steps.min(axis=1).sum()
    steps[0, steps[0].argmax()] += -(span + 1) % 9  # a whole number of points a position
    span = int(steps.max(axis=1).sum() - steps.min(axis=1).sum())
    scores = {base: steps[:, k].astype(float).tolist() for k, base in enumerate("ACGT")}
    pssm, background = matrix.PositionSpecificScoringMatrix("ACGT", scores), dict(zip("ACGT", SKEWED, strict=True))
    theirs = thresholds.ScoreDistribution(pssm=pssm, background=background, precision=(span + 1) // 9)
    lowest, p = survival(steps, SKEWED)
    assert (theirs.step, lowest) == (1, theirs.min_score)
    np.testing.assert_allclose(p, np.cumsum(theirs.bg_density[::-1])[::-1], rtol=1e-6)


def naive_sites(motif, sequence, background, threshold):
    """Every site by spelling it out, on both strands."""
    steps = score_steps(motif, 0.8, background)
    lowest, p = survival(steps, background)
    width, found = len(steps), []
    for start in range(len(sequence) - width + 1):
        site = sequence[start : start + width]
        for minus, bases in ((False, site), (True, str(Seq(site).reverse_complement()))):
            if set(bases) <= set("ACGT"):
                score = sum(steps[k, "ACGT".index(base)] for k, base in enumerate(bases))
                if p[score - lowest] <= threshold:
                    found.append((start, minus, score / STEPS_PER_BIT, p[score - lowest]))
    return found


def test_every_site_on_both_strands_is_found_and_no_other():
    sequence = "".join(np.random.default_rng(8).choice(list("ACGT"), 400)) + "ACNRGTNN" + "ACGT" * 5
    motifs = [random_motif(seed, width, f"M{seed}") for seed, width in enumerate((3, 7, 7, 12, 30))]
    sites, best, tested = SiteScanner(motifs, 0.8, SKEWED, 0.02).scan_all([base_codes(sequence), base_codes("ACG")])
    for k, motif in enumerate(motifs):
        own = (sites.motif == k) & (sites.window == 0)
        found = list(zip(sites.start[own], sites.minus[own], sites.bits[own], sites.p[own], strict=True))
        wanted = naive_sites(motif, sequence, SKEWED, 0.02)
        assert [tuple(one) for one in found] == wanted and (len(wanted) or len(motif.counts) == 3)
        everything = naive_sites(motif, sequence, SKEWED, 1)
        assert best[0, k] == pytest.approx(max(bits for _, _, bits, _ in everything))
        assert tested[k] == len(everything) + (2 if len(motif.counts) == 3 else 0)
    assert np.isnan(best[1, 1:]).all() and np.isfinite(best[1, 0])


def test_scan_is_symmetric_under_reverse_complement(jaspar):
    codes = random_codes(3, 500)
    turned = (3 - codes[::-1]).astype(np.uint8)
    scanner = SiteScanner(jaspar[::10], 0.8, [0.3, 0.15, 0.25, 0.3], 1e-3)
    (one, best, _), (other, best_turned, _) = scanner.scan_all([codes]), scanner.scan_all([turned])
    np.testing.assert_array_equal(best, best_turned)
    ends = 500 - scanner.widths[other.motif] - other.start
    wanted = sorted(zip(other.motif, ends, ~other.minus, other.p, strict=True))
    assert sorted(zip(one.motif, one.start, one.minus, one.p, strict=True)) == wanted and len(wanted) > 50


@pytest.mark.parametrize("minus", [False, True])
def test_implanted_jaspar_site_is_found_at_its_place(ctcf, minus):
    codes = random_codes(4, 300)
    site = ctcf.counts.argmax(axis=1).astype(np.uint8)
    codes[137 : 137 + len(site)] = 3 - site[::-1] if minus else site
    sites, _, _ = SiteScanner([ctcf], 0.8, [0.25] * 4, 1e-6).scan_all([codes])
    assert (sites.start.tolist(), sites.minus.tolist()) == ([137], [minus])
    # the best site there is: its p-value is the chance of exactly these bases, or of others that score the same
    assert sites.p[0] == pytest.approx(0.25 ** len(site), rel=1e-6)


def test_only_sites_whose_middle_is_kept_count():
    motif = Motif("M", "M", np.eye(4)[[0, 1, 2, 3, 0, 1]] * 100)  # ACGTAC
    sequence = "TT" + "ACGTAC" + "TTTT" + "ACGTAC" + "TT"
    keep = np.zeros(len(sequence), bool)
    keep[4:6] = True
    scanner = SiteScanner([motif], 0.8, [0.25] * 4, 1e-3)
    kept, _, tested = scanner.scan_all([base_codes(sequence)], [keep])
    assert (kept.start.tolist(), tested.tolist()) == ([2], [2])
    assert set(scanner.scan_all([base_codes(sequence)])[0].start) == {2, 12}


def test_threads_change_nothing(jaspar):
    windows = [random_codes(seed, 200 + seed) for seed in range(12)]
    scanner = SiteScanner(jaspar[:100], 0.8, SKEWED, 1e-3)
    one, three = scanner.scan_all(windows), scanner.scan_all(windows, threads=3)
    for a, b in zip(vars(one[0]).values(), vars(three[0]).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one[1], three[1])


def test_motif_too_short_for_the_p_value_is_told():
    short, long = random_motif(1, 3), random_motif(2, 12, "L")
    scanner = SiteScanner([short, long], 0.8, [0.25] * 4, 1e-4)
    assert scanner.reachable.tolist() == [False, True]
    assert 0 not in scanner.scan_all([random_codes(1, 5000)])[0].motif


def test_sites_of_background_are_as_common_as_their_p_value_says():
    """Over 2 million sites of bases drawn from the background, 1e-3 of them have p up to 1e-3."""
    rng = np.random.default_rng(6)
    motifs = [random_motif(seed, 11, f"M{seed}") for seed in range(10)]
    windows = [rng.choice(4, 20_000, p=SKEWED).astype(np.uint8) for _ in range(5)]
    sites, _, tested = SiteScanner(motifs, 0.8, SKEWED, 1e-3).scan_all(windows)
    assert len(sites.p) / tested.sum() == pytest.approx(1e-3, rel=0.1)


def test_q_values_are_benjamini_hochberg_over_all_sites():
    from statsmodels.stats.multitest import multipletests

    motifs = [random_motif(1, 9)]
    windows = [random_codes(seed, 300) for seed in range(4)]
    every, _, tested = SiteScanner(motifs, 0.8, SKEWED, 1.0).scan_all(windows)
    assert len(every.p) == tested[0]
    q = dict(zip(every.p, multipletests(every.p, method="fdr_bh")[1], strict=True))
    sites, _, tested = SiteScanner(motifs, 0.8, SKEWED, 0.01).scan_all(windows)
    ours = site_q_values(sites, tested)
    # without the sites above the threshold a q-value can only be higher
    assert all(ours[k] >= q[p] - 1e-12 for k, p in enumerate(sites.p))
    np.testing.assert_allclose(site_q_values(every, tested), multipletests(every.p, method="fdr_bh")[1])


def test_background_is_counted_on_both_strands():
    assert base_frequencies([base_codes("AAACNN")]).tolist() == [0.375, 0.125, 0.125, 0.375]
