#!/usr/bin/env python3
"""Write benchmarks/README.md: every result beside its peer, floor and target, and the machine it was measured on.

Reads the tables beside this script; the script of the same name writes each, SCRIPT.MACHINE.tsv on another kind of
machine. A test fails when the page is older than a table.
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
# what was asked for and no run here can show
NOT_SHOWN = """
## Not shown

| what | why |
|---|---|
| bfloat16 of Sei at 85 % of the library's rate | 84 % where that rate was 1.0, 78 % where it was 1.5 TFLOP/s: the \
head stays float32, for its error, and takes a tenth of the time then |
| DNABERT-2 in bfloat16 at 70 % of the matrix rate | attention and the norms run at the speed of memory and \
of float32; the faster the matrix units beside them, the smaller the share. Rows taken 256 to 1,024 at a time from \
attention to the end of a layer, and keys read without padding, gain 0 to 4 % |
| DNABERT-2 in float32 beyond its floors on a Xeon with AMX | 3 to 6 % short of them, beyond them on the two others; \
MKL's packed products instead of oneDNN's gain 0 to 4 % |
| peak memory of embed_motifs and embed_kmers within 5 % | 9 to 12 MB more than with 1,000 windows: half of it the \
block of 1 MB of the file that is read at a time, as lines, which 1,000 windows do not fill, the rest names, digests \
and the tables of the features file; from 10,000 to 100,000 windows embed_kmers takes 0.6 KB a window |
| windows a second in TF32 and bfloat16, share of the matmul rate, idle time, memory back-off of Sei, DNABERT-2, \
splice networks, fine-tuning and attribution | no GPU here; `benchmarks/gpu.sh` prints them |
| a real Slurm | the stand-in finishes tasks at once |
"""


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(page(), encoding="utf-8")


def page():
    """The text of benchmarks/README.md."""
    rows, machines = [], []
    for name, rows_of in SUMMARIES.items():
        table, notes = read(name)
        rows += [f"| {' | '.join(map(str, row))} | {name.split('.')[0]} |" for row in rows_of(table)]
        machines.append(f"| {name} | {notes} |")
    about = "\n\n## Machines\n\n| script | machine |\n|---|---|\n" + "\n".join(machines) + "\n"
    return HEAD + "\n".join(rows) + about + NOT_SHOWN


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


def dnabert2_without_amx(table):
    for what, ours, peer, ratio, *goals in dnabert2(table):
        # the goal of bfloat16 is of processors with matrix units
        yield f"{what}, without AMX", ours, peer, ratio, *(("", "") if "bfloat16" in what else goals)


def tail(row):
    return row.ours_times_faster, row.floor, row.target


def attribute(table):
    for row in table.itertuples():
        what = f"attribute, {row.mutants} mutants of {row.length} bp, {row.network}, beside whole windows"
        yield what, f"{row.attribute_s} s", f"{row.whole_s} s", row.ratio, "", ""


def fit(table):
    value = table.set_index("what")["value"].astype(float)
    unit = "s" if value["threads"] > 1 else "s CPU"
    ours, peer = value["single_path_seconds"], value["sklearn_single_path_seconds"]
    seconds = [f"{value:.0f} {unit}" for value in (ours, peer)]
    yield "fit, one path beside scikit-learn's", *seconds, f"{peer / ours:.1f}", "", ""
    ratio, path = 1 / value["path_share_of_sklearn"], f"{value['path_seconds']:.0f} {unit}"
    what = f"fit, path of {value['path_models']:.0f} models beside 16 of scikit-learn's"
    yield what, path, f"{16 * peer:,.0f} {unit}", f"{ratio:.1f}", "", 25
    size = f"{value['rows']:,.0f} × {value['columns']:,.0f}"
    yield f"fit, peak memory at {size}", f"{value['peak_gb']:.1f} GB", "", "", "", "≤ 6 GB"


def compare(table):
    for row, goal in zip(table.itertuples(), ("≤ 20 s", "≤ 1 s"), strict=True):
        yield f"compare, {row.what}", f"{row.seconds} s", f"{row.plain_seconds} s", row.ratio, "", goal


def fetch_sequences(table):
    ours, _packed, *others = table.itertuples()
    for other in others:
        what = f"fetch_sequences, {int(ours.windows):,} windows of {ours.length} bp, beside {other.tool}"
        ratio = f"{float(other.cpu_s) / float(ours.cpu_s):.2f}"
        yield what, f"{ours.cpu_s} s CPU", f"{other.cpu_s} s CPU", ratio, "", ""


def embed_motifs(table):
    for row in table.itertuples():
        what = f"embed_motifs, {row.motifs} motifs, windows of {row.length} bp, beside Biopython"
        yield what, f"{row.windows_per_s} windows/s", f"{row.biopython_windows_per_s} windows/s", row.ratio, "", ""


def finetune(table):
    for row in table[table["dtype"] == "bfloat16"].itertuples():
        what = f"finetune, {row.network}, {row.bp} bp, bfloat16 beside float32"
        yield what, f"{row.windows_per_second} windows/s", "", row.bfloat16_times_faster, "", ""


def label_introns(table):
    seconds = table.set_index("what")["seconds"].astype(float)
    ours = seconds["the same joins only: Intronaut"]
    # peers that were not installed have no line
    for peer in seconds.index.intersection(["bedtools, awk, sort", "bioframe"]):
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


HEAD_PLACES = {"slurm": "stand-in for Slurm", "local": "local, empty tasks", "tools": "local, real tasks"}


def head(table):
    for row in table.itertuples():
        what = f"head process, {HEAD_PLACES[row.place]}, {row.shards} shards, {row.run} run"
        memory = f", {row.peak_memory_mb} MB" if row.peak_memory_mb else ""
        yield what, f"{row.cpu_s} s CPU, {row.wall_s} s{memory}", "", "", "", ""
    for n, rows in table[table["place"] == "tools"].groupby("shards", sort=False):
        wall = rows.set_index("run")["wall_s"].astype(float)
        over = f"{wall['first'] / wall['alone'] - 1:.0%}"
        what = f"pipeline of {n} real shards beside the tools alone, both 2 at a time: time on top"
        yield what, over, "", "", "", "≤ 10 %"


def embed_tracks(table):
    ours, *peers = table.itertuples()
    what = f"embed_tracks, {ours.introns} introns, {ours.tracks} tracks, beside "
    for peer in peers:
        ratio = f"{float(peer.cpu_s) / float(ours.cpu_s):.2f}"
        yield what + peer.what, f"{ours.cpu_s} s CPU", f"{peer.cpu_s} s CPU", ratio, "", ""


def explain(table):
    for row in table.itertuples():
        n = int(row.data_sets)
        selected = f"{row.planted_selected} of {3 * n}; others: {row.others_selected}"
        what = f"explain, three planted motifs of {row.effect} log-odds a standard deviation, {n} data sets: selected"
        yield what, selected, "", "", "", f"others ≤ {float(row.false_at_most) * n:.0f}"


def partition(table):
    for row in table.itertuples():
        what = f"partition, {row.what}, {row.introns} introns, {row.data_sets} data sets: {row.measure}"
        yield what, row.found, row.truth, "", "", ""


def explain_scale(table):
    for row in table.itertuples():
        what = f"{row.tool}, {row.introns} introns × {row.profiles} profiles, {row.threads} thread"
        yield what, f"{row.seconds} s, {row.processor_seconds} s CPU, {row.peak_gb} GB", "", "", "", ""


def quantify_sample(table):
    for row in table.itertuples():
        lines = f"annotation of {float(row.lines) / 1e6:.1f} million lines"
        what = f"quantify_introns, {row.million_reads} million paired reads, {lines}, {row.threads} threads"
        yield f"{what}, largest process", f"{row.largest_mb} MB", "", "", "≤ 600 MB", ""
        seconds = f"{row.cpu_seconds} s CPU, {row.wall_seconds} s at load {row.load}"
        yield what, seconds, "", "", "50 million: ≤ 240 s on 2 idle cores", ""


def quantify_oracle(table):
    total = table[table["reads"] == "all"].iloc[0]
    what = (
        f"quantify_introns, {total['cells']} counts of {total['files']} files beside an independent oracle: differing"
    )
    yield what, total["differing"], "", "", 0, ""


def cache(table):
    before = None
    for row in table.itertuples():
        if row.run.startswith("without a cache"):
            before = row.cpu_seconds
            continue
        outcome = f"{row.known} known; {row.differing_values} values differ"
        what = f"embed_sei, {row.windows} windows of 600 bp, --cache: {row.run} ({outcome})"
        yield what, f"{row.cpu_seconds} s CPU", f"without: {before} s CPU for each", "", "", ""


def killed_runs(table):
    for row in table.itertuples():
        what = f"{row.embedder}, {row.runs} runs killed and resumed: equal to the last byte"
        yield what, row.equal, "", "", row.runs, ""


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
    "embed_dnabert2.without_amx": dnabert2_without_amx,
    "fetch_sequences": fetch_sequences,
    "embed_motifs": embed_motifs,
    "attribute": attribute,
    "finetune": finetune,
    "fit": fit,
    "compare": compare,
    "label_introns": label_introns,
    "quantify_introns": quantify_introns,
    "merge_features": merge_features,
    "peak_memory": peak_memory,
    "head": head,
    "homology": homology,
    "embed_tracks": embed_tracks,
    "partition": partition,
    "explain": explain,
    "explain_scale": explain_scale,
    "quantify_sample": quantify_sample,
    "quantify_oracle": quantify_oracle,
    "cache": cache,
    "killed_runs": killed_runs,
    "own_code": own_code,
}


if __name__ == "__main__":
    main()
