"""The genome reader: right bases from every kind of file, names resolved or refused, broken files refused."""

import os
import random
from concurrent.futures import ProcessPoolExecutor

import pysam
import pytest

from intronaut.core.errors import BadData, CannotWrite, MissingInput, ToolError, UsageError
from intronaut.genome.chromosomes import read_aliases, resolve_chrom, resolve_chroms
from intronaut.genome.reference import Genome
from random_genomes import block_offsets, random_genome, write_fasta

LENGTHS = {"chr1": 5000, "chr2": 301, "tiny": 1, "chrM": 60}


@pytest.fixture(scope="module")
def bases():
    return random_genome(1, LENGTHS)


def assert_same_bases(genome, bases, seed=0):
    rng = random.Random(seed)
    assert genome.lengths == {name: len(sequence) for name, sequence in bases.items()}
    for name, sequence in bases.items():
        spans = [sorted(rng.choices(range(len(sequence) + 1), k=2)) for _ in range(50)]
        for start, end in [(0, len(sequence)), (0, 0), (len(sequence), len(sequence)), *spans]:
            assert genome.fetch(name, start, end) == sequence[start:end].upper()


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz", "g.fa.gzip"])
@pytest.mark.parametrize(("line", "end"), [(60, "\n"), (7, "\r\n"), (100_000, "\n")])
def test_bases_of_plain_bgzf_and_gzip(tmp_path, bases, name, line, end):
    with Genome(write_fasta(tmp_path / name, bases, line, end)) as genome:
        assert_same_bases(genome, bases)


def test_bases_across_bgzf_blocks(tmp_path):
    bases = random_genome(2, {"a": 150_000, "b": 70_000})
    path = write_fasta(tmp_path / "g.fa.gz", bases)
    assert len(block_offsets(path)) > 3
    with Genome(path) as genome:
        assert_same_bases(genome, bases)


def test_last_line_without_newline_and_blank_lines_between_records(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">a\nACGT\nAC\n\n>b\nGGTT")
    with Genome(path) as genome:
        assert genome.fetch("a", 0, 6) == "ACGTAC"
        assert genome.fetch("b", 1, 4) == "GTT"


def test_positions_outside_are_refused(tmp_path, bases):
    with Genome(write_fasta(tmp_path / "g.fa", bases)) as genome:
        for chrom, start, end in [("chr2", -1, 5), ("chr2", 300, 302), ("chr2", 5, 4), ("chr3", 0, 1)]:
            with pytest.raises(BadData, match="outside the genome"):
                genome.fetch(chrom, start, end)


def changed_genomes(bases):
    names = list(bases)
    return {
        "longer": bases | {"chr1": "ACGT" + bases["chr1"]},
        "shorter": bases | {"chr1": bases["chr1"][60:]},
        "renamed": {name.replace("2", "3"): sequence for name, sequence in bases.items()},
        "swapped": {name: bases[name] for name in reversed(names)},
        "appended": bases | {"new": "ACGT"},
        "lacking": {name: bases[name] for name in names[:-1]},
    }


@pytest.mark.parametrize("ending", [".fa", ".fa.gz"])
@pytest.mark.parametrize("change", ["longer", "shorter", "renamed", "swapped", "appended", "lacking"])
def test_stale_index_with_a_newer_date_is_not_believed(tmp_path, bases, ending, change):
    path = write_fasta(tmp_path / f"g{ending}", bases)
    pysam.faidx(str(path))
    changed = changed_genomes(bases)[change]
    write_fasta(path, changed)
    for index in tmp_path.glob("*i"):
        os.utime(index, (2**32, 2**32))
    with Genome(path) as genome:
        assert_same_bases(genome, changed)


def test_index_of_other_line_width_is_not_believed(tmp_path):
    bases = {"a": "ACGT" * 30}
    path = write_fasta(tmp_path / "g.fa", bases, line=30)
    pysam.faidx(str(path))
    path.write_bytes(path.read_bytes().replace(b"\n", b"", 3).replace(b"description", b"description\n", 1) + b"\n\n")
    os.utime(f"{path}.fai", (2**32, 2**32))
    with Genome(path) as genome:
        assert_same_bases(genome, bases)


