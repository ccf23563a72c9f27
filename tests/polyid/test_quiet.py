"""TensorFlow loads without noise, and what it said is not lost when it fails."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )


def test_keras_loads_without_a_word():
    done = run("from polyid.quiet import load_keras as k; k(); import os; os.write(2, b'after')")
    assert done.returncode == 0
    assert done.stderr == "after"  # stderr is open again
    assert done.stdout == ""


def test_a_failure_shows_what_was_said():
    done = run(
        "import os\n"
        "from polyid.quiet import _silence\n"
        "with _silence():\n    os.write(2, b'no such driver ')\n    raise OSError('broken')"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no such driver ")
    assert "OSError: broken" in done.stderr
