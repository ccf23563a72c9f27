"""Compile the engine's loops before they are needed: ``python -m polyid.engine.ahead``.

An image does it when it is built, and keeps the result where `polyid.engine.jit` finds it. On
another kind of processor than that of the build they are compiled again at the first use.
"""

import numpy as np

from polyid.engine.inference import bondwise, predict
from polyid.engine.jit import folder
from polyid.engine.weights import NAMES, Architecture, flatten, initial
from polyid.structures import Structures, build


def main() -> None:
    """Predict with tiny networks, and train one where Keras is installed."""
    made = build(["CC(C)O", "CCO", "CCCO"], 3)
    pm = np.full(len(made.quotients), 0.5, np.float32)
    for name in NAMES:
        a = _tiny(made, name)
        members = [flatten(a, initial(a, 0, i)) for i in range(2)]
        predict(a, members, made.quotients, pm)
        bondwise(a, members, made.quotients[0])
        try:
            _train(a, made, pm)
        except ModuleNotFoundError as error:
            print(f"No loops for training: there is no {error.name} here.")
    print(f"Compiled loops are in {folder() or 'no place: none can be written to'}.")


def _tiny(made: Structures, name: str) -> Architecture:
    words = made.vocabulary
    return Architecture(name, words.atom_classes, words.bond_classes, 32, 8, 3, 2, 0.1)


def _train(a: Architecture, made: Structures, pm: np.ndarray) -> None:
    """Make one epoch of steps."""
    from polyid.engine.fit import Fitter, Member, Recipe, pools
    from polyid.engine.order import steps_per_bucket
    from polyid.engine.packing import buckets

    parts, every = buckets(made.quotients, (1.0,)), np.arange(len(made.quotients))
    member = Member(0, every, every, np.ones((len(every), a.outputs), np.float32))
    steps = steps_per_bucket([pools(every, parts)], 1)
    given = pm if a.name == "pm" else None
    Fitter(a, Recipe(1, 1, 1e-3), parts, 1, steps, given, written_out=True).fit([member])


if __name__ == "__main__":
    main()
