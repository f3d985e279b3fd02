"""The pipeline as its user starts it: real runs, resumed runs, stub runs, wrong params."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import anndata
import jsonschema
import numpy as np
import pandas as pd
import pytest

import random_checkpoints
from conftest import DEMO, ROOT
from demo_start import write_demo_start
from intronaut.io.tables import COVARIATES
from intronaut.motifs.pwm import jaspar_motifs
from nextflow_runs import LIMIT, config_of, need_engine, run_command, run_nextflow, submitted, task_env
from small_study import write_study


@pytest.fixture(scope="module", autouse=True)
def engine():
    need_engine()


# bases of the demo's chromosome
THIRD = 2_200_000


def nextflow(folder, *args, code=0):
    """Run the pipeline from ``folder`` with its own work folder; returns everything it printed."""
    return run_nextflow(ROOT, folder, *args, code=code)


@pytest.fixture(scope="module")
def embedders(tmp_path_factory):
    """Params of a run with three embedders on a third of the demo, the neural ones small and of random weights."""
    sei, dnabert2, data = (tmp_path_factory.mktemp(name) for name in ("sei", "dnabert2", "data"))
    random_checkpoints.write_sei(sei, channels=(6, 10, 16))
    random_checkpoints.write_dnabert2(dnabert2)
    weights = ["--sei_weights", sei / "model.safetensors", "--sei_targets", sei / "target.names"]
    weights += [
        "--dnabert2_weights",
        dnabert2 / "model.safetensors",
        "--dnabert2_tokenizer",
        dnabert2 / "tokenizer.json",
    ]
    # the partition of three embedders fits 64 sets of blocks; the resumed runs of test_code make one of k-mers
    embedders = ["--embedders", "motifs,sei,dnabert2", "--partition", "false", *weights]
    return [*embedders, *write_demo_start(data, THIRD), "--shard_size", "400", "--bootstrap", "200"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory, embedders):
    """The folder of one whole demo run."""
    folder = tmp_path_factory.mktemp("demo")
    nextflow(folder, "-profile", "demo", "--outdir", folder / "results", *embedders)
    return folder


def test_demo_leaves_every_promised_file(demo):
    results = demo / "results"
    for path in ("labels/labels.tsv", "labels/ledger.tsv", "labels/counts.json", "features/motifs.h5ad", "report.html"):
        assert (results / path).stat().st_size, path
    for pattern in ("fit/*/metrics.json", "fit/*/predictions.tsv", "explain/*.tsv", "pipeline_info/*", "figures/*.svg"):
        assert list(results.glob(pattern)), pattern


def test_anndata_opens_the_features_in_label_order(demo):
    features = anndata.read_h5ad(demo / "results" / "features" / "motifs.h5ad")
    labels = pd.read_table(demo / "results" / "labels" / "labels.tsv")
    dropped = pd.read_table(demo / "results" / "windows" / "centre_600.dropped.tsv")
    assert list(features.obs_names) == [name for name in labels["name"] if name not in set(dropped["name"])]


def test_every_labelled_intron_has_one_prediction(demo):
    labels = pd.read_table(demo / "results" / "labels" / "labels.tsv").dropna(subset=["label"])
    predictions = pd.read_table(demo / "results" / "fit" / "motifs_logistic" / "predictions.tsv")
    assert sorted(predictions["name"]) == sorted(labels["name"])


def test_report_is_given_what_only_some_studies_have(demo):
    page = (demo / "results" / "report.html").read_text()
    assert "Without them AUROC is" in page  # the audit's pairs
    assert "motifs/families.tsv" in page and "Motif effects free of GC" in page


def test_report_names_the_models_of_random_weights(demo):
    page = (demo / "results" / "report.html").read_text()
    assert "with random weights. Their numbers show" in page
    flagged = re.findall(r">Weights of ([^<]+)<", page)
    assert sorted(flagged) == ["DNABERT-2", "Sei profiles"], flagged


def test_neural_features_are_merged_from_several_shards(demo):
    shards = list((demo / "work").glob("*/*/windows.*.h5ad"))
    assert len({path.name for path in shards}) == 3
    for name in ("sei", "dnabert2"):
        features = anndata.read_h5ad(demo / "results" / "features" / f"{name}.h5ad")
        assert (features.obs["length"] == (4096 if name == "sei" else 600)).all()
        assert np.ptp(np.asarray(features.X), axis=0).min() > 0


def test_results_are_verified_and_a_changed_table_is_found(demo, tool, tmp_path):
    results = shutil.copytree(demo / "results", tmp_path / "results")
    printed = tool("verify", results).stdout
    assert [line for line in printed.splitlines() if not line.startswith("pipeline_info")] == []
    with open(results / "fit" / "motifs_logistic" / "predictions.tsv", "a") as table:
        table.write("more\n")
    assert tool("verify", results, code=65).stdout == "fit/motifs_logistic/predictions.tsv\tchanged\n"


def test_second_run_repeats_no_task(demo, embedders):
    printed = nextflow(demo, "-profile", "demo", "--outdir", demo / "results", *embedders, "-resume")
    assert not submitted(printed)


def tracks_sheet(folder, track):
    """A sheet that names one file as two tracks, once by an absolute and once by a relative path."""
    rows = ["path\ttarget\tcell\tkind", f"{track}\tCTCF\tK562\ttf", f"{track.name}\tH3K4me3\tK562\thistone", ""]
    (folder / "tracks.tsv").write_text("\n".join(rows))
    return folder / "tracks.tsv"


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """Folder and printed lines of a stub run of everything, on files whose names are awkward."""
    folder = tmp_path_factory.mktemp("stubs")
    fake = folder / "labels [1].tsv"
    fake.touch()
    models = ["--sei_weights", fake, "--sei_targets", fake, "--dnabert2_weights", fake, "--dnabert2_tokenizer", fake]
    models += [
        "--embedders",
        "motifs,rna,sei,dnabert2,splice,tracks",
        "--models",
        "logistic,lightgbm",
        "--sei_groups",
        "all,tf",
    ]
    models += ["--networks", "basset,sei", "--marks", fake, "--vcf", fake, "--attribute_method", "ig"]
    models += ["--covariates", fake, "--splice_weights", fake, "--tracks", tracks_sheet(folder, fake)]
    models += ["--rna_motifs", fake, "--join_features"]
    models += ["--gtf", fake, "--fasta", fake, "--chrom_aliases", fake, "--peaks", fake, "--match", "gc"]
    # callers name the files of all samples alike
    calls = [folder / sample / "IRFinder-IR-dir.txt" for sample in ("first", "second")]
    for path in calls:
        path.parent.mkdir()
        path.touch()
    models += ["--ir_calls", ",".join(map(str, calls))]
    # so do aligners; the second lane of a sample has an index
    lanes = [folder / lane / "it's [1].bam" for lane in ("one", "two", "three")]
    for path in lanes:
        path.parent.mkdir()
        path.touch()
    Path(f"{lanes[1]}.bai").touch()
    names = zip("abc", lanes, ["", "a", ""], strict=True)
    cells = {"a": "liver", "b": "liver", "c": "kidney"}
    sheet = [f"{name}\t{path.relative_to(folder)}\t{of}\t{cells[name]}\n" for name, path, of in names]
    (folder / "sheet.tsv").write_text("sample\treads\treplicate_of\tcondition\n" + "".join(sheet))
    models += ["--alignments", folder / "sheet.tsv", "--condition", "liver", "--transfer"]
    return folder, nextflow(folder, "-profile", "demo", "-stub-run", "--outdir", folder / "out", *models)


def test_stub_run_reaches_the_report_for_every_embedder(stubs):
    folder, printed = stubs
    assert any("MAKE_REPORT" in task for task in submitted(printed))
    assert "undefined parameter" not in printed
    assert printed.splitlines()[-1] == f"Report: {folder / 'out'}/report.html"
    told = {json.loads(path.read_text())["command"] for path in folder.glob("work/*/*/settings.json")}
    (command,) = told
    assert command.startswith(f"nextflow run . -profile demo --outdir {folder / 'out'} --")
    assert not {"-w", "-log", "-stub-run"} & set(command.split())
    assert sum("EMBED_SEI" in task for task in submitted(printed)) == 2
    # near-copies are sought among the introns that are studied
    (audited,) = (path.parent for path in folder.glob("work/*/*/audit.json") if not path.is_symlink())
    assert (audited / "matched.tsv").is_symlink()
    fits = {task.split("(")[1].rstrip(")") for task in submitted(printed) if ":FIT" in task}
    kinds = [
        f"{embedder}_{model}"
        # k-mers of the same windows come with the networks
        for embedder in ("motifs", "rna", "kmers", "sei", "dnabert2", "splice", "tracks", "joined")
        for model in ("logistic", "lightgbm")
    ]
    assert fits == {*kinds, "sei_logistic_tf", "sei_lightgbm_tf"}
    scored = {task.split("(")[1].rstrip(")") for task in submitted(printed) if "SCORE_VARIANTS" in task}
    of_windows = {name for name in fits if not name.startswith(("splice", "tracks", "joined"))}
    assert scored == {*of_windows, "network_basset", "network_sei"}
    assert (folder / "out" / "partition").is_dir()
    assert {path.name for path in (folder / "out" / "attribute").iterdir()} == {"network_basset", "network_sei"}
    sought = {task.split("(")[1].rstrip(")") for task in submitted(printed) if "FIND_MOTIFS" in task}
    assert sought == {"motifs", "motifs_rna", "motifs_network_basset", "motifs_network_sei"}


def test_each_sample_of_the_sheet_is_one_task_with_its_lanes_and_indexes(stubs):
    folder, printed = stubs
    measured = sorted(task.split("(")[1].rstrip(")") for task in submitted(printed) if "QUANTIFY_INTRONS" in task)
    assert measured == ["a", "c"]
    tasks = {path.parents[1] for path in folder.glob("work/*/*/reads1/*") if path.resolve().parent.name == "one"}
    # cards read the alignments, too
    (task,) = (task for task in tasks if not (task / "quantified/a.introns.tsv.gz").is_symlink())
    staged = {path.relative_to(task).as_posix(): path.resolve() for path in task.glob("reads*/*")}
    assert staged == {
        "reads1/it's [1].bam": folder / "one" / "it's [1].bam",
        "reads2/it's [1].bam": folder / "two" / "it's [1].bam",
        "reads3/it's [1].bam.bai": folder / "two" / "it's [1].bam.bai",
    }
    labels = [path.parent for path in folder.glob("work/*/*/labels.tsv") if (path.parent / "ledger.tsv").exists()]
    # the study has calls of the user, too, each of the two conditions by itself has not
    assert sorted(len(list(task.glob("calls*/*"))) for task in labels) == [2, 2, 4]


def test_each_condition_is_labelled_fitted_and_judged_in_the_others(stubs):
    folder, printed = stubs
    tasks = submitted(printed)
    assert sum("DIFFERENTIAL_RETENTION" in task for task in tasks) == 1
    # models of joined features and networks are those of the whole study alone
    models = {path.name for path in (folder / "out" / "fit").iterdir() if not re.match("network|joined", path.name)}
    for cell in ("liver", "kidney"):
        assert {path.name for path in (folder / "out" / "cell_types" / cell).iterdir()} - models == {
            "labels.tsv", "ledger.tsv", "counts.json"
        }  # fmt: skip
    assert {path.name for path in (folder / "out" / "cell_types" / "liver").glob("*_*")} == models
    tables = {path.name for path in (folder / "out" / "cell_types").glob("*.tsv")}
    assert tables == {f"transfer_{model}.tsv" for model in models}
    (task,) = {
        path.parent for path in folder.glob("work/*/*/.command.sh") if "transfer_motifs_logistic" in path.read_text()
    }
    assert [path.name for path in task.glob("models*/*")] == ["motifs_logistic"] * 2
    assert len(list(task.glob("labels*/labels.tsv"))) == 2


def test_no_file_of_the_user_lies_where_a_tool_writes(stubs):
    work = stubs[0] / "work"
    links = [path for path in work.glob("*/*/*") if path.is_symlink() and not path.resolve().is_relative_to(work)]
    assert {path.name for path in links} == {"main.nf"}
    assert any(path.is_symlink() for path in work.glob("*/*/annotation/*"))


def test_everything_published_is_recorded(stubs):
    (recorded,) = (path.parent / "results" for path in stubs[0].glob("work/*/*/recorded"))
    published = stubs[0] / "out"

    def paths_in(top):
        return {str((Path(at) / name).relative_to(top)) for at, *names in os.walk(top, followlinks=True)
                for name in sum(names, [])}  # fmt: skip

    more = {name for name in paths_in(published) if not name.startswith("pipeline_info")} - paths_in(recorded)
    assert more == {"ro-crate-metadata.json", "ro-crate-metadata.json.sha256"}


def test_a_start_that_is_refused_leaves_the_trace_of_the_earlier_run(stubs):
    kept = {path: path.read_bytes() for path in (stubs[0] / "out" / "pipeline_info").iterdir()}
    history = (stubs[0] / ".nextflow" / "history").read_text()
    assert any(path.name.startswith("trace_") for path in kept)
    mistakes = ["--gtff", "x", "--embedders", "motifs,dnabert2"]
    printed = nextflow(stubs[0], "-profile", "demo", "--outdir", stubs[0] / "out", *mistakes, code=1)
    assert {path: path.read_bytes() for path in (stubs[0] / "out" / "pipeline_info").iterdir()} == kept
    # -resume goes on from the last of these
    assert (stubs[0] / ".nextflow" / "history").read_text() == history
    # models without their weights are refused, too
    assert "--gtff is not a param" in printed and not submitted(printed)
    assert "--dnabert2_weights is required with --embedders dnabert2" in printed
    assert "--dnabert2_tokenizer is required with --embedders dnabert2" in printed
    assert "sei" not in printed


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Folder and printed lines of a start whose params are wrong in many ways."""
    folder = tmp_path_factory.mktemp("refused")
    given = {
        "--gtff": "x", "--windw": "600", "--window": "abc", "--anchor": "middle", "--ir-calls": "x",
        "--match": "lenght,gc", "--tax_group": "plant", "--embedders": "motif", "--partition": "no", "--check": "maybe",
    }  # fmt: skip
    words = [text for pair in given.items() for text in pair]
    return folder, nextflow(folder, *words, "--outdir", folder / "out", code=1)