def test_older_index_is_not_believed(tmp_path, bases):
    path = write_fasta(tmp_path / "g.fa", bases)
    pysam.faidx(str(path))
    moved = bases["chr1"][:50] + "\n" + bases["chr1"][50:59] + bases["chr1"][60:]
    path.write_text(path.read_text().replace(bases["chr1"][:60] + "\n", moved[:61], 1))
    os.utime(f"{path}.fai", (1, 1))
    with pytest.raises(BadData, match="differ in length"):
        Genome(path)


@pytest.mark.parametrize("index", ["", "chr1\n", "chr1\t5\tx\t60\t61\n", "chr1\t5000\t9999999\t60\t61\n", "\0\1\2"])
def test_broken_index_is_not_believed(tmp_path, bases, index):
    path = write_fasta(tmp_path / "g.fa", bases)
    (tmp_path / "g.fa.fai").write_text(index)
    os.utime(f"{path}.fai", (2**32, 2**32))
    with Genome(path) as genome:
        assert_same_bases(genome, bases)


def test_good_index_is_used_as_it_is(tmp_path, bases, monkeypatch):
    path = write_fasta(tmp_path / "g.fa", bases)
    pysam.faidx(str(path))
    monkeypatch.setattr(Genome, "_built", lambda *_: pytest.fail("built an index anew"))
    with Genome(path) as genome:
        assert_same_bases(genome, bases)


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz", "g.fa.gzip"])
def test_nothing_is_written_beside_the_input_and_nothing_left(tmp_path, bases, name, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = write_fasta(tmp_path / "in" / name, bases)
    with Genome(path) as genome:
        genome.fetch("chr1", 0, 10)
        assert os.listdir(tmp_path / "in") == [name]
    assert os.listdir(tmp_path / "tmp") == []


def _open_and_fetch(path):
    with Genome(path) as genome:
        return {name: genome.fetch(name, 0, length) for name, length in genome.lengths.items()}


def test_many_processes_index_one_genome_at_once(tmp_path, bases):
    path = write_fasta(tmp_path / "g.fa.gz", bases)
    wanted = {name: sequence.upper() for name, sequence in bases.items()}
    with ProcessPoolExecutor(4) as pool:
        assert all(found == wanted for found in pool.map(_open_and_fetch, [path] * 16))


def test_forked_process_does_not_share_the_file_position(tmp_path):
    bases = random_genome(3, {"a": 200_000})
    with Genome(write_fasta(tmp_path / "g.fa.gz", bases)) as genome:
        children = []
        for child in range(4):
            if (pid := os.fork()) == 0:
                try:
                    assert_same_bases(genome, bases, seed=child)
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            children.append(pid)
        assert_same_bases(genome, bases)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4


def test_bgzf_cut_anywhere_is_refused(tmp_path):
    path = write_fasta(tmp_path / "g.fa.gz", random_genome(4, {"a": 300_000}))
    whole = path.read_bytes()
    rng = random.Random(1)
    cuts = [*block_offsets(path)[1:], len(whole) - 28, len(whole) - 1, *rng.sample(range(20, len(whole)), 30)]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(BadData, match="truncated bgzf|broken bgzf"):
            Genome(path)


def test_bgzf_with_a_lost_middle_or_a_flipped_bit_is_refused(tmp_path):
    bases = random_genome(4, {"a": 300_000})
    path = write_fasta(tmp_path / "g.fa.gz", bases)
    whole, blocks = path.read_bytes(), block_offsets(path)
    flipped = bytearray(whole)
    flipped[blocks[2] + 500] ^= 16
    for broken in (whole[: blocks[2] + 100] + whole[blocks[3] :], bytes(flipped)):
        path.write_bytes(broken)
        with pytest.raises(BadData), Genome(path) as genome:
            genome.fetch("a", 0, 300_000)


def test_flipped_bit_behind_a_good_index_is_refused(tmp_path):
    path = write_fasta(tmp_path / "g.fa.gz", random_genome(4, {"a": 300_000}))
    pysam.faidx(str(path))
    broken = bytearray(path.read_bytes())
    broken[block_offsets(path)[2] + 500] ^= 16
    path.write_bytes(broken)
    for index in tmp_path.glob("*i"):
        os.utime(index, (2**32, 2**32))
    with pytest.raises(BadData), Genome(path) as genome:
        genome.fetch("a", 130_000, 200_000)


@pytest.mark.parametrize("cut", [30, 100, -9, -1])
def test_cut_gzip_is_refused(tmp_path, bases, cut):
    path = write_fasta(tmp_path / "g.fa.gzip", bases)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadData, match="broken gzip"):
        Genome(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (">a\nACGT\n>b\nAC\n>a\nGG\n", "'a' occurs twice"),
        (">a\nACGT\n>b\nAC\n>b\nGG\n", "'b' occurs twice"),
        (">a\nACGT\n>b\n>c\nAC\n", "'b' is empty"),
        (">a\nACGT\nAC\nACGT\n", "line 4: the lines of one record differ in length"),
        (">a\nAC\nACGT\n", "line 3: the lines of one record differ in length"),
        ("ACGT\n", "line 1: a FASTA file starts with '>'"),
        ("chr1\t0\t5\n", "line 1: a FASTA file starts with '>'"),
        ("", "no FASTA record"),
        ("\ufeff>a\nACGT\n", "byte-order mark"),
    ],
)
@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_broken_fasta_is_refused_and_says_why(tmp_path, capfd, name, text, says):
    plain = tmp_path / "plain"
    plain.write_text(text, encoding="utf-8")
    path = tmp_path / name
    if name.endswith(".gz"):
        pysam.tabix_compress(str(plain), str(path))
    else:
        plain.rename(path)
    with pytest.raises(BadData, match=says):
        Genome(path)
    assert capfd.readouterr().err == ""


