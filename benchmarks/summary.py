#!/usr/bin/env python3
"""Write benchmarks/README.md: every result beside its peer, floor and target, and the machine it was measured on.

Reads the tables beside this script; the script of the same name makes each anew. A test fails when the page is older
than a table.
"""

import argparse
import io
from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
HEAD = """# Benchmarks

Each row is from one run in which both sides took turns on one machine, by the script of that name; the tables beside
the scripts hold all that was measured. A floor must hold before a release, a target is the aim. A ratio above 1 says
that ours is faster. Made by `python benchmarks/summary.py`; no figure here is typed by hand. **Nothing here was run on
a GPU**; `benchmarks/gpu.sh FOLDER` prints the like for a card.

| what | ours | peer | ratio | floor | target | script |
|---|---|---|---|---|---|---|
"""
UNSAID = "AMD EPYC, 2 processors, shared with other work"


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(page(), encoding="utf-8")


def page():
    """The text of benchmarks/README.md."""
    rows, machines = [], []
    for name, rows_of in SUMMARIES.items():
        table, notes = read(name)
        rows += [f"| {' | '.join(map(str, row))} | {name} |" for row in rows_of(table)]
        machines.append(f"| {name} | {notes or UNSAID} |")
    return HEAD + "\n".join(rows) + "\n\n## Machines\n\n| script | machine |\n|---|---|\n" + "\n".join(machines) + "\n"


def read(name):
    """The table of a benchmark as text cells, and what its comment lines say of the machine."""
    lines = (HERE / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    notes = "; ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    body = "\n".join(line for line in lines if not line.startswith("#"))
    table = pd.read_table(io.StringIO(body), dtype=str, keep_default_na=False)
    return table.fillna(""), notes


def sei(table):
    for row in table.itertuples():
        yield f"Sei, {row.what}", row.ours, row.published, row.ratio, row.floor, row.target


def dnabert2(table):
    seconds = table.set_index("run")["seconds_per_window"]
    for row in table.itertuples():
        if row.run.startswith("published"):
            ours = f"{seconds['ours, float32']} s"
            yield f"DNABERT-2 beside {row.run}", ours, f"{row.seconds_per_window} s", *tail(row)
    bfloat16 = table.set_index("run").loc["ours, bfloat16"]
    one = f"{seconds['published, one at a time']} s"
    yield (
        "DNABERT-2 in bfloat16 beside published, one at a time", f"{bfloat16['seconds_per_window']} s", one,
        bfloat16["ours_times_faster"], bfloat16["floor"], bfloat16["target"],
    )  # fmt: skip


def tail(row):
    return row.ours_times_faster, row.floor, row.target


def attribute(table):
    for row in table.itertuples():
        what = f"attribute, {row.mutants} mutants of {row.length} bp, {row.network}, beside whole windows"
        yield what, f"{row.attribute_s} s", f"{row.whole_s} s", row.ratio, "", ""


def fit(table):
    value = table.set_index("what")["value"].astype(float)
    ours, peer = value["single_path_seconds"], value["sklearn_single_path_seconds"]
    yield "fit, one path beside scikit-learn's", f"{ours:.0f} s", f"{peer:.0f} s", f"{peer / ours:.1f}", "", ""
    ratio = 1 / value["path_share_of_sklearn"]
    models = f"{value['path_models']:.0f} models"
    yield f"fit, path of {models} beside scikit-learn's", f"{value['path_seconds']:.0f} s", "", f"{ratio:.0f}", "", 25
    yield "fit, peak memory at 60,794 × 21,907", f"{value['peak_gb']:.1f} GB", "", "", "", "≤ 6 GB"


def finetune(table):
    for row in table[table["dtype"] == "bfloat16"].itertuples():
        what = f"finetune, {row.network}, {row.bp} bp, bfloat16 beside float32"
        yield what, f"{row.windows_per_second} windows/s", "", row.bfloat16_times_faster, "", ""


def label_introns(table):
    seconds = table.set_index("what")["seconds"].astype(float)
    ours = seconds["the same joins only: Intronaut"]
    for peer in ("bedtools, awk, sort", "bioframe"):
        ratio = f"{seconds[peer] / ours:.2f}"
        yield f"label_introns, joins beside {peer}", f"{ours:.0f} s", f"{seconds[peer]:.0f} s", ratio, "", "≥ 1"


def merge_features(table):
    for row in table.itertuples():
        what = f"merge_features, {row.shards} shards, {row.gb} GB, beside cat (wall time)"
        yield what, f"{row.mb_per_s} MB/s", f"{row.cat_mb_per_s} MB/s", "", "", ""


def quantify_introns(table):
    ours = table[table["program"] == "quantify_introns"].drop_duplicates(["reads", "million"])
    for row in ours.itertuples():
        goal = "≥ 12" if row.reads == "single" else "≥ 8"
        what = f"quantify_introns, {row.million} million {row.reads} reads, millions a minute and core"
        peers = table[(table["reads"] == row.reads) & (table["million"] == row.million)]
        peers = peers[peers["program"] != "quantify_introns"]
        beside = ", ".join(f"{peer.program}: {peer.million_a_minute}" for peer in peers.itertuples())
        yield what, row.million_a_minute, beside, "", goal, ""


def peak_memory(table):
    for row in table.itertuples():
        what = f"{row.embedder}, peak memory of 10,000 windows beside 1,000"
        yield what, f"{row.mb_10000_windows} MB", f"{row.mb_1000_windows} MB", row.ratio, "", "≤ 1.05"


def head(table):
    for row in table.itertuples():
        what = f"head process, {row.shards} shards, {row.run} run"
        yield what, f"{row.cpu_s} s CPU, {row.wall_s} s, {row.peak_memory_mb} MB", "", "", "", ""


def homology(table):
    for n, rows in table.groupby("windows", sort=False):
        of = rows.set_index("what")
        ours, peer = of.loc["Intronaut"], of.loc["MMseqs2"] if "MMseqs2" in of.index else None
        shown = [
            "" if row is None else f"{row['seconds']} s, {row['found_at_0.85']} of pairs at 85 %"
            for row in (ours, peer)
        ]
        ratio = "" if peer is None else f"{float(peer['seconds']) / float(ours['seconds']):.1f}"
        yield f"search for homologs among {n} windows of 600 bp, beside MMseqs2", *shown, ratio, "", ""


def own_code(table):
    for row in table.itertuples():
        ours, peer = f"{row.ours_cpu_s} s", f"{row.peer_cpu_s} s"
        yield f"{row.what}, our own code beside {row.peer}", ours, peer, row.ratio, "", ""


SUMMARIES = {
    "embed_sei": sei,
    "embed_dnabert2": dnabert2,
    "attribute": attribute,
    "finetune": finetune,
    "fit": fit,
    "label_introns": label_introns,
    "quantify_introns": quantify_introns,
    "merge_features": merge_features,
    "peak_memory": peak_memory,
    "head": head,
    "own_code": own_code,
}


if __name__ == "__main__":
    main()
