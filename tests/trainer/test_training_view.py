"""Training as it is watched: how far it is, and how long it will take, in a terminal and a log."""

import io
from typing import Any

from rich.console import Console

from trainer.training.view import TrainingView

START = {"event": "start", "members": 2, "waiting": [0, 1], "workers": 1, "epochs": 60}


def epoch(number: int, member: int = 0) -> dict[str, Any]:
    return {
        "event": "epoch", "members": [member], "epoch": number, "epochs": 60, "loss": [0.25],
        "val_loss": [0.5 if number == 60 else None], "seconds": 0.5,
    }  # fmt: skip


def shown(*events: dict[str, Any], terminal: bool = False) -> str:
    """Return what is printed of some events."""
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=terminal, color_system=None)
    with TrainingView(console) as view:
        for event in events:
            view(event)
    return out.getvalue()


def test_a_log_says_how_far_it_is_and_how_long_it_will_take() -> None:
    first, *others = shown(START, epoch(1), epoch(2), epoch(60)).splitlines()
    assert first == "Training 2 folds × 60 epochs in 1 process."
    # the first epoch's pace is that of compiling; lines come seconds apart, and one at the end
    assert "fold 0 epoch 1/60" in others[0]
    assert others[0].endswith("1% of the run  ETA …")
    assert others[-1].endswith("fold 0 epoch 60/60  loss 0.250  validation 0.500   50% of the run"
                               "  ETA 0:30")  # fmt: skip
    assert len(others) == 2


def test_what_is_done_already_is_not_waited_for() -> None:
    said = shown(START | {"waiting": [1], "workers": 2}, epoch(30, 1), epoch(60, 1))
    assert "in 2 processes; 1 folds are done already." in said
    assert "75% of the run  ETA 0:07" in said  # 30 epochs of 0.5 s, two at a time
    assert "100% of the run  ETA 0:00" in said


def test_a_resumed_fold_is_counted_from_where_it_goes_on() -> None:
    resume = {"event": "resume", "members": [0], "epoch": 59, "path": "epoch-000059.npz"}
    said = shown(START, resume, epoch(60))
    assert "Resuming fold 0 from epoch 59 (epoch-000059.npz)." in said
    assert "50% of the run  ETA 0:30" in said


def test_a_terminal_has_a_bar_for_each_fold_and_one_for_all() -> None:
    said = shown(START, epoch(2), epoch(2, 1), terminal=True)
    for text in ("all folds", "fold 0", "fold 1", "4/120 epochs", "2/60 epochs", "ETA 0:58"):
        assert text in said, text
    assert "% of the run" not in said
