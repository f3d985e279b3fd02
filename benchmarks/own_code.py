#!/usr/bin/env python3
"""Our own code beside the library that could stand in for it: CPU seconds of one thread, and whether both agree.

Needs polars and skglm beside the packages of the tests. Prints a table and writes it to benchmarks/own_code.tsv;
docs/development.md has the verdicts.
"""

import argparse
import gzip
import os
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", POLARS_MAX_THREADS="1", NUMBA_NUM_THREADS="1")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from machine import processor  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "tests" / "helpers")]
TABLE = Path(__file__).with_suffix(".tsv")
GTF = ROOT / "tests" / "data" / "real" / "human_chr19p_GRCh38" / "annotation.chr19p.ensembl91.gtf.gz"


def cpu_seconds(work, repeats):
    """The least CPU time of some repeats, and what the last returned; a first one is not counted."""
    work()
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        result = work()
        spent.append(time.process_time() - started)
    return min(spent), result


def annotation(repeats):
    """Exons of every transcript of chromosome 19p by our byte columns, and their lines by polars."""
    import tempfile

    import polars as pl

    from intronaut.genome.annotation import read_annotation

    with tempfile.NamedTemporaryFile(suffix=".gtf") as plain:
        plain.write(gzip.decompress(GTF.read_bytes()))
        plain.flush()

        def by_polars():
            names = ["chrom", "source", "kind", "start", "end", "score", "strand", "frame", "attributes"]
            table = pl.read_csv(plain.name, separator="\t", comment_prefix="#", has_header=False, new_columns=names,
                                quote_char=None, schema_overrides={"column_1": pl.String})  # fmt: skip
            exons = table.filter(pl.col("kind") == "exon")
            keys = ("gene_id", "transcript_id", "gene_name", "transcript_biotype")
            parts = [pl.col("attributes").str.extract(rf'{key} "([^"]*)"').alias(key) for key in keys]
            exons = exons.with_columns(parts).sort("transcript_id", "start")
            return exons.select("transcript_id").n_unique()

        ours, read = cpu_seconds(lambda: read_annotation(plain.name), repeats)
        theirs, n = cpu_seconds(by_polars, repeats)
    return "annotation lines", "polars", ours, theirs, f"{len(read.transcripts):,} and {n:,} transcripts"


C, L1_RATIO = 0.02, 0.9