def test_letters_of_no_nucleotide_are_refused(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">a\nMKLVPE\n")
    with Genome(path) as genome, pytest.raises(BadData, match="no sequence at a:0-6"):
        genome.fetch("a", 0, 6)


def test_input_that_is_not_there(tmp_path):
    with pytest.raises(MissingInput, match="No such file"):
        Genome(tmp_path / "g.fa")
    with pytest.raises(MissingInput, match="is a folder"):
        Genome(tmp_path)
    with pytest.raises(UsageError, match="standard input"):
        Genome("-")


def test_full_temporary_folder(tmp_path, bases, monkeypatch):
    path = write_fasta(tmp_path / "g.fa", bases)
    monkeypatch.setattr(Genome, "_folder", lambda self: tmp_path / "not there")
    with pytest.raises(CannotWrite, match="TMPDIR"):
        Genome(path)


def test_two_bit(tmp_path):
    path = tmp_path / "g.2bit"
    # one record: ACGTTGCANN, its last two bases unknown, its first four soft-masked (UCSC 2bit specification)
    record = [10, 1, 8, 2, 1, 0, 4, 0]
    index = bytes([1]) + b"a" + (16 + 6).to_bytes(4, "little")
    packed = bytes([0b10011100, 0b00110110, 0])
    header = b"".join(n.to_bytes(4, "little") for n in (0x1A412743, 0, 1, 0))
    path.write_bytes(header + index + b"".join(n.to_bytes(4, "little") for n in record) + packed)
    with Genome(path) as genome:
        assert genome.lengths == {"a": 10}
        assert genome.fetch("a", 0, 10) == "ACGTTGCANN"
    whole = path.read_bytes()
    for cut in range(4, len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadData), Genome(path) as genome:
            genome.fetch("a", 0, 10)


UCSC = (
    "# ucsc\tassembly\tgenbank\tncbi\trefseq\n"
    "chr1\t1\tCM000663.2\t1\tNC_000001.11\nchrM\tMT\tJ01415.2\tMT\tNC_012920.1\n"
)
DATABASE = (
    "1\tchr1\tassembly,ensembl\nCM000663.2\tchr1\tgenbank\nNC_000001.11\tchr1\trefseq\n"
    "MT\tchrM\tassembly,ensembl\nJ01415.2\tchrM\tgenbank\nNC_012920.1\tchrM\trefseq\n"
)
NCBI = """# Assembly name:  GRCh38.p14
# Sequence-Name\tSequence-Role\tAssigned-Molecule\tAssigned-Molecule-Location/Type\tGenBank-Accn\tRelationship\tRefSeq-Accn\tAssembly-Unit\tSequence-Length\tUCSC-style-name
1\tassembled-molecule\t1\tChromosome\tCM000663.2\t=\tNC_000001.11\tPrimary Assembly\t248956422\tchr1
MT\tassembled-molecule\tMT\tMitochondrion\tJ01415.2\t=\tNC_012920.1\tnon-nuclear\t16569\tchrM
HSCHR1_CTG1\tunlocalized-scaffold\t1\tChromosome\tKI270706.1\t=\tNT_187361.1\tPrimary Assembly\t175055\tchr1_KI270706v1_random
X_PATCH\tfix-patch\tX\tChromosome\tna\t<>\tna\tPATCHES\t10\tna
"""  # noqa: E501


