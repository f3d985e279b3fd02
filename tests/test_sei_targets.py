import pytest

from intronaut.features import sei_targets
from intronaut.features.sei_targets import CLASS_NAMES, annotate, cell_tissue, read_targets, target_class, target_factor
from target_names import SIZES, write_target_names


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return read_targets(write_target_names(tmp_path_factory.mktemp("sei") / "target.names"), 21907)


def test_the_papers_rule_gives_the_published_numbers(targets):
    assert targets["kind"].value_counts().to_dict() == SIZES
    paper = annotate(targets, "paper")
    assert paper["class"].value_counts().to_dict() == SIZES and (paper["factor"] == paper["target"]).all()


def test_what_is_no_factor_leaves_the_factors(targets):
    moved = targets[targets["kind"] == "tf"]["class"].value_counts()
    assert moved["accessibility"] == 190
    assert moved["polymerase"] == 1088
    assert moved["histone_mark"] == 8
    assert moved["other"] == 7
    assert moved["chromatin_regulator"] == 67 + 189 + 12 + 239
    assert (targets.loc[targets["kind"] == "histone", "class"] == "histone_mark").all()
    assert (targets.loc[targets["kind"] == "access", "class"] == "accessibility").all()


def test_names_of_one_factor_are_merged(targets):
    factors = targets["factor"].value_counts()
    assert factors["POLR2A"] == 1003 + 52 + 4 + 12 and factors["Pol2(phosphoS2)"] == 6
    assert factors["H2AZ"] == 79 + 23 + 12
    assert factors["FOS"] == 22 + 8 + 1 and factors["MYC"] == 142 + 21 and factors["EP300"] == 189 + 12
    merged = {"NRSF": "REST", "GR": "NR3C1", "ERalpha": "ESR1", "Brg1": "SMARCA4", "PU.1": "SPI1", "T": "TBXT",
              "HA-E2F1": "E2F1", "PAX5-C20": "PAX5", "H3F3A": "H3.3", "H2AFY": "macroH2A1", "CTCF": "CTCF"}  # fmt: skip
    assert {name: target_factor(name) for name in merged} == merged


@pytest.mark.parametrize(
    "kind, names",
    {
        "transcription_factor": "CTCF MYC ZNF274 ARID3A HOXA9 GTF2I HES1 HNF4A HSF1 HMBOX1 MTF1 INSM2",
        "polymerase": "POLR2A Pol2-4H8 POLR3D TAF1 TBP CDK9 AFF4 ELL2 NELFe SUPT5H MED12 INTS3 GTF2F1 GTF2H1 CDK12",
        "chromatin_regulator": "EZH2 KMT2D p300 HDAC2 BRD4 CHD8 RAD21 SMC3 ARID1A KAP1 SUZ12 DNMT3B KDM5B eGFP-HDAC8",
        "histone_mark": "H3K27ac H4K16ac H2AZ H2A.Bbd H3 H4 H3.3 CENPA H1.4 H2BK120ub H3R26Cit macroH2A1 H2AFX H3/4ac",
        "accessibility": "DNase DNase.hot FAIRE ATAC-seq MNase",
        "other": "BRDU GAPDH CENPC HOTAIR TERF2 CDK2 CDK6 SUMO2 MCM7",
    }.items(),
)
def test_known_names_have_the_class_that_biology_gives_them(kind, names):
    assert {name: target_class(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


def test_the_table_of_factors_is_sound():
    rows = sei_targets._packaged_table("sei_factors.tsv")
    names = [row[0] for row in rows]
    assert all(len(row) == 3 for row in rows) and len(set(names)) == len(names)
    assert {row[2] for row in rows} <= {*CLASS_NAMES, "NA"}
    for name, factor, _ in rows:
        assert target_factor(factor) == factor, f"{name} stands for {factor}, which stands for something else"
        assert target_class(name) == target_class(factor), f"{name} and {factor} are of different classes"


@pytest.mark.parametrize(
    "cell, tissue",
    [
        ("HeLa_Epithelium_Cervix", "female reproductive"),
        ("H9_Embryonic_Stem_Cell_Embryo", "embryo and stem cells"),
        ("H1_Derived_Neuronal_Progenitor_Cultured_Cells", "brain and nerves"),
        ("Cortex_Embryonic_Kidney", "kidney and bladder"),
        ("SH-SY5Y_Bone_Marrow", "brain and nerves"),
        ("HepG2 (forskolin)", "liver"),
        ("A549 (EtOH_0.02pct)", "lung and airways"),
        ("GM12878 (TNFa)", "blood and lymph"),
        ("CD4_Naive_Primary_Cells", "blood and lymph"),
        ("Fetal_Brain_Male", "brain and nerves"),
        ("4star", "unknown"),
    ],
)
def test_cell_types_have_the_tissue_of_their_names(cell, tissue):
    assert cell_tissue(cell) == tissue
