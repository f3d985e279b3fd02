"""Files of the user by names that a shell would take for commands: staged as they are, or refused at the start."""

import base64

import pytest

from conftest import ROOT
from nextflow_runs import need_engine, run_nextflow

SAFE = [
    "plain.gtf", "two words", " lead", "trail ", "it's", "a,b", "a:b", "a@b", "a%41", "%s%n", "+1", "=1+1", "-rf",
    "--help", "~", "a~b", "a^b", "^", "(a)", "a(b", "a)b", "[a]", "labels [1].tsv", "]", "#a", "a#b", "_", "..a", "a..",
    ".hidden", "é", "e\u0301", "内含子", "नमस्ते", "Ωmega", "0", "1e5", "NA", "x" * 200, "a'b'c", "''",
]  # fmt: skip
REFUSED = [
    "a$b", "$(touch canary)", "${x@P}", "`touch canary`", "; touch canary;", "a|b", "a&b", "a&&touch canary",
    "a>canary", "<canary", "a!b", "*", "?", "a\\b", '"q"', "{a}", "a{b,c}", "\\n", "two\nlines", "a\tb",
    "\u202eright to left", "\u2028", "a\u00a0b", "\U0001f9ec",
]  # fmt: skip
FILE_PARAMS = (
    "gtf", "fasta", "chrom_aliases", "peaks", "vcf", "covariates", "sei_weights", "sei_targets", "dnabert2_weights",
    "dnabert2_tokenizer", "splice_weights",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def engine():
    need_engine()


@pytest.mark.slow
def test_sixty_names_reach_the_task_as_they_are_or_are_refused(tmp_path):
    names = SAFE + REFUSED
    assert len(set(names)) >= 60
    (tmp_path / "names").mkdir()
    for name in names:
        (tmp_path / "names" / name).touch()
    script = tmp_path / "main.nf"
    script.write_text(f"""
        include {{ unsafe }} from '{ROOT}/modules/params'
        process SHOW {{
            input:
            path files, stageAs: 'staged/*'
            output:
            stdout
            script:
            "printf '%s\\\\0' ${{files}} | base64 --wrap 0"
        }}
        workflow {{
            // listed by Java: a pattern would not match all of them
            named = file('{tmp_path}/names', glob: false).toFile().listFiles().toList()*.toPath()
            safe = named.findAll {{ path -> !unsafe('gtf', path.toUriString()) }}
            SHOW(channel.of(safe.sort()).collect()).view {{ text -> "staged " + text }}
        }}
    """)
    printed = run_nextflow(script, tmp_path)
    (line,) = [line for line in printed.splitlines() if line.startswith("staged ")]
    staged = base64.b64decode(line.split()[1]).decode().split("\0")[:-1]
    assert sorted(staged) == sorted(f"staged/{name}" for name in SAFE)
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.slow
def test_every_file_param_refuses_a_name_that_a_shell_would_run(tmp_path):
    hostile = tmp_path / "a${x=$(touch canary)${x@P}"
    hostile.touch()
    given = [text for name in FILE_PARAMS for text in (f"--{name}", hostile)]
    given += ["--ir_calls", f"{tmp_path / 'plain'},{hostile}", "--marks", hostile, "--networks", "sei,dnabert2"]
    (tmp_path / "plain").touch()
    printed = run_nextflow(ROOT, tmp_path, *given, "--outdir", tmp_path / "out", "--embedders", "sei", code=1)
    lines = [line for line in printed.splitlines() if "a shell could read $ { }" in line]
    assert {line.split(":")[0].strip() for line in lines} == {
        f"--{name}" for name in (*FILE_PARAMS, "ir_calls", "marks")
    }
    assert not list(tmp_path.rglob("canary")) and not (tmp_path / "out").exists()