def test_every_wrong_param_is_named_at_once(refused):
    _, printed = refused
    expected = ("--gtff is not", "--gtf is required", "--fasta is required", "'abc'", "'middle'",
                "--partition is 'no', not true or false", "--check is 'maybe', not true or false")  # fmt: skip
    assert [mistake for mistake in expected if mistake not in printed] == []


def test_params_of_a_file_are_read_by_their_types(tmp_path):
    annotation, genome = write_study(tmp_path, {f"gene{at}": "17" for at in range(2)})
    # as text, as a list and as a number
    given = {"partition": "false", "find_motifs": "true", "embedders": ["kmers", "rna"], "rna_motifs": str(annotation)}
    given |= {"gtf": str(annotation), "fasta": str(genome), "outdir": 2024}
    (tmp_path / "params.json").write_text(json.dumps(given))
    tasks = " ".join(submitted(nextflow(tmp_path, "-stub-run", "-params-file", tmp_path / "params.json")))
    assert "PARTITION" not in tasks and "FIND_MOTIFS" in tasks and "FIT (kmers" in tasks and "FIT (rna" in tasks
    assert (tmp_path / "2024" / "report.html").is_file()


def test_one_value_is_no_list(tmp_path):
    (tmp_path / "params.json").write_text('{"window": [600], "embedders": ["kmers", "motif"], "partition": "off"}')
    printed = nextflow(tmp_path, "-params-file", tmp_path / "params.json", "--find_motifs", "-profile", "demo", code=1)
    assert "3 wrong params" in printed and "--window is [600]; it takes one value" in printed
    assert "--embedders names motif, which" in printed and "--partition is 'off'" in printed


