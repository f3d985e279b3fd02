"""A small folder of results as a run leaves it, recorded."""

import json

from conftest import ROOT


def record_results(tmp_path, tool):
    """A recorded folder of results: one plain file, one of a hostile name, and what Nextflow leaves."""
    folder = tmp_path / "results"
    for name, text in (("labels/labels.tsv", "chrom\n19\n"), ("fit/a b;$(x)'\"é/m.json", "{}"), ("report.html", "<p>")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pipeline_info").mkdir()
    (folder / "pipeline_info" / "trace.tsv").write_text("still growing")
    (tmp_path / "genome.fa").write_text(">19\nACGT\n")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "requirements.txt").write_text(
        "numpy==2.4.6 \\\n    --hash=sha256:00\nscipy==1.17.1 ; python_version < '3.12'\n"
    )
    settings = {"window": 600, "peaks": None, "gtf": "it's", "nextflow": "24.10.0"}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    options = ["--settings", "settings.json", "--inputs", "genome.fa", "--locks", "core/requirements.txt"]
    tool("record_run", folder, *options, "--workflow", ROOT / "main.nf")
    return folder
