"""An ensemble of the published package, imported, predicts the same numbers.

Trains and saves two members with the published package in its own environment, imports the folder
with `polyid import-legacy`, and prints the largest difference in standard deviations of the labels.
Exit code 1 if it is over 1e-4.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from engine import CACHE
from environments import HERE, ROOT, python_of
from polymers import Polymers, read

LIMIT = 1e-4
SIZES = {"features": 16, "mol_features": 8, "num_messages": 3, "learning_rate": 1e-3, "decay": 1e-5}
#: What the columns of the data files are, as `import-legacy` is told.
PROPERTIES = {
    "table": ["YoungMod=YoungMod:MPa"],
    "stereo": ["Tg=Glass_Transition", "Tm=Melt_Temp"],
}


def small(name: str) -> Polymers:
    """A few polymers, not the largest, with a label of both properties."""
    every = read(name)
    columns = {"table": ["Glass_Transition", "YoungMod"], "stereo": ["Tg", "Tm"]}[name]
    places = [every.columns.index(column) for column in columns]
    labels = [[row[place] for place in places] for row in every.labels]
    rows = [i for i, row in enumerate(labels) if None not in row and len(every.smiles[i]) < 900]
    rows = rows[:: max(1, len(rows) // 24)][:24]
    return replace(
        every,
        columns=columns,
        smiles=[every.smiles[i] for i in rows],
        labels=[labels[i] for i in rows],
        pm=None if every.pm is None else [every.pm[i] for i in rows],
    )


def compare(name: str, python: Path, folder: Path) -> float:
    """Largest difference between both sides' predictions, in standard deviations."""
    import numpy as np

    polymers = small(name)
    task = {
        "polymers": polymers.as_dict(),
        "folder": str(folder),
        "members": 2,
        "epochs": 3,
        "sizes": SIZES,
    }
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
    with (folder / "theirs.log").open("wb") as log:
        done = subprocess.run(
            [python, HERE / "legacy_theirs.py", folder / "task.json"],
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise SystemExit((folder / "theirs.log").read_text(errors="replace")[-3000:])
    options = [part for text in PROPERTIES[name] for part in ("--property", text)]
    command = [sys.executable, "-m", "polyid.cli", "import-legacy", folder / "saved"]
    command += ["--out", folder / "model", "--allow-pickle", *options]
    subprocess.run(command, check=True, cwd=ROOT)
    sys.path.insert(0, str(ROOT))
    from polyid.legacy import parse_column
    from polyid.multimodel import MultiModel
    from polyid.properties import PROPERTIES as KNOWN
    from polyid.properties import to_product_unit
    from polyid.quiet import load_keras

    load_keras()

    given = dict(map(parse_column, PROPERTIES[name]))
    model = MultiModel.from_pretrained(str(folder / "model"))
    ours = model.predict_members(polymers.smiles, polymers.pm)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    theirs, labels = np.array(result["predicted"]), np.array(polymers.labels, dtype=float)
    worst = 0.0
    for i, column in enumerate(polymers.columns):
        prop = given[column].name if column in given else column
        unit = given[column].unit if column in given else KNOWN[prop].unit
        deviation = np.nanstd(to_product_unit(prop, labels[:, i], unit))
        expected = to_product_unit(prop, theirs[..., i], unit)
        found = float(np.abs(ours[..., i] - expected).max() / deviation)
        spread = float(expected.std() / deviation)
        print(f"{name:7} {prop:24} largest difference {found:.1e}, spread {spread:.2f} (in SD)")
        worst = max(worst, found)
    print(f"{name:7} tokens per member (atoms, bonds): {result['tokens']}")
    return worst


def main() -> int:
    """Compare both networks."""
    python = python_of("published", CACHE / "env")
    worst = 0.0
    for name in ("table", "stereo"):
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, compare(name, python, Path(folder)))
    print(f"largest difference: {worst:.1e} standard deviations; allowed {LIMIT:.0e}")
    return int(not worst <= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
