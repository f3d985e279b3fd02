"""check on whole studies: a corpus of faults, each reported with all others of its study in one run."""

import gzip
import json
import shutil

import pysam
import pytest

import check
from small_study import write_study

GENES = {f"gene{number}": f"contig{number % 3}" for number in range(12)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A study without faults: annotation, genome, calls, peaks, variants, a sheet of samples and weights."""
    folder = tmp_path_factory.mktemp("sound")
    write_study(folder, GENES)
    introns = check.read_introns(folder / "annotation.gtf")[0]
    rows = [f"{row.chrom}\t{row.start}\t{row.end}\t{row.strand}\t0.5\n" for row in introns.itertuples()]
    rows[0] = rows[0].replace("0.5", "0.05")  # spliced
    (folder / "calls.tsv").write_text("chrom\tstart\tend\tstrand\tvalue\n" + "".join(rows))
    (folder / "peaks.bed").write_text("contig0\t10\t60\ncontig1\t10\t60\n")
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "variants.vcf").write_text(head + "contig0\t7\t.\tA\tC\t.\t.\t.\n")
    write_bam(folder / "one.bam", contig_lengths(folder))
    (folder / "sheet.tsv").write_text("sample\treads\nA\tone.bam\n")
    (folder / "names.tsv").write_text("a\tb\ncontig0\tchrom0\n")
    rows = [f"{gene}\t{number}\n" for number, gene in enumerate(GENES)]
    (folder / "tpm.tsv").write_text("gene_id\ttpm\n" + "".join(rows))
    (folder / "tracks.tsv").write_text("path\ttarget\tcell\tkind\ntrack.bed\tCTCF\tK562\ttf\n")
    (folder / "track.bed").write_text("contig0\t10\t60\n")
    return folder


def contig_lengths(folder):
    with pysam.FastaFile(str(folder / "genome.fa")) as genome:
        return dict(zip(genome.references, genome.lengths, strict=True))


def write_bam(path, lengths):
    """A file of no reads."""
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": name, "LN": n} for name, n in lengths.items()]}
    with pysam.AlignmentFile(str(path), "wb", header=header):
        pass


@pytest.fixture
def study(sound, tmp_path, monkeypatch):
    """A copy of it that the test may break, which is the working folder."""
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


CALLS = ("--ir-calls", "calls.tsv", "--ir-base", "0", "--ir-value", "value", "--ir-threshold", "0.1")
EVERYTHING = (*CALLS, "--chrom-aliases", "names.tsv", "--alignments", "sheet.tsv", "--peaks",
              "peaks.bed", "--marks", "peaks.bed", "--vcf", "variants.vcf", "--covariates", "tpm.tsv", "--tracks",
              "tracks.tsv")  # fmt: skip


def found(*args):
    """``(exit code, report)`` of a check."""
    given = ["--gtf", "annotation.gtf", "--fasta", "genome.fa", *args, "-o", "report.json"]
    code = check.main([*given, "--quiet"])
    with open("report.json") as file:
        return code, json.load(file)


def test_a_sound_study_has_no_fault(study):
    code, report = found(*EVERYTHING)
    assert code == 0 and report["faults"] == []
    assert report["numbers"]["genes"] == 12 and report["numbers"]["intron_ends"] == 1.0
    calls = report["numbers"]["calls"]["calls.tsv"]
    assert calls["introns"] == calls["annotated"] == report["numbers"]["introns"]
    assert any("few for a model" in warning["text"] for warning in report["warnings"])


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


def change(name, old, new, times=-1):
    def work(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, times))

    return work


def remove(name):
    return lambda folder: (folder / name).unlink()


def shorten(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def into_folder(folder):
    (folder / "peaks.bed").unlink()
    (folder / "peaks.bed").mkdir()


def cut_gzip(folder):
    packed = gzip.compress((folder / "annotation.gtf").read_bytes())
    (folder / "annotation.gtf").write_bytes(packed[: len(packed) // 2])


def shift_calls(folder):
    head, *rows = (folder / "calls.tsv").read_text().splitlines()
    cells = [row.split("\t") for row in rows]
    moved = ["\t".join([c[0], str(int(c[1]) + 1), c[2], *c[3:]]) for c in cells]
    (folder / "calls.tsv").write_text("\n".join([head, *moved]) + "\n")


def other_genome(folder):
    text = (folder / "genome.fa").read_text().replace("GT", "CC").replace("AG", "TT")
    (folder / "genome.fa").write_text(text)


def twice(name):
    return lambda folder: (folder / name).write_text(2 * (folder / name).read_text())


# what is broken, options beside EVERYTHING, and for each fault its input and a part of its text
CORPUS = {
    "no annotation": ([remove("annotation.gtf")], (), {"--gtf": "No such file"}),
    "no genome": ([remove("genome.fa")], (), {"--fasta": "No such file"}),
    "no calls": ([remove("calls.tsv")], (), {"--ir-calls": "No such file"}),
    "no peaks": ([remove("peaks.bed")], (), {"--peaks": "No such file", "--marks": "No such file"}),
    "no variants": ([remove("variants.vcf")], (), {"--vcf": "No such file"}),
    "no sheet": ([remove("sheet.tsv")], (), {"--alignments": "No such file"}),
    "no reads": ([remove("one.bam")], (), {"--alignments": "one.bam"}),
    "no aliases": ([remove("names.tsv")], (), {"--chrom-aliases": "No such file"}),
    "folder for peaks": ([into_folder], (), {"--peaks": "is a folder", "--marks": "is a folder"}),
    "empty annotation": ([write("annotation.gtf", "")], (), {"--gtf": "no exon or CDS"}),
    "empty genome": ([write("genome.fa", "")], (), {"--fasta": "genome.fa"}),
    "empty calls": ([write("calls.tsv", "")], (), {"--ir-calls": "empty"}),
    "empty variants": ([write("variants.vcf", "")], (), {"--vcf": "#CHROM"}),
    "annotation without exons": ([change("annotation.gtf", "exon\t", "CDS_x\t")], (), {"--gtf": "no exon or CDS"}),
    "annotation cut off": ([cut_gzip], (), {"--gtf": "annotation.gtf"}),
    "annotation is the genome": (
        [lambda f: shutil.copy(f / "genome.fa", f / "annotation.gtf")], (), {"--gtf": "a FASTA file"}),
    "genome is the annotation": (
        [lambda f: shutil.copy(f / "annotation.gtf", f / "genome.fa")], (), {"--fasta": "genome"}),
    "names of another source": ([change("genome.fa", ">contig", ">NC_")], (), {"--gtf": "NC_0", "--peaks": "contig0",
                                "--marks": "contig0", "--vcf": "contig0"}),
    "genome of another assembly": ([other_genome], (), {"--gtf": "GT-AG", "--ir-calls": "GT-AG"}),
    "genome cut short": ([shorten("genome.fa", 3000)], (), {"--gtf": "", "--alignments": "another assembly"}),
    "a contig twice": ([twice("genome.fa")], (), {"--fasta": "contig0"}),
    "calls shifted by a base": ([shift_calls], (), {"--ir-calls": "shift"}),
    "calls of another annotation": (
        [write("calls.tsv", "chrom\tstart\tend\tstrand\tvalue\nother\t10\t60\t+\t0.5\n")], (),
        {"--ir-calls": "none of its"}),
    "calls with text for numbers": ([change("calls.tsv", "\t0.5\n", "\thigh\n")], (), {"--ir-calls": "high"}),
    "calls of no known format": ([change("calls.tsv", "value", "what")], (), {"--ir-calls": "what"}),
    "unknown format of calls": ([], ("--ir-format", "irfindr"), {"--ir-calls": "irfindr"}),
    "unknown limit of a caller": ([], ("--ir-limits", "irfinder.clean=1"), {"--ir-calls": "no limit irfinder.clean"}),
    "peaks without ends": ([write("peaks.bed", "contig0\t10\n")], (), {"--peaks": "columns", "--marks": "columns"}),
    "peaks that end before they start": (
        [write("peaks.bed", "contig0\t60\t10\n")], (), {"--peaks": "line 1", "--marks": "line 1"}),
    "variants without columns": ([write("variants.vcf", "##fileformat=VCFv4.2\n")], (), {"--vcf": "#CHROM"}),
    "a variant of odd bases": ([change("variants.vcf", "\tA\tC\t", "\tQ\tC\t")], (), {"--vcf": "REF is 'Q'"}),
    "a sample twice": ([write("sheet.tsv", "sample\treads\nA\tone.bam\nA\tone.bam\n")], (), {"--alignments": "twice"}),
    "a sheet without files": (
        [write("sheet.tsv", "sample\tcondition\nA\tx\n")], (), {"--alignments": "no column of files"}),
    "alignments cut off": ([shorten("one.bam", 60)], (), {"--alignments": "one.bam: truncated"}),
    "alignments of another assembly": (
        [lambda f: write_bam(f / "one.bam", {name: n + 1 for name, n in contig_lengths(f).items()})], (),
        {"--alignments": "another assembly"}),
    "alignments of other names": (
        [lambda f: write_bam(f / "one.bam", {"NC_1": 10**6})], (), {"--alignments": "NC_1"}),
    "several conditions": (
        [write("sheet.tsv", "sample\treads\tcondition\nA\tone.bam\tx\nB\tone.bam\ty\n")], (),
        {"--condition": "several conditions, x, y; choose one by --condition"}),
    "a condition that the sheet lacks": (
        [write("sheet.tsv", "sample\treads\tcondition\nA\tone.bam\tx\n")], ("--condition", "y"),
        {"--condition": "sheet.tsv has x"}),
    "a contrast that the sheet lacks": (
        [write("sheet.tsv", "sample\treads\tcondition\nA\tone.bam\tx\n")], ("--contrast", "x_vs_y"),
        {"--contrast": "no condition y in sheet.tsv, which has x"}),
    "neither annotation nor calls": (
        [write("annotation.gtf", ""), write("calls.tsv", "hello\tworld\n")], (),
        {"--gtf": "no exon or CDS", "--ir-calls": "hello"}),
    "no such embedder": ([], ("--embedders", "motifs,say"), {"--embedders": "say is none of"}),
    "Sei without weights": ([], ("--embedders", "sei"), {"--sei_weights": "fetch_weights"}),
    "weights that are a web page": (
        [write("w.pth", "<!DOCTYPE html>")], ("--embedders", "sei", "--sei-weights", "w.pth"),
        {"--sei_weights": "web page"}),
    "weights cut off": (
        [lambda f: (f / "w.pth").write_bytes(b"PK\x03\x04" + bytes(600))],
        ("--embedders", "sei", "--sei-weights", "w.pth"), {"--sei_weights": "truncated"}),
    "no covariates": ([remove("tpm.tsv")], (), {"--covariates": "No such file"}),
    "covariates of other genes": (
        [change("tpm.tsv", "gene1", "other1"), change("tpm.tsv", "gene", "other")], (), {"--covariates": ""}),
    "covariates without a key": ([change("tpm.tsv", "gene_id", "symbol")], (), {"--covariates": "gene_name"}),
    "a track that is not there": (
        [change("tracks.tsv", "track.bed", "open.bed")], ("--embedders", "motifs,tracks"),
        {"--tracks": "line 2: no such file: open.bed"}),
    "no such network": ([], ("--networks", "basset,resnet"), {"--networks": "resnet is none of"}),
    "networks without weights": (
        [], ("--networks", "sei,dnabert2"), {"--sei_weights": "--networks sei needs", "--dnabert2_weights": "needs",
        "--dnabert2_tokenizer": "needs"}),
    "five faults at once": (
        [remove("calls.tsv"), write("peaks.bed", "x\n"), change("variants.vcf", "\tA\tC\t", "\tA\t\t"),
         remove("one.bam")],
        ("--embedders", "dnabert2"),
        {"--ir-calls": "No such file", "--peaks": "line 1", "--marks": "line 1", "--vcf": "ALT",
         "--alignments": "one.bam", "--dnabert2_weights": "needs", "--dnabert2_tokenizer": "needs"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_every_fault_of_a_study_is_reported_at_once(study, name):
    breaks, options, wanted = CORPUS[name]
    for work in breaks:
        work(study)
    code, report = found(*EVERYTHING, *options)
    faults = {fault["input"]: fault["text"] for fault in report["faults"]}
    assert faults.keys() == wanted.keys()
    assert all(part in faults[option] for option, part in wanted.items())
    missing = all(
        any(word in text for word in ("or directory", "fetch_weights", "is a folder")) for text in faults.values()
    )
    assert code == (66 if missing else 65)


@pytest.mark.parametrize("condition", [("--condition", "x"), ("--contrast", "y_vs_x")])
def test_a_condition_that_the_sheet_has_is_no_fault(study, condition):
    (study / "sheet.tsv").write_text("sample\treads\tcondition\nA\tone.bam\tx\nB\tone.bam\ty\n")
    code, report = found("--alignments", "sheet.tsv", *condition)
    assert code == 0 and report["faults"] == []


def test_calls_of_odd_introns_are_a_fault_as_far_as_the_run_refuses_them(study):
    other_genome(study)
    assert "GT-AG" in fault_of("--ir-calls", *CALLS, "--peaks", "peaks.bed")
    code, report = found(*CALLS, "--peaks", "peaks.bed", "--min_splice_sites", "0")
    assert code == 0 and report["faults"] == []


def fault_of(option, *args):
    """The text of the fault of one input."""
    _, report = found(*args)
    (text,) = [fault["text"] for fault in report["faults"] if fault["input"] == option]
    return text


def test_an_annotation_of_one_class_is_a_fault_where_it_labels(study):
    change("annotation.gtf", '"retained_intron"', '"protein_coding"')(study)
    text = fault_of("--gtf")
    assert "by rule retained_intron it has no retained introns" in text and "--annotation_rule any-exon" in text
    code, report = found(*CALLS)
    assert code == 0 and report["faults"] == []


@pytest.mark.parametrize("threshold, lacking", [("0.9", "retained"), ("0.01", "spliced")])
def test_calls_of_one_class_are_a_fault(study, threshold, lacking):
    options = [*CALLS[:-1], threshold]
    assert f"no intron is {lacking} by its calls; look at --ir_threshold" in fault_of("--ir-calls", *options)
    # what is measured from reads beside them may be of the other class
    code, report = found(*options, "--alignments", "sheet.tsv")
    assert code == 0 and report["faults"] == []


def test_faults_of_params_are_told_with_those_of_inputs(tool, study):
    (study / "params.json").write_text('["--folds is 0, less than 2"]')
    (study / "peaks.bed").unlink()
    done = tool("check", "--params", "params.json", "--fasta", "genome.fa", "--peaks", "peaks.bed", code=65)
    assert "check: --folds is 0, less than 2\n" in done.stderr and "check: 2 faults" in done.stderr
    # without those of the pipeline, what every study needs is asked for here
    done = tool("check", "--fasta", "genome.fa", code=66)
    assert "check: --gtf: not given; every study needs it" in done.stderr


def test_faults_are_lines_without_a_traceback(tool, study):
    (study / "genome.fa").unlink()
    done = tool("check", "--gtf", "annotation.gtf", "--fasta", "genome.fa", "--embedders", "say", code=65)
    assert "check: 2 faults; the run would stop there" in done.stderr and "Traceback" not in done.stderr


def test_options_are_written_as_the_pipeline_writes_them(study):
    calls = [word.replace("--ir-", "--ir_") for word in CALLS]
    code, report = found(*calls, "--chrom_aliases", "names.tsv", "--sei_weights", "nothing")
    assert code == 0 and report["faults"] == []


def test_trials_estimate_every_step(study):
    code, report = found("--embedders", "motifs,kmers", "--trials")
    steps = {step["step"]: step for step in report["estimates"]}
    assert code == 0 and {
        "LABEL_INTRONS",
        "EMBED_MOTIFS",
        "FIT (kmers)",
        "FIND_MOTIFS",
        "PARTITION",
        "MAKE_REPORT",
    } < set(steps)
    assert all(step["seconds"] > 0 and step["memory_gb"] > 0 for step in steps.values())


def test_estimates_grow_with_the_introns():
    from intronaut.features.run_estimates import estimates

    few, many = (estimates(introns, 600, ["kmers"], 2) for introns in (1_000, 100_000))
    for one, other in zip(few, many, strict=True):
        assert (
            one["step"] == other["step"] and one["seconds"] <= other["seconds"] and one["disk_gb"] <= other["disk_gb"]
        )
    by_step = {step["step"]: step for step in many}
    # the features file of 100,000 introns is 2,080 float32 each, compressed
    assert by_step["EMBED_KMERS"]["disk_gb"] == pytest.approx(100_000 * 2080 * 4 / 1e9, rel=0.2)
