"""Sheets of samples and of tracks as R and spreadsheets write them."""

import pytest

from intronaut.core.errors import BadData
from intronaut.io import measured_tracks, sample_sheet

SAMPLES = "sample\treads\tcondition\na\ta.bam\tblood\n"
TRACKS = "path\ttarget\tcell\tkind\na.bam\tCTCF\tK562\ttf\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "a.bam").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quoted(text):
    """The table as write.table of R writes it: every cell in quotes."""
    return "".join("\t".join(f'"{cell}"' for cell in line.split("\t")) + "\n" for line in text.splitlines())


@pytest.mark.parametrize("as_written", [str, quoted, lambda text: text.replace("\n", "\r\n") + "\r\n\t\t\r\n"])
def test_sheets_of_r_and_excel_are_read_as_plain_ones(folder, as_written):
    (folder / "sheet.tsv").write_bytes(as_written(SAMPLES).encode())
    (row,) = sample_sheet.read_sheet("sheet.tsv")
    assert (row.sample, row.files, row.condition) == ("a", {"reads": "a.bam"}, "blood")
    assert sample_sheet.read_conditions("sheet.tsv") == {"a": "blood"}
    (folder / "tracks.tsv").write_bytes(as_written(TRACKS).encode())
    (entry,) = measured_tracks.read_sheet("tracks.tsv")
    assert (entry.path.name, entry.target, entry.cell, entry.kind) == ("a.bam", "CTCF", "K562", "tf")


def test_faults_are_named_by_the_line_of_the_file(folder):
    (folder / "sheet.tsv").write_text(SAMPLES + "\n\t\t\nb\tnone.bam\t\n")
    with pytest.raises(BadData, match=r"sheet.tsv: line 5: reads is 'none.bam', and there is no such file"):
        sample_sheet.read_sheet("sheet.tsv")
    (folder / "tracks.tsv").write_text(TRACKS + "\t\nmissing.bw\tY\tK\ttf\n\na.bam\tCTCF\tK562\ttf\n")
    with pytest.raises(BadData) as refused:
        measured_tracks.read_sheet("tracks.tsv")
    assert str(refused.value).splitlines()[1:] == ["  line 4: no such file: missing.bw", "  line 6: the same as line 2"]
