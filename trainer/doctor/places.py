"""Which questions are asked for which target."""

from collections.abc import Callable

from trainer.doctor import basics
from trainer.doctor.case import Asks, Case
from trainer.doctor.container import container
from trainer.doctor.finding import Finding, Question, answered
from trainer.doctor.machine import machine
from trainer.doctor.pods import runpod
from trainer.doctor.rented import hf_jobs, hf_space
from trainer.doctor.trial import trial
from trainer.targets import NAMES, TargetError, open_target

#: The machine that runs this; ``self-hosted`` is a runner of one's own.
_HERE = ("local", "self-hosted")


def examine_target(target: str, case: Case) -> list[Finding]:
    """Ask everything that can be asked from here before a run is sent to a target.

    Parameters
    ----------
    target : str
        ``self-hosted``, or one of `trainer.targets.NAMES`. A target that has questions of its own
        (`trainer.doctor.case.Asks`) is asked for them.
    case : Case
        The run.

    Raises
    ------
    TargetError
        If there is no such target.
    """
    return answered([*_common(target, case), *_own(target, case)])


def _common(target: str, case: Case) -> list[Question]:
    asked = basics.everywhere(case)
    if target not in (*_HERE, "docker"):
        asked = [q for q in asked if q.check != "work folder"]  # it is the other machine's
    return [*asked, Question("checkpoints", lambda: basics.checkpoints(case))]


def _own(target: str, case: Case) -> list[Question]:
    known: dict[str, Callable[[Case], list[Question]]] = {
        "docker": container,
        "hf-jobs": hf_jobs,
        "hf-space": hf_space,
        "runpod": runpod,
        **dict.fromkeys(_HERE, _here),
    }
    if target in known:
        return known[target](case)
    if target not in NAMES:
        raise TargetError(
            f"--target: expected one of {', '.join([*NAMES, 'self-hosted'])}, received {target!r}."
        )
    place = open_target(target, work=case.work, namespace=case.namespace)
    return place.questions(case) if isinstance(place, Asks) else []


def _here(case: Case) -> list[Question]:
    return [
        *machine(case),
        Question("ten steps and a checkpoint", lambda: trial(case)),
        Question("price", lambda: "nothing is rented"),
    ]
