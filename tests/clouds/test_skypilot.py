"""Runs as SkyPilot's tasks: what is written, and what SkyPilot itself says of it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from clouds_kit import ROOT, environment
from road_kit import TRAINER, Road

from polyid.errors import PolyIDError
from trainer import inputs, skypilot
from trainer.targets import RunSpec

SPEC = RunSpec(
    "0123456789abcdef",
    ("trainer", "job", "--registry", "hf://acme/it's", "--inputs", "0123456789abcdef"),
    image="ghcr.io/acme/train@sha256:abc",
    timeout_s=60,
    env={"IMAGE_DIGEST": "sha256:abc"},
    secrets=("HF_TOKEN",),
)


def task(**wish) -> dict:
    return yaml.safe_load(skypilot.render(SPEC, skypilot.Wish(**wish)))


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of an environment with SkyPilot alone."""
    pins = Path(__file__).parent / "skypilot.txt"
    assert f"skypilot=={skypilot.VERSION}\n" in pins.read_text()
    return environment(tmp_path_factory.mktemp("sky") / "env", "-r", str(pins))


@pytest.fixture
def installed(sky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put SkyPilot on the path, with a home of its own."""
    monkeypatch.setenv("PATH", f"{sky}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")


def test_a_task_names_its_places_and_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_not_to_be_written")
    assert "hf_not" not in skypilot.render(SPEC, skypilot.Wish())
    made = task()
    assert made["secrets"] == {"HF_TOKEN": None}
    assert [p["infra"] for p in made["resources"]["any_of"]] == list(skypilot.CLOUDS)
    assert [p["infra"] for p in made["resources"]["any_of"] if p.get("use_spot")] == [
        "aws", "gcp", "azure",
    ]  # fmt: skip
    assert made["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]
    steady = task(clouds=("aws",), spot=False, gpus=("A100",))["resources"]
    assert (steady["any_of"], steady["accelerators"]) == ([{"infra": "aws"}], {"A100": 1})


def test_what_a_task_runs_is_a_shell_line_of_the_entry_point(tmp_path):
    shown = "timeout() { printf '%s\\n' \"$@\"; }; " + task()["run"].removeprefix("exec ")
    said = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True)
    words = said.stdout.splitlines()
    assert words == ["--kill-after=150", "60", "/opt/venv/bin/trainer", *SPEC.command[1:]]
    assert "ENV PATH=/opt/venv/bin:" in (ROOT / "Dockerfile.train").read_text()


def test_a_limit_ends_as_a_failure_and_a_wish_to_stop_as_one_to_go_on(tmp_path):
    for script, code in (("sleep 600", 124), ("exit 75", 75)):
        done = subprocess.run(["timeout", "--kill-after=150", "1", "sh", "-c", script])
        assert done.returncode == code  # 75 alone is recovered elsewhere


@pytest.mark.parametrize(
    ("wish", "text"),
    [({"clouds": ("moon",)}, "--cloud: received moon"), ({"image": " "}, "--image: received")],
)
def test_what_cannot_be_a_task_is_refused(wish, text):
    spec = SPEC if "image" not in wish else RunSpec("0" * 16, SPEC.command, image=wish["image"])
    with pytest.raises(PolyIDError, match=text):
        skypilot.render(spec, skypilot.Wish(**{k: v for k, v in wish.items() if k != "image"}))


def test_without_skypilot_nobody_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert skypilot.validated(tmp_path / "task.yaml") is None


@pytest.mark.slow
def test_skypilot_itself_reads_the_written_task_and_refuses_a_wrong_one(
    hub, hub_home, installed, tiny_table, tmp_path
):
    road = Road.laid(tmp_path / "road", tiny_table)
    address, out = f"hf://{hub.name('model')}", tmp_path / "task.yaml"
    places = [w for n in ("data", "params", "gates", "work") for w in (f"--{n}", road.place(n))]
    words = ["sky", *places, "--registry", address, "--image", SPEC.image, "--out", str(out)]
    done = subprocess.run([*TRAINER, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = len(skypilot.CLOUDS) * len(skypilot.GPUS)
    assert f"SkyPilot {skypilot.VERSION} reads it: {kinds} kinds of machine" in done.stdout
    assert f"sky jobs launch {out} --secret HF_TOKEN" in done.stdout
    assert hub.owner_token not in out.read_text()
    # what it runs is there: the inputs, and the options
    written = yaml.safe_load(out.read_text())
    fingerprint = written["name"].removeprefix("polyid-")
    repo = address.removeprefix("hf://")
    assert inputs.fetch(repo, fingerprint, tmp_path / "runs")[0].fingerprint == fingerprint
    plain = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    told = subprocess.run(
        [*TRAINER, "job", "--help"], cwd=ROOT, capture_output=True, text=True, env=plain
    )
    options = re.findall(r"--[a-z-]+", written["run"].partition("trainer job")[2])
    assert options
    assert set(options) <= set(re.findall(r"--[a-z-]+", told.stdout))

    written["resources"]["use_spotz"] = True
    out.write_text(yaml.safe_dump(written))
    with pytest.raises(PolyIDError, match="use_spotz"):
        skypilot.validated(out)
