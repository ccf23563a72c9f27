"""Runs in the Training Space of the Hub: rented by the minute, and given back whatever happens.

A Space is a service and no job: it is billed until it is paused, knows no end and has no timeout.
So three give its hardware back: the page in it when its run has ended (`trainer.ui.keeper`),
whoever follows the run, and `trainer reap`; the Hub's own sleep timer stands behind them.
"""

import os
import secrets
import shlex
import time
from collections.abc import Iterator

from huggingface_hub import HfApi, JobHardwareInfo

from polyid.hub_errors import HubError, explained
from trainer import endnote
from trainer.space import STUCK
from trainer.space_hardware import FREE, RESTING
from trainer.targets import space_files
from trainer.targets.base import MARK, Handle, Leftover, RunSpec, State, TargetError
from trainer.targets.secret import secret
from trainer.targets.space_files import ATTEMPT, COMMAND, REGISTRY, SECONDS, USERS
from trainer.targets.space_log import new_lines
from trainer.targets.space_seen import Seen, look, release

#: The Space of a namespace, if no other is named.
NAME = "polyid-trainer"
_WAITING = frozenset({"BUILDING", "APP_STARTING"})
#: Seconds for which the stage of before a start may still be shown.
LINGER_S = 60.0
#: Seconds between two looks at a Space that says nothing.
_PACE_S = 2.0
#: The Hub puts a Space that nobody visits to sleep so long after a run must have ended.
_SPARE_S = 3600


