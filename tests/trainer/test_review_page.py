"""What a review says: of each verdict, of what changed, and where the candidate is."""

import json
import re
from dataclasses import replace

import pytest
from evaluation_kit import predictions
from registry_kit import Run, write_json
from review_kit import a_change, stored

from trainer.registry import LocalRegistry, open_registry
from trainer.review import tables
from trainer.review.data import Change
from trainer.review.facts import Facts, facts
from trainer.review.page import headline, page


@pytest.fixture
def registry(tmp_path):
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def make(registry, tmp_path):
    def made(verdict: str, **how) -> Facts:
        return facts(registry, stored(registry, tmp_path / verdict, verdict, plots=False,
                                      **how).fingerprint)  # fmt: skip

    return made


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Cells of the table under a heading, its head and rule first."""
    lines = text[text.index(heading) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


@pytest.mark.parametrize(
    ("verdict", "icon", "says"),
    [("pass", "✅", "may be released"), ("fail", "❌", "is not released"),
     ("inconclusive", "❔", "is not released")],
)  # fmt: skip
def test_the_verdict_stands_first(make, verdict, icon, says):
    text = page(make(verdict))
    first = text.splitlines()[0]
    assert first.startswith(f"## {icon} Model gate: {verdict}")
    assert says in first
    assert text.index("What to do next") < text.index("### Scores") < text.index("### Run")


def test_the_champion_stands_beside_the_candidate_with_units_and_interval(make):
    heads, _, glass, density = rows_of(page(make("pass")), "### Scores")
    assert heads == ["Property", "This candidate", "Floor", "Champion v1.0.0", "Difference [95%]",
                     "Mean · GP"]  # fmt: skip
    assert glass[0].startswith("✅\u00a0**Glass transition**<br>°C")
    assert density[0].endswith("g/cm³, n\u00a0=\u00a0150")
    assert glass[2] == "≤\u00a035.0<br>R²\u00a0≥\u00a00.80"
    assert re.fullmatch(r"-\d+\.\d \*\*better\*\*<br>\[-\d+\.\d,\u00a0-\d+\.\d\]", glass[4])
    assert re.fullmatch(r"\d+\.\d\u00a0· \d+\.\d", glass[5])


def test_a_failure_says_which_floor(make):
    text = page(make("fail"))
    assert "- **Density:** MAE 0.0563 g/cm³ is above the floor of 0.055 g/cm³." in text
    _, _, glass, density = rows_of(text, "### Scores")
    assert density[2].startswith("❌\u00a0≤\u00a00.055<br>R²")
    assert glass[2] == "≤\u00a035.0<br>❌\u00a0R²\u00a0≥\u00a00.80"
    assert "push to this branch" in text


def test_a_first_model_has_no_champion(make):
    text = page(make("pass", first=True))
    heads, *_ = rows_of(text, "### Scores")
    assert heads == ["Property", "This candidate", "Floor", "Mean · GP"]
    assert text.count("no release yet to compare with") == 1


def test_a_champion_that_cannot_be_compared_is_said(make, registry, tmp_path):
    run = Run(tmp_path / "other", data="other", verdict="inconclusive").write()
    gate = run.gate() | {"champion": {"revision": "v1.0.0", "comparable": False, "why": "folds."}}
    write_json(run.folder / "gate.json", gate)
    registry.add_candidate(run.folder, run.fingerprint)
    text = page(facts(registry, run.fingerprint))
    assert "**Champion v1.0.0 is not comparable:** folds." in text
    assert "trainer gate --registry" in text


def test_a_dry_run_is_said(make):
    found = make("fail", mode="dry_run")
    assert headline(found) == "Model gate: fail (dry run: the gate is not enforced)"


def test_a_random_split_is_warned_of(make):
    found = make("pass")
    model = replace(found.model, metrics={**found.model.metrics, "split": "random"})
    assert "> [!WARNING]\n> Scores of a random split" in page(replace(found, model=model))


def test_what_changed_is_counted_and_shown_escaped(make):
    found = make("fail")
    text = page(replace(found, change=a_change(predictions(1, error=0.5))))
    assert "**Data:** labels 40 added, 2 removed, 1 relabelled." in text
    counts = rows_of(text, "**Data:**")
    assert counts[0] == ["Labels of", "Mechanism", "added", "removed", "relabelled"]
    assert ["Glass transition", "ester", "26", "2", "1"] in counts
    labels = rows_of(text, "<summary>Labels (20 of 43)")
    assert len(labels) == 22
    assert {row[0] for row in labels[2:]} == {"added", "removed", "relabelled"}
    assert any(row[4] == r"`[C@@H](C)\|N.O`" for row in labels)
    assert all(len(row) == 6 for row in labels)
    assert ["`training.epochs`", "`60`", "`90`"] in rows_of(text, "**Recipe:**")
    assert ["`floors.Density.max_mae`", "`0.05`", "`0.06`"] in rows_of(text, "**Gate:**")


def test_nothing_that_changed_is_said(make):
    text = page(replace(make("pass"), change=Change("b" * 40, [])))
    assert "no label was added" in text
    assert "**Recipe:** unchanged." in text
    text = page(replace(make("fail"), change=Change("b" * 40, None, "DVC has <nothing>")))
    assert "not compared. DVC has &lt;nothing&gt;" in text


def test_texts_of_the_gate_do_nothing(make):
    found = make("fail")
    gate = {**found.model.gate, "reasons": ["<b>@acme</b> | [x](https://example.org)"]}
    text = page(replace(found, model=replace(found.model, gate=gate)))
    assert "<b>" not in text
    assert "@acme" not in text
    assert "](https://example.org)" not in text


def test_many_reasons_and_keys_are_cut_and_counted(make):
    found = make("fail")
    gate = {**found.model.gate, "reasons": [f"reason {i}" for i in range(99)]}
    text = page(replace(found, model=replace(found.model, gate=gate)))
    assert "reason 19" in text
    assert "reason 20" not in text
    assert "79 more reasons" in text
    changes = [tables.ParamChange(f"key{i}", "a", "b") for i in range(50)]
    assert "10 more keys" in tables.parameters("Recipe", changes)[-1]


def test_a_candidate_in_a_folder_says_where_it_is_and_shows_no_image(make):
    text = page(make("pass"))
    assert "artifact `candidate`" in text
    assert "<img" not in text
    assert "Set the repository variable `REGISTRY`" in text
    assert "15.0 min on 2 cores" in text
    assert "not billed" in text


def test_a_candidate_that_is_released_needs_nothing(make, registry):
    found = make("pass", first=True)
    registry.publish(found.model.fingerprint)
    text = page(facts(registry, found.model.fingerprint))
    assert "This model is v1.0.0 already" in text


@pytest.mark.parametrize("public", [True, False])
def test_a_candidate_on_the_hub_is_linked_by_commit(hub, hub_home, tmp_path, public):
    repo = hub.name()
    registry = open_registry(f"hf://{repo}", public=public)
    made = stored(registry, tmp_path / "run", "pass", first=True)
    commit = hub.git(repo, "rev-parse", f"candidate/{made.fingerprint}").strip()
    text = page(facts(registry, made.fingerprint))
    assert f"({hub.endpoint}/{repo}/tree/{commit})" in text
    assert f"({hub.endpoint}/{repo}/blob/{commit}/report.md)" in text
    images = re.findall(r'<img src="([^"]+)"', text)
    if public:
        start = f"{hub.endpoint}/{repo}/resolve/{commit}/plots/"
        assert images == [start + name for name in (
            "parity-Glass_Transition.png", "parity-Density.png", "learning-curves.png",
            "coverage.png")]  # fmt: skip
    else:
        assert not images
        assert "the registry is private, so GitHub cannot load them" in text
    assert f"trainer show candidate/{made.fingerprint} --registry hf://{repo}" in text


def test_the_report_of_a_later_verdict_is_the_one_that_is_linked(hub, hub_home, tmp_path):
    repo = hub.name()
    registry = open_registry(f"hf://{repo}", public=True)
    made = stored(registry, tmp_path / "run", "pass", first=True, plots=False)
    again = tmp_path / "run"
    gate = json.loads((again / "gate.json").read_text())
    write_json(again / "gate.json", gate | {"verdict": "fail", "reasons": ["later"]})
    (again / "checksums.json").unlink(missing_ok=True)
    registry.regate(made.fingerprint, again)
    commit = hub.git(repo, "rev-parse", f"review/{made.fingerprint}").strip()
    text = page(facts(registry, made.fingerprint))
    assert "Model gate: fail" in text
    assert f"/blob/{commit}/report.md" in text
