"""What a person may call a release or a candidate, and what is answered to the rest."""

from pathlib import Path

import pytest
from registry_kit import write_json
from revisions_kit import BARE, Labelled, add_bare, fill

from polyid.registry import UnknownModelError
from trainer.registry import LocalRegistry
from trainer.revisions import in_order, look_up


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def runs(registry: LocalRegistry, tmp_path: Path) -> dict[str, Labelled]:
    return fill(registry, tmp_path)


def test_a_release_by_tag_and_by_default(registry: LocalRegistry, runs) -> None:
    current = look_up(registry)
    assert (current.revision, current.state) == ("v1.1.0", "current release")
    assert current.fingerprint == runs["v1.1.0"].fingerprint
    old = look_up(registry, "1.0.0")
    assert (old.revision, old.state, old.current) == ("v1.0.0", "release", False)
    assert Path(old.address) == registry.path / "releases" / "v1.0.0"
    registry.rollback("v1.0.0")
    assert look_up(registry).revision == "v1.0.0"


@pytest.mark.parametrize("form", ["{}", "candidate/{}", "review/{}", "{:.6}", "candidate/{:.6}"])
def test_a_candidate_by_its_fingerprint(registry: LocalRegistry, runs, form: str) -> None:
    run = runs["failed"]
    found = look_up(registry, form.format(run.fingerprint), ["predictions.parquet"])
    assert found.revision == f"candidate/{run.fingerprint}"
    assert (found.state, found.verdict, found.released_as) == ("candidate", "fail", None)
    assert found.record is not None
    assert (found.folder / "predictions.parquet").is_file()
    released = look_up(registry, runs["v1.0.0"].fingerprint)
    assert released.state == "candidate, released as v1.0.0"


def test_a_later_verdict_brings_its_own_record(registry: LocalRegistry, runs, tmp_path) -> None:
    run = runs["failed"]
    again = Labelled(**vars(run) | {"folder": tmp_path / "again", "verdict": "pass"}).write()
    registry.regate(run.fingerprint, again.folder)
    found = look_up(registry, run.fingerprint)
    assert found.verdict == "pass"
    assert found.record is not None
    assert found.record.gate == "pass"
    # a verdict that came alone leaves the record as it was
    write_json(run.folder / "gate.json", run.gate() | {"verdict": "inconclusive"})
    for name in ("record.yaml", "report.md"):
        (run.folder / name).unlink()
    registry.regate(run.fingerprint, run.folder)
    found = look_up(registry, run.fingerprint)
    assert found.verdict == "inconclusive"
    assert found.record is not None


def test_a_candidate_of_which_nothing_is_known(registry: LocalRegistry, tmp_path: Path) -> None:
    add_bare(registry, tmp_path)
    found = look_up(registry, BARE)
    assert (found.verdict, found.record, found.metrics) == ("not judged", None, None)
    with pytest.raises(UnknownModelError, match=rf"candidate/{BARE} \(not judged\)"):
        look_up(registry)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("v9.9.9", ("v9.9.9", "v1.0.0, v1.1.0")),
        ("candidate/ffff", ("'ffff'", "Candidates:")),
        ("abc", ("'abc' names none", "Candidates:")),
        ("main", ("'main'", "v1.0.0", "candidate/<fingerprint>", "trainer list")),
        ("", ("is no revision",)),
        ("ee" * 20, ("ee" * 20, "trainer list")),
        ("ab" * 20, ("commit of the code that made v1.0.0: give",)),
    ],
)
def test_what_is_not_there(registry: LocalRegistry, runs, asked: str, words) -> None:
    with pytest.raises(UnknownModelError) as error:
        look_up(registry, asked)
    for word in words:
        assert word in str(error.value)


def test_no_registry_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="trainer run --registry"):
        look_up(LocalRegistry(tmp_path / "nowhere"))


def test_scores_stand_in_the_product_s_order() -> None:
    scored = {"Colour": {"n": 1}, "Density": {"n": 2}, "Glass_Transition": {"n": 3}}
    names = [name for name, _ in in_order({"properties": scored})]
    assert names == ["Glass_Transition", "Density", "Colour"]
    assert in_order(None) == []
