"""``trainer review write`` on a run that was really made."""

import json
import os
import subprocess

from road_kit import ROOT, TRAINER, Road

from trainer.review.written import read


def write(road: Road, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    places = [text for name in ("data", "params", "gates", "registry", "work")
              for text in (f"--{name}", road.place(name))]  # fmt: skip
    done = subprocess.run(
        [*TRAINER, "review", "write", *places, *more], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | env,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_it_is_printed_or_written_for_the_job_that_delivers_it(finished, tmp_path):
    done = write(finished)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## ✅ Model gate: pass")
    assert "This model is v1.0.0 already" in done.stdout
    summary, out = tmp_path / "summary.md", tmp_path / "review"
    again = write(finished, "--out", str(out), GITHUB_STEP_SUMMARY=str(summary))
    assert again.returncode == 0, again.stderr
    assert summary.read_text() == (out / "review.md").read_text() == done.stdout
    assert json.loads((out / "review.json").read_text())["verdict"] == "pass"
    assert read(out).enforced


def test_what_cannot_be_compared_does_not_hide_the_verdict(finished):
    # the road's files are not in this checkout, so they have no older ones
    done = write(finished, "--base", "HEAD", "--recipe", str(finished.params))
    assert done.returncode == 0, done.stderr
    assert "Model gate: pass" in done.stdout
    assert "It was not compared with its base" in done.stdout