@pytest.mark.parametrize("table", [UCSC, DATABASE, NCBI, UCSC.replace("\n", "\r\n"), "\ufeff" + UCSC])
@pytest.mark.parametrize("own", [("chr1", "chrM"), ("1", "MT"), ("CM000663.2", "J01415.2"), ("NC_000001.11", "MT")])
def test_every_name_of_an_alias_table_resolves_to_every_other(tmp_path, table, own):
    path = tmp_path / "aliases.tsv"
    path.write_bytes(table.encode())
    aliases = read_aliases(path)
    lengths = dict.fromkeys(own)
    for names, meant in zip(
        [("chr1", "1", "CM000663.2", "NC_000001.11"), ("chrM", "MT", "J01415.2")], own, strict=True
    ):
        assert {resolve_chrom(name, lengths, aliases) for name in names} == {meant}


def test_length_in_the_assembly_report_is_checked(tmp_path):
    path = tmp_path / "report.txt"
    path.write_text(NCBI)
    aliases = read_aliases(path)
    assert resolve_chrom("NC_000001.11", {"chr1": 248_956_422}, aliases) == "chr1"
    with pytest.raises(BadData, match="another assembly"):
        resolve_chrom("NC_000001.11", {"chr1": 249_250_621}, aliases)
    assert resolve_chrom("na", {"chr1": 1}, aliases) is None


def test_real_alias_table(real_data):
    folder = real_data / "yeast_R64"
    with Genome(folder / "genome.R64.fna.gz", folder / "chrom_alias.tsv") as genome:
        found = genome.resolve_all(["chrI", "II", "BK006937.2"], "peaks.bed")
    assert found == {"chrI": "BK006935.2", "II": "BK006936.2", "BK006937.2": "BK006937.2"}


@pytest.mark.parametrize(
    ("chrom", "own", "meant"),
    [
        ("chr1", {"1", "2"}, "1"),
        ("1", {"chr1", "chr11"}, "chr1"),
        ("1", {"Chr1"}, "Chr1"),
        ("Chr1", {"chr1"}, "chr1"),
        ("1", {"1", "chr1"}, "1"),
        ("chrM", {"MT"}, "MT"),
        ("MT", {"chrM"}, "chrM"),
        ("M", {"MT", "1"}, "MT"),
        ("chrMT", {"MT"}, "MT"),
        ("chrI", {"I"}, "I"),
        ("2L", {"chr2L"}, "chr2L"),
        ("chr19_KI270938v1_alt", {"19", "chr19"}, None),
        ("19", {"9", "1"}, None),
        ("chr", {"1"}, None),
    ],
)
def test_built_in_rules(chrom, own, meant):
    assert resolve_chrom(chrom, dict.fromkeys(own)) == meant


@pytest.mark.parametrize(("chrom", "own"), [("Chr1", {"1", "chr1"}), ("M", {"MT", "chrM"})])
def test_ambiguous_names_are_refused(chrom, own):
    with pytest.raises(BadData, match="could be any of"):
        resolve_chrom(chrom, dict.fromkeys(own))


def test_same_name_but_other_length_is_refused():
    assert resolve_chrom("1", {"1": 100}, length=100) == "1"
    with pytest.raises(BadData, match="has 99 bases, but 1 of the genome has 100"):
        resolve_chrom("1", {"1": 100}, length=99)


def test_refusal_shows_both_sets_of_names():
    with pytest.raises(BadData) as refused:
        resolve_chroms(["chr1", "NC_1", "chr2"], dict.fromkeys(["1", "2"]), source="a.bed", genome="g.fa")
    said = str(refused.value)
    assert "\n" not in said
    assert "a.bed: 1 of 3 chromosomes are not in g.fa: NC_1" in said
    assert "g.fa has 1, 2" in said


@pytest.mark.parametrize("text", ["", "\n\n", "chr1\nchr2\n", "# only\ta header\n"])
def test_alias_table_without_aliases_is_refused(tmp_path, text):
    path = tmp_path / "aliases.tsv"
    path.write_text(text)
    with pytest.raises(ToolError, match="two names of a chromosome"):
        read_aliases(path)
