"""The README's commands, pasted as they stand into a shell that has only what the README asks for."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_tools_by_hand_run_as_they_stand(tmp_path):
    (block,) = (block for block in BLOCKS if "label_introns.py" in block)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    # as cron and fresh containers have it: no LANG, nothing of the user's
    bare = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{ROOT / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "results" / "by_hand"
    assert (made / "donors.h5ad").exists() and (made / "fit" / "donors" / "metrics.json").exists()
