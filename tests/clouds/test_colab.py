"""The notebook and the three commands: run for real, from the clone to the candidate."""

import json
import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from clouds_kit import ROOT, environment
from road_kit import TINY, Road, changed

NOTEBOOK = ROOT / "docs" / "colab.ipynb"
_RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        done = shell.run_cell("".join(cell["source"]))
        code = shell.user_ns.get("_exit_code", 0)
        if not done.success or code:
            sys.exit(f"cell failed with exit code {code}: {''.join(cell['source'])}")
"""


def cells() -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"]
            if cell["cell_type"] == "code"]  # fmt: skip


def test_the_notebook_holds_no_output_and_runs_the_documented_commands():
    content = json.loads(NOTEBOOK.read_text())
    assert content["nbformat"] == 4
    assert not any(cell.get("outputs") for cell in content["cells"])
    document = (ROOT / "docs" / "other-clouds.md").read_text()
    for command in ("git clone", "make setup data", ".venv/bin/trainer job"):
        assert any(command in cell for cell in cells()), command
        assert command in document


def quick_make(folder: Path) -> Path:
    """Return a folder with a ``make`` that takes this environment, where set-up would make one."""
    make = folder / "make"
    make.write_text(
        f"""#!/bin/sh
        [ "$*" = "setup data" ] || {{ echo "make $* is not what is documented" >&2; exit 2; }}
        ln -s "{ROOT}/.venv" .venv && exec .venv/bin/python scripts/data.py
        """
    )
    make.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_ends_with_a_candidate(
    tiny_table: pd.DataFrame, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    road = Road.laid(tmp_path / "road", tiny_table, changed(TINY, training__epochs=2))
    tools = environment(tmp_path_factory.mktemp("notebook") / "env", "ipython==9.18.1")
    places = {name.upper(): road.place(name) for name in ("data", "params", "gates", "registry")}
    env = os.environ | places | {
        "REPOSITORY": str(ROOT), "IPYTHONDIR": str(tmp_path), "CHECKPOINTS": "none",
        "FOLDER": str(tmp_path / "pipeline"),
        "PATH": f"{quick_make(tmp_path)}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        [str(tools / "python"), "-c", _RUN, str(NOTEBOOK)],
        cwd=tmp_path, capture_output=True, text=True, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    (candidate,) = (road.registry / "candidates").iterdir()
    assert re.search(rf"Candidate {candidate.name} is stored", done.stdout)
