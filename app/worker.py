"""One worker process: loads a model, then answers one polymer after the other.

Requests come as lines of JSON on stdin, answers go as lines of JSON on stdout. A structure that
takes for ever or kills rdkit takes this process with it, and not the service: the parent kills and
replaces it, and if the parent is gone, an alarm that Python cannot hold back does.
"""

import gc
import json
import math
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyid.predict import Predictor, Query
    from polyid.reference import Reference

#: Seconds of grace after which the process ends itself.
_GRACE = 5


def main() -> None:
    """Answer until stdin ends."""
    answers = _take_stdout()
    _import_all()
    _tell(answers, {"imported": True})
    worker = Worker()
    for line in sys.stdin.buffer:
        message = json.loads(line)
        signal.alarm(math.ceil(message["seconds"]) + _GRACE)
        answer = worker.answer(message)
        signal.alarm(0)
        _tell(answers, answer)


class Worker:
    """A predictor, once one is loaded."""

    def __init__(self) -> None:
        self.predictor: Predictor | None = None

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a message asks for."""
        if message["do"] == "load":
            return self.load(message)
        return self.draw(message) if message["do"] == "draw" else self.predict(message)

    def load(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Load a verified folder and test it against its reference predictions."""
        from polyid.errors import PolyIDError
        from polyid.predict import Predictor
        from polyid.reference import check_reference, read_reference
        from polyid.store import ResolvedModel

        self.predictor = None
        folder = Path(message["folder"])
        try:
            predictor = Predictor(ResolvedModel(folder, None, None, None))
            reference = _share(read_reference(folder), *message["share"])
            if reference is None:
                _warm_up(predictor)
            faults = check_reference(predictor, reference) if reference else []
        except PolyIDError as error:
            return {"fault": str(error)}
        if faults:
            return {"fault": "The self-test failed. " + " ".join(faults[:3])}
        self.predictor = predictor
        # what is here now stays: looking through it again and again costs milliseconds a polymer
        gc.unfreeze()  # of a model before this one
        gc.collect()
        gc.freeze()
        return {
            "properties": list(predictor.properties),
            "takes_pm": predictor.takes_pm,
            "interval_level": predictor.intervals.level,
            "tested": len(reference.polymers) if reference else 0,
        }

    def predict(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Predict one polymer by itself: its numbers do not depend on what else is asked for."""
        from polyid.cores import cores
        from polyid.errors import PolyIDError
        from polyid.predict import Query

        assert self.predictor is not None
        threads = max(1, cores() // message["at_once"])
        monomers = message["monomers"]
        text = ".".join(monomers) if monomers else message["smiles"]
        query = Query(text, message["mechanism"], message["pm"], None, message["kind"])
        try:
            fault = _too_large(text, message["atoms"])
            if fault:
                return {"code": "structure-too-large", "error": fault, "field": _field(monomers)}
            result = self.predictor.predict([query], threads=threads)[0]
        except PolyIDError as error:
            return {"code": "cannot-predict", "error": str(error), "field": _field(monomers)}
        if result.error is not None:
            field = offending(self.predictor, query, monomers)
            return {"code": "cannot-predict", "error": result.error, "field": field}
        answer = result.as_dict()
        del answer["model"]  # the parent knows more about it
        return {"answer": answer}

    def draw(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Draw a polymer that was predicted, for the page."""
        from app.drawing import draw
        from polyid.errors import PolyIDError

        assert self.predictor is not None
        try:
            return {"answer": draw(message, self.predictor.multimodel)}
        except PolyIDError as error:
            return {"code": "cannot-predict", "error": str(error), "field": ["smiles"]}


def offending(
    predictor: "Predictor", query: "Query", monomers: list[str] | None
) -> list[str | int]:
    """Find the field that an error is about."""
    from polyid.errors import PolyIDError
    from polyid.mechanisms import mechanism_name
    from polyid.predict import fraction
    from polyid.smiles import parse

    for place, monomer in enumerate(monomers or []):
        try:
            parse(monomer)
        except PolyIDError:
            return ["monomers", place]
    try:
        if fraction(query.pm) is None and predictor.takes_pm:
            return ["pm"]
    except PolyIDError:
        return ["pm"]
    try:
        if query.mechanism:
            mechanism_name(query.mechanism)
    except PolyIDError:
        return ["mechanism"]
    return _field(monomers)


def _share(reference: "Reference | None", place: int, workers: int) -> "Reference | None":
    """Take every n-th polymer: the workers test them together, and each at least one."""
    if reference is None:
        return None
    mine = reference.polymers[place::workers] or reference.polymers[:1]
    return reference.model_copy(update={"polymers": mine})


def _warm_up(predictor: "Predictor") -> None:
    """Let the first polymer's seconds pass before anybody waits for them."""
    from polyid.predict import Query

    predictor.predict([Query("*CC*", pm=0.5), Query("C=C", pm=0.5)])


def _field(monomers: list[str] | None) -> list[str | int]:
    return ["monomers"] if monomers else ["smiles"]


def _too_large(text: str, atoms: int) -> str:
    """Say so if a structure has too many atoms; what is no SMILES is told by the predictor."""
    from polyid.errors import PolyIDError
    from polyid.smiles import parse, shorten

    try:
        heavy = parse(text.replace("..", ".")).GetNumHeavyAtoms()
    except PolyIDError:
        return ""
    if heavy <= atoms:
        return ""
    return (
        f"{shorten(text)} has {heavy} heavy atoms; at most {atoms} are read here. "
        "Give the repeat unit with two *, or the monomers."
    )


def _import_all() -> None:
    """Import what takes seconds before there is a model to load."""
    import polyid.oligomers
    import polyid.predict

    polyid.oligomers.maker()


def _take_stdout() -> IO[bytes]:
    """Keep stdout for answers: what a library prints goes to stderr."""
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return kept


def _tell(answers: IO[bytes], answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer, allow_nan=False).encode("ascii") + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
