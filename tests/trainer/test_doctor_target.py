"""The doctor before a run on a target: every question answered well once, and badly once."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hub_kit import Hub
from image_registry_kit import DIGEST, ImageRegistry, image_registry
from road_kit import TINY, Road, changed

from polyid.errors import PolyIDError
from trainer.doctor import Case, Finding, Question, container, machine, places, rented
from trainer.doctor.image import parse, require_pullable
from trainer.doctor.trial import measured, trial
from trainer.plan import make_plan
from trainer.registry import open_registry
from trainer.targets import TargetError
from trainer.training import checkpoint
from trainer.training.run import groups_of


@pytest.fixture
def road(tiny_table, tmp_path: Path) -> Road:
    return Road.laid(tmp_path / "road", tiny_table)


@pytest.fixture
def images() -> Iterator[ImageRegistry]:
    with image_registry() as registry:
        yield registry


def case_of(road: Road, registry: str | None = None, **more) -> Case:
    place = open_registry(registry or str(road.registry))
    return Case(road.data, str(road.params), road.gates, place, road.work, **more)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def refusal(question) -> str:
    with pytest.raises(PolyIDError) as error:
        question()
    return str(error.value)


def with_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Put a driver's tool on the path that lists one GPU."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        f'  *memory*) echo "NVIDIA L4, 23034, {free}" ;;\n'
        '  *) echo "NVIDIA L4" ;;\n'
        "esac\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


class TestMachine:
    def test_without_a_gpu_it_is_well_unless_one_is_wanted(self, road: Road) -> None:
        assert "cores" in machine.gpu(case_of(road))
        assert "--gpus all" in refusal(lambda: machine.gpu(case_of(road, gpu=True)))

    def test_a_gpu_that_others_fill(self, road: Road, tmp_path: Path, monkeypatch) -> None:
        with_gpu(tmp_path / "bin", monkeypatch, free=22000)
        assert "NVIDIA L4, 23.1 GB of 23034 MiB free" in machine.gpu(case_of(road, gpu=True))
        with_gpu(tmp_path / "full", monkeypatch, free=1000)
        assert "nvidia-smi" in refusal(lambda: machine.gpu(case_of(road)))

    @pytest.mark.slow
    def test_tensorflow_must_use_what_the_driver_lists(self, tmp_path: Path, monkeypatch) -> None:
        assert "computes on the CPU" in machine.tensorflow()
        with_gpu(tmp_path / "bin", monkeypatch, free=22000)
        assert "can use 0 of them" in refusal(machine.tensorflow)

    @pytest.mark.slow
    def test_a_tensorflow_that_does_not_load(self, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart is missing')\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        assert "libcudart is missing" in refusal(machine.tensorflow)

    @pytest.mark.slow
    def test_ten_steps_and_a_checkpoint(self, road: Road, monkeypatch) -> None:
        said = trial(case_of(road))
        assert said.startswith("10 steps in")
        assert "was saved, loaded and gone on from" in said
        assert not list(road.work.glob("*/doctor"))
        (run,) = [p for p in road.work.iterdir() if p.name != "cache"]
        (run / "doctor").write_text("a file is in the way")
        assert "cannot be written" in refusal(lambda: trial(case_of(road)))
        monkeypatch.setenv("XLA_FLAGS", "--no_such_flag")
        assert "The trial ended with exit code" in refusal(lambda: trial(case_of(road)))

    @pytest.mark.slow
    def test_a_disk_that_does_not_keep_what_it_is_given(self, road: Road, monkeypatch) -> None:
        save = checkpoint.save

        def half(*given: Any) -> Path:
            path = save(*given)
            os.truncate(path, path.stat().st_size // 2)
            return path

        monkeypatch.setattr(checkpoint, "save", half)
        plan = make_plan(road.data, road.params, road.work)
        said = refusal(lambda: measured(plan, list(groups_of(plan)[0].members)))
        assert "does not hold what was saved" in said
        assert "checksum" in said
        assert not list(road.work.glob("*/doctor"))


def test_checkpoints_are_written_and_read_back(road: Road, tmp_path: Path) -> None:
    store = tmp_path / "store"
    ask = places.basics.checkpoints
    assert "no store" in ask(case_of(road))
    assert "was written, read and cleared" in ask(case_of(road, checkpoints=f"file://{store}"))
    assert [p for p in store.rglob("*") if p.is_file()] == []
    (tmp_path / "file").write_text("in the way")
    said = refusal(lambda: ask(case_of(road, checkpoints=f"file://{tmp_path}/file/x")))
    assert "credentials" in said
    assert "cannot open it" in refusal(lambda: ask(case_of(road, checkpoints="nosuch://x")))


class TestHubJobs:
    @pytest.fixture
    def case(self, hub: Hub, hub_home: Path, road: Road, images: ImageRegistry) -> Case:
        return case_of(
            road, f"hf://{hub.name()}", namespace="acme", flavor="l4x1", gpu=True,
            image=f"{images.host}/acme/train@{DIGEST}",
        )  # fmt: skip

    def test_all_is_well_and_nothing_is_started(self, hub: Hub, case: Case) -> None:
        found = by_check(places.examine_target("hf-jobs", case))
        assert list(found) == [
            "recipe and gate", "data", "registry", "checkpoints",
            "Hub", "jobs", "image", "hardware", "price",
        ]  # fmt: skip
        assert all(f.ok for f in found.values()), found
        assert found["price"].detail.startswith("l4x1: $0.80 an hour, at most $4.80")
        assert not [c for c in hub.calls() if c["method"] == "POST"]

    def test_the_hub_out_of_reach(self, hub: Hub, case: Case) -> None:
        with hub.offline():
            found = by_check(places.examine_target("hf-jobs", case))
        assert [name for name, f in found.items() if f.ok] == ["recipe and gate", "data",
                                                               "checkpoints", "image"]  # fmt: skip
        assert "no answer" in found["Hub"].detail

    def test_no_token_and_one_that_may_not_rent(self, hub: Hub, case: Case, monkeypatch) -> None:
        weak = hub.token("narrow", role="fineGrained", repos=["acme/one"])
        monkeypatch.setenv("HF_TOKEN", weak)
        said = refusal(lambda: rented.may_run_jobs(case))
        assert "Run jobs" in said
        assert weak not in said
        monkeypatch.delenv("HF_TOKEN")
        assert "hf auth login" in refusal(rented.hub)

    def test_hardware_that_does_not_do(self, case: Case) -> None:
        assert "no GPU" in rented.hardware(replace(case, flavor="", gpu=False))
        assert "--flavor l4x1" in refusal(lambda: rented.hardware(replace(case, flavor="")))
        for question in (rented.hardware, rented.price):
            said = refusal(lambda q=question: q(replace(case, flavor="l5")))
            assert "received 'l5'; expected one of" in said

    @pytest.mark.parametrize(
        ("question", "part", "value", "text"),
        [
            ("hardware", "ephemeral_storage", "2 GB", "has a disk of 2 GB, 4.0 GB are wanted"),
            ("hardware", "accelerator.vram", "4 GB", "has 4 GB of GPU memory, 6.0 GB are wanted"),
            ("price", "unit_cost_usd", None, "names no price by the minute"),
            ("price", "unit_label", "hour", "names no price by the minute"),
        ],
    )
    def test_a_machine_too_small_or_without_a_price(
        self, case: Case, monkeypatch, question: str, part: str, value: str | None, text: str
    ) -> None:
        kinds = rented.HfApi().list_jobs_hardware()
        (kind,) = [kind for kind in kinds if kind.name == case.flavor]
        *inside, last = part.split(".")
        for name in inside:
            kind = getattr(kind, name)
        monkeypatch.setattr(kind, last, value)
        monkeypatch.setattr(rented.HfApi, "list_jobs_hardware", lambda self: kinds)
        assert text in refusal(lambda: getattr(rented, question)(case))

    def test_the_training_space_is_asked_for_hardware_of_its_own(self, case: Case) -> None:
        found = by_check(places.examine_target("hf-space", case))
        assert list(found)[-4:] == ["Hub", "image", "hardware", "price"]
        assert all(f.ok for f in found.values()), found
        bad = by_check(places.examine_target("hf-space", replace(case, flavor="h200", image="")))
        assert {name for name, f in bad.items() if not f.ok} == {"image", "hardware", "price"}
        assert "received 'h200'; expected one of" in bad["price"].detail  # only jobs have it

    def test_an_image_that_cannot_be_pulled(self, case: Case) -> None:
        assert "--image: received nothing" in refusal(lambda: rented.image(replace(case, image="")))
        space = replace(case, image="hf.co/spaces/acme/nothing-here")
        assert "no such repository" in refusal(lambda: rented.image(space))

    def test_the_command_says_it_line_by_line(self, hub: Hub, road: Road, case: Case) -> None:
        on_hub = Road(road.folder, str(case.registry))
        answer = on_hub.answer(
            "doctor", "--target", "hf-jobs", "--namespace", "acme", "--image", case.image,
            "--flavor", "l9", code=1,
        )  # fmt: skip
        bad = {c["check"] for c in answer["checks"] if not c["ok"]}
        assert (answer["ok"], bad) == (False, {"hardware", "price"})
        assert hub.owner_token not in json.dumps(answer)


class TestImage:
    @pytest.mark.parametrize(
        ("image", "parts"),
        [
            ("ghcr.io/o/n@sha256:ab", ("ghcr.io", "o/n", "sha256:ab")),
            ("ghcr.io/o/n:v1", ("ghcr.io", "o/n", "v1")),
            ("python", ("docker.io", "library/python", "latest")),
            ("o/n:v1@sha256:ab", ("docker.io", "o/n", "sha256:ab")),
            ("localhost:5000/n", ("localhost:5000", "n", "latest")),
        ],
    )
    def test_names_are_read_as_engines_do(self, image: str, parts: tuple[str, ...]) -> None:
        assert parse(image) == parts

    def test_a_public_image_can_be_pulled(self, images: ImageRegistry) -> None:
        assert f"@{DIGEST}" in require_pullable(f"{images.host}/acme/train:v1")

    def test_one_that_is_not_there_or_not_public(self, images: ImageRegistry) -> None:
        images.private = {"acme/hidden"}
        for name in ("acme/train:v9", "acme/nothing:v1", "acme/hidden:v1"):
            said = refusal(lambda n=name: require_pullable(f"{images.host}/{n}"))
            assert "make the package public" in said
        images.served = "sha256:" + "b" * 64
        said = refusal(lambda: require_pullable(f"{images.host}/acme/train@{DIGEST}"))
        assert "under that digest" in said

    def test_a_registry_in_trouble_or_out_of_reach(self, images: ImageRegistry) -> None:
        images.status = 503
        assert "HTTP 503" in refusal(lambda: require_pullable(f"{images.host}/acme/train:v1"))
        assert "cannot be reached" in refusal(lambda: require_pullable("127.0.0.1:9/acme/train"))
        assert "lower case" in refusal(lambda: require_pullable("127.0.0.1:9/Acme/Train"))


class TestContainer:
    def test_no_engine(self, road: Road, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
        found = by_check(places.examine_target("docker", case_of(road, image="polyid-train")))
        assert {"container engine", "image", "GPU in containers"} <= set(found)
        assert not found["container engine"].ok
        assert "DOCKER_HOST" in found["container engine"].detail
        assert not found["image"].ok

    def test_a_gpu_that_the_engine_cannot_hand_on(self, road: Road, monkeypatch) -> None:
        class Engine:
            def info(self) -> dict:
                return {"Runtimes": {"runc": {}}}

            def close(self) -> None:
                pass

        monkeypatch.setattr(container.docker_engine, "connect", Engine)
        assert "none here" in container.gpu_inside(case_of(road))
        said = refusal(lambda: container.gpu_inside(case_of(road, gpu=True)))
        assert "NVIDIA container toolkit" in said


def test_a_target_can_ask_its_own_questions(road: Road, monkeypatch) -> None:
    class Mine:
        def questions(self, case: Case) -> list[Question]:
            return [Question("mine", lambda: f"well, for {case.flavor}")]

    monkeypatch.setattr(places, "open_target", lambda *_, **__: Mine())
    monkeypatch.setattr(places, "NAMES", ("mine",))
    found = by_check(places.examine_target("mine", case_of(road, flavor="x")))
    assert found["mine"] == Finding("mine", True, "well, for x")
    with pytest.raises(TargetError, match="expected one of"):
        places.examine_target("moon", case_of(road))


@pytest.mark.slow
def test_this_machine_from_the_command_line(road: Road) -> None:
    road.write(road.params, changed(TINY, training__epochs=5))
    done = road.call("doctor", "--target", "self-hosted")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 9
    assert "A run can start here." in done.stdout
