"""Prediction needs no TensorFlow, scikit-learn or casadi: the serving image has none."""

import subprocess
import sys

from polyid.oligomers import build_oligomer

HEAVY = ("tensorflow", "keras", "nfp", "sklearn", "matplotlib", "casadi")

BLOCK = f"""
import sys
from importlib.abc import MetaPathFinder

class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Block())
"""


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def without(code: str) -> str:
    done = run(BLOCK + code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_block_blocks():
    for name in HEAVY:
        assert f"ModuleNotFoundError: {name}" in run(f"{BLOCK}\nimport {name}").stderr


def test_what_the_service_and_the_command_line_import():
    without("import app.worker as w; w._import_all(); import app.__main__, app.server, polyid.cli")


def test_a_chain_is_the_same_without_casadi():
    told = without(
        "from polyid.oligomers import build_oligomer as b; import sys;"
        "print(b(['C=CC'], 'vinyl', 5), b(['OCCO', 'OC(=O)CC(=O)O'], 'ester', 4))"
        "; assert not [m for m in sys.modules if m.startswith('casadi')]"
    )
    assert told == " ".join(
        [
            build_oligomer(["C=CC"], "vinyl", 5),
            build_oligomer(["OCCO", "OC(=O)CC(=O)O"], "ester", 4),
        ]
    )
