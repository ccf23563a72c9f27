"""The plots in a candidate's folder: there, small, the same each time, and told in words."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_kit import RHO, TG, metrics, predictions
from PIL import Image

from trainer.plot_files import captions, captions_in, plots_of, write_plots

NAMES = [f"parity-{TG}.png", f"parity-{RHO}.png", "learning-curves.png", "coverage.png"]


def history(members: int = 2, epochs: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    epoch = np.tile(np.arange(1, epochs + 1), members)
    loss = np.exp(-epoch / 150) + 0.05 * rng.random(len(epoch))
    return pd.DataFrame(
        {"member": np.repeat(np.arange(members), epochs), "epoch": epoch, "loss": loss,
         "val_loss": loss + 0.1, "learning_rate": 1e-3, "seconds": 1.0}
    )  # fmt: skip


def test_files_that_are_pictures_and_the_same_each_time(tmp_path: Path) -> None:
    table = predictions()
    found = plots_of(metrics(table), table, history())
    paths = write_plots(tmp_path / "a", found)
    assert [path.relative_to(tmp_path / "a").as_posix() for path in paths] == [
        f"plots/{name}" for name in NAMES
    ]
    for path, again in zip(paths, write_plots(tmp_path / "b", found), strict=True):
        assert path.read_bytes() == again.read_bytes()
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.format == "PNG"
            assert image.width >= 500
            assert image.info.keys() <= {"dpi", "transparency"}  # no dates, no versions
            assert len(set(image.convert("L").tobytes())) > 10  # something is drawn


def test_other_numbers_give_another_picture(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 1):
        table = predictions(seed)
        (tg, *_) = write_plots(tmp_path / str(seed), plots_of(metrics(table), table, None)[:1])
        drawn.append(tg.read_bytes())
    assert drawn[0] != drawn[1]


def test_even_a_long_run_on_many_polymers_is_small(tmp_path: Path) -> None:
    table = predictions(error=0.5, n=5000)
    paths = write_plots(tmp_path, plots_of(metrics(table), table, history(10, 500)))
    assert all(path.stat().st_size < 100_000 for path in paths)


@pytest.mark.parametrize("none", [None, history().head(0)])
def test_no_history_no_learning_curves(none: pd.DataFrame | None) -> None:
    table = predictions()
    found = plots_of(metrics(table), table, none)
    assert [plot.caption.kind for plot in found] == ["parity", "parity", "coverage"]


def test_what_a_plot_shows_in_words(tmp_path: Path) -> None:
    scored = metrics(predictions())
    tg, _, learning, coverage = captions(scored)
    assert "Glass transition for 150 samples: MAE" in tg.alt
    assert "°C, R² 0.9" in tg.alt
    assert "every member" in learning.alt
    assert "of nominal 0.9" in coverage.alt
    assert captions_in(tmp_path, scored) == []
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / NAMES[1]).write_bytes(b"")
    assert [caption.file for caption in captions_in(tmp_path, scored)] == [NAMES[1]]