def sparse_problem():
    """4,000 rows of 2,000 correlated features, 20 of which matter: a Matrix, labels, and the standardised values."""
    import pandas as pd

    from intronaut.models.design_matrix import Matrix

    rng = np.random.default_rng(1)
    factors = rng.normal(size=(4000, 50))
    values = (factors @ rng.normal(size=(50, 2000)) / 7 + rng.normal(size=(4000, 2000))).astype(np.float32)
    logits = values[:, :20] @ rng.normal(size=20) / 4 - 1
    labels = (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(int)
    matrix = Matrix(extra=pd.DataFrame(values), threads=1)
    return matrix, labels, np.asfortranarray(matrix.values(), dtype=float)


def beside_elastic_net(name, peer, repeats):
    """Our elastic net and ``peer(standardised values, labels)``, a fitted estimator of scikit-learn's kind."""
    from intronaut.models import elastic_net as own

    matrix, labels, standard = sparse_problem()
    everyone, penalty = np.ones((len(labels), 1)), 1 / (C * len(labels))
    ours, solution = cpu_seconds(lambda: own.fit(matrix, labels, everyone, C, L1_RATIO, tolerance=1e-5), repeats)
    theirs, other = cpu_seconds(lambda: peer(standard, labels), repeats)

    def objective(weights, intercept):
        loss = np.logaddexp(0, -(2 * labels - 1) * (standard @ weights + intercept)).mean()
        return loss + penalty * (L1_RATIO * np.abs(weights).sum() + (1 - L1_RATIO) * (weights**2).sum() / 2)

    of_peer = objective(other.coef_.ravel(), float(np.ravel(other.intercept_)[0]))
    of_ours = objective(solution.weights[:, 0], solution.intercept[0])
    return "elastic net", name, ours, theirs, f"objectives {of_ours:.7f} and {of_peer:.7f}"


def elastic_net_by_skglm(repeats):
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import ProxNewton

    def peer(values, labels):
        penalty = L1_plus_L2(alpha=1 / (C * len(labels)), l1_ratio=L1_RATIO)
        solver = ProxNewton(tol=1e-5, max_iter=100)
        return GeneralizedLinearEstimator(Logistic(), penalty, solver).fit(values, 2.0 * labels - 1)

    return beside_elastic_net("skglm", peer, repeats)


def elastic_net_by_saga(repeats):
    from sklearn.linear_model import LogisticRegression

    def peer(values, labels):
        how = {"solver": "saga", "l1_ratio": L1_RATIO, "C": C, "tol": 1e-4, "max_iter": 2000}
        return LogisticRegression(penalty="elasticnet", **how).fit(values, labels)

    return beside_elastic_net("scikit-learn, saga", peer, repeats)


def sites(repeats):
    """Sites of 100 JASPAR motifs with p up to 1e-4 in 100 windows of 600 bases."""
    from memelite import fimo

    from intronaut.core.dna import base_codes
    from intronaut.motifs.pwm import jaspar_motifs
    from intronaut.motifs.sites import SiteScanner

    motifs = jaspar_motifs("JASPAR2024", "vertebrates")[:100]
    rng = np.random.default_rng(1)
    windows = ["".join(rng.choice(list("ACGT"), 600)) for _ in range(100)]
    uniform = np.full(4, 0.25)
    coded = [base_codes(window) for window in windows]
    one_hot = np.array([[[letter == base for letter in window] for base in "ACGT"] for window in windows], np.int8)

    def by_own():
        scanner = SiteScanner(motifs, 0.8, uniform, 1e-4)
        return sum(scanner.scan(codes)[0].shape[1] for codes in coded)

    def by_memelite():
        pwms = {}
        for motif in motifs:
            shares = motif.counts + 0.8 * uniform
            pwms[motif.motif_id] = (shares / shares.sum(axis=1, keepdims=True)).T
        return sum(len(hits) for hits in fimo(pwms, one_hot, threshold=1e-4))

    (ours, found), (theirs, hits) = cpu_seconds(by_own, repeats), cpu_seconds(by_memelite, repeats)
    return "motif sites", "memelite", ours, theirs, f"{found:,} and {hits:,} sites"


def convolution(repeats):
    """Sei's trunk at full width on one window of 4,096 bases: minimal filtering, and torch's own convolutions."""
    from intronaut.networks.sei import SeiTrunk
    from intronaut.networks.sei_inference import Runner

    torch.manual_seed(1)
    torch.set_num_threads(1)
    tensors = {name: tensor.detach() for name, tensor in SeiTrunk().state_dict().items()}
    codes = np.random.default_rng(1).integers(0, 4, (1, 4096)).astype(np.uint8)
    seconds, results = [], []
    for tiled in (True, False):
        runner = Runner(tensors, tiled=tiled)
        with torch.inference_mode():
            spent, result = cpu_seconds(lambda runner=runner: runner.trunk(codes, strands=("+",)), repeats)
        seconds.append(spent)
        results.append(result)
    apart = max(float((a - b).abs().max()) for a, b in zip(results[0], results[1], strict=True))
    return "Sei's convolutions", "torch", *seconds, f"{apart:.1g} apart at most"


MEASURES = {
    measure.__name__: measure for measure in (annotation, elastic_net_by_skglm, elastic_net_by_saga, sites, convolution)
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure [all]")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="of each, the fastest counts")
    args = parser.parse_args()
    rows = [f"# {processor()}, 1 thread, processor seconds", "what\tpeer\tours_cpu_s\tpeer_cpu_s\tratio\tagreement"]
    for name in args.only:
        what, peer, ours, theirs, agreement = MEASURES[name](args.repeats)
        rows.append(f"{what}\t{peer}\t{ours:.3g}\t{theirs:.3g}\t{theirs / ours:.2f}\t{agreement}")
        print(rows[-1], flush=True)
    TABLE.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