class HubSpace:
    """The Training Space of a namespace.

    Parameters
    ----------
    namespace : str, optional
        Whose Space; or ``namespace/name`` for another name. By default the one that the variable
        ``TRAIN_SPACE`` names, else the token's owner's.
    """

    name = "hf-space"
    #: It is not left running when whoever follows it leaves.
    needs_follower = True

    def __init__(self, namespace: str | None = None) -> None:
        self._namespace = namespace

    def submit(self, spec: RunSpec) -> Handle:
        """Set the Space up and start a run in it, or adopt the one; see `Target.submit`."""
        space = self.space
        seen = look(space)
        if seen is not None:
            if not seen.ours:
                raise TargetError(
                    f"spaces/{space} is another application, and nothing was changed. Name the "
                    "Space that is to train: --namespace namespace/name"
                )
            live = self._handle(space, seen)
            if live.id and not self._state(live, seen).ended:
                if live.fingerprint == spec.fingerprint:
                    return live
                raise TargetError(
                    f"spaces/{space} trains {live.fingerprint} now: one at a time. Wait for it, "
                    f"stop it (trainer cancel {live.fingerprint} --target {self.name}), or name "
                    "another Space: --namespace namespace/name"
                )
        attempt = f"{space}#{secrets.token_hex(4)}"
        hidden = {name: secret(name) for name in spec.secrets}
        variables = {
            **spec.env,
            USERS: os.environ.get(USERS) or _me(),
            REGISTRY: _registry(spec),
            COMMAND: shlex.join(spec.command),
            SECONDS: str(spec.timeout_s),
            MARK: spec.fingerprint,
            ATTEMPT: attempt,
        }
        done = False
        try:
            self._start(space, seen, spec, variables, hidden)
            done = True
        finally:
            if not done:
                self._quietly_paused(space)
        return Handle(self.name, attempt, self._url(space), spec.fingerprint)

    def status(self, handle: Handle) -> State:
        """Say how a run stands; one that has ended gives its hardware back."""
        space = handle.id.partition("#")[0]
        seen = look(space)
        if seen is None:
            return State("failed", f"spaces/{space} is gone")
        state = self._state(handle, seen)
        if state.ended and seen.attempt == handle.id:
            release(space, seen)
        return state

    def logs(self, handle: Handle, *, follow: bool = True) -> Iterator[str]:
        """Lines of a run's log: the Space's while it runs, then the kept one."""
        space = handle.id.partition("#")[0]
        sent: list[str] = []
        while True:
            yield from new_lines(space, sent, follow, lambda: self.status(handle).ended)
            if not follow:
                return
            if self.status(handle).ended:
                break
            time.sleep(_PACE_S)
        seen = look(space)
        note = seen and endnote.read(seen.repo, handle.fingerprint)
        if seen and note and note.machine == handle.id:
            kept = endnote.read_log(seen.repo, handle.fingerprint)
            yield from (line for line in kept if line not in sent)

    def cancel(self, handle: Handle) -> None:
        """Pause the Space, unless another run has taken it over; see `Target.cancel`."""
        space = handle.id.partition("#")[0]
        seen = look(space)
        if seen is not None and seen.attempt == handle.id:
            release(space, seen)

    def find(self, fingerprint: str | None = None, *, ended: bool = False) -> list[Handle]:
        """Find the newest run of the Space; see `Target.find`."""
        seen = look(self.space)
        if seen is None or not seen.attempt:
            return []
        handle = self._handle(self.space, seen)
        if fingerprint not in (None, handle.fingerprint):
            return []
        return [handle] if ended or not self._state(handle, seen).ended else []

    def leftovers(self) -> list[Leftover]:
        """Find all Spaces of ours that run on paid hardware; see `Target.leftovers`."""
        owner = self.space.partition("/")[0]
        with explained(f"spaces/{owner}", "listing Spaces"):
            names = [str(info.id) for info in HfApi().list_spaces(author=owner)]
        found: list[Leftover] = []
        prices: dict[str, float | None] = {}
        for space in names:
            seen = look(space)
            if seen is None or MARK not in seen.variables or not seen.costs:
                continue
            if not prices:
                with explained("spaces/hardware", "asking for prices"):
                    prices = {row.name: _hourly(row) for row in HfApi().list_spaces_hardware()}
            handle = self._handle(space, seen)
            over = bool(handle.id) and self._state(handle, seen).ended
            found.append(
                Leftover(
                    self.name, "space", space, handle.fingerprint, seen.since, handle.url,
                    seen.hardware, prices.get(seen.hardware), spare=over,
                )
            )  # fmt: skip
        return found

    def remove(self, leftover: Leftover) -> None:
        """Pause a Space; see `Target.remove`."""
        seen = look(leftover.id)
        if seen is not None:
            release(leftover.id, seen)

    @property
    def space(self) -> str:
        """Name of the Space."""
        named = self._namespace or os.environ.get("TRAIN_SPACE") or _me()
        return named if "/" in named else f"{named}/{NAME}"

    def _start(
        self,
        space: str,
        seen: Seen | None,
        spec: RunSpec,
        variables: dict[str, str],
        hidden: dict[str, str],
    ) -> None:
        """Rent it. While it is paused a change does not start it once more for each."""
        flavor, sleep_s = spec.flavor or FREE, spec.timeout_s + _SPARE_S
        try:
            with explained(f"spaces/{space}", "setting it up"):
                api = HfApi()
                if seen is None:
                    api.create_repo(
                        space, repo_type="space", space_sdk="docker", private=True, exist_ok=True,
                        space_hardware=flavor, space_sleep_time=sleep_s,  # type: ignore[arg-type]
                    )  # fmt: skip
                elif seen.stage not in RESTING:
                    api.pause_space(space)
                for key, value in hidden.items():
                    api.add_space_secret(space, key, value)
                space_files.add_sign_in(space)
                known = seen.variables if seen else {}
                for key, value in variables.items():
                    if known.get(key) != value:
                        api.add_space_variable(space, key, value)
                api.request_space_hardware(space, flavor, sleep_time=sleep_s)  # type: ignore[arg-type]
                pushed = space_files.push(space, spec.image)
                if seen is not None and not (pushed and seen.stage == "NO_APP_FILE"):
                    api.restart_space(space)
        except HubError as error:
            if error.status == 402:
                raise TargetError(
                    f"{error} A Docker Space needs a paid account or credit. Nothing is left "
                    "running; buy credit in the billing settings on the Hub, or give --target "
                    "local, then run the same command again."
                ) from None
            raise
        self._moved(space, seen.stage if seen else "NO_APP_FILE")

    def _moved(self, space: str, old: str) -> None:
        """Wait until the Hub does not show the stage of before any more."""
        deadline = time.monotonic() + LINGER_S
        while (seen := look(space)) and seen.stage in RESTING | {old, "RUNTIME_ERROR"}:
            if seen.stage in _WAITING | {"RUNNING"} or time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def _state(self, handle: Handle, seen: Seen) -> State:
        if seen.attempt != handle.id:
            return State("cancelled", "another dispatch has taken the Space over")
        note = endnote.read(seen.repo, handle.fingerprint)
        if note is not None and note.machine == handle.id:
            if note.cancelled:
                return State("cancelled", "it was stopped", note.exit_code)
            if note.exit_code == 0:
                return State("done", "", 0)
            return State("failed", f"it ended with exit code {note.exit_code}", note.exit_code)
        if seen.stage in RESTING:
            return State("cancelled", f"the Space is {seen.stage}, and nothing says how it ended")
        if seen.stage in _WAITING:
            return State("queued", f"the Space is {seen.stage}")
        if seen.stage in STUCK:
            space = handle.id.partition("#")[0]
            return State(
                "failed", f"the Space is {seen.stage}: {STUCK[seen.stage].format(space=space)}"
            )
        return State("running", f"on {seen.hardware}")

    def _handle(self, space: str, seen: Seen) -> Handle:
        return Handle(
            self.name,
            seen.attempt,
            self._url(space),
            seen.variables.get(MARK, ""),
            adopted=True,
        )

    @staticmethod
    def _url(space: str) -> str:
        return f"{HfApi().endpoint}/spaces/{space}"

    def _quietly_paused(self, space: str) -> None:
        """Leave nothing rented behind a start that failed; that failure is what is told."""
        try:
            seen = look(space)
            if seen is not None and seen.ours:
                release(space, seen)
        except HubError:
            return


def _me() -> str:
    with explained("the Hub", "asking whose token it is"):
        return str(HfApi().whoami()["name"])


def _registry(spec: RunSpec) -> str:
    return spec.command[spec.command.index("--registry") + 1]


def _hourly(row: JobHardwareInfo) -> float | None:
    per_hour = {"minute": 60, "hour": 1, "second": 3600}.get(row.unit_label)
    return None if per_hour is None else row.unit_cost_usd * per_hour