def test_what_was_meant_is_named(refused):
    _, printed = refused
    meant = re.findall(r"--(\S+) .*did you mean (\S+)\?", printed)
    assert sorted(meant) == [
        ("embedders", "motifs"),
        ("gtff", "--gtf"),
        ("ir-calls", "--ir_calls"),
        ("match", "length"),
        ("tax_group", "plants"),
        ("windw", "--window"),
    ]


def test_a_refused_start_leaves_nothing(refused):
    assert not (refused[0] / "out").exists()


def test_covariates_and_organisms_to_choose_from_are_the_tools_own():
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    rules = {name: rule for group in groups for name, rule in group["properties"].items()}
    assert tuple(rules["match"]["choices"]) == COVARIATES
    for name in rules["tax_group"]["enum"]:
        assert jaspar_motifs("JASPAR2024", name)


def test_help_leaves_nothing(tmp_path):
    assert "--test_chromosomes" in nextflow(tmp_path, "--help", "--outdir", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pipeline_stays_on_its_page():
    scripts = [path for name in ("*.nf", "*.config", "conf/*", "modules/*.nf", "modules/*/main.nf", "workflows/*.nf")
               for path in ROOT.glob(name)]  # fmt: skip
    wide = [
        (path.name, at)
        for path in scripts
        for at, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 140
    ]
    assert wide == []
    assert len((ROOT / "main.nf").read_text().splitlines()) < 90


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """Folder and printed lines of a stub run of several anchors on a terminal."""
    folder = tmp_path_factory.mktemp("terminal")
    fake = folder / "fake"
    fake.touch()
    given = ["--anchors", "donor,centre,acceptor", "--embedders", "kmers,sei", "--sei_weights", fake]
    given += ["--sei_targets", fake, "--networks", "basset", "--vcf", fake, "--anchor", "donor", "--window", "200"]
    command = run_command(ROOT, folder, "-profile", "demo", "-stub-run", "--outdir", folder / "out", *given)
    command[command.index("-ansi-log") + 1] = "true"
    # of runs that take a minute Nextflow writes a summary; here of this one too
    env = task_env() | {"NXF_ANSI_SUMMARY": "true"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def test_the_path_of_the_report_is_the_last_line_on_a_terminal_too(terminal):
    folder, printed = terminal
    *_, summary, last = [line for line in printed.splitlines() if line.strip()]
    assert summary.startswith("Succeeded") and last == f"Report: {folder / 'out'}/report.html"


def test_each_anchor_has_windows_features_and_models_of_its_own(terminal):
    folder, _ = terminal
    # a terminal shows a line a process, the log each task
    tasks = submitted((folder / "nextflow.log").read_text())
    cuts = {task.split("(")[1].rstrip(")") for task in tasks if "FETCH_SEQUENCES" in task}
    assert cuts == {f"{anchor}_{bases}" for anchor in ("donor", "centre", "acceptor") for bases in (200, 4096)}
    names = {f"{embedder}_{anchor}" for embedder in ("kmers", "sei") for anchor in ("donor", "centre", "acceptor")}
    assert {path.stem for path in (folder / "out" / "features").iterdir()} == names
    models = {f"{name}_logistic" for name in names} | {"network_basset"}
    for kind in ("fit", "variants"):
        assert {path.name for path in (folder / "out" / kind).iterdir()} == models


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Folder and printed lines of a study of a Basset, Sei and calls with an exon that begins nowhere."""
    folder = tmp_path_factory.mktemp("stopped")
    broken, fake = folder / "broken [1].gtf", folder / "fake"
    broken.write_text('19\thavana\texon\tone\t200\t.\t+\t.\tgene_id "g"; transcript_id "t";\n')
    fake.touch()
    given = ["--gtf", broken, "--fasta", DEMO / "chr19_6Mb.fa.gz", "--sei_weights", fake, "--sei_targets", fake]
    given += ["--embedders", "sei", "--networks", "basset", "--window", "8000"]
    given += ["--ir_calls", fake, "--ir_limits", "irfinder.require_clean=1,rmats.reads=10"]
    return folder, nextflow(folder, *given, "--outdir", folder / "out", code=1)


def test_bad_data_stops_the_run_with_the_tools_own_line(stopped):
    folder, printed = stopped
    assert "label_introns: error:" in printed and "line 1" in printed and "65" in printed
    assert "broken [1].gtf" in printed
    assert not (folder / "out" / "labels").exists()


def test_folds_share_no_base_that_a_network_reads(stopped):
    (command,) = (path.read_text() for path in stopped[0].glob("work/*/*/.command.sh"))
    assert "label_introns.py" in command and "--window 8000 " in command
    assert "--calls-limits irfinder.require_clean=1,rmats.reads=10 " in command


def test_chromosomes_to_test_on_are_the_users(tmp_path):
    annotation, genome = write_study(tmp_path, {f"gene{at}": f"{17 + at % 3}" for at in range(12)})
    given = ["--gtf", annotation, "--fasta", genome, "--embedders", "kmers", "--window", "60"]
    given += ["--split", "chromosome", "--test_chromosomes", "20,X", "--valid_chromosomes", "19"]
    assert "no window on 20, X for test" in nextflow(tmp_path, *given, code=1)


def test_params_that_do_not_go_together_are_named_at_once(tmp_path):
    given = {
        "--networks": "dnabert2", "--attribute_method": "gradient", "--preset": "paper", "--models": "elasticnet",
        "--embedders": "sei,kmers,sei", "--seed": "-1", "--peaks": DEMO / "chr19_6Mb.gff3.gz", "--anchor": "donor",
        "--embedding_cache": "/tmp", "--ir_consensus": "2", "--ir_exclude_flags": "true", "--test_chromosomes": "X",
        "--ir_limits": "irfinder.depth",
        "--marks": f"{DEMO}/chr19_6Mb.fa.gz,{DEMO}/../demo/chr19_6Mb.fa.gz",
    }  # fmt: skip
    printed = nextflow(tmp_path, "-profile", "demo", *(text for pair in given.items() for text in pair), code=1)
    expected = (
        "--attribute_method gradient does not go with --networks dnabert2",
        "--preset paper does not go with --models elasticnet",
        "--embedders names sei twice",
        "--seed is -1",
        "--anchor donor does not go with --peaks",
        "--ir_consensus has no effect without --ir_calls",
        "--ir_limits has no effect without --ir_calls",
        "--ir_limits is 'irfinder.depth': CALLER.LIMIT=NUMBER",
        "--ir_exclude_flags has no effect without --ir_calls",
        "--test_chromosomes has no effect without --split chromosome",
        "two files are called chr19_6Mb.fa.gz",
        "--sei_targets is required with --embedders sei",
    )
    assert [mistake for mistake in expected if mistake not in printed] == []


@pytest.mark.parametrize(
    "given, fault",
    [
        ({}, None),
        ({"ir_format": "auto"}, None),
        ({"ir_format": "rmats"}, "'ir_calls' is a required property"),
        ({"ir_value": "psi"}, "'ir_calls' is a dependency of 'ir_value'"),
        ({"ir_value": "psi", "ir_calls": "a.tsv"}, None),
        ({"test_chromosomes": "X", "split": "folds"}, "'folds' does not match '(^|,)chromosome(,|$)'"),
        ({"test_chromosomes": "X", "split": "chromosome"}, None),
        ({"embedders": "kmers,sei", "sei_weights": "w"}, "'sei_targets' is a required property"),
        ({"embedders": "kmers,sei", "sei_weights": "w", "sei_targets": "t"}, None),
        ({"anchor": "donor", "peaks": "p.bed"}, "should not be valid under"),
        ({"anchor": "centre", "peaks": "p.bed"}, None),
    ],
)
def test_any_validator_finds_params_that_do_not_go_together(given, fault):
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    found = list(jsonschema.Draft202012Validator(schema).iter_errors({"gtf": "g", "fasta": "f", **given}))
    assert [fault for _ in found] == ([fault] if fault else []) and all(fault in error.message for error in found)


def test_config_defaults_equal_the_schema(tmp_path):
    flat = config_of(tmp_path, "config", "-flat", ROOT)
    config = dict(line.removeprefix("params.").split(" = ") for line in flat.splitlines() if line.startswith("params."))
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    rules = {name: rule for group in groups for name, rule in group["properties"].items()}
    assert config.keys() == rules.keys()
    for name, rule in rules.items():
        assert config[name].strip("'") == json.dumps(rule.get("default")).strip('"'), name


def test_docs_tell_the_label_of_every_process():
    scripts = [path.read_text() for path in ROOT.glob("modules/*/main.nf")]
    page = (ROOT / "docs" / "hpc-and-cloud.md").read_text()
    for label in ("big", "gpu"):
        row = re.search(rf"^\| `{label}` \| \d.*\|(.*)\|$", page, re.M)[1]
        told = set(re.findall(r"`(\w+)`", row))
        assert told == {re.search(r"process (\w+)", text)[1] for text in scripts if f"label '{label}'" in text}


def test_demo_data_are_what_their_checksums_say():
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=DEMO, check=True)


def test_check_looks_at_the_inputs_and_runs_nothing_else(tmp_path):
    # without LANG, as cron and fresh containers start it
    bare = {name: value for name, value in task_env().items() if name not in ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE")}
    printed = run_nextflow(ROOT, tmp_path, "-profile", "demo", "--outdir", tmp_path / "out", "--check", env=bare)
    assert "Failed to render" not in printed
    assert [task.split(" ")[0] for task in submitted(printed)] == ["FAULTS:CHECK"]
    assert "check: no fault in any input" in printed and "FIND_MOTIFS: about" in printed and "Report:" not in printed
    assert not (tmp_path / "out").exists()


def test_faults_of_params_and_inputs_are_told_in_one_pass_and_leave_nothing(tmp_path):
    (tmp_path / "marks.bed").write_text("x\n")
    wrong = ["--windw", "9", "--folds", "one", "--ir_calls", "no.tsv", "--marks", tmp_path / "marks.bed"]
    printed = nextflow(tmp_path, "-profile", "demo", "--outdir", tmp_path / "out", "--check", *wrong, code=1)
    for told in ("--windw is not a param; did you mean --window?", "--folds is 'one', not a whole number",
                 "--ir_calls: no such file: no.tsv", "line 1: 1 tab-separated columns",
                 "check: 4 faults"):  # fmt: skip
        assert told in printed, told
    # -resume goes on from the last run in the history, which this is none of
    assert not (tmp_path / "out").exists() and not (tmp_path / ".nextflow" / "history").read_text()
